"""What a network's outputs lose in another dtype than float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.latency.subjects import seeded
from archdsl.runtimes.runner import noise, optimized, placed
from archdsl.runtimes.setting import Setting

if TYPE_CHECKING:
    from archdsl.language.document import Spec


def largest_difference(spec: Spec, setting: Setting, features_only: bool = False, optimize: bool = False) -> float:
    """The largest difference of a spec's network, with seeded weights, from float32: a share of the largest output.

    Both run eagerly on the same two images of noise.
    """
    import torch

    two, image = setting._replace(batch=2), (spec.channels, *spec.image_size)
    exact = two._replace(dtype="float32")
    outputs = []
    with torch.inference_mode():
        for each in (exact, two):
            net = placed(seeded(spec, setting.device, features_only), each)
            net = optimized(net, each) if optimize and each is two else net
            given = net(noise(each, image))
            outputs.append(given if isinstance(given, list | tuple) else [given])
    return max(
        float((found.float() - wanted).abs().max() / wanted.abs().max()) for wanted, found in zip(*outputs, strict=True)
    )


def computes_bfloat16(device: str) -> bool:
    """Whether a device has instructions for products in bfloat16."""
    import torch

    if device != "cpu":
        return True
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(check() for name in checks if (check := getattr(torch.cpu, name, None)) is not None)
