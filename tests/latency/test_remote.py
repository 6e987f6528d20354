"""Measuring on another machine: here that is an ssh server on loopback, whose Python has neither torch nor archdsl."""

from __future__ import annotations

import ast
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.errors import ConnectionLost, MeasureError, WrongUse
from archdsl.json_types import object_in
from archdsl.latency.remote import connection
from archdsl.latency.remote.connection import PYTHON
from archdsl.latency.remote.measuring import Exported, LockOptions, latencies_of, machine_of
from archdsl.latency.remote.script import script
from archdsl.latency.result import Latency
from archdsl.latency.rounds import Pace
from archdsl.runtimes.setting import Setting
from archdsl.runtimes.target import Target
from archdsl.timing.device_lock import device_lock
from tests.support.commands import Run, command_line
from tests.support.ssh_server import Server, server, use, use_python, write_client, write_program

run = pytest.fixture(command_line)

QUICK: Pace = {"rounds": 3, "least_s": 0.0, "warmup_s": 0.01, "settle_s": 0.0}
SETTING = Setting("cpu", 1, "float32", "onnxruntime")


class Doubled(nn.Module):
    """Twice each pixel's colour."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


@pytest.fixture(scope="module")
def started() -> Iterator[Server]:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    with server() as running:
        yield running


@pytest.fixture
def machine(started: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, with a Python in which importing torch or archdsl fails."""
    use(started, monkeypatch)
    return started


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that doubles images of 1x3x4x4."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Add", ["images", "images"], ["logits"])
    shape = [1, 3, 4, 4]
    ends = [value("images", 1, shape)], [value("logits", 1, shape)]
    graph = onnx.helper.make_graph([node], "doubled", *ends)
    file = tmp_path_factory.mktemp("files") / "doubled.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10), file)
    return file


def test_a_file_is_measured_there_and_nothing_of_it_is_left(machine: Server, doubled: Path) -> None:
    latency = archdsl.measure(doubled, target=machine.url, **QUICK)
    facts = latency.provenance
    assert len(latency.samples) == 3
    assert (facts["target"], facts["runtime"], facts["device"]) == (machine.url, "onnxruntime", "cpu")
    file = object_in(facts["file"])
    assert {"numpy", "onnxruntime"} <= set(object_in(file["versions"]))
    assert object_in(file["options"])["spinning"] is False
    assert latency.origin.target == machine.url
    assert machine.left == []


def test_openvino_measures_there_too(machine: Server, doubled: Path) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    facts = archdsl.measure(doubled, runtime="openvino", threads=1, target=machine.url, **QUICK).provenance
    assert "openvino" in object_in(object_in(facts["file"])["versions"])


def test_bench_compares_there_and_says_where(machine: Server, doubled: Path, run: Run) -> None:
    result = run("bench", str(doubled), "--target", machine.url, "--rounds", "3", "--time-limit", "1s", "--json")
    assert result.code == 0, result.err
    first, again = json.loads(result.out)["items"][0], json.loads(result.out)["again"]
    assert first["provenance"]["target"] == again["provenance"]["target"] == machine.url


def test_another_result_than_the_networks_is_refused(machine: Server, doubled: Path) -> None:
    class Tripled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 3 * x

    def measured(network: nn.Module) -> Latency:
        exported = {"net": Exported(doubled, (3, 4, 4), network.eval(), ["logits"])}
        return latencies_of(Target.parse(machine.url), SETTING, exported, 1, QUICK, LockOptions())[0]

    assert len(measured(Doubled()).samples) == 3
    with pytest.raises(MeasureError, match="the file is wrong: 'logits' differs"):
        measured(Tripled())


HOST: dict[str, Any] = {
    "python": "3.11.7",
    "os": "Linux",
    "cpu": "a board",
    "cpus": 4,
    "physical_cores": 4,
    "malloc": "glibc",
    "omp_wait_policy": "PASSIVE",
    "environment": {},
    "load_average": None,
    "date": "2026-11-28",
}
ANSWER: dict[str, Any] = {
    "host": HOST,
    "versions": {"numpy": "2.0.0", "onnxruntime": "1.0.0"},
    "threads": 1,
    "rounds": {"net": {"ms": [1.0, 1.1], "undisturbed": [True, False], "calls": 1}},
    "cpu_share": 1.0,
    "other_cores": 0.0,
    "throttled": False,
    "options": {},
    "outputs": {"0": [[{"shape": [1, 1], "data": "AAAAAA=="}]]},
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"host": "a board"}, "host: "),
        ({"threads": "many"}, "threads: "),
        ({"rounds": {}}, "it is of other networks"),
        ({"rounds": {"net": {"ms": [], "undisturbed": [], "calls": 1}}}, r"rounds\.net\.ms: "),
        ({"rounds": {"net": {"ms": [1.0], "undisturbed": [], "calls": 1}}}, r"rounds\.net: .*as many"),
        ({"outputs": {}}, "it is of other networks"),
        ({"outputs": {"0": []}}, r"outputs\.0: "),
        ({"outputs": {"0": [[{"shape": [1, 1], "data": "no base64"}]]}}, "an output is no array"),
        ({"outputs": {"0": [[{"shape": [1, 7], "data": "AAAAAA=="}]]}}, "an output is no array"),
    ],
)
def test_an_answer_that_is_none_is_one_line(
    change: dict[str, Any], said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs above all: of a file without one nothing would be checked."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    monkeypatch.setattr("archdsl.latency.remote.measuring.ask", lambda *_: ANSWER | change)
    (tmp_path / "net.onnx").write_text("a file")
    classifier = nn.Linear(3, 1, bias=False)
    nn.init.zeros_(classifier.weight)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), classifier).eval()
    there = Target.parse("ssh://pi@board")
    asked = {"net": Exported(tmp_path / "net.onnx", (3, 4, 4), network, ["logits"])}
    if said is None:
        assert latencies_of(there, SETTING, asked, 1, {}, LockOptions())[0].samples == (1.0, 1.1)
        return
    with pytest.raises(MeasureError, match=f"the runner sent an invalid answer: {said}") as caught:
        latencies_of(there, SETTING, asked, 1, {}, LockOptions())
    assert "\n" not in str(caught.value)
    if "host" in change:
        with pytest.raises(MeasureError, match="the runner sent an invalid answer: host: "):
            machine_of(there, SETTING)


# ------------------------------------------------------------------------------------------------ what goes wrong


def fault(there: Server) -> str:
    """The error of asking a machine about itself, in one line, with nothing left there."""
    with pytest.raises(MeasureError) as caught:
        machine_of(Target.parse(there.url), SETTING)
    assert "\n" not in str(caught.value)
    assert there.left == []
    return str(caught.value)


def test_an_unknown_host_key_is_refused(machine: Server) -> None:
    client = (machine.folder / "bin" / "ssh").read_text()
    try:
        write_client(machine.folder, "/usr/bin/ssh", known_hosts="none_known")
        assert "not known here" in fault(machine)
    finally:
        (machine.folder / "bin" / "ssh").write_text(client)


def test_a_refused_login_says_how_to_log_in(machine: Server) -> None:
    client = (machine.folder / "bin" / "ssh").read_text()
    try:
        write_client(machine.folder, "/usr/bin/ssh", key="other_key")
        said = fault(machine)
    finally:
        (machine.folder / "bin" / "ssh").write_text(client)
    assert "the login is refused" in said
    assert "ssh-copy-id" in said


def test_a_machine_that_does_not_answer_is_named(machine: Server) -> None:
    nowhere = machine._replace(url="ssh://nobody@127.0.0.1:1")
    assert "ssh://nobody@127.0.0.1:1: the machine cannot be reached" in fault(nowhere)


def test_a_machine_without_python_is_told(machine: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON, "no-such-python")
    assert "there is no no-such-python on that machine" in fault(machine)


def test_a_missing_runtime_is_named_with_its_command(machine: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use_python(machine, monkeypatch, f"PYTHONPATH={machine.folder}", sys.executable)
    (machine.folder / "onnxruntime.py").write_text("raise ModuleNotFoundError('no', name='onnxruntime')\n")
    try:
        said = fault(machine)
    finally:
        (machine.folder / "onnxruntime.py").unlink()
    assert "cannot import onnxruntime; run" in said
    assert "-m pip install onnxruntime==" in said


def test_another_version_there_is_refused(machine: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use_python(machine, monkeypatch, f"PYTHONPATH={machine.folder}", sys.executable)
    (machine.folder / "onnxruntime.py").write_text("__version__ = '0.1.0'\n")
    try:
        said = fault(machine)
    finally:
        (machine.folder / "onnxruntime.py").unlink()
    assert "onnxruntime is 0.1.0 there and" in said
    assert "or install 0.1.0 here" in said


def test_a_python_that_hangs_is_given_up(machine: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    write_program(machine.folder / "python3", ["exec sleep 30"])
    monkeypatch.setattr(connection, "CONNECT_S", 0.5)
    monkeypatch.setattr(connection, "_END_S", 0.1)
    assert "did not start python3 for 0.5 s" in fault(machine)


@contextmanager
def held_by_another_thread() -> Iterator[None]:
    """The lock of this machine's CPU."""
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        with device_lock("cpu"):
            taken.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        taken.wait()
        yield
    finally:
        over.set()
        thread.join()


def test_who_holds_the_lock_of_the_same_machine_does_not_wait_for_itself(machine: Server, doubled: Path) -> None:
    def never(text: str) -> None:
        raise AssertionError(text)

    with device_lock("cpu"):
        assert archdsl.measure(doubled, target=machine.url, threads=1, on_wait=never, **QUICK).samples


@pytest.mark.parametrize("how", ["dropped", "interrupted"])
def test_a_measurement_that_is_cut_off_leaves_nothing_there(machine: Server, doubled: Path, how: str) -> None:
    """While the machine's lock is waited for, so that it is cut off in the midst."""

    def cut(text: str) -> None:
        assert text.startswith(f"{machine.url}: another archdsl process (process ")
        assert machine.left != []
        if how == "interrupted":
            raise KeyboardInterrupt
        machine.drop()

    expected = KeyboardInterrupt if how == "interrupted" else ConnectionLost
    with held_by_another_thread(), pytest.raises(expected):
        archdsl.measure(doubled, target=machine.url, threads=1, on_wait=cut, **QUICK)
    for _ in range(100):
        if not machine.left:
            break
        time.sleep(0.1)
    assert machine.left == []


@pytest.mark.parametrize(
    "url",
    [
        "pi@host",
        "http://host",
        "ssh://",
        "ssh://@host",
        "ssh://pi@",
        "ssh://-oProxyCommand=x",
        "ssh://pi@-x",
        "ssh://host:0",
        "ssh://host:70000",
        "ssh://host:port",
        "ssh://host/path",
        "ssh://pi:secret@host",
        "ssh://pi@host two",
    ],
)
def test_an_unusable_url_is_wrong_use(url: str, run: Run) -> None:
    result = run("bench", "litv2_s", "--target", url)
    assert result.code == 2
    assert "ssh://USER@HOST" in result.err
    assert "secret" not in result.err


@pytest.mark.parametrize("url", ["ssh://host", "ssh://pi@host:2222", "ssh://pi@[::1]:22", "ssh://my_pi"])
def test_a_url_names_a_machine_and_is_written_again(url: str) -> None:
    assert Target.parse(url).url == Target.parse(f"{url}/").url == url


def test_a_runtime_that_runs_here_alone_is_refused_for_another_machine() -> None:
    with pytest.raises(WrongUse, match="use --runtime onnxruntime or openvino"):
        archdsl.measure(nn.Identity(), runtime="eager", target="ssh://host")


def test_the_runner_is_written_for_the_oldest_python_that_it_says() -> None:
    """And each of its modules: newer syntax would end there with a traceback."""
    tree = ast.parse(script(), feature_version=(3, 6))
    sources = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "SOURCES"
    )
    for text in ast.literal_eval(sources).values():
        ast.parse(text, feature_version=(3, 10))
        assert "from archdsl." not in text


def test_every_machine_has_the_same_seeded_images() -> None:
    from archdsl.latency.remote.fresh_process import checked_images

    first, second, zeros = checked_images((1, 3, 2, 2))
    assert first[0, 0].ravel().tolist() == pytest.approx([1.7640524, 0.4001572, 0.978738, 2.2408931])
    assert not (first == second).any()
    assert not zeros.any()
    assert torch.from_numpy(first).dtype is torch.float32
