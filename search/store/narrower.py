"""What a run keeps of the narrower copies of its parent in `narrower.json`, so that a resumed run tries the same."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, JsonValue

NARROWER_FILE = "narrower.json"


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class KeptCopy(_Kept):
    """A copy. base: the number of its base. channels: its share of the base's, as a fraction. tries: how often the
    prediction was corrected by copies before it.
    """

    base: int
    channels: str
    predicted_ms: float
    tries: int


class KeptNarrower(_Kept):
    """`narrower.json`. networks: the documents of the copies, in the order in which they were chosen. bases: what they
    were made of. copies: one for each network. measured: MACs, operators and ms of networks that correct predictions.
    is_alone: whether nothing else is tried. Those from `bases` on are empty in a run of an earlier version.
    """

    networks: tuple[dict[str, JsonValue], ...]
    bases: tuple[dict[str, JsonValue], ...] = ()
    copies: tuple[KeptCopy, ...] = ()
    measured: tuple[tuple[float, float, float], ...] = ()
    is_alone: bool = True
