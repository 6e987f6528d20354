"""How long trainings take, told from some steps on noise."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.search.config import Settings
from archdsl.search.network import Network
from archdsl.search.policy.doctor import ExaminationPolicy
from archdsl.search.worker.process import Failed, WorkerGone
from archdsl.search.worker.slot import WorkerProtocol
from archdsl.search.worker.training_messages import PaceRequest
from archdsl.training.fidelity import Fidelity


def paces(
    worker: WorkerProtocol,
    networks: Sequence[Network],
    settings: Settings,
    policy: ExaminationPolicy,
    fidelity: Fidelity,
    judged: int,
) -> list[float]:
    """Seconds that trainings of this length take, of some networks spread over those given.

    Told from some steps on noise; scoring and validation are in it, of `judged` images to validate and held out.
    """
    ordered = sorted(networks, key=lambda network: network.counted.macs)
    parts = range(policy.paced if ordered else 0)
    chosen = [ordered[(2 * part + 1) * len(ordered) // (2 * policy.paced)] for part in parts]
    seconds = []
    for network in chosen:
        request = PaceRequest(network.spec.to_json(), fidelity.batch, settings.device, settings.threads)
        try:
            reply = worker.ask(request, policy.pace_s)
        except (Failed, WorkerGone):
            continue
        seconds.append(fidelity.steps * reply.step_s + (judged + policy.scored_images) * reply.image_s)
    return seconds
