"""How many threads train: found out on the first network, whatever its head returns in training."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archdsl.data.loading import load
from archdsl.search.worker import training_actions

DOCUMENT: dict[str, Any] = {
    "kind": "arch",
    "version": 1,
    "name": "labels-tokens",
    "image": 32,
    "classes": 20,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": 8},
        {"id": "stage1", "type": "mlp", "depth": 1},
        {"id": "head", "type": "class_attention_head", "heads": 1},
    ],
}


def test_threads_are_chosen_for_a_network_that_returns_more_than_logits_in_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training_actions, "_chosen_threads", {})
    before = torch.get_num_threads()
    try:
        data = load("shapetex", 32, 0, 32, 32)
        training_actions.set_training_threads(DOCUMENT, data, 16, "cpu", None)
        assert torch.get_num_threads() >= 1
        assert training_actions._chosen_threads
    finally:
        torch.set_num_threads(before)
