"""Building a library: every alternative started by inheritance, fitted, scored, and written as it is finished."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import torch
from torch import Tensor, nn

from archdsl.compile import Backbone
from archdsl.data.loading import DEFAULT, load
from archdsl.deriving.fitting import Maps, RefitSettings, fit
from archdsl.deriving.library import folder as files
from archdsl.deriving.library.activations import MAPS, map_allocator, stage_maps
from archdsl.deriving.library.blocks import inherited_block
from archdsl.deriving.library.folder import Entry, Identity, Index, Library, LibrarySettings, Named
from archdsl.deriving.library.progress import BuildProgress, Watcher
from archdsl.deriving.library.scoring import Scorer
from archdsl.deriving.library.wanted import space_identity, wanted_alternatives
from archdsl.deriving.parents import Parent, read_parent
from archdsl.deriving.running import RunningNetwork, evaluating, read_by
from archdsl.errors import ArchError, SearchError, WrongUse, one_line
from archdsl.files import installed_version, replacing, try_lock
from archdsl.json_types import JsonObject
from archdsl.language.block_lists import block_document
from archdsl.language.canonical import canonical_hash
from archdsl.load.alternatives import Alternative
from archdsl.load.spaces import space_of
from archdsl.runtimes.setting import checked_device, default_device
from archdsl.spaces.block_choices import block_choices
from archdsl.spaces.space import Space
from archdsl.training.normalising import normalised_as

LEAST_FITTED, LEAST_SCORED = 64, 64
"""Images without which a block is not fitted or scored."""
TRAIN_IMAGES = 2000
"""Training images of the data, of which the library takes its own; as many as a search takes."""
_POLL_S = 0.5


class _Job(NamedTuple):
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


def build_library(
    parent: str | os.PathLike[str],
    data: str | None,
    out: str | os.PathLike[str],
    *,
    space: Space | None = None,
    settings: LibrarySettings = LibrarySettings(),  # noqa: B008  # it is immutable
    train_images: int = TRAIN_IMAGES,
    workers: int = 1,
    device: str | None = None,
    watcher: Watcher = lambda progress: None,
) -> Library:
    """Fit and score alternatives to the blocks of a parent, and keep them in a folder; a broken-off one is resumed.

    On the CPU in one process, what is resumed is bit for bit what it is without an interruption.

    Args:
        parent: a `.safetensors` of ours with a classifier.
        data: as `archdsl.data.loading.load` takes it; its training images alone are used, and no label.
        out: the folder; made where it is not there.
        space: of alternatives around the parent; by default the one that `archdsl new --space` gives.
        settings: how blocks are fitted and scored.
        train_images: of the data, at most; the library takes its images from the first of them.
        workers: processes that fit at the same time, each with the parent in memory.
        device: `cpu`, `cuda` or `cuda:N`; without it CUDA if there is one.
        watcher: told of the progress.

    Raises:
        WrongUse: there is no such parent or device, or `out` cannot be a folder of a library.
        WeightsError: the parent is no file of ours.
        SearchError: the folder holds a library of something else, another process builds it, the data cannot be used,
            or it has too few images.
    """
    name = checked_device(device or default_device())
    _check_folder(Path(out))
    document: JsonObject | None = None if space is None else space.model_dump(mode="json", by_alias=True)
    job = _Job(os.fspath(parent), data or DEFAULT, document, os.fspath(out), settings, train_images, name, (0, 1))
    work = _Work(job)
    path = Path(out)
    path.mkdir(parents=True, exist_ok=True)
    lock = try_lock(path / ".lock")
    if lock is None:
        raise SearchError(f"{path} is being built by another process; wait for it")
    for left in path.glob(f"{MAPS}*"):  # by a building that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        return _built(work, path, workers, watcher)
    finally:
        lock.release()


def _check_folder(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise WrongUse(f"{path} is a file; name a folder for the library")
    if not path.absolute().parent.is_dir():
        raise WrongUse(f"{path} cannot be made: its folder does not exist")
    if path.is_dir() and not (path / files.INDEX).exists() and not (path / files.BLOCKS).exists():
        others = [each.name for each in path.iterdir() if not each.name.startswith(".")]
        if others:
            raise WrongUse(f"{path} holds {others[0]} and is no library; name another folder")


def _built(work: _Work, path: Path, workers: int, watcher: Watcher) -> Library:
    index = files.read_index(path)
    if index is not None:
        files.refuse_difference(path, files.differences(index.identity, work.identity))
    (path / files.BLOCKS).mkdir(exist_ok=True)
    begun = work.index
    keys = begun.keys
    finished = {key: entry for key in keys if (entry := files.stored_entry(path, key, work.identity)) is not None}
    files.write_index(path, begun, finished.values())
    started, already = time.monotonic(), len(finished)

    def tell(done: int) -> None:
        seconds, new = time.monotonic() - started, done - already
        left_s = seconds / new * (len(keys) - done) if new > 0 else None
        watcher(BuildProgress(done, len(keys), seconds, left_s))

    tell(already)
    pending = [key for key in keys if key not in finished]
    if workers > 1 and len(pending) > 1:
        _in_processes(work.job, min(workers, len(pending)), lambda: tell(_count(path, keys, work.identity)))
    else:
        for number, _ in enumerate(work.run(set(pending)), 1):
            tell(already + number)
    entries = [files.stored_entry(path, key, work.identity) for key in keys]
    files.write_index(path, begun, [entry for entry in entries if entry is not None])
    return files.read_library(path)


def _count(path: Path, keys: Sequence[str], identity: Identity) -> int:
    return sum(files.stored_entry(path, key, identity) is not None for key in keys)


def _in_processes(job: _Job, workers: int, tell: Callable[[], None]) -> None:
    """Let processes build, each its part; what they have finished stays where one fails."""
    started = [_started(job._replace(share=(place, workers))) for place in range(workers)]
    try:
        while any(process.poll() is None for process, _ in started):
            time.sleep(_POLL_S)
            tell()
        for process, errors in started:
            if process.returncode:
                errors.seek(0)
                last = (errors.read().decode(errors="replace").splitlines() or [f"exit code {process.returncode}"])[-1]
                raise SearchError(f"a process that fitted blocks ended: {last}; repeat the command to go on")
    finally:
        for process, errors in started:
            if process.poll() is None:
                process.kill()
                process.wait()
            errors.close()


def _started(job: _Job) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """A process that builds its part, and what it writes to stderr."""
    errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed where the process is waited for
    process = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import build_share; build_share()"],
        stdin=subprocess.PIPE,
        stderr=errors,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(job._asdict() | {"settings": job.settings.model_dump()}).encode())
    process.stdin.close()
    return process, errors


def build_share() -> None:
    """The work of a process of its own, which reads its job from stdin."""
    facts = json.load(sys.stdin)
    settings, share = LibrarySettings.model_validate(facts.pop("settings")), tuple(facts.pop("share"))
    job = _Job(settings=settings, share=share, **facts)
    place, workers = job.share
    torch.set_num_threads(max((os.cpu_count() or 1) // workers, 1))
    work = _Work(job)
    path = Path(job.out)
    pending = [key for key, _ in work.wanted if files.stored_entry(path, key, work.identity) is None]
    for _ in work.run({key for key, _ in work.wanted[place::workers]}.intersection(pending)):
        pass


class _Work:
    """The parent, the images and the alternatives of one building."""

    def __init__(self, job: _Job) -> None:
        self.job = job
        self.parent = read_parent(Path(job.parent))
        model, settings = self.parent.model, job.settings
        if model.features_only or model.num_classes < 2:
            raise SearchError(f"{job.parent}: a library needs a classifier; this is a network for dense prediction")
        data = load(job.data, model.spec.image_size, settings.seed, job.train_images)
        if data.channels != model.spec.channels:
            raise SearchError(
                f"{job.data} has images of {data.channels} channels, {job.parent} reads {model.spec.channels}"
            )
        fitted, scored = sample_sizes(len(data.train_images), settings, data.name)
        data = normalised_as(data, self.parent.facts.preprocessing)
        images = data.normalise(data.train_images[: fitted + scored])
        self.fitted, self.scored = images[:fitted], images[fitted:]
        self.space = space_of(job.space if job.space is not None else block_choices(model.spec)[0])
        self.wanted = wanted_alternatives(model.spec, self.space)
        self.identity = Identity(
            parent=Named(name=self.parent.name, sha256=parent_hash(self.parent)),
            data=Named(name=data.name, sha256=data.fingerprint()),
            image=model.spec.image_size,
            space=space_identity(self.space, [key for key, _ in self.wanted]),
            settings=settings,
        )

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

    def run(self, keys: set[str]) -> Iterator[Entry]:
        """Fit and score the alternatives of these keys, stage by stage, each written when it is finished."""
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
                    entry, block = self._one(key, alternative, maps, scorer)
                    _write(Path(self.job.out), entry, block, self.identity)
                    yield entry

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
    if images < least or min(settings.images, settings.scored) < 64:
        have = f"{data} has {images:,}" if images < least else f"asked for are {settings.images} and {settings.scored}"
        raise SearchError(
            f"a library needs at least {least} training images, {LEAST_FITTED} to fit blocks on and {LEAST_SCORED} "
            f"others to score them on; {have}"
        )
    share = min(1.0, images / asked)
    scored = min(max(int(share * settings.scored), LEAST_SCORED), images - LEAST_FITTED)
    scored -= scored % 128 == 1  # a batch of one image has no deviation
    return min(max(int(share * settings.images), LEAST_FITTED), images - scored), scored


def parent_hash(parent: Parent) -> str:
    """Of the network and its weights, whatever else its file says."""
    return model_hash(parent.model)


def model_hash(model: Backbone) -> str:
    """Of a network and its weights."""
    state = ((name, _bytes(tensor)) for name, tensor in model.state_dict().items())
    return files.values_hash(state, canonical_hash(model.spec))


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
