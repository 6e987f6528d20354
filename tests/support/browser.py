"""A page in Debian's chromium, without a screen."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

CHROMIUM = shutil.which("chromium")
NEEDS_CHROMIUM = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")

_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_MEASURE = """<script>
addEventListener("load", () => {
  const root = document.documentElement;
  const held = (element) => element.closest(".wide, pre") !== null;  // these scroll by themselves
  const wide = [...document.body.querySelectorAll("*")].filter(
    (element) => !held(element) && element.getBoundingClientRect().right > root.clientWidth + 0.5);
  const name = (element) => element.tagName.toLowerCase() + (element.id ? "#" + element.id : "");
  parent.postMessage({ window: root.clientWidth, content: root.scrollWidth, wide: wide.map(name) }, "*");
});
</script>"""
_FRAME = """<!DOCTYPE html>
<script>
addEventListener("message", (event) => {
  document.querySelector("pre").textContent = JSON.stringify(event.data);
});
</script>
<iframe src="measured.html" style="border: 0; width: %dpx; height: 1000px"></iframe>
<pre></pre>
"""
_MEASURED = re.compile(r"<pre>(.+?)</pre>", re.DOTALL)


class Widths(NamedTuple):
    """Of a page, in CSS pixels: the window's and the content's width, and the elements that end outside the window."""

    window: int
    content: int
    wide: list[str]


def widths(page: str, window: int, folder: Path) -> Widths:
    """Lay out a copy of the page that has a measuring script in place of the policy that would not let it run.

    It is laid out in a frame, since a window of chromium is at least 500 pixels wide.
    """
    assert CHROMIUM is not None
    measured, policies = _POLICY.subn("", page)
    assert policies == 1
    (folder / "measured.html").write_text(measured.replace("</body>", f"{_MEASURE}</body>"), encoding="utf-8")
    frame = folder / "frame.html"
    frame.write_text(_FRAME % window, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    size = ["--hide-scrollbars", "--window-size=1600,1200", "--virtual-time-budget=5000", "--dump-dom"]
    ended = subprocess.run([CHROMIUM, *flags, *size, frame.as_uri()], capture_output=True, text=True, timeout=120)
    shown = _MEASURED.search(ended.stdout)
    assert shown is not None, ended.stderr
    return Widths(**json.loads(html.unescape(shown[1])))
