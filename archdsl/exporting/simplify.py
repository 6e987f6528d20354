"""A converted network with fewer operators: constants folded, and a few rewritings of what is left.

torch does the same with every rule of onnxscript on every operator, constants included, for as long as it converts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir

_ROUNDS = 2
"""What the rules leave can be folded once more."""


def simplify(model: onnx_ir.Model) -> None:
    """Fold constants and remove operators that do nothing, in place; the network computes the same function."""
    import onnx_ir.passes.common as passes
    from onnxscript.optimizer import fold_constants
    from onnxscript.rewriter import RewritePass
    from onnxscript.rewriter.rules import common as rules

    rewrite = RewritePass(
        [
            *rules.mul_by_1_rule.commute(),
            *rules.add_0_rule.commute(),
            rules.sub_0_rule,
            rules.div_by_1_rule,
            rules.no_op_cast_rule,
            rules.no_op_expand_rule,
            rules.reshape_reshape_rule,
            rules.squeeze_reshape_1d_rule,
            rules.materialize_reshape_shape_rule,
            rules.no_op_transpose_rule,
            rules.transpose_transpose_rule,
            rules.collapse_slice_rule,
            rules.collapse_slice2_rule,
            rules.min_max_rule,
            rules.max_min_rule,
            rules.fuse_batchnorm_into_conv_rule,
        ]
    )
    remove_unused = passes.RemoveUnusedNodesPass()
    passes.InlinePass()(model)
    for _ in range(_ROUNDS):
        fold_constants(model, onnx_shape_inference=True)
        remove_unused(model)
        rewrite(model)
    remove_unused(model)
    passes.RemoveUnusedFunctionsPass()(model)
    passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    passes.DeduplicateInitializersPass()(model)
    passes.CommonSubexpressionEliminationPass()(model)
    passes.IdentityEliminationPass()(model)
    passes.RemoveUnusedOpsetsPass()(model)
    passes.OutputFixPass()(model)
    passes.NameFixPass()(model)
