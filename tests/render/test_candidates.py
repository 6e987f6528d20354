"""What stands below the table of a search: networks that were named beside the space, each but for a library's."""

from __future__ import annotations

from dataclasses import replace

from archdsl.render.candidates import baseline_lines
from archdsl.search.trial import ALSO, LIBRARY, Trial
from tests.support.displayed import FRONT

FELL = replace(FRONT[2], accuracy=None, outcome="fell", reason="p50 3.00 ms is too slow")


def fell(number: int, origin: str) -> Trial:
    return replace(FELL, number=number, network_hash=f"hash{number}", document={"name": f"net{number}"}, origin=origin)


def test_a_named_network_that_fell_or_one_of_a_library_has_its_reason() -> None:
    records = [replace(FRONT[0], origin=LIBRARY), fell(3, LIBRARY), fell(4, ALSO), fell(5, LIBRARY)]
    assert list(baseline_lines(records, FRONT[:1])) == [
        "net4 (--also): p50 3.00 ms is too slow",
        "2 of the 3 networks of the library that were tried were not trained:",
        "  net3: p50 3.00 ms is too slow",
        "  net5: p50 3.00 ms is too slow",
    ]


def test_nothing_is_said_of_a_library_whose_networks_were_trained() -> None:
    assert list(baseline_lines([replace(FRONT[0], origin=LIBRARY)], FRONT[:1])) == []
