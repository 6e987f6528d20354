"""`archdsl.train` of folders that are read from their files, and in several processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import archdsl
from archdsl.weights import read_facts
from tests.support.small_trainings import one_thread
from tests.support.training_data import photos, pictures, spec

single = pytest.fixture(autouse=True)(one_thread)


@pytest.fixture
def data(tmp_path: Path) -> str:
    return pictures(tmp_path / "data.npz")


def test_a_folder_in_files_gives_the_same_bits_by_any_number_of_workers(tmp_path: Path) -> None:
    """With height and width apart; a file that cannot be read is passed over."""
    folder = photos(tmp_path / "photos", 20)
    lines: list[str | None] = []
    for workers in (0, 2):
        archdsl.train(
            spec(image="[32,48]"),
            folder,
            tmp_path / f"{workers}.safetensors",
            epochs=1,
            batch=8,
            memory_bytes=1e4,
            workers=workers,
            watcher=lambda moment, line: lines.append(line),
        )
    assert (tmp_path / "0.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()
    assert "read from files in each epoch" in str(lines[0])
    facts = read_facts(tmp_path / "0.safetensors")
    assert facts.preprocessing is not None
    assert facts.preprocessing.size == (32, 48)
    assert facts.accuracy is not None
    assert facts.accuracy.validation.images + facts.accuracy.held_out.images in (7, 8)  # type: ignore[union-attr]


LIMITED = """
import resource, sys
import torch
from archdsl.data.image_sets import load_image_sets
from archdsl.training.augmentation import Augmentation
from archdsl.training.batches import Course, Mixing, TrainingPictures, evaluation_batches, training_batches
from archdsl.training.normalising import of_data
import PIL.BmpImagePlugin, torch.utils.data
with open("/proc/self/status") as status:
    used = next(int(line.split()[1]) for line in status if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (used * 1024 + 280 * 2**20,) * 2)
data = load_image_sets(sys.argv[1], (768, 768), 0, None, float(sys.argv[2]))
pictures = TrainingPictures(data.train, Augmentation((768, 768), "shift", "bicubic", False, False, 0), False, 0)
cpu, count = torch.device("cpu"), len(data.train.labels)
batches = training_batches(pictures, Course(count, 4, count // 4, 0), 0, 1, cpu, of_data(data), Mixing(2, 0, 0, 0))
evaluated = evaluation_batches(data.validation, 4, 1, cpu)
print(sum(len(batch.images) for batch in batches), sum(len(some) for some, _ in evaluated))
"""


@pytest.mark.slow
def test_a_folder_that_is_larger_than_memory_is_read_from_its_files(tmp_path: Path) -> None:
    """200 images of 1.8 MB where 280 MB may be used: at once they do not fit, one batch after another they do."""
    folder = photos(tmp_path / "photos", 100, (24, 24))
    ended = {}
    for memory in ("1e6", "1e12"):
        command = [sys.executable, "-c", LIMITED, folder, memory]
        ended[memory] = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended["1e6"].stdout == "160 20\n", ended["1e6"].stderr
    assert "MemoryError" in ended["1e12"].stderr


TWO = """
import sys
import archdsl, torch
torch.set_num_threads(1)
archdsl.train(*sys.argv[1:], epochs=2, batch=16)
"""


@pytest.mark.slow
def test_two_processes_train_one_network(data: str, tmp_path: Path) -> None:
    """A part of each batch each; without norms over the batch and without chance that is the same as one process."""
    (tmp_path / "small.json").write_text(json.dumps(spec().to_json()))
    (tmp_path / "two.py").write_text(TWO)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "two.py"]
    ended = subprocess.run(
        [*command, "small.json", data, "two.safetensors"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    provenance = read_facts(tmp_path / "two.safetensors").provenance
    assert provenance is not None
    assert (provenance.processes, provenance.batch, provenance.steps) == (2, 16, 8)
    assert not list(tmp_path.glob("*.unfinished"))
    log = [json.loads(line) for line in (tmp_path / "two.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [4, 8]
