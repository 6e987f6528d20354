"""The commands that do a run's work again."""

from __future__ import annotations

import shlex

from archdsl.search.report.commands import (
    baselines_arguments,
    bench_command,
    digits,
    resume_command,
    search_command,
    space_argument,
)
from archdsl.search.report.facts import Verdict
from archdsl.search.report.reading import RunFiles, mapping, number


def reproduce(files: RunFiles, verdict: Verdict) -> list[tuple[str, str]]:
    """What each command does, and the command; those that the run has something for."""
    settings, folder = files.settings, files.folder
    if not mapping(settings.get("space")):
        return []
    commands = [("search again", search_command(settings, space_argument(files), also=baselines_arguments(files)))]
    latency_ms = number(settings.get("latency_budget_ms"))
    if (share := number(settings.get("latency_share"))) is not None and latency_ms is not None:
        also = baselines_arguments(files)
        in_ms = search_command({**settings, "latency_share": None}, space_argument(files), also=also)
        were = f"{digits(100 * share)} % of the parent's latency were {digits(latency_ms)} ms in this run"
        commands.append((f"search again for these milliseconds; {were}, and the first command measures it anew", in_ms))
    longer = "print the result of this run again, or continue it with a larger --trials or --time"
    commands.append((longer, resume_command(folder)))
    if verdict.has_winner:
        script = folder / "run_winner.py"
        if script.is_file():
            commands.append(("measure the winner again, without the search", shlex.join(["python", str(script)])))
        else:  # a run of an earlier version
            commands.append(("measure the winner's latency", bench_command(settings, folder / "winner.json")))
    return commands
