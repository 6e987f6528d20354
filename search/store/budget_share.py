"""How much of its space a latency budget leaves: a budget that nearly every network keeps decides nothing."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import TypeAdapter

from archdsl.json_types import Json, JsonObject

_ALMOST = 0.05


class BudgetShare(NamedTuple):
    """The share of some networks of a space that are inside a latency budget, as a search ended."""

    share: float
    """Of the networks, 0 to 1."""
    networks: int
    predicted: int
    """Of these, whose latency is a prediction; the others were measured as trials."""
    half_ms: float
    """The budget that half of them keep, in ms."""
    median_error: float | None = None
    """The relative error of the prediction on measured networks; None where nothing was predicted."""

    @property
    def is_loose(self) -> bool:
        """Whether the budget excludes almost nothing: 95 % of the networks keep it."""
        return self.share >= 1 - _ALMOST

    @property
    def is_tight(self) -> bool:
        """Whether the budget excludes almost everything: 5 % of the networks keep it."""
        return self.share <= _ALMOST

    def as_json(self) -> JsonObject:
        """`budget_share` in `verdict.json`."""
        return {**self._asdict()}

    @classmethod
    def from_json(cls, facts: Json) -> BudgetShare:
        """What `as_json` wrote.

        Raises:
            ValidationError: it is none.
        """
        return _ADAPTER.validate_python(facts)


_ADAPTER = TypeAdapter(BudgetShare)
