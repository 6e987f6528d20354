"""A derived network's weights: the parent's, with a library's fitted blocks in their places."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from archdsl.compile import Backbone
from archdsl.deriving.counterparts import NodePair, node_pairs
from archdsl.deriving.fitting import RefitSettings
from archdsl.deriving.inheriting import inherit_from
from archdsl.deriving.library.covering import DerivedBlock
from archdsl.deriving.library.folder import block_file
from archdsl.deriving.parents import Parent
from archdsl.deriving.report import Inheritance
from archdsl.errors import SearchError
from archdsl.weights.names import COUNTERS


def derive(
    model: Backbone,
    parent: Parent,
    blocks: Sequence[DerivedBlock],
    folder: Path,
    refit: Tensor | None = None,
    settings: RefitSettings | None = None,
    classes: Sequence[str] | None = None,
) -> Inheritance:
    """Give a freshly built network the parent's weights, and the library's where its blocks are exchanged.

    With images every block is then fitted once more inside the network, front to back, to the parent's activation
    behind the positions that it covers.

    Args:
        model: of the spec that the blocks make of the parent's; it is changed in place.
        parent: whose library it is.
        blocks: of the network, as `Derived.blocks` has them.
        folder: of the library.
        refit: images, as `archdsl.inherit` takes them.
        settings: of the refit.
        classes: as `archdsl.inherit` takes them.

    Raises:
        SearchError: a file of the library is missing or broken, or the network is not that of the blocks.
    """
    pairs = derived_pairs(model, parent.model, blocks)
    fitted = dict[str, Tensor]()
    for stage in dict.fromkeys(block.stage for block in blocks):
        for place, block in enumerate(each for each in blocks if each.stage == stage):
            if block.key is not None:
                fitted |= _block_tensors(model, f"{stage}.blocks.{place}.", block_file(folder, block.key))
    return inherit_from(model, parent, refit, settings, classes, pairs=pairs, fitted=fitted)


def derived_pairs(model: Backbone, parent: Backbone, blocks: Sequence[DerivedBlock]) -> tuple[NodePair, ...]:
    """Each node with the parent's; a block comes from the first of those that it covers."""
    pairs = []
    for pair in node_pairs(model, parent):
        sources = tuple(block.first for block in blocks if block.stage == pair.name)
        if sources and len(sources) != len(pair.blocks):
            raise SearchError(f"{pair.name} has {len(pair.blocks)} blocks, {len(sources)} are chosen for it")
        pairs.append(pair._replace(blocks=sources, extra=frozenset()) if sources else pair)
    return tuple(pairs)


def _block_tensors(model: Backbone, prefix: str, file: Path) -> dict[str, Tensor]:
    """A fitted block's tensors by their names in the network."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = {prefix + name: tensor for name, tensor in load_file(file).items() if not name.endswith(COUNTERS)}
    except (OSError, SafetensorError) as error:
        raise SearchError(f"{file} cannot be read; build the library again: {error}") from None
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith(COUNTERS)}
    ours = {name: tuple(tensor.shape) for name, tensor in state.items() if name.startswith(prefix)}
    if ours != {name: tuple(tensor.shape) for name, tensor in tensors.items()}:
        raise SearchError(f"{file} is not the block {prefix.rstrip('.')} of the network")
    return tensors
