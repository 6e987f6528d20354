"""The plain formulations that the zoo is timed beside give what the zoo's networks give."""

from __future__ import annotations

import pytest
import torch

from tests.support.places import ROOT
from tests.support.untrained import network

NETWORKS = ["lit_s", "litv2_s", "dat_t", "datpp_t", "dualvit_s", "fcvit_b12"]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_plain_formulation_gives_what_the_network_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from textbook import Textbook

    model = network(name, image=224)
    x = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        wanted, found = model(x), Textbook(model)(x)
    assert float((found - wanted).abs().max() / wanted.abs().max()) < 3e-5
