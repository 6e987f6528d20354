"""The work of building a library: every alternative started by inheritance, fitted, scored, and written."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from archdsl.compile import Backbone
from archdsl.data.loading import Data, load
from archdsl.deriving.fitting import Maps, RefitSettings, fit
from archdsl.deriving.library import folder as files
from archdsl.deriving.library.activations import map_allocator, stage_maps
from archdsl.deriving.library.blocks import inherited_block
from archdsl.deriving.library.facts import Entry, Identity, Index, LibrarySettings, Named
from archdsl.deriving.library.scoring import Scorer
from archdsl.deriving.library.stage_times import stage_ends
from archdsl.deriving.library.wanted import space_identity, wanted_alternatives
from archdsl.deriving.parents import read_parent
from archdsl.deriving.running import RunningNetwork, evaluating, read_by
from archdsl.errors import ArchError, SearchError, one_line
from archdsl.files import installed_version, replacing
from archdsl.json_types import JsonObject
from archdsl.language.block_lists import block_document
from archdsl.language.canonical import canonical_hash
from archdsl.load.alternatives import Alternative
from archdsl.load.spaces import space_of
from archdsl.spaces.block_choices import block_choices
from archdsl.training.normalising import normalised_as

LEAST_FITTED, LEAST_SCORED = 64, 64
"""Images without which a block is not fitted or scored."""


class Job(NamedTuple):
    """What a process is to build its part of."""

    parent: str
    data: str
    space: JsonObject | None
    out: str
    settings: LibrarySettings
    train_images: int
    device: str
    share: tuple[int, int]
    """Which of how many processes it is."""
    keys: tuple[str, ...] | None = None
    """Of the alternatives that are built; None for all of the space."""
    seconds: float | None = None
    """After which no further alternative is begun; None for no limit."""
    began: float | None = None
    """When these seconds began, as `time.time` gives it, where another process has begun the building."""
    images: str | None = None
    """A file of the images, where another process of the same building has written it."""
    identity: JsonObject | None = None
    """What the library is made for, where another process has found it out."""


class Work:
    """The parent, the images and the alternatives of one building."""

    def __init__(self, job: Job, data: Data | None = None) -> None:
        """`data` is that of the job, where it is loaded already."""
        earlier = 0.0 if job.began is None else max(time.time() - job.began, 0.0)
        self.job, self._started = job, time.monotonic() - earlier
        self.parent = read_parent(Path(job.parent))
        model = self.parent.model
        if model.features_only or model.num_classes < 2:
            raise SearchError(f"{job.parent}: a library needs a classifier; this is a network for dense prediction")
        self.space = space_of(job.space if job.space is not None else block_choices(model.spec)[0])
        offered = wanted_alternatives(model.spec, self.space)
        self.wanted = _chosen(offered, job)
        if job.images is not None and job.identity is not None:
            self.fitted, self.scored = _read_images(Path(job.images))
            self.identity = Identity.model_validate(job.identity)
            return
        data = data or load(job.data, model.spec.image_size, job.settings.seed, job.train_images)
        self.fitted, self.scored = self._images(data)
        self.identity = Identity(
            parent=Named(name=self.parent.name, sha256=model_hash(model)),
            data=Named(name=data.name, sha256=data.fingerprint()),
            image=model.spec.image_size,
            space=space_identity(self.space, [key for key, _ in offered]),
            settings=job.settings,
        )

    def _images(self, data: Data) -> tuple[Tensor, Tensor]:
        """Those that blocks are fitted on and those that they are scored on, as the parent reads them.

        Raises:
            SearchError: they have other channels than the parent reads, or are too few.
        """
        job, model = self.job, self.parent.model
        if data.channels != model.spec.channels:
            have = f"the data {job.data} has channels {data.channels}"
            raise SearchError(f"{have}, but {job.parent} reads channels {model.spec.channels}")
        fitted, scored = sample_sizes(len(data.train_images), job.settings, data.name)
        data = normalised_as(data, self.parent.facts.preprocessing)
        images = data.normalise(data.train_images[: fitted + scored])
        return images[:fitted], images[fitted:]

    @property
    def index(self) -> Index:
        """Of a library of which nothing is finished."""
        return Index(
            **dict(self.identity),
            archdsl=installed_version(),
            spec=self.parent.model.spec.to_json(),
            space_document=self.space.model_dump(mode="json", by_alias=True, exclude_unset=True),
            keys=tuple(key for key, _ in self.wanted),
        )

    @property
    def seconds_left(self) -> float | None:
        """Of the time of the job; None without a limit."""
        seconds, spent = self.job.seconds, time.monotonic() - self._started
        return None if seconds is None else max(seconds - spent, 0.0)

    def shared(self, folder: Path) -> Job:
        """The job for processes that share it, in the time that is left: what is known already is in a file."""
        from safetensors.torch import save_file

        images = folder / "images.safetensors"
        save_file({"fitted": self.fitted.clone(), "scored": self.scored.clone()}, images)
        identity: JsonObject = self.identity.model_dump(mode="json")
        return self.job._replace(seconds=self.seconds_left, began=time.time(), images=str(images), identity=identity)

    def run(self, keys: set[str]) -> Iterator[Entry]:
        """Fit and score the alternatives of these keys, stage by stage, each written when it is finished.

        Where the time is limited each stage has a share of it, and what is begun of a stage is spread over it evenly.
        """
        begun, ends = time.monotonic(), self._stage_ends()
        model, device = self.parent.model.to(self.job.device), self.job.device
        with torch.inference_mode(False), evaluating(model), map_allocator(Path(self.job.out)) as allocate:
            running = RunningNetwork(model, self.fitted.to(device), allocate)
            scorer = Scorer(model, self.scored.to(device), allocate)
            for step in running.steps:
                mine = [each for each in self.wanted if each[1].stage == step.name and each[0] in keys]
                if not mine:
                    continue
                running.run_to(step.name)
                maps = stage_maps(running, step)
                scorer.enter(step.name)
                for key, alternative in mine:
                    if time.monotonic() - begun > ends.get(step.name, math.inf):
                        break
                    entry, block = self._one(key, alternative, maps, scorer)
                    _write(Path(self.job.out), entry, block, self.identity)
                    yield entry

    def _stage_ends(self) -> dict[str, float]:
        seconds, spec = self.seconds_left, self.parent.model.spec
        if seconds is None:
            return {}
        return stage_ends(spec, [each for _, each in self.wanted], self.job.settings, seconds)

    def _one(
        self, key: str, alternative: Alternative, maps: tuple[Maps, ...], scorer: Scorer
    ) -> tuple[Entry, nn.Module | None]:
        """An alternative fitted and scored, or why it is left out."""
        started = time.monotonic()
        place = Entry(
            key=key,
            stage=alternative.stage,
            first=alternative.first,
            span=alternative.span,
            block=block_document(alternative.block),
            choice=dict(alternative.choice),
            state="left out",
        )
        try:
            entry, block = self._fitted(place, alternative, maps, scorer)
        except (torch.OutOfMemoryError, MemoryError):
            raise SearchError(f"{place.name}: out of memory; take fewer images, or one process") from None
        except (ArchError, RuntimeError) as error:
            entry, block = place.model_copy(update={"reason": one_line(error)}), None
        return entry.model_copy(update={"seconds": round(time.monotonic() - started, 3)}), block

    def _fitted(
        self, place: Entry, alternative: Alternative, maps: tuple[Maps, ...], scorer: Scorer
    ) -> tuple[Entry, nn.Module | None]:
        settings, seed = self.job.settings, int(hashlib.sha256(place.key.encode()).hexdigest()[:7], 16)
        seed += settings.seed
        block = inherited_block(self.parent.model, alternative, seed)
        inputs = read_by(block, maps[alternative.first])
        targets = read_by(block, maps[alternative.first + alternative.span])
        lr = settings.lr if alternative.span == 1 else settings.span_lr
        fitted = fit(block, inputs, targets, RefitSettings(settings.steps, lr, settings.batch, seed))
        if not fitted.finite or not math.isfinite(fitted.after):
            return place.model_copy(update={"reason": "its fit gave NaN or infinities"}), None
        kl = scorer.kl(alternative.first, alternative.span, block)
        if not math.isfinite(kl):
            return place.model_copy(update={"reason": "the network with it gives NaN or infinities"}), None
        facts = {
            "state": "fitted" if fitted.after < fitted.before else "kept",
            "kl": max(kl, 0.0),
            "before": fitted.before if math.isfinite(fitted.before) else None,
            "after": fitted.after,
        }
        return place.model_copy(update=facts), block


def _chosen(offered: list[tuple[str, Alternative]], job: Job) -> list[tuple[str, Alternative]]:
    """Those that are asked for; where the time may not do for all, shuffled, so that no kind or place is left out."""
    wanted = [each for each in offered if job.keys is None or each[0] in job.keys]
    return wanted if job.seconds is None else sorted(wanted, key=lambda each: hashlib.sha256(each[0].encode()).digest())


def _read_images(file: Path) -> tuple[Tensor, Tensor]:
    from safetensors.torch import load_file

    images = load_file(file)
    return images["fitted"], images["scored"]


def _write(path: Path, entry: Entry, block: nn.Module | None, identity: Identity) -> None:
    """A finished block with its facts, in one step."""
    from safetensors.torch import save_file

    state = {} if block is None else block.state_dict()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with replacing(files.block_file(path, entry.key)) as partial:
        save_file(tensors, partial, {files.FACTS: entry.model_dump_json(), files.FOR: identity.sha256})


def sample_sizes(images: int, settings: LibrarySettings, data: str) -> tuple[int, int]:
    """How many images blocks are fitted on, and on how many others they are scored.

    Raises:
        SearchError: there are too few.
    """
    asked, least = settings.images + settings.scored, LEAST_FITTED + LEAST_SCORED
    if images < least or settings.images < LEAST_FITTED or settings.scored < LEAST_SCORED:
        have = f"{data} has {images:,}" if images < least else f"asked for are {settings.images} and {settings.scored}"
        raise SearchError(
            f"a library needs at least {least} training images, {LEAST_FITTED} to fit blocks on and {LEAST_SCORED} "
            f"others to score them on; {have}"
        )
    share = min(1.0, images / asked)
    scored = min(max(int(share * settings.scored), LEAST_SCORED), images - LEAST_FITTED)
    scored -= scored % 128 == 1  # a batch of one image has no deviation
    return min(max(int(share * settings.images), LEAST_FITTED), images - scored), scored


def model_hash(model: Backbone) -> str:
    """Of a network and its weights, whatever else its file says."""
    state = ((name, _bytes(tensor)) for name, tensor in model.state_dict().items())
    return files.values_hash(state, canonical_hash(model.spec))


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
