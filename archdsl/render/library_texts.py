"""Sentences and cells about a library, the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from archdsl.json_types import Json, JsonObject
from archdsl.numbers import macs_text
from archdsl.render.texts import counted

if TYPE_CHECKING:
    from archdsl.search.report.library import FrontLine, LibraryLines, WinnerBlock

REPLACED = "Blocks that were replaced"
FRONT = "What the library gives for each budget"
OWN_ROWS = "Blocks without a KL are the parent's own."
KL_MEANING = (
    "KL says how much the parent's output changes if only this block is replaced (0: the output is unchanged). It is "
    "the Kullback-Leibler divergence of the class probabilities, in nats, on training images, before the network was "
    "trained as a whole. Savings are predicted."
)
PICTURE_NOTE = (
    "The numbers before a block are the parent's positions that it takes, from 0. Replacements from the library are "
    "marked; the other blocks are the parent's own."
)
LEAST_KL = 1e-4
"""What is less is not told apart."""
TRAINED, UNTRAINED, WINNER = "●", "○", "◆"


def block_text(document: JsonObject) -> str:
    """A block's type and what it says beside it: `hilo heads=6 window=2 mlp=plain norm=layer(eps=1e-06)`.

    What tells blocks of one network apart comes first, and its norm last, since a narrow column ends early.
    """
    said = [(key, value) for key, value in document.items() if key != "type" and value not in (None, False)]
    fields = sorted(said, key=lambda field: (isinstance(field[1], dict), field[0] == "norm"))
    return " ".join([str(document.get("type")), *(f"{key}={_brief(value)}" for key, value in fields)])


def _brief(value: Json) -> str:
    if isinstance(value, dict):
        inner = [f"{name}={_brief(field)}" for name, field in value.items() if name != "type"]
        return f"{value.get('type', '')}({', '.join(inner)})" if inner else str(value.get("type", ""))
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def kl_text(kl: float) -> str:
    """Four decimals; `<0.0001` for less that is not nothing."""
    return "0" if kl <= 0 else f"{kl:.4f}" if kl >= LEAST_KL else f"<{LEAST_KL}"


def positions_text(block: WinnerBlock) -> str:
    """The parent's positions: `3`, or `1-4` for a run."""
    return str(block.first) if block.span == 1 else f"{block.first}-{block.first + block.span - 1}"


def replaced_text(block: WinnerBlock) -> str:
    """What stood there: `3 x hilo`; with its fields where one block of the same type does."""
    types = [str(document.get("type")) for document in block.replaced]
    if len(types) == 1 and types[0] == block.block.get("type"):
        return block_text(block.replaced[0])
    if len(types) > 1 and len(set(types)) == 1:
        return f"{len(types)} x {types[0]}"
    return ", ".join(types)


def saved_text(block: WinnerBlock) -> str:
    """Predicted ms, or MACs where no latency is known; empty for the parent's own."""
    if not block.is_exchanged:
        return ""
    return macs_text(round(block.saved_macs)) if block.saved_ms is None else f"{block.saved_ms:.2f}"


def saved_head(lines: LibraryLines) -> str:
    """The heading above these."""
    return "saves MACs" if lines.saved_ms is None else "saves ms"


def replaced_sum(lines: LibraryLines) -> str:
    """How many blocks were replaced, and what that changes and saves in all."""
    covered, of = sum(block.span for block in lines.exchanged), counted(lines.depth, "block")
    is_one = len(lines.exchanged) == 1
    take, kl = ("takes", "Its KL is") if is_one else ("take", "Their KL adds up to")
    return (
        f"{counted(len(lines.exchanged), 'replacement')} from the library {take} the place of {covered} of the "
        f"parent's {of}. {kl} {kl_text(lines.kl)} (0: the output is unchanged). "
        f"The predicted saving is {_saved_of(lines)}."
    )


def _saved_of(lines: LibraryLines) -> str:
    if lines.saved_ms is not None:
        return f"{lines.saved_ms:.2f} of the parent's {lines.parent_cost:.2f} ms"
    return f"{macs_text(round(sum(block.saved_macs for block in lines.blocks)))} MACs"


def replacement_lines(lines: LibraryLines) -> Iterator[str]:
    """`stage3.1-4: hilo heads=6 instead of 4 x hilo, KL 0.0123, saves 0.41 ms`"""
    unit = "MACs" if lines.saved_ms is None else "ms"
    for block in lines.exchanged:
        instead = f"{block_text(block.block)} instead of {replaced_text(block)}"
        effect = f"KL {kl_text(block.kl)}, saves {saved_text(block)} {unit}"
        yield f"{block.stage}.{positions_text(block)}: {instead}, {effect}"


def detail_text(block: WinnerBlock) -> str:
    """The same of one block in a drawing: `for 4 x hilo; KL 0.0123; saves 0.41 ms`."""
    types = list(dict.fromkeys(str(document.get("type")) for document in block.replaced))
    several = f"{block.span} x " if block.span > 1 else ""
    unit = "MACs" if block.saved_ms is None else "ms"
    return f"for {several}{'/'.join(types)}; KL {kl_text(block.kl)}; saves {saved_text(block)} {unit}"


def cost_head(metric: str) -> str:
    """Of a column of predicted costs."""
    return "pred. ms" if metric == "latency" else "MACs"


def cost_text(metric: str, cost: float) -> str:
    """`2.04`, or MACs with their prefix."""
    return f"{cost:.2f}" if metric == "latency" else macs_text(round(cost))


def budget_text(limit: float | None, parent_cost: float) -> str:
    """`55 %` of what the parent costs; empty for none."""
    return "" if limit is None else f"{100 * limit / parent_cost:.0f} %"


def front_notes(lines: LibraryLines) -> list[str]:
    """What the rows of the front are, and of how many of its networks the accuracy is known."""
    of = "the parent's latency" if lines.metric == "latency" else "the parent's MACs, since no latency is known"
    trained = sum(line.accuracy is not None for line in lines.front)
    known = "No accuracy was measured: only the KL is known."
    if trained:
        known = (
            f"{TRAINED} marks networks whose accuracy was measured on validation images in this run: {trained} of "
            f"{len(lines.front)}. The parent was measured as it is, and each of its successors after the short "
            f"training. {UNTRAINED} marks networks of which only the KL is known."
        ) + (f" {WINNER} marks the winner." if any(line.is_winner for line in lines.front) else "")
    row = (
        f"Its row is the network of the library that changes the parent's output least within it.{_beside_text(lines)}"
    )
    return [
        f"A budget is a share of {of}. {row} KL, summed over the replacements, says how much (0: the output is "
        "unchanged): it is the Kullback-Leibler divergence of the class probabilities, in nats.",
        known,
    ]


def _beside_text(lines: LibraryLines) -> str:
    """What rows without a budget are; empty where there are none."""
    is_beside = any(line.limit is None for line in lines.front)
    return " Rows without a budget are other networks of the library that were trained." if is_beside else ""


def mark(line: FrontLine) -> str:
    """Whether it is the winner, and whether its accuracy is known."""
    return WINNER if line.is_winner else TRAINED if line.accuracy is not None else UNTRAINED


def has_trained(front: Sequence[FrontLine]) -> bool:
    """Whether any accuracy of a front is known."""
    return any(line.accuracy is not None for line in front)
