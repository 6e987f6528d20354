"""Who imports whom, read from the syntax trees: imports inside functions and under TYPE_CHECKING count like all others.

import-linter holds the order of the rooms; this holds what is inside them, and what is imported by a string.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import networkx as nx
import pytest

from tests.support.places import ROOT

BY_STRING = ("import_module", "__import__", "find_spec", "spec_from_file_location", "entry_points", "resolve_name")
"""Functions that import what a string names, or find what a package offers."""

MAY_IMPORT_BY_STRING = {
    "archdsl": "public names load when first used",
    "archdsl.deriving": "public names load when first used",
    "archdsl.deriving.library": "public names load when first used",
    "archdsl.families.registry": "our declarations in their order, then those of installed packages",
    "archdsl.latency.remote.fresh_process": "the runtime that a job names, on a machine where it may be absent",
    "archdsl.late": "what a lower room calls in a higher one",
    "archdsl.runtimes.by_name": "runtimes of installed packages",
    "archdsl.search": "public names load when first used",
    "archdsl.weights": "public names load when first used",
    "archdsl.exporting.int8": "looks whether NNCF is installed, and imports nothing",
    "archdsl.runtimes.onnxruntime": "looks whether ONNX Runtime is installed, and imports nothing",
    "archdsl.kernels.support": "looks whether Triton is installed, and imports nothing",
}


class Module(NamedTuple):
    """A module of ours: its name, whether it is a package, its syntax tree."""

    name: str
    is_package: bool
    tree: ast.Module


@cache
def modules() -> dict[str, Module]:
    """Every module of archdsl by its name, those of archdsl.search among them."""
    found = {}
    for folder, root in (("archdsl", ROOT / "archdsl"), ("archdsl.search", ROOT / "search")):
        for path in sorted(root.rglob("*.py")):
            relative = path.relative_to(root)
            if folder == "archdsl" and relative.parts[0] in ("search", "specs"):
                continue  # links: search is read as itself, specs holds data
            name = ".".join((folder, *relative.with_suffix("").parts)).removesuffix(".__init__")
            found[name] = Module(name, path.name == "__init__.py", ast.parse(path.read_text(encoding="utf-8")))
    return found


def imported(module: Module) -> Iterator[str]:
    """The modules of ours that one imports anywhere in its text; a package's name stands for its `__init__`."""
    package = module.name if module.is_package else module.name.rpartition(".")[0]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules())
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join((*above, *filter(None, [node.module])))
            for alias in node.names:
                name = f"{source}.{alias.name}"
                if name in modules() or source in modules():
                    yield name if name in modules() else source


def import_graph() -> nx.DiGraph[str]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(modules())
    graph.add_edges_from((name, target) for name, module in modules().items() for target in imported(module))
    return graph


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = import_graph()
    assert graph.number_of_edges() > len(graph), "the imports were not found"
    assert list(nx.selfloop_edges(graph)) == []
    circles = [
        nx.find_cycle(graph.subgraph(group)) for group in nx.strongly_connected_components(graph) if len(group) > 1
    ]
    assert [" -> ".join(edge[0] for edge in circle) for circle in circles] == []


def by_string(module: Module) -> set[str]:
    """The functions by which a module imports from a string, by their names, however they were imported."""
    names = {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    names |= {alias.name for node in ast.walk(module.tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return names & set(BY_STRING)


def test_modules_import_by_string_for_public_names_plugins_and_late_calls_alone() -> None:
    assert {name for name, module in modules().items() if by_string(module)} == set(MAY_IMPORT_BY_STRING)


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("import archdsl.shape", ["archdsl.shape"]),
        ("from archdsl import shape", ["archdsl.shape"]),
        ("from archdsl.shape import Map, Tokens", ["archdsl.shape", "archdsl.shape"]),
        ("from archdsl.graphs import plan", ["archdsl.graphs"]),
        ("from ..shape import Map", ["archdsl.shape"]),
        ("from . import common", ["archdsl.families.common"]),
        ("def build():\n    from archdsl.shape import Map", ["archdsl.shape"]),
        ("if TYPE_CHECKING:\n    from archdsl.shape import Map", ["archdsl.shape"]),
        ("import json\nfrom torch import nn", []),
    ],
)
def test_every_form_of_import_is_an_edge(text: str, targets: list[str]) -> None:
    assert list(imported(Module("archdsl.families.registry", False, ast.parse(text)))) == targets


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\nimportlib.import_module(name)",
        "from importlib import import_module as load\nload(name)",
        "__import__(name)",
        "from importlib.metadata import entry_points",
    ],
)
def test_every_form_of_import_by_string_is_told(text: str) -> None:
    assert by_string(Module("made_up", False, ast.parse(text)))
