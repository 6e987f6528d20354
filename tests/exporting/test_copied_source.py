"""Source of types that an installed package adds: copied, or refused with the reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from tests.support.exported_source import run
from tests.support.installed import EVERY_KIND, NODES_OF_EVERY_KIND, acme, install, python_with_torch
from tests.support.small_networks import equal

site = pytest.fixture(acme)

PLUGIN = """
from pathlib import Path
import torch
from archdsl.load.specs import spec_of
from archdsl.exporting.python_source import write_python
torch.manual_seed(0)
model = archdsl.build(spec_of(SPEC{more})).eval()
images = torch.randn(2, 3, 32, 32)
write_python(model, Path({file!r}), {{}})
torch.save(images, {images!r})
with torch.inference_mode():
    torch.save(model(images), {wanted!r})
"""


@pytest.mark.parametrize("kind", ["block", pytest.param("every", marks=pytest.mark.slow)])
def test_types_of_an_installed_package_are_copied_too(kind: str, site: Path, tmp_path: Path) -> None:
    (site / "own.py").write_text(EVERY_KIND)
    install(site, "own", "own")
    folder = tmp_path / "out"
    folder.mkdir()
    more = "" if kind == "block" else f' | {{"nodes": {NODES_OF_EVERY_KIND}}}'
    paths = {"file": str(folder / "net.py"), "images": str(folder / "net.images"), "wanted": str(tmp_path / "wanted")}
    python_with_torch(site, PLUGIN.format(more=more, **paths))
    run(folder)
    assert equal(torch.load(folder / "net.output"), torch.load(tmp_path / "wanted"))


def test_a_class_without_a_file_is_refused_by_name(site: Path) -> None:
    shutil.copy(site / "acme" / "modules.py", site / "acme" / "inner.py")
    code = """
import acme.modules
from archdsl.load.specs import spec_of
from archdsl.exporting.python_source import python_source
def local():
    class Inner(acme.modules.Pool):
        pass
    return Inner
acme.modules.Pool = local()
try:
    python_source(archdsl.build(spec_of(SPEC)), "net", {})
except archdsl.ArchError as error:
    print(error)
"""
    assert "Inner cannot be had; define it at the top of a module's file" in python_with_torch(site, code)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("from . import blocks", "acme.modules.Pool imports acme inside a function"),
        ("import archdsl.shape", "acme.modules.Pool imports archdsl inside a function"),
        ("print(undefined)", "acme.modules.Pool uses a name that its module does not define, undefined"),
    ],
)
def test_code_that_cannot_be_copied_is_refused_with_its_reason(line: str, reason: str, site: Path) -> None:
    file = site / "acme" / "modules.py"
    file.write_text(file.read_text().replace("        first = ", f"        {line}\n        first = "))
    code = """
from archdsl.load.specs import spec_of
from archdsl.exporting.python_source import python_source
try:
    python_source(archdsl.build(spec_of(SPEC)), "net", {})
except archdsl.ArchError as error:
    print(error)
"""
    assert python_with_torch(site, code) == f"{reason}; name what it needs by imports at the top\n"


def test_a_package_that_a_third_partys_block_needs_is_named(site: Path) -> None:
    file = site / "acme" / "modules.py"
    text = file.read_text().replace("import torch.nn", "import numpy as np\nimport torch.nn", 1)
    file.write_text(text.replace("self.window = window", "self.window = int(np.int64(window))"))
    code = """
from archdsl.load.specs import spec_of
from archdsl.exporting.python_source import python_source
print(python_source(archdsl.build(spec_of(SPEC)), "net", {}))
"""
    source = python_with_torch(site, code)
    assert "needs PyTorch and numpy." in source
    assert "import numpy as np\nimport torch\n" in source
