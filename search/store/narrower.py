"""What a run keeps of the narrower copies of its parent in `narrower.json`, so that a resumed run tries the same."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, JsonValue

NARROWER_FILE = "narrower.json"


class KeptNarrower(BaseModel):
    """`narrower.json`: the documents of the copies, in the order in which they are tried."""

    model_config = ConfigDict(frozen=True)

    networks: tuple[dict[str, JsonValue], ...]
