"""The alternatives to each block of a network, as a space offers them, and networks assembled from some of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from archdsl.errors import Keys, Problem, ShapeError, SpecError, short
from archdsl.families.common.base import Part
from archdsl.families.common.block import Block
from archdsl.families.common.stage import Stage
from archdsl.json_types import Json, JsonObject, Scalar, list_in, object_in, objects_in, text_in
from archdsl.language.block_lists import as_stage, block_document, block_documents, is_listable
from archdsl.language.canonical import canonical_block
from archdsl.language.document import Spec
from archdsl.load.spaces import choices_of
from archdsl.load.specs import spec_of
from archdsl.shape import Map
from archdsl.spaces.contradiction import fixed
from archdsl.spaces.enumeration import EveryChoice
from archdsl.spaces.resolve import Choices, Unresolved, resolve
from archdsl.spaces.space import Space
from archdsl.spaces.spans import block_alternatives
from archdsl.spaces.variables import Variable, has_holes, label_of, name_of, span_of, variables, walk


@dataclass(frozen=True)
class Alternative:
    """A block that may stand in the place of one or several blocks of a parent.

    Attributes:
        stage: the node's id.
        first: the first position of the stage that it takes, from 0.
        span: how many positions it takes; 1 for a single block.
        block: the block, which fits the map of the stage.
        choice: the values of the space's variables that take it, where they differ from those that give the parent.
    """

    stage: str
    first: int
    span: int
    block: Block
    choice: Mapping[str, Scalar] = field(hash=False)

    @property
    def positions(self) -> range:
        """The positions that it takes."""
        return range(self.first, self.first + self.span)


def alternatives(space: Space, parent: Spec) -> tuple[Alternative, ...]:
    """Every alternative that a space offers at the positions of a parent, in the order of the space's document.

    The other choices of the space are those that give the parent. What does not fit the stage is left out, and what
    equals the parent's block, or an alternative before it, in canonical form.

    Raises:
        SpecError: the parent is no point of the space, takes a span of it, or two positions are one variable.
    """
    base = choices_of(space, parent)
    if base is None:
        remedy = "make a space around it: archdsl new PARENT --space"
        raise SpecError([Problem((), "the parent is no point of the space", short(parent.name), remedy)])
    return tuple(_Listed(space, parent, base).all())


def assembled(parent: Spec, chosen: Iterable[Alternative]) -> Spec:
    """The parent with alternatives in the place of its blocks; positions that none takes keep the parent's block.

    A stage whose blocks are all equal then is a stage of their type, any other a sequence.

    Raises:
        SpecError: two alternatives take one position, one takes a position that the parent does not have, or the
            network does not hold.
    """
    by_stage: dict[str, list[Alternative]] = {}
    for alternative in chosen:
        by_stage.setdefault(alternative.stage, []).append(alternative)
    document: JsonObject = parent.to_json()
    ids = {text_in(node["id"]) for node in objects_in(document["nodes"])}
    if unknown := [stage for stage in by_stage if stage not in ids]:
        raise SpecError([Problem(("nodes",), "the parent has no node of that id", short(unknown[0]))])
    nodes: list[Json] = [
        _exchanged(parent, node, by_stage[text_in(node["id"])]) if node["id"] in by_stage else node
        for node in objects_in(document["nodes"])
    ]
    return spec_of({**document, "nodes": nodes})


def _exchanged(parent: Spec, written: JsonObject, chosen: list[Alternative]) -> JsonObject:
    """The document of a stage with alternatives in the place of its blocks."""
    node_id = text_in(written["id"])
    keys: Keys = ("nodes", [node.id for node in parent.nodes].index(node_id))
    stage = parent.node(node_id)
    if not is_listable(stage):
        raise SpecError([Problem(keys, "no sequence of blocks says what this node is", stage.type)])
    blocks: list[JsonObject | None] = [*block_documents(stage)]
    taken = set[int]()
    for alternative in chosen:
        positions = set(alternative.positions)
        if taken & positions:
            rule = "each position is taken by one alternative"
            raise SpecError([Problem(keys, rule, f"position {min(taken & positions)} of {node_id} twice")])
        if not positions <= set(range(len(blocks))):
            rule = f"{node_id} has the positions 0 to {len(blocks) - 1}"
            raise SpecError([Problem(keys, rule, f"{alternative.first} to {max(positions)}")])
        taken |= positions
        for position in alternative.positions:
            blocks[position] = None
        blocks[alternative.first] = block_document(alternative.block)
    return as_stage(written, [block for block in blocks if block is not None])


class _Listed:
    """Lists the alternatives of a space whose other choices are those of a parent."""

    def __init__(self, space: Space, parent: Spec, base: Choices) -> None:
        self.space, self.parent, self.base = space, parent, base
        self.variables = variables(space.nodes)
        self.places: dict[str, list[Keys]] = {}
        for name, _, keys in walk(space.nodes):
            self.places.setdefault(name, []).append(keys)
        self.steps = {step.node.id: step for step in parent.plan()}

    def all(self) -> Iterator[Alternative]:
        """Node by node, position by position, as written."""
        for index, node in enumerate(self.space.nodes):
            node_id = text_in(node["id"])
            keys: Keys = ("nodes", index)
            path, part = node_id, node
            if "$one_of" in node:
                label = self.base.get(name_of(node, node_id))
                place, part = next(
                    (place, other) for place, other in enumerate(node["$one_of"]) if label_of(other) == label
                )
                keys, path = (*keys, "$one_of", place), f"{node_id}.{label}"
            if "blocks" in part and node_id in self.steps:
                yield from self._of_stage(node_id, list_in(part["blocks"]), f"{path}.blocks", (*keys, "blocks"))

    def _of_stage(self, node_id: str, items: list[Json], path: str, keys: Keys) -> Iterator[Alternative]:
        stage, position = self.steps[node_id].node, 0
        assert isinstance(stage, Stage)
        own = [*stage.blocks_in_order()]
        seen = {(place, 1, _text(block)) for place, block in enumerate(own)}
        for index, item in enumerate(items):
            name = name_of(object_in(item), f"{path}.{index}")
            for alternative in block_alternatives(item):
                self._check(name, item, (*keys, index))
                for block, choice in self._blocks(node_id, position, name, object_in(alternative)):
                    key = (position, span_of(alternative), _text(block))
                    if key not in seen:
                        seen.add(key)
                        yield Alternative(node_id, position, span_of(alternative), block, choice)
            position += self._times(object_in(item), f"{path}.{index}.times")

    def _check(self, name: str, item: Json, keys: Keys) -> None:
        """Positions are chosen one by one, and the parent has a block at each."""
        if len(self.places[name]) > 1:
            rule = f"each position needs a choice of its own; '{name}' is that of {len(self.places[name])}"
            raise SpecError([Problem(keys, rule, None, 'give each hole its own "$name", or none')])
        taken = next((other for other in block_alternatives(item) if label_of(other) == self.base.get(name)), None)
        if taken is None or span_of(taken) > 1:
            rule = "the parent takes a span of the space, so that its blocks are not the positions"
            raise SpecError([Problem(keys, rule, None, "make a space around it: archdsl new PARENT --space")])

    def _times(self, item: JsonObject, name: str) -> int:
        """The positions of an item: those of a repeated block as the parent has it."""
        if "$repeat" not in item:
            return 1
        times = item["$times"]
        chosen = self.base[name_of(times, name)] if isinstance(times, dict) else times
        assert isinstance(chosen, int)
        return chosen

    def _blocks(
        self, node_id: str, position: int, name: str, alternative: JsonObject
    ) -> Iterator[tuple[Block, Choices]]:
        """The blocks that one alternative may become, with the choices that differ from the parent's."""
        label = label_of(alternative)
        if not has_holes(alternative):
            block = self._fitting(node_id, alternative)
            if block is not None:
                yield block, {name: label}
            return
        chosen = self.base | {name: label}
        domains = dict[str, Variable]()
        for other, variable in self.variables.items():
            free = variable if variable.values else fixed(variable)
            domains[other] = variable._replace(values=(chosen[other],)) if other in chosen else free
        for choose in EveryChoice(domains):
            try:
                point = resolve(self.space, choose)
            except Unresolved:
                continue
            node = next(node for node in point.nodes if node["id"] == node_id)
            block = self._fitting(node_id, list_in(node["blocks"])[position])
            if block is not None:
                same = self.base.items()
                yield block, {key: value for key, value in point.choices.items() if (key, value) not in same}

    def _fitting(self, node_id: str, written: Json) -> Block | None:
        """The block of a document; None where it does not fit the stage's map, or reads what the stage does not."""
        step, document = self.steps[node_id], object_in(written)
        kept = {key: value for key, value in document.items() if not key.startswith("$")}
        try:
            block = Part.kinds["block"][text_in(kept["type"])].model_validate(kept)
        except ValidationError:
            return None
        x = step.inputs[0]
        assert isinstance(block, Block)
        assert isinstance(x, Map)
        try:
            block.out(x)
        except ShapeError:
            return None
        return block if set(block.reads) <= set(step.node.reads) else None


def _text(block: Block) -> str:
    return repr(canonical_block(block))
