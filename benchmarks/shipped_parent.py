"""Train the parent that ships with the space lit-dat-64: `python benchmarks/shipped_parent.py`, some ten minutes.

A point of the space with a latency above the usual budget is trained on shapetex with the recipe of the search's own
short trainings, and written to specs/spaces/lit-dat-64.safetensors with its accuracy and how it came about. It sees the
training images of a search with seed 0 alone, so that validation and held-out images stay unseen by it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

import archdsl
from archdsl.data.loading import load
from archdsl.load.spaces import choices_of, load_space
from archdsl.load.specs import override
from archdsl.training.fidelity import Fidelity
from archdsl.training.recipe import train
from archdsl.training.saving import Training, save_trained

FILE = Path(__file__).parents[1] / "specs" / "spaces" / "lit-dat-64.safetensors"
NETWORK = (
    "litv2_s",
    *("name=lit-dat-64-parent", "image=64", "classes=20", "stem.patch=2", "stem.width=24"),
    *("merge1.width=48", "merge2.width=96", "merge3.width=192", "stage3.heads=6", "stage4.heads=12", "drop_path=0"),
)
IMAGES, SEED = 2000, 0


def main() -> None:
    asked = _arguments()
    torch.set_num_threads(asked.threads)
    name, *changes = NETWORK
    spec = override(archdsl.load_spec(name), changes)
    choices_of(load_space("lit-dat-64"), spec)  # it is a point of the space
    data, fidelity = load("shapetex", 64, SEED, train=IMAGES), Fidelity(asked.epochs, IMAGES)
    torch.manual_seed(SEED)
    model, started = archdsl.build(spec), time.monotonic()

    def progress(step: int, steps: int, loss: float) -> None:
        if step % 100 == 0:
            print(f"{step:,} of {steps:,} steps, loss {loss:.3f}, {time.monotonic() - started:.0f} s", file=sys.stderr)

    outcome = train(model, data, fidelity, seed=SEED, progress=progress)
    save_trained(model, asked.out, Training(data, data.fingerprint(), fidelity, SEED, "cpu", outcome))
    params = sum(parameter.numel() for parameter in model.parameters())
    print(f"{asked.out}: {params / 1e6:.2f} M params, {asked.out.stat().st_size / 1e6:.1f} MB")
    print(f"validation {outcome.accuracy:.4f}, held out {outcome.held_out:.4f}, {outcome.seconds:.0f} s")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=float, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=FILE)
    return parser.parse_args()


if __name__ == "__main__":
    main()
