"""Checkpoint files are read as data: every published form loads, and nothing that a file names is run."""

from __future__ import annotations

import argparse
import copyreg
import io
import os
import pickle
import resource
import struct
import sys
import zipfile
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_weights import State, copied, model, published, same
from torch import Tensor, nn

from archdsl.errors import WeightsError, WrongUse
from archdsl.weights import import_weights
from archdsl.weights.checkpoint import read_checkpoint

Write = Callable[[Any], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Save a value the way training scripts do."""

    def write(value: Any, **options: Any) -> Path:
        path = tmp_path / "checkpoint.pth"
        torch.save(value, path, **options)
        return path

    return write


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A class as yacs has it: a dict with attributes, under the name yacs.config.CfgNode."""
    module = ModuleType("yacs.config")
    kind = type("CfgNode", (dict,), {"__module__": "yacs.config"})
    module.CfgNode = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "yacs", ModuleType("yacs"))
    monkeypatch.setitem(sys.modules, "yacs.config", module)
    made = kind(MODEL=kind(TYPE="lit", DEPTHS=[2, 2]), TAG="default")
    made.__dict__["__immutable__"] = True
    return made


# Forms that load

FORMS: dict[str, dict[str, Any]] = {
    "zip": {},
    "zip, protocol 4": {"pickle_protocol": 4},
    "zip, protocol 5": {"pickle_protocol": 5},
    "pickles": {"_use_new_zipfile_serialization": False},
    "pickles, protocol 5": {"_use_new_zipfile_serialization": False, "pickle_protocol": 5},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_training_checkpoint_loads_in_every_form(write: Any, form: str, config: Any) -> None:
    """As the published scripts write it: weights, optimizer, scheduler, configuration and numbers of numpy."""
    built = model()
    state = published(built)
    parameter = nn.Parameter(torch.randn(3))
    optimizer = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimizer.step()
    path = write(
        {
            "model": OrderedDict(state),
            "optimizer": optimizer.state_dict(),
            "lr_scheduler": {"milestones": Counter([1, 2]), "base": defaultdict(list)},
            "max_accuracy": np.float64(81.5),
            "history": np.arange(3),
            "epoch": 299,
            "config": config,
            "args": argparse.Namespace(lr=1e-3, output=Path("runs"), device=torch.device("cpu"), dtype=torch.float32),
            "more": [SimpleNamespace(a=1), {1, 2}, frozenset((3,)), torch.Size([2]), b"bytes", None, True, 2**70],
        },
        **FORMS[form],
    )
    found = import_weights(built, path)
    assert (found.container, found.names) == ("model", "litv2")
    assert_loaded(built, state)


def assert_loaded(built: Any, state: State) -> None:
    wanted = model()
    import_weights(wanted, state)
    assert same(built.state_dict(), wanted.state_dict())


def test_safetensors_load(tmp_path: Path) -> None:
    built, path = model(), tmp_path / "published.safetensors"
    save_file(published(built), path)
    assert import_weights(built, path).container == ""
    assert_loaded(built, published(built))


@pytest.mark.parametrize(
    "place",
    ["", "model", "state_dict", "state_dict_ema", "model_ema", "model.state_dict"],
)
def test_weights_are_found_where_scripts_put_them(write: Write, place: str) -> None:
    built = model()
    value: Any = published(built)
    for name in reversed([name for name in place.split(".") if name]):
        value = {"epoch": 3, name: value, "rng": torch.zeros(2)}
    for source in (write(value), value):
        found = import_weights(built, source)
        assert found.container == place
        assert_loaded(built, published(built))


def test_of_two_sets_the_one_that_evaluation_reads_is_taken_unless_asked(write: Write) -> None:
    built = model()
    state, average = published(built), {name: tensor + 1 for name, tensor in published(built).items()}
    path = write({"state_dict_ema": average, "state_dict": state, "arch": "lit"})
    found = import_weights(built, path)
    assert (found.container, found.others) == ("state_dict", ("state_dict_ema",))
    assert_loaded(built, state)
    import_weights(built, path, key="state_dict_ema")
    assert_loaded(built, average)
    with pytest.raises(WeightsError, match=r"there is no key \"state_dict_em\"; did you mean 'state_dict_ema'\?"):
        import_weights(built, path, key="state_dict_em")
    with pytest.raises(WeightsError, match='what lies at "arch" is no dictionary of weights'):
        import_weights(built, path, key="arch")


@pytest.mark.parametrize("prefix", ["module.", "backbone.", "module.backbone.", "model.", "_orig_mod.module."])
def test_what_wrappers_put_before_names_is_taken_off(write: Write, prefix: str) -> None:
    built = model()
    found = import_weights(built, write({prefix + name: tensor for name, tensor in published(built).items()}))
    assert (found.prefix, found.left_out) == (prefix, ())
    assert_loaded(built, published(built))


def test_beside_a_detectors_backbone_its_other_tensors_are_left_out_and_told(write: Write) -> None:
    built = model()
    state = {f"backbone.{name}": tensor for name, tensor in published(built).items()}
    found = import_weights(built, write({"state_dict": state | {"neck.conv.weight": torch.zeros(2)}, "meta": {}}))
    assert found.left_out == ("neck.conv.weight",)
    assert_loaded(built, published(built))


def test_a_prefix_that_only_some_names_have_stays() -> None:
    built = model()
    state = published(built)
    state["module.norm.bias"] = state.pop("norm.bias")
    with pytest.raises(WeightsError, match=r"missing: norm\.bias; did you mean 'module\.norm\.bias'\?"):
        import_weights(built, state)


@pytest.mark.parametrize("form", FORMS)
def test_views_aliases_parameters_and_strides_are_read_as_they_are(write: Any, form: str) -> None:
    base = torch.arange(24, dtype=torch.float32)
    tagged = nn.Parameter(torch.ones(2))
    setattr(tagged, "note", "kept elsewhere")  # noqa: B010  # no attribute of a Parameter
    state = {
        "whole": base,
        "slice": base[4:10],
        "transposed": base.reshape(4, 6).t(),
        "repeated": base[:1].expand(5),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
        "parameter": nn.Parameter(base[2:4].clone()),
        "tagged": tagged,
        "half": base.half(),
        "brain": base.bfloat16(),
        "whole numbers": torch.arange(5),
        "flags": torch.tensor([True, False]),
        "unsigned": torch.tensor([1, 2], dtype=torch.uint16),
    }
    found = read_checkpoint(write(state, **FORMS[form])).tensors
    assert {name: (tensor.dtype, tensor.stride()) for name, tensor in found.items()} == {
        name: (tensor.dtype, tensor.stride()) for name, tensor in state.items()
    }
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor), name


def test_tensors_that_were_on_another_device_come_to_the_cpu(tmp_path: Path) -> None:
    """The device is part of a storage's persistent id; a CUDA checkpoint differs in that alone."""
    path = tmp_path / "cuda.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cuda/data.pkl", storage_pickle(device="cuda:3"))
        archive.writestr("cuda/byteorder", "little")
        archive.writestr("cuda/data/0", struct.pack("<2f", 1.5, -2))
    assert read_checkpoint(path).tensors["weight"].tolist() == [1.5, -2]


def storage_pickle(size: tuple[int, ...] = (2,), count: int = 2, device: str = "cpu", stride: int = 1) -> bytes:
    """A state dict with one tensor, `weight`, as torch.save pickles it; what it says of sizes need not be true."""

    class Pickler(pickle._Pickler):
        def persistent_id(self, value: Any) -> Any:
            kind: Any = torch.FloatStorage
            return ("storage", kind, "0", device, count) if value == "STORAGE" else None

    class Rebuilt:
        def __reduce__(self) -> Any:
            build: Any = torch._utils._rebuild_tensor_v2
            return build, ("STORAGE", 0, size, (stride,) * len(size), False, OrderedDict())

    out = io.BytesIO()
    Pickler(out, 2).dump({"weight": Rebuilt()})
    return out.getvalue()


# What is refused


class Calls:
    """Pickles to a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


class Remembers:
    """Pickles to an object whose state is set by a method of its own."""

    def __reduce__(self) -> Any:
        return object.__new__, (Remembers,), {"a": 1}

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("it was run")


class Extension:
    pass


def persistent(_: Any) -> bytes:
    """A persistent id that is a call."""

    class Pickler(pickle._Pickler):
        def persistent_id(self, value: Any) -> Any:
            return Calls(os.mkdir, "ran") if value == "me" else None

    out = io.BytesIO()
    Pickler(out, 2).dump({"a": "me"})
    return out.getvalue()


def extension(_: Any) -> bytes:
    """A class by its number in copyreg's registry."""
    copyreg.add_extension(Extension.__module__, "Extension", 200)
    try:
        return pickle.dumps({"a": Extension}, 2)
    finally:
        copyreg.remove_extension(Extension.__module__, "Extension", 200)


def dumped(value: Callable[[], Any], protocol: int = 2) -> Callable[[Any], bytes]:
    return lambda _: pickle.dumps(value(), protocol)


HOSTILE: dict[str, tuple[Callable[[Any], bytes], str]] = {
    "a command": (dumped(lambda: Calls(os.system, "mkdir ran")), "posix.system"),
    "a command, protocol 4": (dumped(lambda: Calls(os.system, "mkdir ran"), 4), "posix.system"),
    "a command among weights": (dumped(lambda: {"model": {"a": [Calls(os.mkdir, "ran")]}}), "posix.mkdir"),
    "in a configuration": (dumped(lambda: {"args": argparse.Namespace(a=Calls(os.mkdir, "ran"))}), "posix.mkdir"),
    "eval": (dumped(lambda: Calls(eval, "1")), "builtins.eval"),
    "getattr": (dumped(lambda: Calls(getattr, "a", "upper")), "builtins.getattr"),
    "an import": (dumped(lambda: Calls(__import__, "antigravity")), "builtins.__import__"),
    "a state": (dumped(Remembers), "builtins.getattr"),
    "a module": (dumped(lambda: nn.Linear(1, 1)), "torch.nn.modules.linear.Linear"),
    "torch.load itself": (dumped(lambda: Calls(torch.load, "x")), "torch.serialization.load"),
    "a persistent id": (persistent, "posix.mkdir"),
    "an extension": (extension, "EXT1"),
    "an old instance": (lambda _: b"\x80\x02(ios\nsystem\n.", "INST"),
    "an old object": (lambda _: b"\x80\x02(cos\nsystem\nX\x01\x00\x00\x00ao.", "os.system"),
    "text": (lambda _: b"\x80\x02cos\nsystem\n(S'mkdir ran'\ntR.", "os.system"),
}


@pytest.mark.parametrize("form", ["zip", "pickles", "a bare pickle"])
@pytest.mark.parametrize("what", HOSTILE)
def test_what_names_anything_else_is_refused_and_nothing_of_it_runs(
    what: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, named = HOSTILE[what]
    data = make(None)
    path = tmp_path / "hostile.pth"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("hostile/data.pkl", data)
    elif form == "pickles":
        head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
        path.write_bytes(b"".join(pickle.dumps(value, 2) for value in head) + data)
    else:
        path.write_bytes(data)
    built = model()
    before, imported = copied(built), set(sys.modules)
    with pytest.raises(WeightsError) as error:
        import_weights(built, path)
    assert named in str(error.value)
    assert "refused, and nothing of it was run" in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert same(built.state_dict(), before)
    assert not (tmp_path / "ran").exists()
    assert "antigravity" not in set(sys.modules) - imported


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ccollections\nOrderedDict\nN}X\x01\x00\x00\x00aNs\x86b.", "a state for a Name"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n(tR.", "damaged"),
        (b"}](]]tNs.", "a key that is no plain value"),
        (b"ctorch._tensor\n_rebuild_from_type_v2\n(NNNtR.", "a call of a NoneType"),
        (b"(X\x07\x00\x00\x00storageNNNNtQ.", "a persistent id that is no storage"),
        (b"NNNQ.", "damaged"),
        (b"0.", "damaged"),
        (b"t.", "damaged"),
        (b"h\x05.", "damaged"),
        (b".", "damaged"),
        (b"}", "damaged: "),
        (b"X\xff\xff\xff\x7fa.", "damaged"),
        (b"\x8a\xffa.", "damaged"),
        (b"\x96\xff\xff\xff\xff\xff\xff\xff\x7fa.", "damaged"),
        (b"N" * 2_100_000 + b".", "longer than that of any checkpoint"),
        (b"\xff.", "damaged"),
    ],
)
def test_a_pickle_that_makes_no_sense_is_one_line(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.pth"
    path.write_bytes(b"\x80\x02" + data)
    with pytest.raises(WeightsError, match=message) as error:
        read_checkpoint(path)
    assert len(str(error.value).splitlines()) == 1


def test_a_memo_index_costs_no_memory(tmp_path: Path) -> None:
    """CPython's own unpickler would make a list of that length."""
    path = tmp_path / "memo.pth"
    path.write_bytes(b"\x80\x02}r\xff\xff\xff\x7f.")
    with pytest.raises(WeightsError, match="is a pickle, but not of torch"):
        bounded(lambda: read_checkpoint(path))


def bounded(run: Callable[[], Any], extra: int = 2**30) -> Any:
    """Run with a limit on the address space: 1 GiB more than there is."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra, before[1]))
    try:
        return run()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def archive_of(path: Path, pickled: bytes, numbers: bytes = b"", kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr(zipfile.ZipInfo("a/data/0"), numbers, kind)
    return path


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (storage_pickle((2**40,), 2**40), 'storage "0" is smaller than the file says it is'),
        (storage_pickle((3,), 2), 'a tensor reaches beyond storage "0"'),
        (storage_pickle((2**20, 2**20), 2, stride=0), "a tensor of 1099511627776 elements is made of 2 numbers"),
    ],
)
def test_declared_sizes_are_held_to_what_is_there(pickled: bytes, message: str, tmp_path: Path) -> None:
    path = archive_of(tmp_path / "large.pth", pickled, bytes(8))
    with pytest.raises(WeightsError, match=message):
        bounded(lambda: read_checkpoint(path))


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "bomb.pth", storage_pickle((2,)), bytes(2**26), zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match='its record "a/data/0" is packed, which torch'):
        read_checkpoint(path)
    path.write_bytes(b"PK\x03\x04" + b"PK\x01\x02" * 60_000)
    with pytest.raises(WeightsError, match="more than 50000 records"):
        read_checkpoint(path)


@pytest.mark.parametrize("form", ["zip", "pickles"])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.9999])
def test_a_cut_file_is_one_line(write: Any, form: str, share: float) -> None:
    built = model()
    path = write({"model": published(built)}, **FORMS[form])
    data = path.read_bytes()
    path.write_bytes(data[: max(12, int(len(data) * share))])
    before = copied(built)
    with pytest.raises(WeightsError) as error:
        import_weights(built, path)
    assert len(str(error.value).splitlines()) == 1
    assert same(built.state_dict(), before)


def test_a_changed_byte_is_found_by_the_checksum(write: Any) -> None:
    built = model()
    path = write(published(built))
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("checkpoint/data/3")
    lengths = struct.unpack("<2H", data[info.header_offset + 26 : info.header_offset + 30])
    data[info.header_offset + 30 + sum(lengths)] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="is damaged: a checksum does not hold"):
        import_weights(built, path)


def test_archives_without_checksums_load(write: Any) -> None:
    from torch.serialization import get_crc32_options, set_crc32_options

    before = get_crc32_options()
    set_crc32_options(False)
    try:
        path = write(published(model()))
    finally:
        set_crc32_options(before)
    built = model()
    import_weights(built, path)
    assert_loaded(built, published(built))


def big_endian(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", storage_pickle())
        archive.writestr("a/byteorder", "big")


def script(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, 2))
        archive.writestr("a/constants.pkl", pickle.dumps((), 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), r"is no file but a folder; give the checkpoint's own path"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("hello, world"), "neither torch.save's format nor safetensors"),
        (lambda path: path.write_text("<!DOCTYPE html><html>"), "is an HTML page"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1"), "is a Git LFS pointer"),
        (lambda path: path.write_bytes(b"\x10\0\0\0\0\0\0\0{not json at all}"), "is a damaged safetensors file"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "neither torch.save's format nor safetensors"),
        (big_endian, "big-endian"),
        (script, "is a TorchScript program"),
        (lambda path: torch.save([1, 2], path), "there are no weights in it; it holds a list"),
        (lambda path: torch.save({}, path), "there are no weights in it; it is an empty dictionary"),
        (lambda path: torch.save({"epoch": 3, "model": {}}, path), "there are no weights in it; its keys are"),
        (lambda path: torch.save({"a": torch.ones(1), "epoch": 3}, path), '"epoch" is no tensor but a int'),
        (lambda path: path.write_bytes(pickle.dumps({"a": 1}, 2)), "is a pickle, but not of torch.save"),
    ],
)
def test_what_is_no_checkpoint_is_told_in_one_line(make: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    make(path)
    with pytest.raises(WeightsError, match=message) as error:
        read_checkpoint(path)
    assert str(error.value).startswith(f"{path}: ")
    assert len(str(error.value).splitlines()) == 1


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no such file: "):
        read_checkpoint(tmp_path / "none.pth")


def test_shared_containers_are_not_walked_again_and_again() -> None:
    """Twenty levels of four references each: a million million paths."""
    value: Any = {}
    for _ in range(20):
        value = dict.fromkeys(("model", "state_dict", "state_dict_ema", "model_ema"), value)
    with pytest.raises(WeightsError, match="there are no weights"):
        read_checkpoint(value)


def test_reading_leaves_the_file_as_it_is(write: Write) -> None:
    built = model()
    path = write(published(built))
    before = path.read_bytes()
    tensors: dict[str, Tensor] = read_checkpoint(path).tensors
    for tensor in tensors.values():
        tensor.zero_()
    assert path.read_bytes() == before
