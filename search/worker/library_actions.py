"""What a worker does about the library of a search's parent: it fits alternatives in processes of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.search.worker import library_messages as messages
from archdsl.search.worker.events import TrainingProgress
from archdsl.search.worker.training_actions import Say, loaded

if TYPE_CHECKING:
    from archdsl.deriving.library.progress import BuildProgress


def fit_library(request: messages.LibraryRequest, say: Say) -> messages.LibraryReply:
    """The library in a folder, made of what can be fitted in time; what is finished already stays.

    Raises:
        SearchError: the folder holds a library of something else, or the data is too small.
    """
    from archdsl.deriving.library.building import build_library
    from archdsl.deriving.library.facts import LibrarySettings
    from archdsl.load.spaces import space_of
    from archdsl.timing.cores import physical_cores

    fitting, data = request.fitting, request.data
    processes = min(physical_cores(), fitting.most_processes) if request.device == "cpu" else 1

    def heard(progress: BuildProgress) -> None:
        shares = [progress.done / max(progress.total, 1)]
        if request.seconds is not None:
            shares.append(progress.seconds / max(request.seconds, 1e-9))
        say(TrainingProgress(min(max(shares), 1.0)))

    library = build_library(
        request.parent,
        data.name,
        request.out,
        space=space_of(request.space),
        settings=LibrarySettings(images=fitting.images, scored=fitting.scored, steps=fitting.steps, seed=data.seed),
        train_images=data.images,
        loaded=loaded(*data),
        workers=processes,
        device=request.device,
        keys=request.keys,
        seconds=request.seconds,
        least=request.least,
        watcher=heard,
    )
    return messages.LibraryReply(len(library.usable), len(library.left_out))
