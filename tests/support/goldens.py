"""Golden outputs of the published code, and the weights and images that they were made with.

The published code and ours are given the same weights: every tensor of the published state_dict is filled by `fill`,
which depends on nothing but its name and shape, so that no weight file has to be stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from archdsl import zoo
from archdsl.compile import Backbone, build
from archdsl.language.document import Spec
from archdsl.load.specs import load_spec, override
from archdsl.weights import import_weights
from tests.support.places import GOLDEN

SMALLEST = ("dat_t", "datpp_t", "dualvit_s", "fcvit_tiny", "lit_ti", "lit_s", "litv2_s")
"""Of each family that is built in its own way; the others differ in widths, depths and sizes."""


def both_forms() -> pytest.MarkDecorator:
    """Every published network as a classifier and for dense prediction; the larger ones are slow."""
    every = [
        pytest.param(name, dense, marks=[] if name in SMALLEST else [pytest.mark.slow])
        for name in zoo.names()
        for dense in (False, True)
    ]
    return pytest.mark.parametrize(("name", "features_only"), every)


class Golden(NamedTuple):
    """One variant: the facts of `golden/NAME.json` and the arrays of `golden/NAME.npz`."""

    facts: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]

    def spec(self) -> Spec:
        """The spec that the variant belongs to, its overrides applied."""
        return override(load_spec(self.facts["zoo"]), self.facts["overrides"])

    def checkpoint(self) -> dict[str, Tensor]:
        """The published checkpoint that the golden output was made with."""
        return {row["key"]: fill(row["key"], tuple(row["shape"])) for row in self.facts["state"] if row["fill"]}

    def images(self) -> Tensor:
        """(2, 3, H, W) float32"""
        return images(self.facts["image_size"], "blocks" if "blocks" in self.facts["variant"] else "noise")

    def model(self, features_only: bool = False) -> Backbone:
        """The filled network in float64, in evaluation."""
        with torch.device("meta"):
            model = build(self.spec(), features_only)
        model.to_empty(device="cpu")
        import_weights(model, self.checkpoint())
        return model.double().eval()


def read_golden(name: str) -> Golden:
    """The golden output of that variant."""
    facts = json.loads((GOLDEN / f"{name}.json").read_text())
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return Golden(facts, dict(arrays))


def fill(key: str, shape: tuple[int, ...]) -> Tensor:
    """The float32 tensor that stands under `key` in the deterministic checkpoint."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
    noise = np.random.RandomState(seed).standard_normal(shape or (1,)).astype(np.float32).reshape(shape)
    value: npt.NDArray[Any] = 0.1 * noise
    if key.endswith("running_var"):
        value = 1 + 0.1 * np.abs(noise)
    elif len(shape) >= 2 and key.endswith("weight"):
        value = noise / np.sqrt(np.prod(shape[1:]))
    elif key.endswith(("weight", "gamma", "gamma1", "gamma2", "layer_scale_1", "layer_scale_2", "scale")):
        value = 1 + 0.1 * noise
    return torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32))


def images(size: int | list[int], kind: str = "noise") -> Tensor:
    """(2, 3, H, W) float32, the same everywhere: noise, or blocks of one value in 28 x 28 pixels."""
    height, width = (size, size) if isinstance(size, int) else size
    draw = np.random.RandomState(2022).standard_normal
    if kind == "noise":
        return torch.from_numpy(draw((2, 3, height, width)).astype(np.float32))
    cells = draw((2, 3, -(-height // 28), -(-width // 28))).astype(np.float32)
    grown = np.kron(cells, np.ones((1, 1, 28, 28), np.float32))[:, :, :height, :width]
    return torch.from_numpy(np.ascontiguousarray(grown))


Kept = Callable[[str, nn.Module, Any, Any], Tensor]


def check_run(golden: Golden, model: nn.Module, watched: dict[str, nn.Module], kept: Kept) -> None:
    """Every stage that was recorded, as `kept` makes it of a module's inputs and output, and the float64 logits."""
    rows = {row["stage"]: row for row in golden.facts["stages"]}
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, out: Any) -> None:
            seen[name] = kept(name, module, inputs, out)

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in watched.items()]
    with torch.no_grad():
        logits = model(golden.images().double()).numpy()
    for hook in hooks:
        hook.remove()
    assert set(rows) == set(seen)
    for name, row in rows.items():
        check_summary(row, seen[name])
    wanted = golden.arrays["logits64"]
    assert np.abs(logits - wanted).max() <= 1e-12 * np.abs(wanted).max()


def check_summary(row: dict[str, Any], x: Tensor) -> None:
    """The rows are of float32 maps."""
    assert list(x.shape) == row["shape"]
    found = [x.mean().item(), x.std().item(), x.abs().max().item(), *x.flatten()[: len(row["head"])].tolist()]
    wanted = [row["mean"], row["std"], row["abs_max"], *row["head"]]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5, err_msg=row["stage"])
