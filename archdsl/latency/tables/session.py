"""One session of measuring for a table: parts in their carriers and whole networks, side by side in the same rounds."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from archdsl.cost import count
from archdsl.language.document import Spec
from archdsl.latency.measuring import host_of, seeded
from archdsl.latency.result import LEAST_ROUNDS
from archdsl.latency.rounds import Host, measure_all, plain_timer
from archdsl.latency.stats import STATS, percentile
from archdsl.latency.tables.parts import Part, parts
from archdsl.latency.tables.survey import Survey
from archdsl.latency.tables.timing import InPlace, alone, by_key, image_of, noting
from archdsl.runtimes.runner import Runner, prepare, steady
from archdsl.runtimes.setting import Setting
from archdsl.timing.rounds import Rounds

Notify = Callable[[str], None]
"""Called with a sentence on what is done now, or what is waited for."""
Samples = tuple[float, ...]
_Net = tuple[int | None, Spec]
"""A network and its number among the whole ones; None for a carrier."""
_Carriers = Sequence[tuple[Spec, tuple[Part, ...]]]
_Taken = tuple[dict[str, Samples], list[list[dict[str, float]]]]
"""Samples of each runner; and of each carrier, for each of its rounds, the ms of each part."""

STEADY = 0.02
"""How far the two halves of the rounds may lie apart, in the mean over whole networks, before more rounds are taken."""
MOST_PASSES = 3
_TOGETHER = 2e9
"""Bytes of networks that are kept ready at the same time."""
_MOST_TOGETHER = 32
"""Networks that are measured under one lock, so that whoever waits for the device waits for some tens of seconds."""
_WARM_UP_S, _SETTLE_S = 0.02, 0.1


class Session(NamedTuple):
    """Samples in ms: of each part, a list for each carrier that it was timed in, and of each whole network."""

    parts: dict[str, list[Samples]]
    whole: list[Samples]

    def noise(self, stat: str) -> float:
        """How far a statistic of the odd rounds lies from that of the even ones, in the mean over whole networks."""
        percent = STATS[stat]
        apart = [abs(percentile(taken[::2], percent) / percentile(taken[1::2], percent) - 1) for taken in self.whole]
        return sum(apart) / len(apart) if apart else 0.0

    def joined(self, more: Session) -> Session:
        """The rounds of two sessions over the same networks."""
        parts = {
            key: [first + second for first, second in zip(taken, more.parts[key], strict=True)]
            for key, taken in self.parts.items()
        }
        return Session(parts, [first + second for first, second in zip(self.whole, more.whole, strict=True)])


def measured(
    survey: Survey,
    setting: Setting,
    threads: int | None,
    stat: str,
    rounds: int,
    notify: Notify,
    optimize: bool = False,
) -> Session:
    """Everything measured, again and again until it is steady, or `MOST_PASSES` times.

    Raises:
        MeasureError: a forward pass fails.
    """
    session: Session | None = None
    for number in range(1, MOST_PASSES + 1):
        more = _pass(survey, setting, threads, rounds, notify, optimize)
        session = session.joined(more) if session is not None else more
        noise = session.noise(stat)
        notify(f"pass {number}: the two halves of the rounds differ by {noise:.1%}")
        if noise <= STEADY:
            break
    assert session is not None
    return session


def _pass(
    survey: Survey, setting: Setting, threads: int | None, rounds: int, notify: Notify, optimize: bool
) -> Session:
    """Each network once in so many rounds, many of them side by side."""
    wholes = [*survey.calibration, *survey.held_out]
    session = Session(defaultdict(list), [()] * len(wholes))
    nets = [*((None, spec) for spec in survey.carriers), *enumerate(wholes)]
    for group in _groups(nets, setting):
        notify(f"measuring {len(group)} networks of {len(nets)} side by side, {rounds} rounds ...")
        with steady(setting.device, threads, notify) as held:
            host = host_of(setting, held)
            plain = {
                str(index): prepare(seeded(spec), image_of(spec), *setting, optimize=optimize)
                for index, spec in group
                if index is not None
            }
            carriers = [(spec, parts(spec, survey.whole)) for index, spec in group if index is None]
            timed = _in_place if setting.executor.runs_modules else _apart
            samples, taken = timed(carriers, plain, setting, rounds, host, optimize)
        for name in plain:
            session.whole[int(name)] = samples[name]
        for rows in taken:
            for key in rows[0]:
                session.parts[key].append(tuple(row[key] for row in rows))
    return session


def _groups(nets: list[_Net], setting: Setting) -> Iterator[list[_Net]]:
    """The networks in an order of chance, as many together as fit into memory and under one lock."""
    group, held = list[_Net](), 0.0
    for net in random.Random(0).sample(nets, len(nets)):
        bytes_ = count(net[1]).memory_bytes(setting.dtype, setting.batch)
        if group and (held + bytes_ > _TOGETHER or len(group) == _MOST_TOGETHER):
            yield group
            group, held = [], 0.0
        group, held = [*group, net], held + bytes_
    yield group


def _in_place(
    carriers: _Carriers, plain: dict[str, Runner], setting: Setting, rounds: int, host: Host, optimize: bool
) -> _Taken:
    """Whole networks, and carriers whose parts are timed while they run."""
    placed = {f"carrier {index}": InPlace(*carrier, setting, optimize) for index, carrier in enumerate(carriers)}
    taken = measure_all(
        {**plain, **placed},
        device=setting.device,
        rounds=rounds,
        warmup_s=_WARM_UP_S,
        settle_s=_SETTLE_S,
        timer=noting(plain_timer(setting.device)),
        host=host,
    )
    timings = 2 if len(taken) > 1 else 1  # a round; the one before the sample is not kept
    rows = []
    for name, net in placed.items():
        of_rounds = net.taken[-timings * len(taken[name].ms) :][timings - 1 :: timings]
        rows.append([of_rounds[number] for number in _kept(taken[name].undisturbed)])
    return _samples(taken), rows


def _samples(taken: dict[str, Rounds]) -> dict[str, Samples]:
    """Of each runner the ms of its undisturbed rounds; of all where these are too few for a statistic."""
    return {name: tuple(rounds.ms[number] for number in _kept(rounds.undisturbed)) for name, rounds in taken.items()}


def _kept(undisturbed: Sequence[bool]) -> list[int]:
    """Numbers of the rounds that count; of all where these are too few for a statistic."""
    kept = [number for number, counts in enumerate(undisturbed) if counts]
    return kept if len(kept) >= LEAST_ROUNDS else list(range(len(undisturbed)))


def _apart(
    carriers: _Carriers, plain: dict[str, Runner], setting: Setting, rounds: int, host: Host, optimize: bool
) -> _Taken:
    """Whole networks, and the nodes and blocks of carriers each by itself."""
    runners = [alone(*carrier, setting, optimize) for carrier in carriers]
    named = {f"carrier {index} {place}": run for index, parts_ in enumerate(runners) for place, run in parts_.items()}
    taken = measure_all(
        {**plain, **named},
        device=setting.device,
        rounds=rounds,
        warmup_s=_WARM_UP_S,
        settle_s=_SETTLE_S,
        host=host,
    )
    passes, rows = setting.executor.passes, []
    for index, (places, (_, carried)) in enumerate(zip(runners, carriers, strict=True)):
        by_place = {place: taken[f"carrier {index} {place}"] for place in places}
        counts = [all(each) for each in zip(*(part.undisturbed for part in by_place.values()), strict=True)]
        rows.append(
            [
                by_key(carried, {place: part.ms[number] / passes for place, part in by_place.items()})
                for number in _kept(counts)
            ]
        )
    return _samples(taken), rows
