"""Golden texts, as tests get them from the fixture `golden`."""

from __future__ import annotations

from collections.abc import Callable

Golden = Callable[[str, str], None]
