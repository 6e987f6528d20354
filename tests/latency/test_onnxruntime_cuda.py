"""ONNX Runtime's CUDA provider: what is asked of a session, held to a fake one, since no test has a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from archdsl.errors import ExportError, WrongSetting
from archdsl.runtimes.by_name import runtime_named
from archdsl.runtimes.file_runtime import FileRuntime
from archdsl.runtimes.onnx_session import CPU_PROVIDER, CUDA_PROVIDER, OnnxSession

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
IMAGES = np.zeros((1, 3, 8, 8), dtype=np.float32)


class FakeBinding:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.calls.append((name, *arguments))


class FakeSession:
    """A session that notes what it is asked."""

    opened: ClassVar[list[FakeSession]] = []
    works = True

    def __init__(self, file: str, options: Any, providers: list[Any]) -> None:
        self.file, self.providers, self.binding = file, providers, FakeBinding()
        FakeSession.opened.append(self)

    def get_providers(self) -> list[str]:
        return [CUDA_PROVIDER, CPU_PROVIDER] if self.works else [CPU_PROVIDER]

    def get_inputs(self) -> list[Any]:
        return [type("Value", (), {"name": "images"})]

    def get_outputs(self) -> list[Any]:
        return [type("Value", (), {"name": "logits"})]

    def io_binding(self) -> FakeBinding:
        return self.binding

    def run_with_iobinding(self, binding: FakeBinding) -> None:
        binding.calls.append(("run",))


class FakeValue:
    @staticmethod
    def ortvalue_from_numpy(images: Any, device: str, number: int) -> tuple[str, int]:
        assert images is IMAGES
        return device, number


@pytest.fixture(autouse=True)
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeSession.opened, FakeSession.works = [], True
    monkeypatch.setattr(onnxruntime, "InferenceSession", FakeSession)
    monkeypatch.setattr(onnxruntime, "OrtValue", FakeValue)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA_PROVIDER, CPU_PROVIDER])


def runtime_on(device: str) -> FileRuntime:
    runtime = runtime_named("onnxruntime").for_setting(device, "float32")
    assert isinstance(runtime, FileRuntime)
    return runtime


def test_inputs_and_outputs_are_bound_in_the_memory_of_the_gpu_and_a_pass_waits_for_its_end(tmp_path: Path) -> None:
    run = OnnxSession(tmp_path / "net.onnx", 1, "cuda:1").bound(IMAGES)
    [session] = FakeSession.opened
    (name, options), last = session.providers
    assert (name, options["device_id"], options["use_tf32"], last) == (CUDA_PROVIDER, 1, "0", CPU_PROVIDER)
    assert session.binding.calls == [
        ("bind_ortvalue_input", "images", ("cuda", 1)),
        ("bind_output", "logits", "cuda", 1),
    ]
    session.binding.calls.clear()
    run()
    assert session.binding.calls == [("run",), ("synchronize_outputs",)]


def test_on_a_cpu_nothing_is_asked_of_a_gpu(tmp_path: Path) -> None:
    OnnxSession(tmp_path / "net.onnx", 2).bound(IMAGES)()
    [session] = FakeSession.opened
    assert session.providers == [CPU_PROVIDER]
    assert session.binding.calls == [("bind_cpu_input", "images", IMAGES), ("bind_output", "logits"), ("run",)]


def test_the_runtime_of_a_device_opens_its_files_there(tmp_path: Path) -> None:
    assert runtime_on("cuda").open(tmp_path / "net.onnx", 1).options()["provider"] == CUDA_PROVIDER
    assert runtime_on("cpu").open(tmp_path / "net.onnx", 1).options()["provider"] == CPU_PROVIDER
    assert runtime_on("cuda").returns_when_done


def test_a_provider_that_onnxruntime_silently_leaves_out_is_an_error(tmp_path: Path) -> None:
    FakeSession.works = False
    with pytest.raises(ExportError, match="has no CUDA provider that works"):
        OnnxSession(tmp_path / "net.onnx", 1, "cuda")


def test_what_a_gpu_needs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = runtime_named("onnxruntime")
    runtime.check("cuda", "float16")
    with pytest.raises(WrongSetting, match="takes dtype int8 on a CPU alone; got device cuda"):
        runtime.check("cuda", "int8")
    with pytest.raises(WrongSetting, match="takes dtype float32, float16 or int8; got bfloat16"):
        runtime.check("cuda", "bfloat16")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU_PROVIDER])
    with pytest.raises(WrongSetting, match="has no CUDA provider here; got device cuda; install onnxruntime-gpu"):
        runtime.check("cuda", "float32")
