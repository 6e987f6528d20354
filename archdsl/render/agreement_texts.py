"""How well a report's predictions agree with what was measured, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from archdsl.render.texts import counted
from archdsl.search.store.shortened import unequal_text

if TYPE_CHECKING:
    from archdsl.search.report.facts import Agreement, Finals, Prediction

FEW = 10
"""Networks below which a rank correlation is called weak evidence."""


def agreement_lines(agreements: Sequence[Agreement]) -> Iterator[str]:
    """A rank correlation under the name of what it ranks; one line for all that rank too few networks."""
    if not agreements:
        yield "No network was trained, so that nothing could be ranked."
    too_few = [agreement for agreement in agreements if agreement.rho is None or agreement.chance is None]
    known = [agreement for agreement in agreements if agreement not in too_few]
    for agreement in known:
        if agreement.n >= FEW:
            yield f"{agreement.name}: {_agreement_figures(agreement)}"
    for count in sorted({agreement.n for agreement in known if agreement.n < FEW}, reverse=True):
        figures = ", ".join(f"{agreement.name} {agreement.rho:.2f}" for agreement in known if agreement.n == count)
        yield f"Spearman over {count} networks, fewer than {FEW} and so weak evidence: {figures}"
    for count in sorted({agreement.n for agreement in too_few}, reverse=True):
        names = ", ".join(agreement.name for agreement in too_few if agreement.n == count)
        yield f"{names}: {counted(count, 'network')}, too few for a rank correlation"


def _agreement_figures(agreement: Agreement) -> str:
    """The correlation, its n, and how easily chance gives as much."""
    if agreement.rho is None or agreement.chance is None:
        return f"{counted(agreement.n, 'network')}, too few for a rank correlation"
    chance = f"{_share(agreement.chance)} of random orders correlate as strongly"
    weak = "; weak evidence" if agreement.n < FEW else ""
    return f"Spearman {agreement.rho:.2f} over {agreement.n} networks; {chance}{weak}"


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.005 else "under 1%"


def finals_text(finals: Finals) -> str:
    """How the search's ranking held after longer training."""
    if not finals.pairs:
        return "No finalist was trained longer."
    after = [trial for _, trial in finals.pairs]
    unequal = unequal_text(
        [(trial.label, trial.proxy.lengths) for trial in after], any(trial.proxy.is_shortened for trial in after)
    )
    return (
        f"Proxy and final accuracy: {_agreement_figures(finals.agreement)}. The finalists are the best networks of the "
        f"search: their accuracies lie close together, so their ranks change easily."
        f"{f' {unequal[:1].upper()}{unequal[1:]}.' if unequal else ''}"
    )


def prediction_text(prediction: Prediction) -> str:
    """How far predictions lay off."""
    if not prediction.points or prediction.agreement is None:
        return f"The error of predicted latencies is not known: {prediction.reason}."
    return (
        f"Each of {len(prediction.points)} networks was predicted from all the others by {prediction.method}: the "
        f"median error is "
        f"{prediction.median_error or 0:.0%}, the largest {prediction.largest_error or 0:.0%}. "
        f"Predicted and measured latency: {_agreement_figures(prediction.agreement)}."
    )
