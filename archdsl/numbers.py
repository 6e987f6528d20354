"""Numbers as a person reads them: four digits and a decimal prefix."""

from __future__ import annotations

import math
from decimal import Decimal


def params_text(params: int) -> str:
    """27_844_000 -> `27.84 M`"""
    return _scaled(params)


def macs_text(macs: int) -> str:
    """3_723_626_496 -> `3.724 G`"""
    return _scaled(macs)


def bytes_text(count: int) -> str:
    """111_376_000 -> `111.4 MB`; 1 MB is 10^6 bytes."""
    text = _scaled(count)
    return f"{text}B" if " " in text else f"{text} B"


def plain_text(value: float, digits: int = 6) -> str:
    """A number rounded to so many significant digits: 84_400.0 -> `84,400`, 5.0 -> `5`.

    From 10^15 on its order of magnitude stands beside it: `8.44 x 10^19`.
    """
    if not math.isfinite(value):
        return str(value)
    rounded = Decimal(f"{value:.{digits}g}")
    if abs(rounded) < 10**15:
        return f"{rounded:,f}"
    factor, _, power = f"{rounded:e}".partition("e+")
    return f"{factor.rstrip('0').rstrip('.') if '.' in factor else factor} x 10^{power}"


def share_text(part: int, whole: int) -> str:
    """3 of 8 -> `38%`; empty for nothing, `<1%` for less than a hundredth."""
    if not part or not whole:
        return ""
    share = part / whole
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def standard_error(share: float, count: int) -> float:
    """Binomial, of a share of so many: sqrt(p (1 - p) / n).

    Where p is 0 or 1 that would be 0, however few there are; there p is taken as (k + 1) / (n + 2), as Laplace does.
    """
    if share in (0, 1):
        share = (share * count + 1) / (count + 2)
    return math.sqrt(share * (1 - share) / count)


def accuracy_text(accuracy: float | None, error: float | None = None) -> str:
    """0.634 with a standard error of 0.015 -> `63.4 ± 1.5 %`; `63.4 %` without an error, a dash for none."""
    if accuracy is None:
        return "-"
    return f"{100 * accuracy:.1f} %" if error is None else f"{100 * accuracy:.1f} ± {100 * error:.1f} %"


def _scaled(value: int) -> str:
    """Below 1000 as it is."""
    text, prefix, scaled = str(value), "", float(value)
    while abs(float(text)) >= 1000 and prefix != "E":
        scaled, prefix = scaled / 1000, {"": "k", "k": "M", "M": "G", "G": "T", "T": "P", "P": "E"}[prefix]
        text = f"{scaled:#.4g}"  # rounds, so that 999_999 is 1.000 M
    return f"{text} {prefix}".strip()
