"""What a worker does with a network that is made of a library's blocks: it begins with them as they were fitted."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from archdsl.compile import build
from archdsl.cost import count
from archdsl.data.loading import load
from archdsl.deriving.library.building import build_library
from archdsl.deriving.library.solutions import Solver
from archdsl.load.spaces import space_of
from archdsl.search.worker.inheriting_actions import inherited_loss
from archdsl.search.worker.request import parsed
from archdsl.search.worker.training_messages import Inheriting
from tests.support.libraries import SETTINGS, saved_parent, space_around


def test_a_network_of_a_library_begins_with_its_fitted_blocks(tmp_path: Path) -> None:
    parent, space = saved_parent(tmp_path), space_of(space_around())
    library = build_library(parent, "shapetex", tmp_path / "made", space=space, settings=SETTINGS, train_images=128)
    solver = Solver(library, lambda spec: {"macs": float(count(spec).macs)})
    derived = solver.solve({"macs": 0.7 * solver.costs(solver.parent)["macs"]})
    assert derived is not None
    blocks = tuple((block.stage, block.first, block.span, block.key) for block in derived.blocks)
    asked = Inheriting(str(parent), "0" * 64, 1.0, library=str(library.folder), library_sha256="0" * 64, blocks=blocks)
    heard = parsed(Inheriting, json.loads(json.dumps(asked.__dict__, default=lambda value: value.__dict__)))
    assert heard == asked
    model = build(derived.spec)
    inherited = inherited_loss(model, heard, load("shapetex", 32, 0, train=128), "cpu")
    assert inherited.reason is None
    assert inherited.loss is not None
    state = model.state_dict()
    for stage in ("stage1", "stage2"):
        for place, block in enumerate(each for each in derived.blocks if each.stage == stage):
            if block.key is not None:
                for name, tensor in load_file(library.file(block.key)).items():
                    assert torch.equal(state[f"{stage}.blocks.{place}.{name}"], tensor)
