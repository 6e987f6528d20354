"""A proxy check on screen: every score under its ceiling, every target, and why nothing is ranked."""

from __future__ import annotations

import json

import pytest

from archdsl.cli import main
from archdsl.render.proxy_check import report
from archdsl.search.policy import SHIPPED
from archdsl.search.proxy_check import api as proxy_api
from archdsl.search.proxy_check.judged import judged
from archdsl.search.proxy_check.result import Judgement
from tests.support.proxy_checks import DATA, networks, trained, whole
from tests.support.screens import text_of


def shown(found: Judgement, width: int = 120) -> str:
    return text_of(report(whole(found)), width)


def test_the_screen_shows_every_score_under_its_ceiling_and_every_target() -> None:
    text = shown(judged(networks(), DATA, SHIPPED))
    lines = text.splitlines()
    assert lines[0] == (
        "space tiny: 12 networks sampled uniformly inside params <= 8.000 M, memory <= 1.000 MB; cpu (a machine)"
    )
    assert "trained for 6 epochs with 2 seeds: accuracies 19.9% to 75.1%" in lines[1]
    table = text[text.index("ranks accuracy") :]
    for name in ("another seed (the ceiling)", "params", "MACs", "SynFlow", "ensemble", "loss after 20% of training"):
        assert name in table
    assert table.index("ceiling") < table.index("params") < table.index("loss after 10%")
    assert "1.00 [1.00, 1.00]" in table
    assert "MET     Spearman of the zero-cost rung (ensemble): 1.00 (target: 0.75)" in text
    assert "MISSED  Spearman of the zero-cost rung minus that of params: 0.00 (target: 0.20)" in text


def test_the_screen_says_why_nothing_is_ranked() -> None:
    records = [trained(number, (0.80, 0.82), float(number), (1, 1)) for number in range(12)]
    text = shown(judged(records, DATA, SHIPPED))
    assert "REFUSED  the accuracies of 12 networks lie 0.00% apart" in text
    assert "ranks accuracy" not in text


def test_the_command_ends_with_1_where_nothing_is_ranked_and_with_130_where_it_was_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = judged([trained(row, (0.80, 0.82), 1.0, (1, 1)) for row in range(12)], DATA, SHIPPED)
    for found, interrupted, code in (
        (judged(networks(), DATA, SHIPPED), False, 0),
        (refused, False, 1),
        (refused, True, 130),
    ):
        result = whole(found, interrupted)
        monkeypatch.setattr(proxy_api, "checked_proxies", lambda *_, result=result, **__: result)
        assert main(["proxy-check", "lit-dat-64", "--json"]) == code
        assert json.loads(capsys.readouterr().out)["refused"] == found.refused
        assert main(["proxy-check", "lit-dat-64"]) == code
        assert ("REFUSED" in capsys.readouterr().out) is (found.refused is not None)
