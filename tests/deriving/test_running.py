"""What blocks read while a network runs over all images: values alone, which no gradient leads out of."""

from __future__ import annotations

import torch

from archdsl.compile import build
from archdsl.deriving.library.activations import stage_maps
from archdsl.deriving.running import RunningNetwork, evaluating
from archdsl.load.specs import override
from tests.support.libraries import parent_spec


def test_what_blocks_read_behind_a_position_table_leads_no_gradient_back_to_it() -> None:
    model = build(override(parent_spec(), ["stage1.position_embedding=true"]))
    running = RunningNetwork(model, torch.rand(4, 3, 32, 32))
    with torch.inference_mode(False), evaluating(model):
        step = running.run_to("stage1")
        assert step is not None
        maps = stage_maps(running, step)
    assert len(maps) == 3
    assert not any(each.requires_grad for behind in maps for each in behind)
