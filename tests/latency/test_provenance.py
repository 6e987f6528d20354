"""Where a measurement comes from: the same facts everywhere, and cores as the system tells them."""

from __future__ import annotations

import json

import pytest

from archdsl.errors import MeasureError
from archdsl.json_types import JsonObject
from archdsl.latency.provenance import Provenance, provenance
from archdsl.timing.cores import count_cores, parse_quota, physical_cores


def test_provenance_has_the_same_keys_everywhere() -> None:
    facts = provenance("cpu", "float32", 1, "eager", 2).as_json()
    assert set(facts) == {
        *(
            "device",
            "dtype",
            "batch",
            "runtime",
            "threads",
            "device_name",
            "driver",
            "clocks",
            "environment",
            "torch",
            "cuda",
            "cudnn",
        ),
        *(
            "python",
            "os",
            "archdsl",
            "cpu",
            "cpus",
            "physical_cores",
            "malloc",
            "omp_wait_policy",
            "load_average",
            "date",
        ),
    }
    assert json.loads(json.dumps(facts)) == facts
    assert facts["driver"] is None
    assert physical_cores() >= 1


def test_provenance_is_read_from_its_json_and_from_that_of_earlier_versions() -> None:
    origin = provenance("cpu", "float32", 1, "eager", 2)
    written: JsonObject = {**json.loads(json.dumps(origin.as_json())), "rounds": 40}
    assert Provenance.from_json(written) == origin
    written["mode"] = written.pop("runtime")
    assert Provenance.from_json(written) == origin
    with pytest.raises(MeasureError, match=r"provenance of a measurement cannot be read: torch: Field required"):
        Provenance.from_json({name: value for name, value in written.items() if name != "torch"})


def test_the_allocator_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    assert "MALLOC_ARENA_MAX=2" in provenance("cpu", "float32", 1, "eager", 2).malloc


def test_hyperthreads_are_one_core() -> None:
    block = "processor\t: {}\nmodel name\t: X\nphysical id\t: {}\ncore id\t\t: {}\n"
    text = "\n".join(block.format(cpu, cpu // 4, cpu % 2) for cpu in range(8))
    assert count_cores(text, set(range(8))) == 4
    assert count_cores(text, {0, 2}) == 1
    assert count_cores("processor\t: 0\n\nprocessor\t: 1\n", {0, 1}) == 2
    assert count_cores("", {0, 1, 2}) == 3


def test_a_quota_is_a_number_of_cpus() -> None:
    assert parse_quota("150000 100000\n") == 1.5
    assert parse_quota("max 100000\n") is None
    assert parse_quota("") is None
