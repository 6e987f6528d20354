"""What a search may use of this machine, and how it shares its work: no part of what it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, get_args

from archdsl.errors import WrongUse
from archdsl.runtimes.by_name import runs_files
from archdsl.search.policy.evaluate import WorkerPolicy
from archdsl.search.request import Role as Role
from archdsl.search.worker.process import Worker
from archdsl.search.worker.slot import WorkerProtocol, usable_bytes


class MachineOptions(NamedTuple):
    """Not kept in `run.json`: a search that is resumed may have others."""

    workers: int = 1
    """Trials side by side on this machine, each in a process of its own."""
    trial_s: float | None = None
    """Seconds that one trial may take."""
    trial_bytes: float | None = None
    """The host's memory that one worker may take; on a CPU by default its share of nine tenths of all."""
    storage: str | None = None
    """The URL of a PostgreSQL database in which machines share the study; by default it is in the run's folder."""
    role: Role = "both"
    """What this machine does for a study that is shared."""

    def checked(self) -> MachineOptions:
        """The same, if it can be.

        Raises:
            WrongUse: a role without a shared study, a database that is none, or a number that is no amount.
        """
        if self.role not in get_args(Role):
            raise WrongUse(f"--role must be one of {', '.join(get_args(Role))}; got '{self.role}'")
        if self.role != "both" and self.storage is None:
            raise WrongUse(f"--role {self.role} needs a study that machines share; give it with --storage")
        for name, value in (
            ("workers", self.workers),
            ("trial-time", self.trial_s),
            ("trial-memory", self.trial_bytes),
        ):
            if value is not None and value <= 0:
                raise WrongUse(f"--{name}: must be more than 0; got {value}")
        if self.storage is not None:
            from archdsl.search.store.database_url import address

            address(self.storage)
        return self

    def worker(self, device: str, policy: WorkerPolicy, runtime: str = "eager") -> Callable[[], WorkerProtocol]:
        """What starts a worker whose memory is bounded. CUDA's own reserve is not, unless it is asked for.

        Where files are measured, whose runtimes have threads of their own, torch's threads only train: they stay awake
        for some microseconds while they wait for each other, or a second thread would be of no use.
        """
        environment = {"GOMP_SPINCOUNT": str(policy.spins)} if runs_files(runtime) else {}
        if self.trial_bytes is not None:
            return partial(Worker, int(self.trial_bytes), policy.start_s, environment=environment)
        usable = usable_bytes(policy.memory_share) if device == "cpu" else None
        memory = None if usable is None else usable // self.workers
        return partial(Worker, memory, policy.start_s, environment=environment)
