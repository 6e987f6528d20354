"""The inference form where it alone is asked for: one that differs from its network is refused, not replaced by it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from archdsl.errors import ExportError
from archdsl.optimizing import optimize

if TYPE_CHECKING:
    from archdsl.compile import Backbone

_DIFFERS = "the optimized network differs"


def inference_form(model: Backbone) -> Backbone:
    """As `archdsl.optimize`, for what is measured or written under the form's name.

    Raises:
        ExportError: the form differs from the network by more than rounding.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("error", _DIFFERS, RuntimeWarning)
        try:
            return optimize(model)
        except RuntimeWarning as warning:
            what = str(warning).partition(";")[0]
            raise ExportError(f"{what}, more than rounding explains; leave out --optimize") from None
