"""The networks that a worker is asked about: from a document to a module, of a spec or of timm; imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.json_types import JsonObject
from archdsl.search.network import TimmNetwork
from archdsl.search.network import network_of as network_of

if TYPE_CHECKING:
    from torch import nn

    from archdsl.language.document import Spec
    from archdsl.runtimes.setting import Image


def image_of(document: JsonObject) -> Image:
    """(C, H, W) of what the network reads."""
    network = network_of(document)
    return (network.channels, *network.image_size)


def measurable(document: JsonObject, device: str) -> Spec | nn.Module:
    """What `archdsl.latency.measure` takes: a spec, or a module of timm on the device.

    Raises:
        SearchError: as `built`.
    """
    network = network_of(document)
    return seeded_network(document, device) if isinstance(network, TimmNetwork) else network


def built(document: JsonObject, features_only: bool = False) -> nn.Module:
    """The network with new weights, by torch's generator as it stands.

    Raises:
        SearchError: timm is missing, or cannot build the network.
    """
    network = network_of(document)
    if isinstance(network, TimmNetwork):
        from archdsl.integrations.timm_models import build_timm

        return build_timm(network.model, network.image, network.channels, network.classes)
    from archdsl.compile import build

    return build(network, features_only)


def seeded_network(document: JsonObject, device: str = "cpu", features_only: bool = False) -> nn.Module:
    """The network, built on a device with weights that are the same each time there.

    Raises:
        SearchError: as `built`.
    """
    from archdsl.latency.measuring import seeded_by

    return seeded_by(lambda: built(document, features_only), device)
