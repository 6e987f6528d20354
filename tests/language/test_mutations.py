"""Whatever a document says, it is refused with places and reasons, or it builds and runs."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import torch

from archdsl.compile import build
from archdsl.cost import MOST_MACS, MOST_MEMORY, MOST_PARAMS, count
from archdsl.errors import Problem, SpecError
from archdsl.language.document import Spec
from archdsl.load.specs import parse_spec
from tests.support.mutants import mutants
from tests.support.places import ROOT

SEED, COUNT, BUILT = 11, 100, 5


@cache
def outcome(data: bytes) -> Spec | tuple[Problem, ...]:
    try:
        return parse_spec(data, "mutant.json")
    except SpecError as error:
        return error.problems


def test_a_changed_document_holds_inside_the_bounds_or_is_refused_with_places() -> None:
    refused = 0
    for mutant in mutants(SEED, COUNT):
        found = outcome(mutant.data)
        if isinstance(found, Spec):
            counted = count(found)
            assert counted.params <= MOST_PARAMS
            assert counted.macs <= MOST_MACS
            assert counted.memory_bytes() <= MOST_MEMORY
            continue
        refused += 1
        assert found, mutant
        for problem in found:
            assert problem.rule, mutant
            assert problem.file == "mutant.json"
            assert problem.line or not problem.keys, mutant
            assert "\n" not in str(problem)
    assert COUNT // 3 < refused < COUNT - BUILT


def test_what_holds_builds_and_runs() -> None:
    ran = 0
    for mutant in mutants(SEED, 6 * COUNT):
        found = outcome(mutant.data)
        if not isinstance(found, Spec):
            continue
        counted = count(found)
        if counted.params > 1e7 or counted.macs > 1e9:
            continue
        torch.manual_seed(0)
        with torch.inference_mode():
            logits = build(found).eval()(torch.randn(1, found.channels, *found.image_size))
        assert logits.shape == (1, found.classes), mutant
        assert torch.isfinite(logits).all(), mutant
        if (ran := ran + 1) == BUILT:
            return
    raise AssertionError(f"only {ran} mutants are small enough")


def test_mutants_are_the_same_for_the_same_seed() -> None:
    first, second = list(mutants(3, 40)), list(mutants(3, 40))
    assert first == second
    assert len({mutant.data for mutant in first}) > 35
    assert list(mutants(4, 40)) != first


def test_the_benchmark_tells_what_came_of_each() -> None:
    script = ROOT / "benchmarks" / "mutations.py"
    asked = [sys.executable, str(script), "--count", "12", "--seed", "5", "--most-gb", "0"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0].split() == ["outcome", "mutants", "slowest", "s", "most", "MB"]
    assert sum(int(line.split()[-3]) for line in done.stdout.splitlines()[1:]) == 12
