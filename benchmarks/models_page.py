"""The figures of models_cpu.json as tables of docs/explanation/speed.md; run it to write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
RESULT = _ROOT / "benchmarks" / "results" / "models_cpu.json"
PAGE = _ROOT / "docs" / "explanation" / "speed.md"
BEGIN, END = "<!-- figures of models_cpu.json -->\n", "<!-- end of the figures -->\n"
_SWIN = "timm:swin_tiny_patch4_window7_224"


def main() -> None:
    PAGE.write_text(with_figures(PAGE.read_text(), json.loads(RESULT.read_text())))


def with_figures(page: str, found: dict[str, Any]) -> str:
    """The page with these figures between its marks."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{figures(found)}\n{END}{rest.partition(END)[2]}"


def figures(found: dict[str, Any]) -> str:
    """Where it was measured, a table of our families, and one of the rivals."""
    facts, asked = found["provenance"], found["asked"]
    groups = {name: group for name, group in found["groups"].items() if name != "rivals"}
    where = [
        f"On {facts['device_name']}, one thread, {asked['dtype']}, {asked['image']} pixels, batch {asked['batch']},",
        f"torch {facts['torch']}, timm {facts['timm']}, {facts['date'][:10]}. CPU time in ms, the tenth percentile.",
    ]
    lines = [
        *where,
        "",
        "| network | textbook | `build` | memory kept | optimized | swin_tiny |",
        f"|---|{'---:|' * 5}",
    ]
    for name, group in groups.items():
        ms = group["p10_ms"]
        row = [ms[f"{side}:{name}"] for side in ("textbook", "build", "kept", "optimized")]
        lines.append(f"| {name} | {' | '.join(f'{value:.0f}' for value in [*row, ms[_SWIN]])} |")
    lines += ["", "How many times faster than what `build` gives, with 95 % intervals:", ""]
    titles = {"again": "the same again", "textbook": "textbook", "kept": "memory kept", "optimized": "optimized"}
    if facts["before"]:
        titles["before"] = f"`build` of commit {facts['before']}"
    lines += [
        f"| network | {' | '.join(titles.values())} |",
        f"|---|{'---:|' * len(titles)}",
    ]
    for name, group in groups.items():
        lines.append(f"| {name} | {' | '.join(_text(group['ratios'][f'{side}:{name}']) for side in titles)} |")
    against = {name: group["optimized_to_before"] for name, group in groups.items() if "optimized_to_before" in group}
    if against:
        lines += ["", f"How many times faster than `build` of commit {facts['before']} the optimized networks are:", ""]
        lines += ["| network | times |", "|---|---:|"]
        lines += [f"| {name} | {_text(ratio)} |" for name, ratio in against.items()]
    lines += ["", "How many times faster than timm's swin_tiny, in the same group of processes:", ""]
    lines += ["| network | times |", "|---|---:|"]
    rivals = found["groups"].get("rivals", {"to_swin": {}})["to_swin"]
    ours = {f"{name}, optimized": group["to_swin"][f"optimized:{name}"] for name, group in groups.items()}
    theirs = {name.removeprefix("timm:"): ratio for name, ratio in rivals.items() if name.startswith("timm:")}
    lines += [f"| {name} | {_text(ratio)} |" for name, ratio in {**ours, **theirs}.items()]
    return "\n".join(lines) + "\n"


def _text(ratio: dict[str, float]) -> str:
    return f"{ratio['value']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


if __name__ == "__main__":
    main()
