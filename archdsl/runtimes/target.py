"""Another machine that networks are measured on, as a URL names it: `ssh://user@host:port`."""

from __future__ import annotations

import re
from typing import NamedTuple

from archdsl.errors import WrongUse, one_of
from archdsl.runtimes.by_name import runtime_named, runtimes
from archdsl.runtimes.file_runtime import FileRuntime

_FORM = "ssh://USER@HOST or ssh://USER@HOST:PORT"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_URL = re.compile(rf"ssh://(?:(?P<user>{_NAME})@)?(?P<host>{_NAME}|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?/?")


class Target(NamedTuple):
    """A machine that is reached by ssh; `host` may be a name of the user's ssh configuration."""

    user: str | None
    host: str
    port: int | None

    @classmethod
    def parse(cls, url: str) -> Target:
        """The machine of a URL.

        Raises:
            WrongUse: it is no such URL.
        """
        match = _URL.fullmatch(url.strip())
        if match is None or not 0 < int(match["port"] or 22) < 65536:
            raise WrongUse(f"--target: {_mistake(url)}; write {_FORM}")
        return cls(match["user"], match["host"].strip("[]"), int(match["port"]) if match["port"] else None)

    @property
    def url(self) -> str:
        """The same machine, always written in the same way."""
        user, port = f"{self.user}@" if self.user else "", f":{self.port}" if self.port else ""
        return f"ssh://{user}{f'[{self.host}]' if ':' in self.host else self.host}{port}"

    @property
    def login(self) -> str:
        """`user@host`, as ssh takes it."""
        return f"{self.user}@{self.host}" if self.user else self.host


def _mistake(url: str) -> str:
    """What is wrong with a URL; a password is not repeated."""
    scheme, _, rest = url.partition("://")
    if not rest or scheme != "ssh":
        return f"'{url[:60]}' is no ssh URL"
    login, _, host = rest.rpartition("@")
    if ":" in login:
        return "a password in the URL is not used; ssh logs in with a key"
    if "/" in host.rstrip("/"):
        return f"'{url[:60]}' has a path, which has no meaning here"
    return f"'{url[:60]}' names no user, host or port as ssh knows them"


def checked_target(url: str | None, runtime: str | None) -> Target | None:
    """The machine of a URL, where one is given, and only with a runtime that measures on another machine.

    Raises:
        WrongUse: the URL is unusable, or the runtime runs here alone.
    """
    if url is None:
        return None
    target = Target.parse(url)
    if runtime is not None and runtime in runtimes() and not runs_elsewhere(runtime):
        names = [name for name in runtimes() if runs_elsewhere(name)]
        raise WrongUse(f"--target: runtime {runtime} measures on this machine alone; use --runtime {one_of(names)}")
    return target


def runs_elsewhere(runtime: str) -> bool:
    """Whether files of a runtime can be measured on another machine."""
    named = runtime_named(runtime)
    return isinstance(named, FileRuntime) and named.runs_elsewhere
