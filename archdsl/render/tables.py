"""Tables of numbers: what a backbone's nodes cost, and the zoo beside what its papers print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.console import RenderableType
from rich.text import Text

from archdsl.cost import BYTES, Count
from archdsl.language.document import Spec
from archdsl.language.header import Paper
from archdsl.numbers import bytes_text, macs_text, params_text, share_text
from archdsl.render.columns import Column, Sheet
from archdsl.render.headline import headline


def cost_table(count: Count, spec: Spec, dtype: str = "float32", batch: int = 1) -> RenderableType:
    """Params, MACs, weight memory and peak activation memory, a row a node and one for all of them."""
    ids, types = [node.id for node in count.nodes], [node.type for node in count.nodes]
    params = [*(node.params for node in count.nodes), count.params]
    macs = [*(node.macs for node in count.nodes), count.macs]
    alive = [*(node.activations for node in count.nodes), count.activations]
    size = BYTES[dtype]
    columns = [
        Column("node", _cells([*ids, "in all"])),
        Column("type", _cells([*types, ""]), drop=9),
        *_with_share("params", params, [params_text(value) for value in params], drop=(1, 7)),
        *_with_share("MACs", macs, [macs_text(value) for value in macs], drop=(2, 6)),
        _numbers("weights", [bytes_text(value * size) for value in params], drop=4),
        *_with_share("activations", alive, [bytes_text(value * size * batch) for value in alive], drop=(3, 8)),
    ]
    memory = bytes_text(count.memory_bytes(dtype, batch))
    notes = (
        f"MACs for one image. Weights and activations in {dtype} at batch {batch}, together {memory}.",
        "Activations are those alive at a node's worst moment; in all, the most at any moment.",
    )
    return Sheet(columns, notes, headline(spec))


class ZooRow(NamedTuple):
    """A published backbone: what is computed of it, and what its paper prints."""

    name: str
    image: tuple[int, int]
    params: int
    macs: int
    paper: Paper | None


def zoo_row(spec: Spec, count: Count) -> ZooRow:
    """The row of a document."""
    return ZooRow(spec.name, spec.image_size, count.params, count.macs, spec.paper)


def zoo_table(rows: Sequence[ZooRow]) -> RenderableType:
    """A row a backbone; a column `paper` is what the paper prints for the column on its left."""
    papers = [row.paper or Paper() for row in rows]
    columns = [
        Column("name", _cells(row.name for row in rows)),
        _numbers("image", [_sides(row.image) for row in rows], drop=3),
        _numbers("params", [params_text(row.params) for row in rows], drop=1),
        _numbers("paper", [f"{paper.params / 1e6:g} M" if paper.params else "" for paper in papers], drop=7),
        _numbers("MACs", [macs_text(row.macs) for row in rows], drop=2),
        _numbers("paper", [f"{paper.gmacs:g} G" if paper.gmacs else "" for paper in papers], drop=7),
        _numbers("top-1 %", [f"{paper.imagenet_top1:.1f}" if paper.imagenet_top1 else "" for paper in papers], drop=6),
        Column("arXiv", _cells(paper.arxiv or "" for paper in papers), drop=8),
    ]
    notes = ["Params and MACs (for one image) are computed; paper and ImageNet top-1 are the published values."]
    return Sheet(columns, notes if rows else ())


def _sides(image: tuple[int, int]) -> str:
    return str(image[0]) if image[0] == image[1] else f"{image[0]}x{image[1]}"


def _with_share(
    title: str, values: Sequence[int], texts: Sequence[str], drop: tuple[int, int]
) -> tuple[Column, Column]:
    """Numbers, the last of them the whole, and their shares of it; `drop` of both."""
    shares = _cells(share_text(value, values[-1]) for value in values)
    return _numbers(title, texts, drop[0]), Column("", shares, right=True, drop=drop[1], gap=1)


def _numbers(title: str, texts: Sequence[str], drop: int = 0) -> Column:
    return Column(title, _cells(texts), right=True, drop=drop)


def _cells(texts: Iterable[str]) -> list[Text]:
    return [Text(text) for text in texts]
