"""Recipes by name: `fast`, ours for minutes on a CPU, and `paper`, the one that a family's authors published.

A recipe is everything about a training that is chosen before it begins. Learning rates are those at a batch of
`reference_batch`; they follow the batch of all processes together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from archdsl.errors import WrongUse, nearest
from archdsl.training.fidelity import BATCH
from archdsl.training.recipe import LR

if TYPE_CHECKING:
    from archdsl.language.document import Spec

NAMES = ("fast", "paper")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained, from its data's augmentation to its learning rate."""

    name: str
    source: str
    """Where its numbers come from."""
    epochs: float
    warmup_epochs: float
    """The warm-up keeps its share of the epochs where another number of them is asked for."""
    batch: int
    """Images of a step in each process, where none is asked for."""
    lr: float
    """Peak learning rate at `reference_batch`."""
    warmup_lr: float
    """The rate that the warm-up begins with, scaled alike where `scales_ends`."""
    least_lr: float
    """The rate that the cosine ends at, scaled alike where `scales_ends`."""
    reference_batch: int
    scaling: Literal["linear", "square root"]
    scales_ends: bool
    weight_decay: float = 0.05
    clip: float | None = None
    smoothing: float = 0.1
    mixup: float = 0.0
    """The parameter of the Beta distribution that shares are drawn from; 0 is off (arXiv:1710.09412)."""
    cutmix: float = 0.0
    """As `mixup`, of the share that the other image's box covers (arXiv:1905.04899)."""
    crop: Literal["shift", "resized"] = "shift"
    """Shifted by up to a sixteenth of the side; or a random part of 8 to 100 % of the area, resized."""
    interpolation: Literal["bicubic", "random"] = "bicubic"
    """Of resized crops; random: bilinear or bicubic."""
    flip: bool = False
    """Mirrored left to right half of the time; with False, where the data says that it does no harm."""
    magnitude: int = 0
    """Of RandAugment's two operations (arXiv:1909.13719), 0 to 30; 0 is off."""
    erasing: float = 0.0
    """Share of the images of which a box is replaced by noise (arXiv:1708.04896)."""
    repeats: int = 1
    """How often an image is read in a row, each time augmented anew (arXiv:1901.09335)."""
    drop_path: float | None = None
    """The rate of stochastic depth in this training; None: the document's."""
    ema: float | None = None
    """Decay of a moving average of the weights, which is then the result; None: the last weights are."""
    distillation: float = 0.5
    """Weight of the teacher's answers in the loss, where there is a teacher."""
    temperature: float = 2.0
    """Logits are divided by it before student and teacher are compared (arXiv:1503.02531)."""
    needs_weights: bool = False
    """Whether it goes on from weights that were trained at another size."""
    notes: tuple[str, ...] = ()
    """What differs from the published recipe."""

    def peak(self, batch: int) -> float:
        """The peak rate at a batch of so many images in all processes together."""
        return self.lr * self._factor(batch)

    def ends(self, batch: int) -> tuple[float, float]:
        """The rates at the beginning of the warm-up and at the end of the cosine."""
        factor = self._factor(batch) if self.scales_ends else 1.0
        return self.warmup_lr * factor, self.least_lr * factor

    @property
    def warmup(self) -> float:
        """The share of the steps in which the rate rises."""
        return self.warmup_epochs / self.epochs

    def _factor(self, batch: int) -> float:
        share = batch / self.reference_batch
        return share if self.scaling == "linear" else math.sqrt(share)


_FAST_LR = 2 * LR
"""With twice the rate of a search's short training and without stochastic depth a narrow LITv2 reached 60.8 % on
shapetex in 120 s of one CPU core, and with that training's recipe 49.2 % (docs/how-to/train-a-network.md)."""

FAST = Recipe(
    name="fast",
    source="as a search's short training, at twice the rate and without stochastic depth",
    epochs=30,
    warmup_epochs=3,
    batch=BATCH,
    lr=_FAST_LR,
    warmup_lr=0.05 * _FAST_LR,
    least_lr=0.0,
    reference_batch=32,
    scaling="square root",
    scales_ends=True,
    clip=1.0,
    drop_path=0.0,
)

_PUBLISHED_BATCH = 128
"""Images of a step in each of eight processes, as the papers' code was run."""


def _paper(name: str, source: str, epochs: float, warmup: float, lr: float, first: float, last: float) -> Recipe:
    """What all families share: AdamW, a cosine, mixup, cutmix, RandAugment, erasing, label smoothing."""
    return Recipe(
        name=name,
        source=source,
        epochs=epochs,
        warmup_epochs=warmup,
        batch=_PUBLISHED_BATCH,
        lr=lr,
        warmup_lr=first,
        least_lr=last,
        reference_batch=512,
        scaling="linear",
        scales_ends=True,
        mixup=0.8,
        cutmix=1.0,
        crop="resized",
        flip=True,
        magnitude=9,
        erasing=0.25,
    )


def _with(recipe: Recipe, **changes: float | int | str | bool | tuple[str, ...] | None) -> Recipe:
    from dataclasses import replace

    return replace(recipe, **changes)  # type: ignore[arg-type]  # each is a field of that type


_LIT = _with(
    _paper("paper (lit)", "arXiv:2105.14217, the published configurations", 300, 20, 5e-4, 5e-7, 5e-6), clip=5.0
)
_LITV2 = _with(_LIT, name="paper (litv2)", source="arXiv:2205.13213, the published configurations")
_LITV2_384 = _with(
    _paper("paper (litv2, 384 pixels)", "arXiv:2205.13213, the published configurations", 30, 5, 2e-5, 2e-8, 2e-7),
    weight_decay=1e-8,
    clip=5.0,
    needs_weights=True,
)
_LITTI = _with(
    _paper("paper (litti)", "arXiv:2105.14217, the published configurations", 300, 5, 5e-4, 1e-6, 1e-5),
    scales_ends=False,
    repeats=3,
)
_DAT = _with(
    _paper("paper (dat)", "arXiv:2201.00520, the published configurations", 300, 20, 5e-4, 5e-7, 5e-6), clip=5.0
)
_DAT_384 = _with(
    _paper("paper (dat, 384 pixels)", "arXiv:2201.00520, the published configurations", 30, 0, 2e-6, 0.0, 0.0),
    batch=24,
    weight_decay=1e-8,
    clip=1.0,
    needs_weights=True,
)
_DUALVIT = _with(
    _paper("paper (dualvit)", "arXiv:2207.04976, the published configurations", 310, 5, 5e-4, 1e-6, 1e-5),
    scales_ends=False,
    interpolation="random",
    repeats=3,
    notes=("without the token labels of the paper, which need its label maps of ImageNet",),
)
_FCVIT = _with(
    _paper("paper (fcvit)", "arXiv:2212.12552, the published commands", 300, 5, 1e-3, 1e-6, 1e-6),
    reference_batch=1024,
    scales_ends=False,
    interpolation="random",
)


def recipe_named(name: str, spec: Spec) -> Recipe:
    """The recipe of a name for a network.

    Raises:
        WrongUse: there is no recipe of that name, or none was published for the network's family.
    """
    check_recipe(name)
    return FAST if name == "fast" else paper_recipe(spec)


def check_recipe(name: str) -> None:
    """Refuse an unknown name.

    Raises:
        WrongUse: it is none.
    """
    if name not in NAMES:
        raise WrongUse(f"unknown recipe '{name}'; {nearest(name, NAMES)}")


def paper_recipe(spec: Spec) -> Recipe:
    """The published recipe of the family that a document's `weights` names.

    Raises:
        WrongUse: it names none, or the reference has no recipe for its image size.
    """
    family, is_large = spec.weights, spec.image_size == (384, 384)
    if family is None:
        rule = f"the spec '{spec.name}' names no published family in its field 'weights', so it has no paper's recipe"
        raise WrongUse(f"{rule}; use --recipe fast")
    if is_large and family == "litv2":
        return _LITV2_384
    if is_large and family in ("dat", "datpp"):
        return _with(_DAT_384, name="paper (datpp, 384 pixels)", lr=2e-5) if family == "datpp" else _DAT_384
    if is_large and family == "dualvit":
        raise WrongUse("no recipe was published for Dual-ViT at 384 pixels; use --recipe fast")
    if family in ("dat", "datpp"):
        return _dat(spec, family)
    if family == "dualvit":  # of the three published networks only L is clipped, and only its stem is so wide
        return _with(_DUALVIT, clip=1.0) if _first_width(spec) >= _WIDE_DUALVIT else _DUALVIT
    others = {"lit": _LIT, "litv2": _LITV2, "litti": _LITTI, "fcvit": _FCVIT}
    if family not in others:
        raise WrongUse(
            f"no recipe was published for the family '{family}' of the spec '{spec.name}'; use --recipe fast"
        )
    return others[family]


_WIDE_DUALVIT, _WIDE_DAT = 96, 128


def _dat(spec: Spec, family: str) -> Recipe:
    """B has a rate, a warm-up and a clipping of its own; its first stage is the widest."""
    recipe = _with(_DAT, name=f"paper ({family})")
    if family == "datpp":
        recipe = _with(recipe, source="arXiv:2309.01430, as for DAT")
    if _first_width(spec) < _WIDE_DAT:
        return recipe
    return _with(recipe, warmup_epochs=50, lr=4e-4, clip=1.0)


def _first_width(spec: Spec) -> int:
    """Channels of the first map."""
    first = spec.nodes[0]
    return int(getattr(first, "width", 0))
