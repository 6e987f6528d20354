"""Scores at initialisation: each against a value worked out by hand, all on every family of blocks."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.compile import build
from archdsl.cost import count
from archdsl.data.loading import Data, load
from archdsl.families.common.stage_modules import Stage
from archdsl.search.worker.scores.az_nas import az_nas, entropy, spectral_norm
from archdsl.search.worker.scores.dss import dss
from archdsl.search.worker.scores.every import NAMES, scored
from archdsl.search.worker.scores.flow import linearised
from archdsl.search.worker.scores.naswot import naswot
from archdsl.search.worker.scores.snip import snip
from archdsl.search.worker.scores.surroundings import Batch, frozen_eval_mode, generator
from archdsl.search.worker.scores.synflow import synflow
from tests.support.narrow_networks import SMALL, small


@pytest.fixture(scope="module")
def data() -> Data:
    return load("shapetex", 64, seed=0, train=40, validation=1)


def batch(*rows: list[float]) -> Batch:
    return Batch(torch.tensor(rows), torch.zeros(len(rows), dtype=torch.long))


def linear(rows: list[list[float]]) -> nn.Linear:
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return layer


# ------------------------------------------------------------------------------------------------------ each formula


def test_snip_is_the_sum_of_weights_times_their_gradients() -> None:
    """Logits are w x with x = 1: softmax of (2, -1) is (p, 1 - p), gradients are p - 1 and 1 - p."""
    p = math.exp(2) / (math.exp(2) + math.exp(-1))
    assert snip(linear([[2.0], [-1.0]]), batch([1.0])) == pytest.approx((1 - p) * 2 + (1 - p) * 1)


def test_snip_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)).train()
    before = {name: value.clone() for name, value in model.state_dict().items() if "num_batches" not in name}
    scores, again = (snip(model, Batch(torch.eye(2), torch.tensor([0, 1]))) for _ in range(2))
    assert scores == again
    assert model.training
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert all(weight.grad is None for weight in model.parameters())


def test_synflow_is_the_flow_through_each_layer() -> None:
    """Ones flow through |1 -2| and |3|: R = 3 (1 + 2) = 9, and each of the two layers carries all of it."""
    norm = nn.LayerNorm(1)
    norm.weight.data.fill_(0.7)  # a norm is left out, its scale too
    model = nn.Sequential(linear([[1.0, -2.0]]), norm, linear([[3.0]]))
    assert synflow(linearised(model, torch.Size([2]))) == pytest.approx(math.log(2 * 9))


def test_a_network_through_which_nothing_flows_scores_lowest() -> None:
    assert synflow(linearised(linear([[0.0]]), torch.Size([1]))) == -math.inf


class Attends(nn.Module):
    """Self-attention over the rows of (B, N, C) with values alone."""

    def __init__(self) -> None:
        super().__init__()
        self.v = linear([[2.0]])

    def forward(self, x: Tensor) -> Tensor:
        v = self.v(x)
        return F.scaled_dot_product_attention(x * 1e200, x * 1e200, v).sum(1)


def test_attention_is_even_in_the_pipes() -> None:
    """All positions give 2, so do their means; two positions are summed; scores of 1e400 would be no numbers."""
    assert synflow(linearised(Attends(), torch.Size([2, 1]))) == pytest.approx(math.log(4))


class Block(nn.Module):
    """A mixer and an MLP of one matrix each, without residuals."""

    def __init__(self, mixer: list[list[float]], mlp: list[list[float]]) -> None:
        super().__init__()
        self.mixer, self.mlp = linear(mixer), linear(mlp)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> the same"""
        out: Tensor = self.mlp(self.mixer(x))
        return out


def staged(*blocks: nn.Module) -> nn.Module:
    """Blocks in a stage, and the sum over channels and positions as the only logit."""

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stage = Stage(blocks)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.stage(x)
            return out.sum((1, 2, 3))[:, None]

    return Whole()


def test_dss_multiplies_nuclear_norms_of_mixers_and_sums_the_flow_of_mlps() -> None:
    """One position, two channels. Mixer diag(2, 3), MLP the identity: R = 5.

    The mixer's gradient is all ones, of nuclear norm 2, its own nuclear norm 5; the MLP's flow is R.
    """
    model = staged(Block([[2.0, 0.0], [0.0, -3.0]], [[1.0, 0.0], [0.0, 1.0]]))
    assert dss(linearised(model, torch.Size([2, 1, 1]))) == pytest.approx(math.log(2 * 5 + 5))


def test_naswot_counts_units_that_switch_alike() -> None:
    """Images (1, 1) and (1, -1) on two units: each is like itself on 2, like the other on 1; |K| = 4 - 1."""
    model = nn.Sequential(linear([[1.0, 0.0], [0.0, 1.0]]), nn.GELU())
    assert naswot(model, batch([1.0, 1.0], [1.0, -1.0])) == pytest.approx(math.log(3))
    assert naswot(model, batch([1.0, 1.0], [2.0, 3.0])) == -math.inf


@pytest.mark.parametrize("switch", [F.relu, torch.relu, F.gelu, F.silu])
def test_naswot_sees_every_activation(switch: Any) -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return switch(x)  # type: ignore[no-any-return]

    assert naswot(Net(), batch([1.0, 1.0], [1.0, -1.0])) == pytest.approx(math.log(3))


def test_entropy_tells_how_many_directions_features_have() -> None:
    """Four corners spread evenly over two axes: log 2; on a line: 0; shares of 4/5 and 1/5 in between."""
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert entropy(corners) == pytest.approx(math.log(2))
    assert entropy(corners * torch.tensor([1.0, 0.0])) == pytest.approx(0)
    assert entropy(corners * torch.tensor([2.0, 1.0])) == pytest.approx(0.8 * math.log(1 / 0.8) + 0.2 * math.log(5))
    assert entropy(torch.ones(4, 2)) == 0


def test_the_spectral_norm_of_a_linear_map_is_found_with_random_signs() -> None:
    x = torch.zeros(1, 64, 64, 2, requires_grad=True)
    y = linear([[2.0, 0.0], [0.0, 0.5]])(x)
    assert spectral_norm(x, y, generator(0)) == pytest.approx(2, rel=0.02)


def test_the_scores_of_az_nas_are_those_of_the_blocks() -> None:
    """Blocks that double what they read keep its entropy, gain none, and are 2 - 2 - 1/2 trainable."""
    double = [[2.0, 0.0], [0.0, 2.0]]
    one = [[1.0, 0.0], [0.0, 1.0]]
    found = az_nas(staged(Block(double, one), Block(one, double)), Batch(torch.zeros(4, 2, 32, 32), torch.zeros(4)))
    assert found.expressivity == pytest.approx(2 * math.log(2), rel=1e-3)
    assert found.progressivity == pytest.approx(0, abs=1e-6)
    assert found.trainability == pytest.approx(-0.5, abs=0.05)
    assert az_nas(linear([[1.0]]), batch([1.0])) == (0, 0, 0)


# ---------------------------------------------------------------------------------------------------- every network


@pytest.mark.parametrize("name", SMALL)
def test_every_family_has_every_score_and_keeps_it_by_its_seed(name: str, data: Data) -> None:
    spec = small(name).model_copy(update={"classes": data.classes})
    first, again = scored(spec, data, seed=0), scored(spec, data, seed=0)
    assert tuple(first.scores) == NAMES
    assert first.scores == again.scores
    assert all(score > -1e9 for score in first.scores.values()), first.scores
    assert (first.scores["params"], first.scores["macs"]) == (count(spec).params, count(spec).macs)
    other = scored(spec, data, seed=1).scores
    assert all(first.scores[member] != other[member] for member in ("snip", "synflow", "dss", "naswot"))


def test_heads_that_give_token_labels_are_scored_by_their_logits(data: Data) -> None:
    spec = small("dualvit_s").model_copy(update={"classes": data.classes})
    head = {**spec.to_json()["nodes"][-1], "token_label": True}
    from archdsl.load.specs import spec_of

    labelled = spec_of({**spec.to_json(), "nodes": [*spec.to_json()["nodes"][:-1], head]})
    assert all(score > -1e9 for score in scored(labelled, data, seed=0).scores.values())


def test_scoring_leaves_the_callers_random_state_alone(data: Data) -> None:
    state = torch.random.get_rng_state()
    scored(small("litv2_s").model_copy(update={"classes": data.classes}), data, seed=3)
    assert torch.equal(state, torch.random.get_rng_state())


def test_nothing_is_dropped_while_a_network_is_scored() -> None:
    model = build(small("litv2_s").model_copy(update={"drop_path": 0.9}))
    image = torch.randn(2, 3, 64, 64)
    with frozen_eval_mode(model.train()), torch.no_grad():
        assert torch.equal(model(image), model(image))
    assert model.training
