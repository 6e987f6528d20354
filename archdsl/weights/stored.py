"""What a checkpoint's pickle may name, and what each name comes to: a tensor's description, a dict, a stand-in."""

from __future__ import annotations

from typing import TypeGuard

from archdsl.errors import WeightsError, short
from archdsl.weights import arrays
from archdsl.weights.pickled import Encoded, Name, Pickled, StandIn, Storage, Stored

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
_DICTIONARIES = {"collections.OrderedDict", "builtins.dict", "collections.defaultdict"}
_ENCODED, _ATTRIBUTE = "_codecs.encode", "builtins.getattr"
_ARRAYS = {
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer", "numpy.dtype"),
}
_INERT = {
    *("yacs.config.CfgNode", "argparse.Namespace", "types.SimpleNamespace", "easydict.EasyDict", "addict.addict.Dict"),
    *("mmcv.utils.config.Config", "mmcv.utils.config.ConfigDict"),
    *("mmengine.config.config.Config", "mmengine.config.config.ConfigDict"),
    *("fvcore.common.config.CfgNode", "munch.Munch", "box.box.Box"),
    *("detectron2.config.config.CfgNode", "ml_collections.config_dict.config_dict.ConfigDict"),
    *("lightning_fabric.utilities.data.AttributeDict", "lightning.fabric.utilities.data.AttributeDict"),
    *("pytorch_lightning.utilities.parsing.AttributeDict", "lightning.pytorch.utilities.parsing.AttributeDict"),
    *("omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig", "typing.Any"),
    *(f"omegaconf.base.{name}" for name in ("ContainerMetadata", "Metadata", "SCMode")),
    *(f"omegaconf.nodes.{name}Node" for name in ("Any", "Boolean", "Bytes", "Enum", "Float", "Integer", "Path")),
    *("omegaconf.nodes.StringNode", "omegaconf.nodes.InterpolationResultNode"),
    *("collections.Counter", "collections.deque", "builtins.set", "builtins.frozenset", "builtins.bytearray"),
    *(f"datetime.{name}" for name in ("date", "datetime", "time", "timedelta", "timezone")),
    *("uuid.UUID", "decimal.Decimal", "fractions.Fraction"),
    *("builtins.slice", "builtins.range", "builtins.xrange", "builtins.tuple"),
    *("builtins.list", "builtins.int", "builtins.float", "builtins.str", "builtins.bool", "builtins.complex"),
    *("pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath"),
    *("pathlib._local.Path", "pathlib._local.PosixPath", "pathlib._local.WindowsPath"),
    "numpy.ndarray",
    *(f"numpy.{kind}{bits}" for kind, bits in (("float", 32), ("float", 64), ("int", 32), ("int", 64), ("bool_", ""))),
    *("torch.Size", "torch.device", "torch.Tensor", "torch.nn.parameter.Parameter", "torch.torch_version.TorchVersion"),
    *(f"torch.{name}" for name in ("strided", "contiguous_format", "channels_last", "preserve_format")),
    *("torch.serialization._get_layout", "torch.amp.grad_scaler.GradScaler", "torch.cuda.amp.grad_scaler.GradScaler"),
}
"""Names that may stand in a checkpoint beside its tensors: configurations, and what their values are made of."""
_KNOWN = {*_TENSORS, *_PARAMETERS, _SUBCLASS, *_DICTIONARIES, *_INERT, *_ARRAYS, _ENCODED}
_ONLY_NAMED = {_ATTRIBUTE, "builtins.object"}
"""What may be named, but makes something of a class in `_INERT` alone: a method of a training log's buffer."""
_LOG = "mmengine.logging.history_buffer."
_OURS = (*(f"archdsl.{room}." for room in ("language", "spaces", "families", "schema", "blocks")),)
_INERT_MODULES = ("torch.optim.", "numpy.random.", *_OURS, _LOG)
"""Modules all of whose names are inert: optimizers and schedulers as objects, random states, our specs, logs."""


def named(module: str, name: str) -> Name:
    """A name that a checkpoint may have.

    Raises:
        WeightsError: any other.
    """
    imported = Name(f"{'builtins' if module == '__builtin__' else module}.{name}")
    if imported.text in _KNOWN or imported.text in _ONLY_NAMED or imported.text.startswith(_INERT_MODULES):
        return imported
    if _storage_dtype(imported) or _dtype(imported):
        return imported
    raise _refused(imported.text)


def _is_inert(name: str) -> bool:
    """Whether what a name makes is of no concern."""
    return name in _INERT or name.startswith(_INERT_MODULES)


def _refused(name: str) -> WeightsError:
    return WeightsError(
        f"it names {short(name)}, which no checkpoint of weights needs: refused, and nothing of it was run; "
        "if you trust the file, load it with the code that wrote it and save its state_dict alone"
    )


def made(name: Pickled, arguments: Pickled) -> Pickled:
    """What a name and its arguments describe.

    Raises:
        TypeError: nothing that is understood.
        WeightsError: an attribute of what is not known.
    """
    if isinstance(name, Name) and name.text == _SUBCLASS and isinstance(arguments, tuple):
        name, _, arguments = arguments[:3]
    if not isinstance(name, Name) or not isinstance(arguments, tuple):
        raise TypeError(f"a call of a {type(name).__name__}")
    if name.text in _TENSORS:
        return _tensor(arguments, _TENSORS[name.text])
    if name.text in _PARAMETERS:
        return arguments[0]
    if name.text in _DICTIONARIES and (not arguments or name.text == "collections.defaultdict"):
        return {}
    if name.text == _ATTRIBUTE:
        return _attribute(arguments)
    if name.text == _ENCODED:
        return _encoded(arguments)
    if name.text in _ARRAYS:
        return arrays.made(name.text, arguments) or StandIn(name.text)
    if _is_inert(name.text):
        return StandIn(name.text)
    raise TypeError(f"a call of {name.text}")


def _attribute(arguments: tuple[Pickled, ...]) -> StandIn:
    """A method of a class without content is as little."""
    if len(arguments) == 2 and isinstance(arguments[0], Name) and _is_inert(arguments[0].text):
        return StandIn(f"{arguments[0].text}.{arguments[1]}" if isinstance(arguments[1], str) else arguments[0].text)
    raise _refused(_ATTRIBUTE)


def _encoded(arguments: tuple[Pickled, ...]) -> Encoded | StandIn:
    """Bytes, which pickles of protocol 2 hold as text."""
    if len(arguments) == 2 and isinstance(arguments[0], str) and arguments[1] in ("latin1", "latin-1"):
        return Encoded(arguments[0])
    return StandIn(_ENCODED)


def storage(identity: Pickled) -> Storage:
    """A persistent id of torch, ("storage", type, key, device, count[, view]), as the storage that it names.

    Raises:
        TypeError: it is none.
        ValueError: it has another length.
    """
    if not isinstance(identity, tuple | list):
        raise TypeError("a persistent id that is no storage")
    kind, kept_as, key, _device, count, *views = identity
    dtype = _storage_dtype(kept_as)
    if kind != "storage" or dtype is None or not isinstance(key, str) or not _is_count(count):
        raise TypeError("a persistent id that is no storage")
    view = views[0] if views else None
    start = view[1] if isinstance(view, tuple | list) else 0  # (key of the view, start, count)
    if not _is_count(start) or not isinstance(view, tuple | list | None):
        raise TypeError("a view of a storage that begins nowhere")
    return Storage(key, dtype, count, start)


def _tensor(arguments: tuple[Pickled, ...], understood: int) -> Stored:
    kept, offset, size, stride = arguments[:4]
    if not isinstance(kept, Storage):
        raise TypeError("a tensor without a storage")
    dtype = _dtype(arguments[6]) if understood == 7 else kept.dtype
    if dtype is None or not _is_count(offset) or not _are_counts(size) or not _are_counts(stride):
        raise TypeError("a tensor that is described wrongly")
    if len(size) != len(stride) or len(size) > 64:
        raise TypeError("a tensor that is described wrongly")
    if any(arguments[understood:]):
        raise TypeError("a tensor with a conjugate or negative bit")
    return Stored(kept, dtype, kept.start + offset, size, stride)


def _storage_dtype(value: Pickled) -> str | None:
    """The dtype of `torch.FloatStorage` and its like; of an untyped one bytes."""
    module, _, name = value.text.rpartition(".") if isinstance(value, Name) else ("", "", "")
    return _STORAGES.get(name) if module in ("torch", "torch.cuda", "torch.storage") else None


def _dtype(value: Pickled) -> str | None:
    """`float32` of `torch.float32`."""
    module, _, name = value.text.rpartition(".") if isinstance(value, Name) else ("", "", "")
    return name if module == "torch" and name in _DTYPES else None


def _is_count(value: Pickled) -> TypeGuard[int]:
    return isinstance(value, int) and 0 <= value < 2**63


def _are_counts(values: Pickled) -> TypeGuard[tuple[int, ...]]:
    return isinstance(values, tuple) and all(map(_is_count, values))
