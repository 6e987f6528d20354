"""Small stand-ins for what adapters use of mmengine, mmdetection and detectron2, with a feature pyramid of each."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Registered = TypeVar("Registered", bound=Callable[..., Any])


class BaseModule(nn.Module):
    """mmengine's: keeps `init_cfg`; `init_weights` asks the children that have it."""

    def __init__(self, init_cfg: Any = None) -> None:
        super().__init__()
        self.init_cfg = copy.deepcopy(init_cfg)

    def init_weights(self) -> None:
        """As the runner calls it before training."""
        for child in self.children():
            init_weights: Callable[[], None] | None = getattr(child, "init_weights", None)
            if init_weights is not None:
                init_weights()


class Models:
    """mmdetection's registry: classes by name, built from a dictionary with their `type`."""

    def __init__(self) -> None:
        self._classes: dict[str, Callable[..., Any]] = {}

    def register_module(self) -> Callable[[Registered], Registered]:
        """A decorator that enters a class."""

        def enter(found: Registered) -> Registered:
            self._classes[found.__name__] = found
            return found

        return enter

    def build(self, config: Mapping[str, Any]) -> Any:
        """The object of a configuration."""
        options = dict(config)
        return self._classes[options.pop("type")](**options)


class Backbones:
    """detectron2's registry: classes and functions by name."""

    def __init__(self) -> None:
        self._entries: dict[str, Callable[..., Any]] = {}

    def register(self) -> Callable[[Registered], Registered]:
        """A decorator that enters a class or a function."""

        def enter(found: Registered) -> Registered:
            self._entries[found.__name__] = found
            return found

        return enter

    def get(self, name: str) -> Callable[..., Any]:
        """What is entered under a name."""
        return self._entries[name]


class ShapeSpec(NamedTuple):
    """detectron2's facts of a map."""

    channels: int | None = None
    height: int | None = None
    width: int | None = None
    stride: int | None = None


class D2Backbone(nn.Module):
    """detectron2's base of backbones."""

    @property
    def size_divisibility(self) -> int:
        """What the sides of an image must be a multiple of; 0 for nothing."""
        return 0

    def output_shape(self) -> dict[str, Any]:
        """Channels and stride of each map, by its name."""
        raise NotImplementedError


class LastLevelMaxPool(nn.Module):
    """One more map, of every second position of the coarsest."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, ceil(H / 2), ceil(W / 2))"""
        return F.max_pool2d(x, kernel_size=1, stride=2)


class MmFPN(nn.Module):
    """mmdetection's style: a tuple of maps; each is resized to the size of the finer one."""

    def __init__(self, in_channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, out_channels, 1) for channels in in_channels)

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """(B, C, H, W) each -> (B, out_channels, H, W) each"""
        assert isinstance(maps, tuple)
        found = [lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)]
        for index in range(len(found) - 1, 0, -1):
            finer = found[index - 1]
            found[index - 1] = finer + F.interpolate(found[index], size=finer.shape[2:], mode="nearest")
        return tuple(found)


class D2FPN(D2Backbone):
    """detectron2's style: maps by name; each is doubled and added to the finer one."""

    def __init__(
        self,
        bottom_up: Any,
        in_features: Sequence[str],
        out_channels: int,
        norm: str,
        top_block: nn.Module,
        fuse_type: str,
    ) -> None:
        super().__init__()
        assert isinstance(bottom_up, D2Backbone)
        assert (norm, fuse_type) == ("", "sum")
        self.bottom_up, self.in_features, self.top_block = bottom_up, in_features, top_block
        shapes = bottom_up.output_shape()
        self.stride = shapes[in_features[-1]].stride
        self.lateral = nn.ModuleList(nn.Conv2d(shapes[name].channels, out_channels, 1) for name in in_features)

    @property
    def size_divisibility(self) -> int:
        """The coarsest stride."""
        return int(self.stride)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) -> (B, out_channels, H / stride, W / stride) by level"""
        maps = self.bottom_up(x)
        found = [lateral(maps[name]) for lateral, name in zip(self.lateral, self.in_features, strict=True)]
        for index in range(len(found) - 1, 0, -1):
            found[index - 1] = found[index - 1] + F.interpolate(found[index], scale_factor=2.0, mode="nearest")
        return {f"p{level}": each for level, each in enumerate([*found, self.top_block(found[-1])], start=2)}


def padded_batch(images: Sequence[Tensor], divisor: int) -> Tensor:
    """Images (C, H, W) of several sizes -> one batch, zero-padded right and below, as detectron2's models do."""
    height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
    height, width = (-(-side // max(divisor, 1)) * max(divisor, 1) for side in (height, width))
    return torch.stack([F.pad(image, (0, width - image.shape[2], 0, height - image.shape[1])) for image in images])


class CfgNode(dict[str, Any]):
    """A node of detectron2's configuration: a dictionary whose values are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def get_cfg() -> CfgNode:
    """Those defaults of detectron2 that a feature pyramid reads."""
    fpn = CfgNode({"IN_FEATURES": [], "OUT_CHANNELS": 16, "NORM": "", "FUSE_TYPE": "sum"})
    return CfgNode({"MODEL": CfgNode({"BACKBONE": CfgNode({"FREEZE_AT": 2}), "FPN": fpn}), "INPUT": CfgNode({})})


def install_mmdet(monkeypatch: pytest.MonkeyPatch) -> Models:
    """Put the stand-ins where an adapter imports mmengine and mmdetection from; the registry."""
    models = Models()
    _put(monkeypatch, "mmengine.model", BaseModule=BaseModule)
    _put(monkeypatch, "mmdet.registry", MODELS=models)
    return models


def install_detectron2(monkeypatch: pytest.MonkeyPatch) -> Backbones:
    """Put the stand-ins where an adapter imports detectron2 from; the registry."""
    backbones = Backbones()
    _put(monkeypatch, "detectron2.layers", ShapeSpec=ShapeSpec)
    _put(monkeypatch, "detectron2.config", CfgNode=CfgNode, get_cfg=get_cfg)
    _put(monkeypatch, "detectron2.modeling", BACKBONE_REGISTRY=backbones, Backbone=D2Backbone, FPN=D2FPN)
    _put(monkeypatch, "detectron2.modeling.backbone.fpn", LastLevelMaxPool=LastLevelMaxPool)
    return backbones


def _put(monkeypatch: pytest.MonkeyPatch, name: str, **values: Any) -> None:
    """A module of that name, and the packages that it is in, for as long as the test runs."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        path = ".".join(parts[:count])
        if path not in sys.modules:
            monkeypatch.setitem(sys.modules, path, ModuleType(path))
    for key, value in values.items():
        setattr(sys.modules[name], key, value)
