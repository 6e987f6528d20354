"""Which networks can take over a parent's weights, told from their documents alone."""

from __future__ import annotations

from archdsl.language.document import Spec


def may_inherit(spec: Spec, parent: Spec) -> bool:
    """Whether no node is wider than the parent's of the same name, and the stems cut patches of the same size."""
    theirs = {node.id: node for node in parent.nodes}
    for node in spec.nodes:
        other = theirs.get(node.id)
        if other is None:
            continue
        if spec.node(node.id).kind == "stem" and _patch(node) != _patch(other):
            return False
        mine, its = getattr(node, "width", None), getattr(other, "width", None)
        if isinstance(mine, int) and isinstance(its, int) and mine > its:
            return False
    return True


def _patch(node: object) -> object:
    return getattr(node, "patch", None)
