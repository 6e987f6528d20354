"""What samples say: statistics, instability and differences beyond noise, and the table that shows them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from archdsl.latency import Comparison, Latency, ratio
from archdsl.latency.provenance import provenance
from archdsl.render.bench import bench_table, caption, milliseconds
from tests.support.benched import STEADY, synthetic
from tests.support.screens import text_of

# What a measurement says


def test_statistics_are_ordered() -> None:
    samples = tuple(np.random.default_rng(0).gamma(2, size=50) + 1)
    item = Latency("x", samples, {})
    assert min(samples) == item.min_ms <= item.p10_ms <= item.p50_ms <= item.p90_ms <= max(samples)
    assert item.spread == pytest.approx(item.p50_ms / item.p10_ms - 1)


@pytest.mark.parametrize(
    ("samples", "facts", "unstable"),
    [
        (STEADY, {}, False),
        (tuple(value * (1 + (number >= 10) * 0.06) for number, value in enumerate(STEADY)), {}, True),
        (tuple(value * (1 + (number >= 10) * 0.04) for number, value in enumerate(STEADY)), {}, False),
        (tuple(value * (3 if number % 3 else 1) for number, value in enumerate(STEADY)), {}, False),
        (STEADY[:9], {}, True),
        (STEADY[:1], {}, True),
        (STEADY, {"cpu_share": 0.02}, True),
        (STEADY, {"cpu_share": 1.9}, False),
        (STEADY, {"cpu_share": None}, False),
    ],
    ids=["steady", "drift", "small-drift", "noise-above-p10", "few", "one", "starved", "busy", "gpu"],
)
def test_drift_few_rounds_and_starvation_are_unstable(
    samples: tuple[float, ...], facts: dict[str, Any], unstable: bool
) -> None:
    assert Latency("x", samples, facts).unstable is unstable


def test_the_bootstrap_interval_holds_the_true_ratio_and_uses_the_pairing() -> None:
    random = np.random.default_rng(1)
    shared = random.gamma(2, size=60) + 1
    base = tuple(10 * shared * random.normal(1, 0.01, 60))
    above = tuple(12.5 * shared * random.normal(1, 0.01, 60))
    found = ratio(above, base, "p50")
    assert found.low < 1.25 < found.high
    assert found.low < found.value < found.high
    unpaired = ratio(tuple(random.permutation(above)), base, "p50")
    assert found.high - found.low < unpaired.high - unpaired.low
    assert ratio(above, base, "p50") == found


def test_a_difference_must_exceed_the_noise() -> None:
    assert synthetic(again=1.001).differs("fast")
    assert not synthetic(again=1.6).differs("fast")
    assert not synthetic(again=1.001).differs("slow")
    assert synthetic(again=1.06).unstable
    assert not synthetic(again=1.001).unstable


# The table


def rendered(comparison: Comparison) -> str:
    text = text_of(bench_table(comparison), soft_wrap=False)
    return "\n".join(line.rstrip() for line in text.splitlines())


GOLDEN = """\
ms         min    p10    p50    p90  spread          ratio [95 %]
litv2_s  10.00  10.00  10.02  10.04    0.2%                     1
fast     5.000  5.000  5.010  5.020    0.2%  0.500 [0.500, 0.500]
slow     10.00  10.00  10.02  10.04    0.2%  1.000 [1.000, 1.000]
A/A      10.02  10.02  10.04  10.06    0.2%  1.002 [1.002, 1.002]

slow does not differ significantly from litv2_s (ratio 1.000 to 1.000).
Ratio: p10 divided by that of litv2_s; A/A is litv2_s measured again.
Each round measures all 3 in turn, litv2_s twice; a network measured alone, as
for a search's verdict, is usually faster.
ms per batch, batch 1, 3x224x224, float32, eager, 20 rounds
Some CPU @ 2 GHz, 2 threads, torch 2.13.0"""

UNSTABLE = """\
Unstable: litv2_s, fast, A/A.
Unstable: litv2_s measured twice differs by 8.0%.
Measure again, on a quieter machine or with more rounds."""

DISTURBED = """\
ms         min    p10    p50    p90  spread          ratio [95 %]  undisturbed
litv2_s  10.00  10.00  10.02  10.04    0.2%                     1     15 of 20
fast     5.000  5.000  5.010  5.020    0.2%  0.500 [0.500, 0.500]     18 of 20
slow     10.00  10.00  10.02  10.04    0.2%                     -      0 of 20
A/A      10.02  10.02  10.04  10.06    0.2%  1.002 [1.002, 1.002]     20 of 20

No round of slow was undisturbed: the numbers there are of all rounds, and too
high.
slow has no ratio: no undisturbed round in common with litv2_s, and 10 are
needed.
Unstable: slow.
Measure again, on a quieter machine or with more rounds.
Ratio: p10 divided by that of litv2_s, both over the rounds in which neither was
disturbed; A/A is litv2_s measured again.
"""


def disturbed(**rounds: range) -> Comparison:
    """The synthetic comparison with these rounds disturbed; `again` names A/A."""
    found = synthetic()
    items = {name: item._replace(disturbed=frozenset(rounds.get(name, ()))) for name, item in found.latencies.items()}
    return found._replace(latencies=items, again=found.again._replace(disturbed=frozenset(rounds.get("again", ()))))


def test_the_caption_names_the_wait_policy_of_the_threads() -> None:
    facts = provenance("cpu", "float32", 1, "eager", 2).as_json()
    facts |= {"device_name": "a machine", "torch": "2.13.0", "image": [3, 64, 64]}
    for policy, last in (("PASSIVE", "torch 2.13.0, OMP_WAIT_POLICY=PASSIVE"), ("default", "torch 2.13.0")):
        found = Latency("net", (10.0,) * 20, facts | {"omp_wait_policy": policy})
        lines = caption(Comparison("p50", {"net": found}, found))
        assert lines[-1].endswith(last)
        assert lines[1].startswith("Each round measures net twice; a network measured alone,")


def test_the_table_is_as_drawn() -> None:
    assert rendered(synthetic()) == GOLDEN


def test_the_table_says_plainly_what_is_unstable() -> None:
    found = synthetic(again=1.08)
    starved = found.first.provenance | {"cpu_share": 0.1}
    items = {name: item._replace(provenance=starved) for name, item in found.latencies.items() if name != "slow"}
    found = found._replace(latencies=items, again=found.again._replace(provenance=starved))
    assert UNSTABLE in rendered(found)


def test_rows_with_disturbed_rounds_are_marked_and_too_few_give_no_ratio() -> None:
    found = disturbed(litv2_s=range(5), fast=range(3, 5), slow=range(20))
    assert rendered(found).startswith(DISTURBED)
    assert (found.ratios["slow"], found.differs("slow"), found.differs("fast")) == (None, None, True)
    row = found.rows()[2]
    assert (row["ratio"], row["differs"]) == (None, None)


def test_items_without_a_ratio_are_named_with_the_rounds_that_they_have() -> None:
    text = " ".join(rendered(disturbed(fast=range(11), slow=range(11), again=range(11))).split())
    told = "fast, slow and A/A have no ratio: only 9 undisturbed rounds in common with litv2_s, and 10 are needed."
    assert told in text


def test_a_difference_within_the_noise_is_told_beside_the_noise() -> None:
    found = synthetic(again=1.02)
    slower = found.latencies["slow"]._replace(samples=tuple(1.01 * ms for ms in found.first.samples))
    text = " ".join(rendered(found._replace(latencies=found.latencies | {"slow": slower})).split())
    told = "slow does not differ significantly from litv2_s (ratio 1.010 to 1.010; that of A/A is 1.020)."
    assert told in text


def test_a_slow_processor_is_named_where_it_cost_a_quarter_of_the_rounds() -> None:
    for slowed, is_named in ((10, True), (2, False)):
        found = disturbed(litv2_s=range(slowed), again=range(slowed))
        told = {"slowed": slowed}
        first = found.first._replace(provenance=found.first.provenance | told)
        again = found.again._replace(provenance=found.again.provenance | told)
        others = {name: item._replace(provenance=item.provenance | told) for name, item in found.latencies.items()}
        text = " ".join(rendered(Comparison("p10", others | {"litv2_s": first}, again)).split())
        assert ("The processor ran slower than usual in 40 of 80 rounds" in text) == is_named


def test_a_ratio_is_of_the_rounds_in_which_neither_was_disturbed() -> None:
    found = disturbed(litv2_s=range(5))
    slower = tuple(ms * (9 if number < 5 else 2) for number, ms in enumerate(found.first.samples))
    found = found._replace(latencies=found.latencies | {"fast": found.latencies["fast"]._replace(samples=slower)})
    ratio = found.ratios["fast"]
    assert ratio is not None
    assert ratio.value == pytest.approx(2)


def test_without_a_ratio_of_the_same_network_nothing_is_said_of_significance() -> None:
    found = disturbed(again=range(12))
    assert (found.noise, found.differs("slow"), found.unstable) == (None, None, True)
    text = rendered(found)
    assert "significantly" not in text
    assert "Without a ratio of A/A it is unknown whether a difference is significant." in text
    assert "measured twice differs" not in text
    assert repr(found).endswith("slow 10 ms; 20 rounds, cpu)")


def test_a_long_name_fits_the_width() -> None:
    found = synthetic()
    name = "a" * 64
    text = rendered(found._replace(latencies={name: found.first, "b": found.latencies["fast"]}))
    assert max(map(len, text.splitlines()[:6])) <= 80
    assert text.count("a" * 8) >= 4


def test_milliseconds_have_four_digits() -> None:
    assert [milliseconds(value) for value in (0.1174, 12.346, 123.46, 1234.5)] == ["0.117", "12.35", "123.5", "1234"]
