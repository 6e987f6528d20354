"""The settings of a search: what was asked for, else the space's own budgets, else the defaults."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from pydantic import ValidationError

from archdsl.data.agreement import in_built_in_data, square_side
from archdsl.data.loading import BUILT_IN, DEFAULT, require_data
from archdsl.deriving.library.folder import read_library
from archdsl.deriving.library.wanted import space_identity, wanted_alternatives
from archdsl.errors import SearchError, SpecError, WrongUse
from archdsl.json_types import Json, JsonObject
from archdsl.language.canonical import canonical
from archdsl.load.spaces import load_space, space_of
from archdsl.load.specs import load_spec, spec_of
from archdsl.numbers import plain_text
from archdsl.runtimes.by_name import DefaultRuntime
from archdsl.runtimes.setting import DTYPES
from archdsl.search.config import METRICS, Settings
from archdsl.search.parent_file import parent_file
from archdsl.search.request import SettingsRequest
from archdsl.spaces.around import around
from archdsl.spaces.space import Budget, Space, latency_of
from archdsl.training.fidelity import LEAST_STEPS

GPU_SPACE, CPU_SPACE = "lit-dat-224", "lit-dat-64"
_NO_BUDGET = Budget(metric="latency", unit="ms")
"""In the place of a space's own budget where it has none: it names no limit and no condition."""


def settings_of(space: Space | str | os.PathLike[str] | None, request: SettingsRequest) -> Settings:
    """The settings of a search: what is named, else the space's own budgets, else the defaults.

    Raises:
        SpecError, MeasureError, SearchError: as `run`.
    """
    from archdsl.latency import checked_device, checked_stat, default_device, default_stat
    from archdsl.runtimes.onnxruntime import OnnxRuntime
    from archdsl.runtimes.setting import Setting
    from archdsl.runtimes.target import checked_target

    is_named = space is not None
    if not isinstance(space, Space):
        space = _default_space(request) if space is None else load_space(space)
    check_library(request, space)
    measured = _measured(space)
    device = request.device or measured.device or default_device()
    batch, dtype = request.batch or measured.batch or 1, request.dtype or measured.dtype or "float32"
    if request.target is None:
        runtime = request.runtime or measured.runtime or default_runtime_of(space, request).name
        setting = Setting.checked(device, batch, dtype, runtime)
    else:
        runtime = request.runtime or measured.runtime or OnnxRuntime.name
        checked_target(request.target, runtime)
        setting = Setting.checked("cpu", batch, dtype, runtime)._replace(device=checked_device(device))
    require_data(request.data or DEFAULT)
    square_side(space)
    in_built_in_data(space, request.data or DEFAULT)  # refused before anything begins
    parent = parent_of(space, request)
    is_given_by_us = parent is not None and (not is_named or _is_given_by_us(space, parent))
    return _checked(
        {
            "space": document_of(space),
            **{f"{metric}_budget": budget.limit for metric in METRICS if (budget := space.budget(metric))},
            "least_steps": 0 if request.epochs is not None else LEAST_STEPS,
            **request.named,
            "parent": None if parent is None else str(parent),
            "library": None if request.library == NO_LIBRARY else request.library,
            "leaves_space": is_given_by_us,
            "fits_library": is_given_by_us and request.library is None,
            "trains_parent": parent is None and request.parent != NO_PARENT,
            **_promised(request, measured, setting.batch),
            "asked_budgets": [*request.named_budgets],
            **setting._asdict(),
            "threads": request.threads or measured.threads,
            "stat": checked_stat(request.stat or measured.stat or default_stat(setting.device)),
        }
    )


def default_runtime_of(space: Space, request: SettingsRequest) -> DefaultRuntime:
    """The runtime of a search where neither the request nor the space names one, with its reason.

    Raises:
        MeasureError: there is no such device here, or no such dtype.
    """
    from archdsl.latency import checked_device, default_device
    from archdsl.runtimes.setting import deployment_runtime

    measured = _measured(space)
    dtype = request.dtype or measured.dtype or "float32"
    device = checked_device(request.device or measured.device or default_device())
    return deployment_runtime(device, DTYPES.get(dtype, dtype))


def default_note(settings: Settings, request: SettingsRequest) -> str | None:
    """Which runtime is measured in and why, where none was named; None where one was."""
    space = settings.space_document
    named = request.runtime or _measured(space).runtime
    return None if named is not None or settings.target is not None else str(default_runtime_of(space, request))


def _measured(space: Space) -> Budget:
    """The space's own budget that is measured."""
    return space.budget("latency") or space.budget("throughput") or _NO_BUDGET


def default_space(device: str | None = None) -> str:
    """The shipped space that fits a device, else the default device."""
    from archdsl.latency import default_device

    return GPU_SPACE if (device or default_device()).startswith("cuda") else CPU_SPACE


def _default_space(request: SettingsRequest) -> Space:
    """The space around the parent that is named; without one the shipped space that fits the device.

    Raises:
        WrongUse: the parent is no trained network of ours, or there is no such library.
        SearchError: the library is broken or half built.
    """
    if request.library not in (None, NO_LIBRARY):
        return space_of(read_library(request.library).index.space_document)
    if request.parent is None or request.parent == NO_PARENT:
        return load_space(default_space("cpu" if request.target else request.device))
    return space_of(around(load_spec(parent_file(request.parent))))


def _checked(written: JsonObject) -> Settings:
    """The settings that are written so.

    Raises:
        SearchError: one of them is refused.
    """
    try:
        return Settings.model_validate(written)
    except ValidationError as error:
        raise SearchError(first_of(error)) from None


def first_of(error: ValidationError) -> str:
    """What is wrong with the first field that is refused."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    return f"{name}: {first['msg']}; got {first['input']!r}"


def _promised(request: SettingsRequest, measured: Budget, batch: int) -> dict[str, Json]:
    """The latency budget, said as images per second where it was asked for so; what is named stands over the space's.

    Raises:
        WrongUse: both are named.
        SearchError: a throughput is not above 0.
    """
    latency, throughput = request.latency_budget_ms, request.throughput_budget
    if latency is not None and throughput is not None:
        raise WrongUse("a throughput budget is a latency budget of batch / throughput; give one of the two")
    if request.latency_share is not None:
        if latency is not None or throughput is not None:
            raise WrongUse("a share of the parent's latency is a latency budget; give one of the two")
        if not 0 < request.latency_share <= 10:
            raise WrongUse(f"latency_share must be above 0 and at most 10, as 0.6; got {request.latency_share}")
        return {"latency_budget_ms": None, "throughput_budget": None}
    if latency is None and throughput is None and measured is not _NO_BUDGET:
        latency, throughput = (measured.limit, None) if measured.metric == "latency" else (None, measured.limit)
    if throughput is not None:
        if throughput <= 0:
            raise SearchError(f"throughput_budget must be above 0 images per second; got {throughput}")
        latency = latency_of(throughput, batch)
    return {"latency_budget_ms": latency, "throughput_budget": throughput}


def check_library(request: SettingsRequest, space: Space) -> None:
    """Refuse a library that cannot be used with the parent and the space.

    Raises:
        WrongUse: there is no such folder, or no parent.
        SearchError: the library is broken or half built, of a network with other nodes or of another image size, or the
            space has other alternatives to the parent's blocks.
    """
    if request.library in (None, NO_LIBRARY):
        return
    library = read_library(request.library)
    parent = parent_of(space, request)
    if parent is None:
        raise WrongUse(f"a library is of a parent; name its file with --parent: {library.index.parent.name}")
    library.check(image=space.image_size)
    if canonical(load_spec(parent))["nodes"] != canonical(spec_of(library.index.spec))["nodes"]:
        rule = f"{request.library} is a library of {library.index.parent.name}, whose nodes are not those of {parent}"
        raise SearchError(f"{rule}; build one of {parent.name} in another folder with archdsl library build")
    try:
        keys = [key for key, _ in wanted_alternatives(spec_of(library.index.spec), space)]
    except (SpecError, SearchError):  # a space of other things than the parent's blocks: both are searched
        return
    library.check(space=space_identity(space, keys))


def document_of(space: Space) -> JsonObject:
    """A space as JSON values, as it was written."""
    document: JsonObject = space.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return document


NO_PARENT = NO_LIBRARY = "none"


def _is_given_by_us(space: Space, parent: Path) -> bool:
    """Whether a space is one that a search takes by itself; networks outside a user's own space are not proposed."""
    if space.name in (GPU_SPACE, CPU_SPACE):
        return document_of(space) == document_of(load_space(space.name))
    return document_of(space) == document_of(space_of(around(load_spec(parent))))


def parent_of(space: Space, request: SettingsRequest) -> Path | None:
    """The file of the trained network that candidates inherit from: the one that is named, else that of the space.

    Raises:
        WrongUse: there is no such file, it is no network of ours, or a share of its latency is asked for and there is
            none.
    """
    named = request.parent or space.parent
    if named is None or named == NO_PARENT:
        if request.latency_share is not None:
            share = f"{plain_text(100 * request.latency_share)}%"
            raise WrongUse(f"a budget of {share} is a share of the parent's latency; name its file with --parent")
        return None
    return parent_file(named)


def absolute(data: str | os.PathLike[str]) -> str:
    """The path of data as it is named from any folder; a name that is built in stays."""
    path = Path(data).expanduser()
    return str(path.absolute()) if str(data) not in BUILT_IN and path.exists() else str(data)


def new_folder(settings: Settings, what: str = "") -> Path:
    """`runs/TIME-SPACE`, a name that is not taken."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")  # the user's own clock
    path = Path("runs") / f"{stamp}-{settings.space['name']}{what}"
    number = 2
    while path.exists():
        path = Path("runs") / f"{stamp}-{settings.space['name']}{what}-{number}"
        number += 1
    return path


def resumed_settings(
    before: Settings, space: Space | str | os.PathLike[str] | None, request: SettingsRequest
) -> Settings:
    """The settings of the run in a folder, with what is named now in their place."""
    named: JsonObject = {**request.named, "trials": request.trials, "time_s": request.time_s}
    if request.dtype is not None:
        named["dtype"] = DTYPES.get(request.dtype, request.dtype)
    if request.parent is not None:
        parent = parent_of(before.space_document, request)
        named["parent"] = None if parent is None else str(parent)
        named["trains_parent"] = False
    if request.library is not None:
        named |= {"library": None if request.library == NO_LIBRARY else request.library, "fits_library": False}
    if space is not None:
        named["space"] = document_of(space if isinstance(space, Space) else load_space(space))
    if request.latency_budget_ms is not None or request.throughput_budget is not None:
        named |= _promised(request, _NO_BUDGET, request.batch or before.batch)
    if request.latency_share is not None:
        named["latency_budget_ms"] = before.latency_budget_ms
    return _checked({**before.model_dump(), **named})
