"""Models of timm by name: built for the data with random weights, counted, and in the table of a search."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from archdsl.errors import SearchError, WrongUse
from archdsl.search import score
from archdsl.search.baselines import baseline_documents
from archdsl.search.config import Settings
from archdsl.search.loop.session import run_search
from archdsl.search.policy import Policy
from archdsl.search.policy.evaluate import FinalistPolicy, FinalReadingPolicy, GatePolicy, MeasuringPolicy
from archdsl.search.policy.pace import Pace
from archdsl.search.report import read_report
from tests.support.bright_images import write_bright_images
from tests.support.in_process import InProcessWorker
from tests.support.timm_here import need_timm

need_timm()

from archdsl.integrations.timm_models import build_timm, costs_of  # noqa: E402

QUICK = Policy(
    gate=GatePolicy(readings=1),
    measuring=MeasuringPolicy(Pace(rounds=40, warmup_s=0.05, settle_s=0.05, time_limit_s=0.5), readings=1),
    finalists=FinalistPolicy(seeds=1),
    final_reading=FinalReadingPolicy(processes=1, rounds=40, least_s=0.1, doublings=0, long_call_ms=math.inf),
)
MODEL = "test_resnet"
"""A few thousand parameters, which timm keeps for tests."""
SPACE: dict[str, Any] = {
    "kind": "space",
    "version": 1,
    "name": "little",
    "image": 32,
    "nodes": [
        {"id": "stem", "type": "patch_stem", "width": {"$one_of": [8, 16]}},
        {"id": "stage", "type": "mlp", "depth": 1},
        {"id": "head", "type": "mean_head"},
    ],
}


@pytest.mark.parametrize("name", ["resnet18", "test_vit", "test_efficientnet"])
def test_a_model_is_built_for_the_size_the_channels_and_the_classes_of_the_data(name: str) -> None:
    model = build_timm(name, 32, 1, 7).eval()
    with torch.no_grad():
        assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 7)


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a model asked for weights")

    monkeypatch.setattr("timm.models._builder.load_pretrained", refuse)
    build_timm("resnet18.a1_in1k", 32, 3, 7)
    for name in ("hf-hub:timm/resnet18.a1_in1k", "local-dir:/tmp", "../resnet18"):
        with pytest.raises(SearchError, match="timm has no model"):
            build_timm(name, 32, 3, 7)


def test_macs_are_those_of_convolutions_and_matrix_products_attention_among_them() -> None:
    """The figures of the papers' networks: 1.8 G of ResNet-18, and 1.3 G of DeiT-Ti with its attention."""
    resnet = costs_of(build_timm("resnet18", 224, 3, 1000), "resnet18", 224, 3, 1000)
    vit = costs_of(build_timm("vit_tiny_patch16_224", 224, 3, 1000), "vit_tiny_patch16_224", 224, 3, 1000)
    assert (resnet.params, vit.params) == (11_689_512, 5_717_416)
    assert (resnet.macs, vit.macs) == (1_814_073_344, 1_253_683_200)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet181", "timm has no model 'resnet181'; did you mean 'resnet18"),
        ("efficientformer_l1", "timm:efficientformer_l1 does not take images of 3x32x32: RuntimeError"),
    ],
)
def test_a_model_that_cannot_be_used_says_why(name: str, message: str) -> None:
    with pytest.raises(SearchError, match=message):
        costs_of(build_timm(name, 32, 3, 7), name, 32, 3, 7)


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("archdsl.search.baselines.metadata.version", missing)
    with pytest.raises(SearchError, match=r"timm:resnet18 needs timm; pip install 'archdsl\[timm\]'"):
        baseline_documents("timm:resnet18")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search with a model of timm beside its space."""
    folder = tmp_path_factory.mktemp("searched")
    write_bright_images(folder / "few.npz", classes=2, count=80, size=32)
    settings = Settings(
        space=SPACE,
        device="cpu",
        stat="p50",
        latency_budget_ms=1000.0,
        threads=1,
        data=str(folder / "few.npz"),
        epochs=4,
        trials=2,
        also=tuple(baseline_documents(f"timm:{MODEL}")),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHDSL_CACHE", str(folder / "cache"))
        run_search(settings, folder / "run", new_worker=InProcessWorker, policy=QUICK)
    return folder / "run"


def test_it_is_measured_and_trained_and_never_chosen(run: Path) -> None:
    trials = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    first = trials[0]
    assert {name: first["spec"][name] for name in ("kind", "name", "model", "image", "channels", "classes")} == {
        "kind": "timm",
        "name": f"timm:{MODEL}",
        "model": MODEL,
        "image": 32,
        "channels": 3,
        "classes": 2,
    }
    assert first["outcome"] == "trained"
    assert first["latency"] > 0
    assert first["params"] > 0
    assert first["macs"] > 0
    assert first["provenance"]["from"] == "also"
    assert first["hash"] not in {trial["hash"] for trial in json.loads((run / "front.json").read_text())}
    assert not [trial for trial in trials if trial["rung"] == "train_longer" and trial["hash"] == first["hash"]]
    assert not list((run / "weights").glob(f"{first['hash']}*"))
    assert json.loads((run / "verdict.json").read_text())["hash"] != first["hash"]


def test_the_report_and_the_table_show_it_and_say_that_it_is_never_chosen(run: Path) -> None:
    from rich.console import Console

    from archdsl.render.report import report_text
    from archdsl.render.search import summary
    from archdsl.search.store.folder import RunFolder
    from archdsl.search.store.result import stored

    report = read_report(run)
    result = stored(RunFolder(run), RunFolder(run).settings())
    assert report.problems == []
    assert result is not None
    console = Console(width=160, color_system=None)
    with console.capture() as capture:
        console.print(report_text(report))
        console.print(summary(result))
    shown = capture.get()
    assert shown.count(f"timm:{MODEL} (--also): ") == 2
    assert shown.count("models of timm are compared and never chosen") == 2
    assert f"timm:{MODEL} (--also)" in (run / "report.html").read_text()


def test_a_model_gets_its_row_in_the_table_of_a_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHDSL_CACHE", str(run.parent / "cache"))
    scores = score([f"timm:{MODEL}", "timm:nothing"], like=run, policy=QUICK, new_worker=InProcessWorker)
    mine, unknown = scores.networks
    assert mine.trial is not None
    assert mine.trial.outcome == "cached"  # the search has trained it
    assert (mine.rank or 0) >= 1
    assert unknown.failure is not None
    assert "timm has no model 'nothing'" in unknown.failure


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features_only": True}, "can be measured as a classifier alone"),
        ({"memory_budget": 1e9}, "the memory of a model of timm is not counted"),
        ({"params_budget": 1e5}, r"timm:resnet18 \(--also\) is outside the budgets of the search: params 11"),
        ({"also": tuple(baseline_documents("timm:nothing"))}, "timm has no model 'nothing'"),
    ],
)
def test_one_that_cannot_be_tried_is_refused_at_the_start(
    run: Path, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    data = str(run.parent / "few.npz")
    also = tuple(baseline_documents("timm:resnet18"))
    written: dict[str, Any] = {"space": SPACE, "device": "cpu", "stat": "p50", "data": data, "also": also, **changes}
    with pytest.raises(SearchError, match=message) as caught:
        run_search(Settings(**written), tmp_path / "run", new_worker=InProcessWorker, policy=QUICK)
    assert not isinstance(caught.value, WrongUse)
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.slow
def test_in_onnx_runtime_its_exported_file_is_measured(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    settings = Settings.model_validate_json((run / "run.json").read_bytes()).model_copy(
        update={"runtime": "onnxruntime"}
    )
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text(settings.model_dump_json())
    (network,) = score(f"timm:{MODEL}", like=folder, policy=QUICK, new_worker=InProcessWorker).networks
    assert network.trial is not None
    assert network.trial.measurement is not None
    assert (network.trial.measurement.provenance or {})["runtime"] == "onnxruntime"
