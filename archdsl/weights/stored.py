"""What a checkpoint's pickle may name, and what each name comes to: a tensor's description, a dict, a stand-in."""

from __future__ import annotations

from typing import Any, NamedTuple

from archdsl.errors import WeightsError, short


class Storage(NamedTuple):
    """A run of numbers in a file, so many elements of `dtype` under `key`; `start` is where a view of it begins."""

    key: str
    dtype: str
    elements: int
    start: int = 0


class Stored(NamedTuple):
    """A tensor as a pickle describes it, in elements of `dtype` from the start of its storage."""

    storage: Storage
    dtype: str
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class StandIn(NamedTuple):
    """What stands for an object that is of no concern here: nothing but its class's name."""

    name: str


class Name(NamedTuple):
    """What a pickle refers to by module and name; never looked up."""

    text: str


_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "UntypedStorage": "uint8",
}
_DTYPES = {*_STORAGES.values(), "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2"}
_TENSORS = {
    "torch._utils._rebuild_tensor": 4,
    "torch._utils._rebuild_tensor_v2": 6,
    "torch._utils._rebuild_tensor_v3": 7,
}
"""What makes a tensor, with the number of arguments that are understood; others must be empty."""
_PARAMETERS = {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}
_SUBCLASS = "torch._tensor._rebuild_from_type_v2"
_DICTIONARIES = {"collections.OrderedDict", "builtins.dict"}
_INERT = {
    *("yacs.config.CfgNode", "argparse.Namespace", "types.SimpleNamespace", "easydict.EasyDict", "addict.addict.Dict"),
    *("mmcv.utils.config.Config", "mmcv.utils.config.ConfigDict"),
    *("mmengine.config.config.Config", "mmengine.config.config.ConfigDict"),
    *("collections.Counter", "collections.defaultdict", "builtins.set", "builtins.frozenset", "builtins.bytearray"),
    *("builtins.list", "builtins.int", "builtins.float", "builtins.str", "builtins.bool", "builtins.complex"),
    *("pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath"),
    *("pathlib._local.Path", "pathlib._local.PosixPath", "pathlib._local.WindowsPath"),
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer", "numpy.dtype", "numpy.ndarray"),
    *("_codecs.encode", "torch.Size", "torch.device", "torch.Tensor"),
    *("torch.nn.parameter.Parameter",),
}
"""Names that may stand in a checkpoint beside its tensors: configurations, and what their values are made of."""
_KNOWN = {*_TENSORS, *_PARAMETERS, _SUBCLASS, *_DICTIONARIES, *_INERT}


def named(module: str, name: str) -> Name:
    """A name that a checkpoint may have.

    Raises:
        WeightsError: any other.
    """
    found = Name(f"{'builtins' if module == '__builtin__' else module}.{name}")
    if found.text in _KNOWN or _storage_dtype(found) or _dtype(found):
        return found
    raise WeightsError(
        f"it names {short(found.text)}, which no checkpoint of weights needs: refused, and nothing of it was run; "
        "if you trust the file, load it with the code that wrote it and save its state_dict alone"
    )


def made(name: Any, arguments: Any) -> Any:
    """What a name and its arguments describe.

    Raises:
        TypeError: nothing that is understood.
    """
    if isinstance(name, Name) and name.text == _SUBCLASS:
        name, _, arguments = arguments[:3]
    if not isinstance(name, Name) or not isinstance(arguments, tuple):
        raise TypeError(f"a call of a {type(name).__name__}")
    if name.text in _TENSORS:
        return _tensor(arguments, _TENSORS[name.text])
    if name.text in _PARAMETERS:
        return arguments[0]
    if name.text in _DICTIONARIES and not arguments:
        return {}
    if name.text in _INERT:
        return StandIn(name.text)
    raise TypeError(f"a call of {name.text}")


def storage(identity: Any) -> Storage:
    """A persistent id of torch, ("storage", type, key, device, count[, view]), as the storage that it names.

    Raises:
        TypeError: it is none.
        ValueError: it has another length.
    """
    kind, kept_as, key, _device, count, *view = identity
    dtype = _storage_dtype(kept_as)
    if kind != "storage" or dtype is None or not isinstance(key, str) or not _count(count):
        raise TypeError("a persistent id that is no storage")
    start = view[0][1] if view and view[0] is not None else 0  # (key of the view, start, count)
    if not _count(start):
        raise TypeError("a view of a storage that begins nowhere")
    return Storage(key, dtype, count, start)


def _tensor(arguments: tuple[Any, ...], understood: int) -> Stored:
    kept, offset, size, stride = arguments[:4]
    if not isinstance(kept, Storage):
        raise TypeError("a tensor without a storage")
    dtype = _dtype(arguments[6]) if understood == 7 else kept.dtype
    shaped = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= 64
    if dtype is None or not shaped or not all(map(_count, (offset, *size, *stride))):
        raise TypeError("a tensor that is described wrongly")
    if any(arguments[understood:]):
        raise TypeError("a tensor with a conjugate or negative bit")
    return Stored(kept, dtype, kept.start + offset, size, stride)


def _storage_dtype(value: Any) -> str | None:
    """The dtype of `torch.FloatStorage` and its like; of an untyped one bytes."""
    module, _, name = value.text.rpartition(".") if isinstance(value, Name) else ("", "", "")
    return _STORAGES.get(name) if module in ("torch", "torch.cuda", "torch.storage") else None


def _dtype(value: Any) -> str | None:
    """`float32` of `torch.float32`."""
    module, _, name = value.text.rpartition(".") if isinstance(value, Name) else ("", "", "")
    return name if module == "torch" and name in _DTYPES else None


def _count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 2**63
