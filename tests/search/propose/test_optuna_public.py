"""No private name of Optuna is used: it may change with any version."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from tests.support.places import ROOT

FOLDERS = ("archdsl", "search", "benchmarks")
PARTS = ("distributions", "pruners", "samplers", "search_space", "storages", "study", "trial")
OF_NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_names() -> set[str]:
    """The private attributes, functions and modules of the installed Optuna, where studies and trials are made."""
    names, package = set[str](), Path(optuna.__file__).parent
    for path in package.rglob("*.py"):
        place = path.relative_to(package)
        if place.parts[0].removesuffix(".py") in PARTS:
            tree = list(ast.walk(ast.parse(path.read_text())))
            names |= {node.attr for node in tree if isinstance(node, ast.Attribute)} | {path.stem}
            names |= {node.name for node in tree if isinstance(node, ast.FunctionDef)}
    return {name for name in names if is_private(name)} - OF_NAMED_TUPLES


PRIVATE = private_names()


def uses(source: str) -> Iterator[str]:
    """Every private name of Optuna that a module uses; `self._name` is the module's own, `super()._name` is not."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(attr=name) if name in PRIVATE:
                yield f"{node.lineno}: {ast.unparse(node)}"
            case ast.Call(func=ast.Name(id="getattr" | "setattr" | "hasattr"), args=[_, ast.Constant(value=name), *_]):
                if name in PRIVATE:
                    yield f"{node.lineno}: {ast.unparse(node)}"
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] == "optuna":
                if any(map(is_private, [*module.split("."), *(alias.name for alias in names)])):
                    yield f"{node.lineno}: {ast.unparse(node)}"
            case ast.Import(names=names):
                parts = [alias.name.split(".") for alias in names]
                if any(path[0] == "optuna" and any(map(is_private, path)) for path in parts):
                    yield f"{node.lineno}: {ast.unparse(node)}"


def test_no_module_uses_a_private_name_of_optuna() -> None:
    paths = sorted({path.resolve() for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")})
    assert len(paths) > 200
    found = [f"{path.relative_to(ROOT)}:{use}" for path in paths for use in uses(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "study._storage",
        "self.study._study_id",
        "trial._trial_id",
        "self._study._pop_waiting_trial_id = claimed",
        "super()._raise_error_if_multi_objective(study)",
        "distribution._contains(0.5)",
        "setattr(study, '_pop_waiting_trial_id', claimed)",
        "from optuna._imports import try_import",
        "from optuna.study import _optimize",
        "import optuna._callbacks",
        "optuna.samplers._base",
    ],
)
def test_such_a_use_is_seen(source: str) -> None:
    assert len(list(uses(source))) == 1


@pytest.mark.parametrize(
    "source",
    ["study.trials", "self._storage = storage", "pair._replace(left=1)", "from optuna.samplers import TPESampler"],
)
def test_what_is_public_or_our_own_is_none(source: str) -> None:
    assert list(uses(source)) == []
