"""`archdsl.look`: what a network does with one image, as it shows of itself, ready to be drawn."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from archdsl.compile import Backbone
from archdsl.errors import LookError, WrongUse, short
from archdsl.families.common.views import Heat, Position, View, Viewable
from archdsl.inspecting.choosing import Choice, Chosen, choose
from archdsl.inspecting.panels import MapGrid, Panel, panel
from archdsl.inspecting.picture import Picture, assumed, read
from archdsl.json_types import JsonObject
from archdsl.language.arguments import wrong_model
from archdsl.late import call
from archdsl.weights.facts import Preprocessing

if TYPE_CHECKING:
    from archdsl.inspecting.picture import Source

_NUMBER = (int, float, np.integer, np.floating)


@dataclass(frozen=True)
class Look:
    """What a network does with an image: a page of panels. In a notebook it shows itself.

    name: of the network. picture: (H, W, 3), what the network reads. query: its pixel (row, column) there.
    without: nodes that have nothing to be drawn, as (id, type). weights: where the weights are from, as it is printed.
    """

    name: str
    image: str
    picture: NDArray[np.uint8]
    query: Position
    preprocessing: Preprocessing
    is_assumed: bool
    """Whether no file says how the image is prepared."""
    panels: tuple[Panel, ...]
    without: tuple[tuple[str, str], ...]
    weights: str = ""

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the page, as the file's ending says: a picture (.png), or a self-contained page (.html).

        Raises:
            WrongUse: another ending.
            OSError: the file cannot be written.
        """
        path = Path(file)
        if path.suffix.lower() not in (".png", ".html"):
            raise WrongUse(f"{path} must end in .png or .html")
        call("write_look", self, path)

    def as_json(self) -> JsonObject:
        """The facts for programs: what is drawn, of which node, in which range."""
        return {
            "name": self.name,
            "image": self.image,
            "weights": self.weights,
            "size": [*self.picture.shape[:2]],
            "query": [*self.query],
            "preprocessing": {**self.preprocessing.model_dump(mode="json"), "assumed": self.is_assumed},
            "panels": [each.as_json() for each in self.panels],
            "without": [{"node": node, "type": kind} for node, kind in self.without],
        }

    def _repr_html_(self) -> str:
        html: str = call("look_html", self)
        return html


def look(
    model: Backbone,
    image: Source,
    *,
    query: tuple[float, float] | None = None,
    nodes: Sequence[str] | None = None,
    head: int | None = None,
    preprocessing: Preprocessing | None = None,
    weights: str = "",
) -> Look:
    """What a network does with an image: sampling points, offsets, attention, energies, as its modules show them.

    The model is run once, in evaluation mode and without gradients; its weights, its mode and its outputs stay as they
    are. A module takes part by a method `views`.

    Args:
        model: what `build` or `load_model` gives.
        image: a path, a picture of Pillow, or an array (H, W, 3) of uint8.
        query: the place whose attention is drawn, (y, x) in the image as the network reads it: two whole numbers are
            pixels, two floats shares of the sides, 0 to 1. By default the centre.
        nodes: nodes (`stage3`, `merge2`) or blocks of a stage (`stage3.2`, from 1); by default all nodes, of a stage
            the last block that has something to be drawn.
        head: the head that is drawn, from 1; by default the mean of all heads. Where there are fewer, their mean.
        preprocessing: how the image is prepared, as `archdsl.weights.read_facts(FILE).preprocessing` says it; by
            default its middle is scaled to the spec's size and normalised by ImageNet's mean and deviation.
        weights: where the weights are from, to be printed.

    Raises:
        LookError: the image cannot be read, or none of the nodes has anything to be drawn.
        WrongUse: there is no such file, node, block or head, or the query is outside the image.
        TypeError: the model or the image is something else.
    """
    if not isinstance(model, Backbone):
        raise wrong_model("look", model)
    _check(nodes, head)
    choice = choose(model, nodes)
    if not choice.modules:
        raise nothing(model, choice)
    how = preprocessing or assumed(model.spec)
    pixel = pixel_of(query, how.size)
    if len(how.mean) != model.spec.channels:
        raise WrongUse(f"{model.spec.name} reads {model.spec.channels} channels; the preprocessing says {how.channels}")
    picture = read(image, how)
    panels = _panels(model, picture, choice, pixel, head)
    if not panels:
        raise nothing(model, choice)
    if head is not None and not any(each.head == head for each in panels):
        most = max(each.heads for each in panels)
        raise WrongUse(f"head must be from 1 to {most}, which is what these nodes have at most; got {head}")
    shown = {each.place.node for each in panels}
    silent = tuple((each.place.node, each.place.type) for each in choice.modules if each.place.node not in shown)
    order = [node.id for node in model.spec.nodes]
    without = sorted({*choice.without, *silent}, key=lambda each: order.index(each[0]))
    return Look(
        model.spec.name,
        picture.name,
        picture.pixels,
        pixel,
        how,
        preprocessing is None,
        panels,
        tuple(without),
        weights,
    )


def _check(nodes: Sequence[str] | None, head: int | None) -> None:
    """Raises `WrongUse` for what is no list of names, or no number of a head."""
    is_list = nodes is None or (not isinstance(nodes, str) and len(nodes) > 0)
    if not is_list or not all(isinstance(name, str) for name in nodes or ()):
        raise WrongUse(f"nodes must be a list of names, one at least; got {short(nodes)}")
    if head is not None and (not isinstance(head, int | np.integer) or isinstance(head, bool) or head < 1):
        raise WrongUse(f"head must be a whole number from 1; got {short(head)}")


def nothing(model: Backbone, choice: Choice) -> LookError:
    """That a network, or the nodes that are asked for, have nothing to be drawn."""
    kinds = dict.fromkeys([*(kind for _, kind in choice.without), *(each.place.type for each in choice.modules)])
    rule = "nothing to draw: no attention, sampling points or offsets"
    return LookError(f"{model.spec.name}: {rule} in {', '.join(kinds) or 'its nodes'}")


def pixel_of(query: tuple[float, float] | None, size: tuple[int, int]) -> Position:
    """The pixel (row, column) that is asked for: whole numbers are pixels, floats shares of the sides.

    Raises:
        WrongUse: it is outside the image.
    """
    if query is None:
        return size[0] // 2, size[1] // 2
    is_share = any(isinstance(each, float | np.floating) for each in query)
    rule = "query is (y, x)"
    numbers = [each for each in query if isinstance(each, _NUMBER) and not isinstance(each, bool)]
    if len(query) != 2 or len(numbers) != 2 or not all(math.isfinite(each) for each in numbers):
        raise WrongUse(f"{rule}, two numbers; got {query}")
    if is_share:
        if not all(0 <= each <= 1 for each in query):
            raise WrongUse(f"{rule}: shares of the sides are from 0 to 1; got {query[0]:g}, {query[1]:g}")
        y, x = (min(int(each * side), side - 1) for each, side in zip(query, size, strict=True))
        return y, x
    y, x = (int(each) for each in query)
    if not (0 <= y < size[0] and 0 <= x < size[1]):
        raise WrongUse(
            f"{rule} in pixels of the image as the network reads it, {size[0]}x{size[1]}: from 0,0 to "
            f"{size[0] - 1},{size[1] - 1}; got {y},{x}"
        )
    return y, x


def _panels(model: Backbone, picture: Picture, choice: Choice, pixel: Position, head: int | None) -> tuple[Panel, ...]:
    like = next(model.parameters())
    exact = torch.promote_types(like.dtype, torch.float32)
    network = model if exact == like.dtype else copy.deepcopy(model).to(exact)
    paths = [chosen.place.module for chosen in choice.modules]
    nodes = {chosen.place.node for chosen in choice.modules}
    with torch.no_grad(), evaluating(network), recorded(network, {*paths, *nodes}) as inputs:
        network(picture.images.to(like.device, exact))
    panels: list[Panel] = []
    with torch.no_grad(), evaluating(network):
        for chosen in choice.modules:
            height, width = inputs[chosen.place.node][0].shape[-2:]
            y, x = (min(at // chosen.stride, side - 1) for at, side in zip(pixel, (height, width), strict=True))
            grid = MapGrid((height, width), chosen.stride, (y, x))
            module = network.get_submodule(chosen.place.module)
            views = _views(module, inputs[chosen.place.module], grid, chosen)
            panels += [panel(chosen.place, grid, view, head) for view in views]
    return tuple(panels)


def _views(module: nn.Module, inputs: tuple[Tensor, ...], grid: MapGrid, chosen: Chosen) -> Sequence[View]:
    """What a module shows; where tokens stand in front of the positions, in a row, on the map again."""
    assert isinstance(module, Viewable)
    count = chosen.tokens_in_front
    if not count:
        return module.views(*inputs, query=grid.query)
    number = count + grid.query[0] * grid.size[1] + grid.query[1]
    views = module.views(*inputs, query=(0, number))
    of_token = [view for view in module.views(*inputs, query=(0, 0)) if isinstance(view, Heat) and view.query]
    titles = [view.title.replace("the query", "the class token") for view in of_token]
    of_class = [view._replace(title=title, query=False) for view, title in zip(of_token, titles, strict=True)]
    return [_unrolled(view, grid, count) for view in (*views, *of_class) if isinstance(view, Heat)]


def _unrolled(view: Heat, grid: MapGrid, count: int) -> Heat:
    """(heads, 1, count + H * W) -> (heads, H, W), what falls on the tokens beside it"""
    row = view.values[:, 0]
    beside = {**view.beside, "class token": row[:, :count].sum(1)}
    return view._replace(values=row[:, count:].reshape(len(row), *grid.size), beside=beside)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode; each module's own mode is as it was afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def recorded(model: nn.Module, names: set[str]) -> Iterator[Mapping[str, tuple[Tensor, ...]]]:
    """What modules read in the forward pass inside, by their names; copies."""
    inputs: dict[str, tuple[Tensor, ...]] = {}

    def keep(name: str, _: nn.Module, read: tuple[Tensor, ...]) -> None:
        inputs[name] = tuple(tensor.detach().clone() for tensor in read)

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return partial(keep, name)

    handles = [model.get_submodule(name).register_forward_pre_hook(hook(name)) for name in names]
    try:
        yield inputs
    finally:
        for handle in handles:
            handle.remove()
