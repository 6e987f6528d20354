"""The report of a run: what it tells, in the terminal and as CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from archdsl.render.agreement_texts import prediction_text
from archdsl.render.page.page import html
from archdsl.search.policy import SHIPPED
from archdsl.search.report import read_report
from archdsl.search.report.agreement import agreement
from archdsl.search.report.sheet import COLUMNS, csv_text
from archdsl.search.store.gate import gate_text
from tests.support.golden_texts import Golden
from tests.support.places import ROOT
from tests.support.reported import RECORDED, Page, copied_run, edit, edit_records, recorded, terminal

run = pytest.fixture(copied_run)


def test_the_terminal_shows_every_section_at_a_fixed_width(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    golden("report", terminal(read_report("tests/golden/run")))


def test_prose_and_tables_keep_to_the_width(run: Path) -> None:
    lines = terminal(read_report(run), 60).splitlines()
    shown = lines[lines.index("Front") : lines.index("How to reproduce")]
    plot = re.compile(r".*[│└].*| +0 +[\d.]+ ms")
    assert max(len(line) for line in shown if not plot.fullmatch(line)) <= 60


def test_reading_a_run_changes_nothing_in_its_folder(run: Path) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.iterdir()}
    read_report(run)
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.iterdir()} == before


def test_control_characters_are_shown_not_obeyed(run: Path) -> None:
    edit_records(run, lambda record: record | {"reason": "\x1b[31mred\x07", "outcome": "failed"})
    report = read_report(run)
    assert "\x1b" not in terminal(report) + html(report)
    assert "\\x1b[31mred\\x07" in terminal(report)


def test_the_csv_has_a_row_for_every_measurement_with_its_provenance() -> None:
    report = recorded()
    rows = list(csv.DictReader(io.StringIO(csv_text(report))))
    lines = [json.loads(line) for line in (RECORDED / "trials.jsonl").read_text().splitlines()]
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(lines) + len(report.verdict.attempts)
    assert [row["rung"] for row in rows[-3:]] == ["train_longer", "train_longer", "measured_again"]
    for row, line in zip(rows, lines, strict=False):
        timing, proxy = line["provenance"]["latency"], line["provenance"].get("proxy", {})
        assert (row["hash"], int(row["params"]), float(row["latency_ms"])) == (
            line["hash"],
            line["params"],
            line["latency"],
        )
        assert row["inside_budget"] == str(line["inside_budget"]).lower()
        assert float(row["p50_ms"]) == timing["p50_ms"]
        assert [float(value) for value in row["readings_ms"].split()] == timing["readings"]
        assert (row["device_name"], row["torch"], row["date"]) == tuple(
            timing["provenance"][name] for name in ("device_name", "torch", "date")
        )
        assert row["accuracy"] == ("" if line["accuracy"] is None else str(line["accuracy"]))
        assert row["proxy_fidelity"] == proxy.get("fidelity", "")


def test_the_ladder_counts_every_candidate_once_and_tells_why() -> None:
    report = recorded()
    ended = {rung.name: rung.ended for rung in report.rungs}
    assert sum(ended.values()) == len(report.trials) + ended["static"] + ended["duplicate"] + ended["predicted"]
    assert ended["static"] == 1
    static = next(rung for rung in report.rungs if rung.name == "static")
    assert static.reasons == [("constraints[0]: the constraint stem.patch == 4 or w <= 32 does not hold", 1)]


def test_a_rank_correlation_comes_with_how_easily_chance_gives_it() -> None:
    assert agreement("x", [(1, 1), (2, 2)], SHIPPED.report).rho is None
    three = agreement("x", [(1, 1), (2, 2), (3, 3)], SHIPPED.report)
    assert three.n == 3
    assert three.rho == pytest.approx(1.0)
    assert three.chance == pytest.approx(2 / 6)
    many = agreement("x", [(value, -value) for value in range(20)], SHIPPED.report)
    assert many.rho == pytest.approx(-1.0)
    assert many.chance is not None
    assert many.chance < 0.01
    assert agreement("x", [(1, 1), (1, 2), (1, 3)], SHIPPED.report).chance == 1.0


def test_finalists_are_told_before_and_after_longer_training() -> None:
    pairs = recorded().finals.pairs
    assert [(before.proxy.fidelity, after.proxy.fidelity) for before, after in pairs] == [
        ("1 epoch of 300 images", "3 epochs of 300 images")
    ] * 2
    assert all(before.hash == after.hash for before, after in pairs)


def test_every_measured_network_is_predicted_from_the_others() -> None:
    report = recorded()
    assert [ms for _, _, ms in report.prediction.points] == [trial.latency for trial in report.trials]
    errors = sorted(abs(guess / ms - 1) for _, guess, ms in report.prediction.points)
    assert report.prediction.largest_error == errors[-1]
    assert report.prediction.agreement is not None
    assert report.prediction.agreement.n == len(errors)


def test_importance_is_told_beside_what_chance_gives_and_left_out_where_there_is_too_little() -> None:
    accuracy, latency = recorded().importance
    assert (accuracy.trials, accuracy.shares) == (7, {})
    assert accuracy.reason == "it needs at least 10 trained networks of the space; this run has 7"
    assert sum(latency.shares.values()) == pytest.approx(1.0)
    assert latency.by_chance is not None
    assert 0 < latency.by_chance < 1
    assert {"w", "d3", "stage3"} <= set(latency.shares)


def test_what_ranks_too_few_networks_is_said_in_one_line() -> None:
    few = [(1.0, 0.5), (2.0, 0.6)]
    scores = [agreement(name, few, SHIPPED.report) for name in ("snip", "synflow", "params")]
    agreed = agreement("latency", [(1.0, 0.5), (2.0, 0.6), (3.0, 0.7)], SHIPPED.report)
    report = dataclasses.replace(recorded(), scores=[*scores, agreed])
    line = "snip, synflow, params: 2 networks, too few for a rank correlation"
    for shown in (" ".join(terminal(report).split()), html(report)):
        assert line in shown
        assert "snip: 2 networks" not in shown
        assert "Spearman over 3 networks, fewer than 10 and so weak evidence: latency 1.00" in shown


def test_a_latency_of_few_undisturbed_rounds_has_its_interval_in_place_of_a_spread(run: Path) -> None:
    few = {"undisturbed": 3, "interval_ms": [0.51, 1.34], "spread": 0.0, "unstable": True}

    def disturbed(record: dict[str, Any]) -> dict[str, Any]:
        latency = record["provenance"]["latency"] | few
        return record | {"latency": 0.89, "provenance": record["provenance"] | {"latency": latency}}

    edit_records(run, disturbed)
    report = read_report(run)
    for shown in (terminal(report), html(report)):
        assert "~0.89 [0.51, 1.34]" in shown
        assert "~0.89 +0%" not in shown


def test_the_noise_is_the_share_that_the_gate_leaves_out(run: Path) -> None:
    edit(run, "noise.json", lambda noise: noise | {"noise": 0.07, "gate_ms": 9 / 1.07})
    assert "Gate 8.41 ms = budget 9 ms - 7 % noise (p10)." in terminal(read_report(run))
    edit(run, "noise.json", lambda noise: noise | {"noise": 0.2, "gate_ms": 7.5})
    assert gate_text(7.5, 9.0) == "gate 7.50 ms = budget 9 ms - 17 % noise"
    assert "Gate 7.50 ms = budget 9 ms - 17 % noise (p10)." in terminal(read_report(run))


def test_with_few_networks_the_formula_of_exported_files_is_held_to_what_was_measured(run: Path) -> None:
    edit(run, "run.json", lambda settings: settings | {"runtime": "onnxruntime"})
    lines = (run / "trials.jsonl").read_text().splitlines()
    (run / "trials.jsonl").write_text("\n".join(lines[:8]) + "\n")
    report = read_report(run)
    assert "by a formula of MACs and operators" in prediction_text(report.prediction)
    (run / "trials.jsonl").write_text("\n".join(lines[:4]) + "\n")
    said = prediction_text(read_report(run).prediction)
    assert (
        said == "The error of predicted latencies is not known: 4 networks were measured, and it is computed from 6 on."
    )


def test_a_network_that_was_not_measured_again_does_not_stand_under_a_heading_that_says_so(run: Path) -> None:
    reason = "there was no time to train it again for its weights"
    attempt = {"name": "other", "hash": "0" * 16, "verdict": "FAIL", "passed": False, "reason": reason}
    edit(run, "verdict.json", lambda verdict: verdict | {"attempts": [attempt, *verdict["attempts"]]})
    for shown in (terminal(read_report(run)), html(read_report(run))):
        assert "Networks that were tried as the winner" in shown
        assert "Measured again in fresh processes" not in shown
    assert f"other: {reason}" in terminal(read_report(run))


def test_the_reason_that_the_verdict_gives_is_not_repeated_below_the_table(run: Path) -> None:
    reason = "the validation accuracy is not above chance"
    attempt = {"name": "other", "hash": "0" * 16, "verdict": "FAIL", "passed": False, "reason": reason}
    failed = {"verdict": "FAIL", "passed": False, "reason": reason, "attempts": [attempt], "latency": None}
    edit(run, "verdict.json", lambda verdict: verdict | failed)
    assert terminal(read_report(run)).count(reason) == 1


def test_no_section_of_a_run_that_tried_nothing_is_empty(run: Path) -> None:
    for name in ("trials.jsonl", "front.json", "study.db", "winner.json", "verdict.json"):
        (run / name).unlink()
    report = read_report(run)
    lines = terminal(report).splitlines()
    titles = [
        place for place, line in enumerate(lines) if place and not lines[place - 1] and lines[place + 1 : place + 2]
    ]
    assert [lines[place] for place in titles if not lines[place + 1].strip()] == []
    shown = "\n".join(lines)
    assert "Where candidates ended\nNo candidate was tried.\n" in shown
    assert "What ranks the proxy accuracy here\nNo network was trained, so that nothing could be ranked.\n" in shown
    page = html(report)
    Page(page)
    assert "<ul>\n</ul>" not in page
    assert "No candidate was tried." in page
