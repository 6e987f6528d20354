"""How a network is measured and trained, and when the search gives up."""

from __future__ import annotations

from dataclasses import dataclass, field

from archdsl.runtimes.by_name import runs_files
from archdsl.search.policy.pace import Pace
from archdsl.timing.turns import rounds_of_turn


@dataclass(frozen=True)
class MeasuringPolicy:
    """How a candidate is measured."""

    pace: Pace = field(default=Pace(rounds=120, warmup_s=0.2, settle_s=0.3, time_limit_s=3.0))
    """At most; the gate mostly decides earlier."""
    graph_sample_ms: float = 10.0
    """Of a round at the gate where a GPU replays a graph, which nothing on the host disturbs."""
    readings: int = 2
    """At most: a reading on a busy machine is followed by another."""


@dataclass(frozen=True)
class ExportedFilesPolicy:
    """How much room the exported files of candidates take in a run's folder."""

    most: int = 8
    """Files: what is measured again is measured soon, as when a machine was busy."""
    most_bytes: int = 512 * 1024**2
    """Of all files together; those that are being measured are kept in any case."""


@dataclass(frozen=True)
class BudgetSharePolicy:
    """How many networks are looked at for the share of a space that keeps the latency budget."""

    few: int = 60
    """Draws, after which most shares are clearly neither nearly all nor nearly nothing."""
    clear: float = 0.2
    """From which to 1 less which a share of the few is clear."""
    many: int = 400
    """Draws where it is not."""
    least_measured: int = 6
    """Measured networks that count where nothing can be predicted yet."""


@dataclass(frozen=True)
class GatePolicy:
    """How noisy a machine is taken to be."""

    readings: int = 3
    """Of one network, when the search begins."""
    least_noise: float = 0.05
    """What readings minutes apart differ by, which some in a row do not show."""
    most_noise: float = 0.15
    """Of the budget, that may be kept back for noise."""
    disturbed: float = 1.1
    """Times the gate, as which a disturbed reading counts that is over it."""


@dataclass(frozen=True)
class FinalReadingPolicy:
    """How the file of a winner is measured, in fresh processes."""

    processes: int = 3
    """That are pooled, where there is time for them."""
    rounds: int = 70
    """Of each process at the least."""
    least_s: float = 3.0
    """Of rounds of each process."""
    turns: int = 6
    """In which processes that are alive together measure: shares of `rounds` and `least_s`, one process after another.
    The shorter they are, the less a drift of the machine's speed looks like a difference between processes."""
    long_turns: int = 3
    """The same where a round takes over `long_call_ms`, so that a turn still holds several blocks of rounds."""
    start_s: float = 6.0
    """About what starting a process takes, and warming it up in all its turns."""
    doublings: int = 2
    """Of the processes, at most, where a reading leaves the verdict open."""
    alone_rounds: int = 220
    """Of a process that will stay the only one: enough blocks for a verdict, some disturbed ones left out."""
    long_call_ms: float = 15.0
    """Calls that last longer are nearly all disturbed by one neighbour a core: a quiet moment is waited for."""
    calibration_images: int = 128
    """Training images by which an int8 file's activations are scaled: as many as hold every class a few times."""
    look_s: float = 1.0
    """Over which a machine is looked at."""
    most_wait_s: float = 60.0
    """That a quiet moment is waited for where no time limit says less."""
    spare_cores: float = 0.1
    """That other processes may keep busy in a quiet moment, beside the cores that the network leaves."""

    @property
    def pace(self) -> Pace:
        """Of one process that measures in one turn."""
        return Pace(rounds=self.rounds, least_s=self.least_s, warmup_s=0.5, settle_s=1.0)

    def turns_of(self, round_ms: float) -> int:
        """In how many turns each process measures."""
        return self.turns if round_ms <= self.long_call_ms else self.long_turns

    def turn_pace(self, turns: int) -> Pace:
        """Of one of so many turns."""
        rounds = rounds_of_turn(self.rounds, turns)
        return Pace(rounds=rounds, least_s=self.least_s / turns, warmup_s=0.1, settle_s=0.3)

    def rounds_s(self, call_ms: float) -> float:
        """Seconds that the rounds of one process take."""
        turns = self.turns_of(call_ms)
        return max(self.least_s, turns * rounds_of_turn(self.rounds, turns) * call_ms / 1e3)

    @property
    def seconds(self) -> float:
        """About what a reading takes that need not be doubled."""
        return self.processes * (self.start_s + self.least_s)


@dataclass(frozen=True)
class FinalistPolicy:
    """How the most accurate networks of a search are trained longer, by successive halving."""

    lengthen: float = 3.0
    """How many times longer they are trained."""
    count: int = 6
    """In the first round, at most."""
    seeds: int = 3
    """Rounds, each with initial weights and data orders of its own; after each the better half goes on."""


@dataclass(frozen=True)
class WorkerPolicy:
    """How workers are started."""

    start_s: float = 120.0
    """Until a process that was started is taken to hang."""
    spins: int = 10_000
    """For which a thread of a training waits awake for another one, some tens of microseconds: between two operations
    that is enough, and on a busy machine it costs little. On two cores an image of a winner of lit-dat-64 took 10.1 ms
    of training on two threads that sleep at once, 5.8 ms on two that stay awake so long, 8.0 ms on one."""
    memory_share: float = 0.9
    """Of the host's memory, that workers on a CPU may take together: the rest is the search's own."""


@dataclass(frozen=True)
class SilencePolicy:
    """Seconds without a word, after which a worker is taken to hang; longer than what it was asked for ever took."""

    greeting_s: float = 300.0
    """Importing torch and finding the device."""
    data_s: float = 1800.0
    """Loading the data, which may be a large folder of images."""
    threads_s: float = 120.0
    """Comparing numbers of threads."""
    measure_s: float = 120.0
    """Measuring a network."""
    compile_s: float = 600.0
    """Measuring a network that is compiled first."""
    export_s: float = 300.0
    """Exporting a network and holding the file against it, and measuring one in a runtime that runs files."""
    score_s: float = 120.0
    """Scoring a network at initialisation."""
    accuracy_s: float = 600.0
    """Naming all validation and held-out images with an exported file."""
    train_s: float = 600.0
    """Training: it tells how far it is."""

    def measuring_s(self, runtime: str) -> float:
        """Measuring a network in a runtime."""
        if runtime == "compile":
            return self.compile_s
        return self.export_s if runs_files(runtime) else self.measure_s


@dataclass(frozen=True)
class TimePolicy:
    """How a search divides its time."""

    default_s: float = 600.0
    """Where neither a time nor a number of trials is asked for."""
    least_s: float = 20.0
    """Starting, one short training and one fresh process for the winner take about this long, or longer."""
    least_with_parent_s: float = 300.0
    """Below which a search with a parent says that its time is short: on two busy cores one took 98 s to bring a parent
    to the data and measure it, and one of 90 s ended with a third of its parent's accuracy.
    """
    usual_with_parent_s: float = 360.0
    """That it proposes then."""
    search_share: float = 0.75
    """Of the time, for the search itself; the rest is for training the finalists and measuring the winner."""
    reserve_share: float = 0.25
    """Of a short search's time, kept for the winner's measurement: what is left must do for one training."""
    late_s: float = 15.0
    """By which a worker's reply may come after the end."""
    remind_s: float = 30.0
    """Between two lines that say that the search waits for the device."""
    told_share: float = 0.25
    """Of a training of `archdsl score`, between two lines that say how far it is."""


@dataclass(frozen=True)
class GivingUpPolicy:
    """When the fault is not the candidates'."""

    most_failures: int = 20
    """Trials in a row that failed."""
    first: int = 5
    """Trials that all fell at the gate, before the smallest network is looked for."""
    hopeless: float = 2.0
    """Times the budget that the fastest network takes, the smallest one among those that were measured."""
