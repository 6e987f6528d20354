"""Whether a wheel has every module and every data file of the package: `python .ci/wheel_contents.py WHEEL`."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = {"archdsl": "archdsl", "search": "archdsl/search", "specs": "archdsl/specs"}
"""Folders of the repository, and where they are in the package; two of them are links there."""
RELATIVE = re.compile(r"\]\((?!https?:|#)")


def expected() -> set[str]:
    """The files of the package, as a wheel names them."""
    found = set[str]()
    for folder, package in SOURCES.items():
        for path in (ROOT / folder).rglob("*"):
            inside = path.relative_to(ROOT / folder)
            linked = folder == "archdsl" and inside.parts[0] in ("search", "specs")
            if path.is_file() and not linked and "__pycache__" not in inside.parts:
                found.add(f"{package}/{inside.as_posix()}")
    return found


def main(wheel: str) -> int:
    """0 if it is whole, else 1, with what is wrong on stderr."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        description = archive.read(metadata).decode()
    inside = {name for name in names if ".dist-info/" not in name}
    problems = [f"not in the wheel: {name}" for name in sorted(expected() - inside)]
    problems += [f"in the wheel, but not in the package: {name}" for name in sorted(inside - expected())]
    if RELATIVE.search(description):
        problems.append("the description has a relative link")
    for problem in problems:
        print(f"{wheel}: {problem}", file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
