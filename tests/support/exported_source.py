"""Exported source, run in a process that has no archdsl."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REFUSE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("archdsl", "acme", "own"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import torch
"""
RUN = (
    REFUSE
    + """
from pathlib import Path
for file in sorted(Path().glob("*.py")):
    name = file.stem
    model = __import__(name).build()
    with torch.inference_mode():
        output = model(torch.load(f"{name}.images"))
    torch.save(output, f"{name}.output")
    torch.save(dict(model.state_dict()), f"{name}.state")
"""
)


def run(folder: Path) -> None:
    """Build every network of a folder in a process without archdsl, and save what it gives for its images."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", RUN], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
