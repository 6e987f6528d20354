"""A network as Python source that needs PyTorch alone, with its weights in a file beside it."""

from __future__ import annotations

import json
import keyword
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from archdsl.exporting.constructor_calls import rebuilt
from archdsl.exporting.copied_source import Copy, copy_definitions, definition_of
from archdsl.exporting.layout import WIDTH, filled, laid_out, literal, text
from archdsl.exporting.network_class import IMAGES, Writer, constructor_lines, forward_lines, uses_feature
from archdsl.exporting.source_modules import Definition, Imported
from archdsl.families.common.initial_values import set_drop_path
from archdsl.files import installed_version
from archdsl.graphs import plan
from archdsl.weights.forms import check_savable
from archdsl.weights.torch_file import write_torch

if TYPE_CHECKING:
    from archdsl.compile import Backbone

_WEIGHTS = "WEIGHTS"
_ALWAYS = frozenset(
    {
        Imported("pathlib", "Path", "Path"),
        Imported("torch", None, "torch"),
        Imported("torch", "Tensor", "Tensor"),
        Imported("torch", "nn", "nn"),
    }
)
_RESERVED = frozenset({"build", "CLASSES", "PREPROCESSING", _WEIGHTS, "OrderedDict", "SimpleNamespace"})
_SET_TRAINING = (
    "",
    "    def __setattr__(self, name, value):",
    "        if name in self.__dict__:  # the flag of nn.Module, whose name a part has too",
    "            object.__setattr__(self, name, value)",
    "        else:",
    "            super().__setattr__(name, value)",
)


def write_python(
    model: Backbone, file: Path, facts: Mapping[str, str], size: tuple[int, int] | None = None
) -> tuple[Path, ...]:
    """Write a network as source, and its weights as tensors to a file of the same name that ends in `.pt`.

    The source imports torch and the standard library alone, and what a third party's block imports. `build()` in it
    gives a module whose tensors have the names of the model's, and whose outputs are bit for bit the same in eval mode.
    Both files are written in place, not in one step.

    Args:
        model: what `build` or `load_model` gives.
        file: ends in `.py`.
        facts: keys of a model file's header, each JSON; classes and preprocessing are written into the source.
        size: height and width of the images in its examples; by default the spec's.

    Returns:
        The files that were written.

    Raises:
        ExportError: the source of a class cannot be had, or a module was made in a way that cannot be written out.
        WeightsError: the model's tensors are no longer those of its spec.
        OSError: a file cannot be written.
    """
    check_savable(model)
    weights = file.with_suffix(".pt")
    source = python_source(model, file.stem, facts, size)
    state = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in model.state_dict().items()}
    write_torch(state, weights)
    file.write_text(source, encoding="utf-8")
    return file, weights


def python_source(model: Backbone, module: str, facts: Mapping[str, str], size: tuple[int, int] | None = None) -> str:
    """The text of the file `module`.py; see `write_python`."""
    return _Source(model, module, facts, size or model.spec.image_size).text()


class _Source:
    def __init__(self, model: Backbone, module: str, facts: Mapping[str, str], size: tuple[int, int]) -> None:
        self._model = model
        self._module = module
        self._size = size
        self._facts = facts
        self._steps = plan(model.spec, model.features_only)
        self._rebuilt = rebuilt(model)
        self._class = _class_name(model.spec.name)
        self._imports = set(_ALWAYS)
        self._copy = self._copied()

    def text(self) -> str:
        """The whole file."""
        network = self._network()
        self._imports |= self._copy.imports
        imports = _import_lines(self._imports)
        constants = [*self._constants()]
        blocks = [*self._copy.texts, network, self._build(), self._main()]
        head = "\n".join([f'"""{self._docstring()}"""', "", "from __future__ import annotations", "", *imports, ""])
        return "\n\n\n".join(["\n".join([head, *constants]).rstrip(), *blocks]) + "\n"

    def _copied(self) -> Copy:
        """What the parts are made of: the first writing of the constructor says which classes there are."""
        used: dict[Definition, None] = {}

        def note(value: object) -> str:
            definition = definition_of(value)
            if not _is_imported(definition):
                used[definition] = None
            return definition.name

        list(constructor_lines(self._model, self._rebuilt, Writer(self._rebuilt, note), None))
        if self._rebuilt.drop_path:
            note(set_drop_path)
        attributes = {"feature"} if uses_feature(self._steps, self._rebuilt.parts) else set()
        packages = {definition.module.split(".")[0] for definition in used}
        reserved = {self._class, *_RESERVED, *(imported.bound for imported in _ALWAYS)}
        return copy_definitions(used, packages, attributes, reserved)

    def _name_of(self, value: object) -> str:
        """What a class or function is called in the file; torch's are imported."""
        definition = definition_of(value)
        if not _is_imported(definition):
            return self._copy.names[definition]
        if getattr(nn, definition.name, None) is value:
            return f"nn.{definition.name}"
        self._imports.add(Imported(definition.module, definition.name, definition.name))
        return definition.name

    def _network(self) -> str:
        """The class of the network."""
        model, spec = self._model, self._model.spec
        drop_path = self._name_of(set_drop_path) if self._rebuilt.drop_path else None
        made = list(constructor_lines(model, self._rebuilt, Writer(self._rebuilt, self._name_of), drop_path))
        for name, module in (("OrderedDict", "collections"), ("SimpleNamespace", "types")):
            if any(f"{name}(" in line for line in made):
                self._imports.add(Imported(module, name, name))
        height, width = self._size
        gives = "a list of maps" if model.features_only else f"{_outputs(model)} (B, {model.num_classes or 'C'})"
        return "\n".join(
            [
                f"class {self._class}(nn.Module):",
                f'    """{_plain(spec.name)}: images (B, {spec.channels}, {height}, {width}) -> {gives}"""',
                "",
                "    def __init__(self) -> None:",
                "        super().__init__()",
                *made,
                "",
                f"    def forward(self, {IMAGES}: Tensor) -> {'list[Tensor]' if model.features_only else 'Tensor'}:",
                *forward_lines(self._steps, self._rebuilt.parts, model.num_classes),
                *(_SET_TRAINING if "training" in self._rebuilt.parts._modules else ()),
            ]
        )

    def _build(self) -> str:
        dtype = next(self._model.parameters()).dtype
        cast = "" if dtype == torch.float32 else f".to({dtype})"
        return f'''\
def build(weights: str | Path | None = {_WEIGHTS}) -> {self._class}:
    """The network in eval mode with the weights of a file; with None, with PyTorch's initial values."""
    model = {self._class}(){cast}
    if weights is not None:
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model.eval()'''

    def _main(self) -> str:
        spec = self._model.spec
        dtype = next(self._model.parameters()).dtype
        zeros = ", ".join(map(str, (1, spec.channels, *self._size)))
        cast = "" if dtype == torch.float32 else f", dtype={dtype}"
        shown = "[tuple(each.shape) for each in output]" if self._model.features_only else "tuple(output.shape)"
        return f"""\
if __name__ == "__main__":
    with torch.inference_mode():
        output = build()(torch.zeros({zeros}{cast}))
    print({shown})"""

    def _constants(self) -> Iterator[str]:
        yield f'{_WEIGHTS} = Path(__file__).with_suffix(".pt")'
        if "classes" in self._facts:
            yield "CLASSES = " + filled("(", [text(str(name)) for name in json.loads(self._facts["classes"])], ")")
            yield '"""Names of the classes, in the order of the logits."""'
        if "preprocessing" in self._facts:
            yield laid_out(literal(json.loads(self._facts["preprocessing"])), "", "PREPROCESSING = ")
            yield '"""From a picture to an image: cut, resized, brought to `range`, then (x - mean) / std."""'

    def _docstring(self) -> str:
        spec, paper = self._model.spec, self._model.spec.paper
        title = f": {paper.title}" if paper is not None and paper.title else ""
        number = f" (arXiv:{paper.arxiv})" if paper is not None and paper.arxiv else ""
        channels, (height, width) = spec.channels, self._size
        others = {imported.module.split(".")[0] for imported in self._imports} - {"torch", *sys.stdlib_module_names}
        needs = f"needs PyTorch and {', '.join(sorted(others))}" if others else "needs PyTorch alone"
        written = f"Written by archdsl {installed_version()}; {needs}. The weights are in {self._module}.pt."
        return f"""\
{textwrap.fill(_plain(spec.name + title + number), WIDTH)}

{textwrap.fill(_plain(written), WIDTH)}

{textwrap.indent(_import_of(self._module), "    ")}

    model = build()  # in eval mode, on the CPU
    with torch.inference_mode():
        {_outputs(self._model)} = model(torch.zeros(1, {channels}, {height}, {width}))

It can be trained further: parameters are PyTorch's, and drop path works in training mode.

SPDX-License-Identifier: Apache-2.0
"""


def _import_of(module: str) -> str:
    """How a script imports `build`; a file whose name is no identifier is loaded by its path."""
    if module.isidentifier() and not keyword.iskeyword(module):
        return f"import torch\nfrom {module} import build"
    return (
        "import runpy\nimport torch\n\n"
        f'build = runpy.run_path({text(module + ".py")})["build"]  # its name is none that `import` takes'
    )


def _outputs(model: Backbone) -> str:
    if model.features_only:
        return "maps"
    return "logits" if model.num_classes else "features"


def _is_imported(definition: Definition) -> bool:
    """Whether a class is of torch or of the standard library."""
    package = definition.module.split(".")[0]
    return package == "torch" or package in sys.stdlib_module_names - {"__main__"}


def _class_name(name: str) -> str:
    """`LitV2S` for `lit_v2_s`; a name that the file needs otherwise has `Network` behind it."""
    joined = "".join(word[:1].upper() + word[1:] for word in re.split(r"[_.-]+", name))
    taken = {imported.bound for imported in _ALWAYS} | _RESERVED | {"None", "True", "False"}
    return f"{joined}Network" if joined in taken else joined


def _plain(words: str) -> str:
    """On one line, and without what would end a docstring."""
    return " ".join(words.split()).replace("\\", "\\\\").replace('"', "'")


def _import_lines(imports: Iterable[Imported]) -> list[str]:
    """Import statements in the order of isort: the standard library, an empty line, all others."""
    wanted = set(imports)
    groups = [
        [imported for imported in wanted if imported.module.split(".")[0] in sys.stdlib_module_names],
        [imported for imported in wanted if imported.module.split(".")[0] not in sys.stdlib_module_names],
    ]
    lines: list[str] = []
    for group in groups:
        lines += [""] * bool(lines and group)
        lines += [*_whole(group), *_names(group)]
    return lines


def _whole(imports: Iterable[Imported]) -> list[str]:
    of_modules = sorted(imported for imported in imports if imported.name is None)
    return [f"import {each.module}{_bound(each.module, each.bound)}" for each in of_modules]


def _names(imports: Iterable[Imported]) -> list[str]:
    by_module: dict[str, list[str]] = {}
    for each in sorted((each for each in imports if each.name is not None), key=_order):
        by_module.setdefault(each.module, []).append(f"{each.name}{_bound(each.name or '', each.bound)}")
    return [f"from {module} import {', '.join(by_module[module])}" for module in sorted(by_module)]


def _order(imported: Imported) -> tuple[int, str]:
    """Constants, then classes, then all others."""
    name = imported.name or ""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name


def _bound(name: str, bound: str) -> str:
    return "" if name == bound else f" as {bound}"
