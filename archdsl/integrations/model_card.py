"""The page of a network on the Hugging Face Hub, written from its spec, its costs and what its file says of itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from archdsl.cost import count
from archdsl.language.document import Spec
from archdsl.latency.result import Latency
from archdsl.weights.facts import Accuracy, Measured, ModelFacts, Preprocessing, Provenance

TAGS = ("archdsl", "vision-backbone")
_TASK = "image-classification"
_CLASSES_NAMED = 20


def model_card(
    spec: Spec, facts: ModelFacts, features_only: bool = False, latencies: Sequence[Latency] = (), **data: Any
) -> ModelCard:
    """The card of a network; `data` is further metadata of huggingface_hub's `ModelCardData`, e.g. `license`."""
    tags = [*TAGS, *(tag for tag in data.pop("tags", None) or () if tag not in TAGS)]
    task = "image-feature-extraction" if features_only else _TASK
    metadata: dict[str, Any] = {"library_name": "archdsl", "tags": tags, "pipeline_tag": task}
    if facts.accuracy is not None:
        metadata |= {"model_name": spec.name, "eval_results": _results(facts.accuracy)}
    card = ModelCardData(**{**metadata, **data})
    sections = "\n\n".join(_sections(spec, facts, features_only, latencies))
    return ModelCard(f"---\n{card.to_yaml()}\n---\n\n{sections}\n")


def _sections(spec: Spec, facts: ModelFacts, features_only: bool, latencies: Sequence[Latency]) -> Iterator[str]:
    height, width = spec.image_size
    cost = count(spec)
    yield f"# {spec.name}"
    gives = "maps for dense prediction" if features_only else f"{spec.classes} classes"
    costs = f"{cost.params / 1e6:.2f} M params and {cost.macs / 1e9:.3f} G MACs for one image"
    yield f"A hierarchical vision backbone: {spec.channels}x{height}x{width} to {gives}. Its classifier has {costs}."
    if spec.paper is not None and (spec.paper.title or spec.paper.arxiv):
        arxiv = spec.paper.arxiv and f"[arXiv:{spec.paper.arxiv}](https://arxiv.org/abs/{spec.paper.arxiv})"
        yield "Paper: " + ", ".join(filter(None, (_plain(spec.paper.title or ""), arxiv))) + "."
    yield "## Use\n\n" + _use(features_only)
    if facts.classes is not None:
        yield f"## Classes\n\n{_classes(facts.classes)}"
    if facts.preprocessing is not None:
        yield "## Preprocessing\n\n" + _rows(_preprocessing(facts.preprocessing))
    if facts.accuracy is not None:
        yield "## Accuracy\n\n" + _accuracy(facts.accuracy)
    if latencies:
        yield "## Latency\n\n" + "\n".join(_latencies(latencies))
    if facts.provenance is not None:
        yield "## Training\n\n" + _rows(_provenance(facts.provenance))
    nodes = [f"| {node.id} | {node.type} | {node.shape} | {node.params:,} | {node.macs:,} |" for node in cost.nodes]
    yield "## Network\n\n" + "\n".join(["| node | type | output | params | MACs |", "|---|---|---|---:|---:|", *nodes])
    yield f"## Spec\n\n```json\n{json.dumps(spec.to_json(), indent=1, ensure_ascii=True)}\n```"


def _use(features_only: bool) -> str:
    gives = "a list of maps" if features_only else "logits"
    return (
        "```python\nfrom archdsl.integrations.hub import HubBackbone\n\n"
        'model = HubBackbone.from_pretrained("OWNER/NAME")\n'
        f"outputs = model(images)  # {gives}; prepare images as below\n```\n\n"
        "`model.safetensors` alone is a network too: `archdsl.load_model` loads it, and `archdsl show` draws it."
    )


def _classes(names: tuple[str, ...]) -> str:
    more = f", ... ({len(names)} classes)" if len(names) > _CLASSES_NAMED else ""
    return ", ".join(_plain(name) for name in names[:_CLASSES_NAMED]) + more


def _preprocessing(facts: Preprocessing) -> Iterator[tuple[str, str]]:
    filtered = f"{facts.resize.filter}, {'with' if facts.resize.antialias else 'without'} antialiasing"
    yield "size", f"{facts.size[0]}x{facts.size[1]}"
    yield "crop", "none" if facts.crop is None else f"middle square of {facts.crop.centre:g} of the shorter side"
    yield "resize", filtered
    yield "channels", _plain(facts.channels)
    yield "range", f"{facts.range[0]:g} to {facts.range[1]:g}"
    yield "mean", ", ".join(f"{value:g}" for value in facts.mean)
    yield "std", ", ".join(f"{value:g}" for value in facts.std)


def _accuracy(facts: Accuracy) -> str:
    lines = [f"On {_plain(facts.data.name)} (fingerprint {_plain(facts.data.fingerprint)}), in float32."]
    lines += ["", "| images | accuracy | standard error | number of images |", "|---|---:|---:|---:|"]
    lines += [_measured("validation, by which networks were chosen", facts.validation)]
    if facts.held_out is not None:
        lines += [_measured("held out, not used for training or selection", facts.held_out)]
    return "\n".join(lines)


def _measured(images: str, measured: Measured) -> str:
    share, error = 100 * measured.accuracy, 100 * measured.standard_error
    return f"| {images} | {share:.1f} % | {error:.1f} % | {measured.images:,} |"


def _latencies(latencies: Sequence[Latency]) -> Iterator[str]:
    yield "In ms per batch."
    yield ""
    yield "| p50 | p10 to p90 | rounds | batch | dtype | runtime | threads | device |"
    yield "|---:|---:|---:|---:|---|---|---:|---|"
    for latency in latencies:
        where = latency.origin
        device = ", ".join(filter(None, (where.target or where.device, where.device_name)))
        conditions = (where.batch, where.dtype, _runtime(latency), where.threads or "", _plain(device))
        spread = f"{latency.p10_ms:.2f} to {latency.p90_ms:.2f}"
        cells = (f"{latency.p50_ms:.2f}", spread, len(latency.samples), *conditions)
        yield f"| {' | '.join(map(str, cells))} |"


def _runtime(latency: Latency) -> str:
    """The runtime with its version; what runs modules has that of torch."""
    where, file = latency.origin, latency.provenance.get("file")
    versions = file.get("versions") if isinstance(file, dict) else None
    version = versions.get(where.runtime) if isinstance(versions, dict) else None
    return _plain(f"{where.runtime} {version}" if version else f"{where.runtime}, torch {where.torch}")


def _results(facts: Accuracy) -> list[EvalResult]:
    """The same figures where the Hub lists them."""
    splits = {"validation": facts.validation, "held out": facts.held_out}
    return [
        EvalResult(_TASK, facts.data.fingerprint, facts.data.name, "accuracy", measured.accuracy, dataset_split=split)
        for split, measured in splits.items()
        if measured is not None
    ]


def _provenance(facts: Provenance) -> Iterator[tuple[str, str]]:
    yield "derived from", "initial values" if facts.parent is None else f"the file with SHA-256 {_plain(facts.parent)}"
    yield "epochs", f"{facts.epochs:g} of {facts.images:,} images"
    yield "steps", f"{facts.steps:,} with batches of {facts.batch:,}"
    yield "seed", str(facts.seed)
    yield "recipe", str(facts.recipe)
    yield "device", f"{_plain(facts.device)}, {facts.threads} threads, {_plain(facts.autocast or 'float32')}"
    yield "versions", f"archdsl {_plain(facts.archdsl)}, torch {_plain(facts.torch)}"


def _rows(facts: Iterable[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts)])


def _plain(text: str) -> str:
    """A text on one line in which nothing is markup."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#!&$~" else sign for sign in " ".join(text.split()))
