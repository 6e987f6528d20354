"""The weights in a run's folder: those of networks that may still become the winner, and no others.

A file is named by its network's hash, the seed and the epochs, so that a search that is resumed finds it again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from archdsl.search.evaluate.context import Context
from archdsl.search.evaluate.trainings import chosen, longest_trainings
from archdsl.search.trial import Trial

FOLDER = "weights"
_NAME = re.compile(r"([0-9a-f]+)-(\d+)-(.+)\.(safetensors|onnx)")


def weights_path(context: Context, network: str, seed: int, epochs: float) -> Path:
    """Where the weights of a training are, if they are kept."""
    return (context.folder.path / FOLDER / _name(network, seed, epochs)).absolute()


def onnx_beside(weights: Path) -> Path:
    """Where the exported file of a training is, if there is one."""
    return weights.with_suffix(".onnx")


def remove_unneeded(context: Context, may_win: set[str], is_training: bool = True) -> None:
    """Remove the weights of networks that cannot be the winner any more, and a network's trainings but the best.

    `may_win` are the hashes of those that still can.
    A network without a record is being trained; where nothing is, its file is left of a search that was killed.
    """
    folder = context.folder.path / FOLDER
    if not folder.is_dir():
        return
    by_hash = defaultdict[str, list[Trial]](list)
    for record in context.records:
        by_hash[record.network_hash].append(record)
    needed = {_chosen_name(network, by_hash[network]) for network in may_win}
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        is_ours = match is not None or path.name.endswith(".partial")
        may_be_open = is_training and (match is None or match[1] not in by_hash)
        if is_ours and path.with_suffix(".safetensors").name not in needed and not may_be_open:
            with suppress(OSError):  # it costs room on the disk and nothing else
                path.unlink()


def _chosen_name(network: str, records: list[Trial]) -> str | None:
    """The file of the training of a network that would be handed over."""
    training = chosen(longest_trainings(records, network))
    return None if training is None or training.epochs is None else _name(network, training.seed, training.epochs)


def _name(network: str, seed: int, epochs: float) -> str:
    return f"{network}-{seed}-{epochs:g}.safetensors"
