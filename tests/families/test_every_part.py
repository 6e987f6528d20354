"""The contract of all parts, held over whatever is declared: each in a small document around it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from pydantic import BaseModel
from torch import Tensor

from archdsl.compile import build
from archdsl.cost import count
from archdsl.errors import SpecError
from archdsl.families.common.base import Part
from archdsl.graphs import Step, plan
from archdsl.language.document import Spec
from archdsl.language.nodes import node_models
from archdsl.load.specs import override, spec_of
from archdsl.reference.field_docs import options_of
from archdsl.shape import Map, Tokens
from tests.support.every_part import (
    COMBINED,
    TYPES,
    Raw,
    built,
    every_node,
    every_type,
    every_value,
    inputs_of,
    network,
    noise,
    sample,
    spec,
    step_of,
)
from tests.support.meta_counter import count_and_run, count_module

# ------------------------------------------------------------------------------------------------- shapes and counts


@every_value
def test_each_value_has_the_shape_and_cost_of_its_module(node: Raw) -> None:
    check_step(spec(node, [33, 47]))


@every_value
def test_each_value_builds_on_the_meta_device(node: Raw) -> None:
    """Without reading any value."""
    found = spec(node, [33, 47])
    module = built(step_of(found), found, "meta")
    assert all(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))


IMAGES = (32, [33, 47], [20, 64])


def turns(several: tuple[Any, ...]) -> pytest.MarkDecorator:
    """Each type by itself with each of several things, its drawn combinations with one of them, in turn."""
    pairs = {
        f"{label}-{each}": (node, each)
        for index, (label, node) in enumerate(COMBINED.items())
        for each in several
        if label in TYPES or each == several[index % len(several)]
    }
    return pytest.mark.parametrize(("node", "turn"), pairs.values(), ids=pairs)


@turns(IMAGES)
def test_static_shape_and_cost_are_those_of_the_module(node: Raw, turn: Any) -> None:
    check_step(spec(node, turn))
    if TYPES[node["type"]].kind in ("stage", "block"):
        check_step(spec(node, turn), features_only=True)


def check_step(found: Spec, features_only: bool = False) -> None:
    """Params, MACs and peak activation elements to the last one."""
    step = step_of(found, features_only)
    module, inputs = built(step, found, "cpu"), inputs_of(step, "cpu")
    counted, out = count_and_run(module, *inputs)
    assert tuple(step.node.infer_cost(step.part_inputs(found))) == counted
    shapes = [shape for port, shape in step.outputs.items() if port == "pixels" or port in step.read | {"logits"}]
    for shape, tensor in zip(shapes, out if isinstance(out, tuple) else (out,), strict=True):
        assert tuple(tensor.shape) == batched(shape, step)


def batched(shape: Any, step: Step) -> tuple[int, ...]:
    if isinstance(shape, Map):
        return (1, *shape[:3])
    assert isinstance(shape, Tokens)
    return (1, shape.channels) if step.node.kind == "head" else (1, shape.count, shape.channels)


@turns((False, True))
def test_a_document_costs_what_its_network_does(node: Raw, turn: bool) -> None:
    """As a classifier, and in the form for dense prediction."""
    found = spec(node, [33, 47])
    model, image = build(found, features_only=turn), torch.zeros(1, found.channels, *found.image_size)
    counted = count(found, features_only=turn)
    assert (counted.params, counted.macs, counted.activations) == count_module(model, image)


@every_type
def test_the_cpu_counts_what_the_meta_device_does(name: str) -> None:
    found = spec(sample(name), [33, 47])
    step = step_of(found)
    on_meta, on_cpu = (count_module(built(step, found, device), *inputs_of(step, device)) for device in ("meta", "cpu"))
    assert on_meta == on_cpu


@every_type
def test_a_module_at_another_size_gives_the_shapes_of_a_spec_of_that_size(name: str) -> None:
    found = spec(sample(name))
    model = network(found).eval()
    for image in ([40, 56], [19, 31]):
        other = override(found, [f"image={image}"])
        with torch.no_grad():
            features = model.forward_features(noise(other))
            assert torch.isfinite(model(noise(other))).all()
        features = features if isinstance(features, tuple) else (features,)
        for before_head, found_there in zip(plan(other)[-1].inputs, features, strict=True):
            expected = before_head[:3] if isinstance(before_head, Map) else (before_head.count, before_head.channels)
            assert tuple(found_there.shape) == (2, *expected)


# ---------------------------------------------------------------------------------------------------------- networks


@every_node
def test_a_spec_is_the_same_there_and_back(node: Raw) -> None:
    found = spec(node)
    again = spec_of(json.loads(json.dumps(found.to_json())))
    assert again == found
    assert again.to_json() == found.to_json()


def weighed(out: Any) -> Tensor:
    """A number in which every element of every tensor counts otherwise: logits, with token labels two, or maps."""
    several = [out] if isinstance(out, Tensor) else out
    return torch.stack([(x * torch.linspace(-1, 1, x.numel()).reshape(x.shape)).sum() for x in several]).sum()


@every_node
def test_gradients_reach_every_parameter(node: Raw) -> None:
    found = spec(node)
    model = network(found).train()
    weighed(model(noise(found))).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any() or has_no_effect(node, name), name


def has_no_effect(node: Raw, parameter: str) -> bool:
    """A window of one position attends to itself, whatever the bias; a layer norm takes away what all channels get."""
    if parameter.endswith((".bias.table", ".mixer.table")):
        return node["type"] in ("window", "shifted_window", "neighborhood") and node.get("window") == 1
    return node["type"] == "fcvit_conv" and parameter.endswith("mlp.attention.conv2.bias")


@every_type
def test_gradients_reach_every_parameter_of_the_dense_form(name: str) -> None:
    found = spec(sample(name))
    model = network(found, features_only=True).train()
    weighed(model(noise(found))).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@every_node
def test_every_size_and_dtype_runs_finite(node: Raw) -> None:
    """At the size that the network is built for, odd and not square, and at another one."""
    found = spec(node, [19, 31])
    model = network(found).eval()
    with torch.no_grad():
        for run in (found, override(found, ["image=32"])):
            single, half = model(noise(run)), None
            with torch.autocast("cpu", dtype=torch.bfloat16):
                half = model(noise(run))
            double = model.double()(noise(run, dtype=torch.float64))
            model.float()
            for logits in (single, half, double):
                assert tuple(logits.shape) == (2, 10)
                assert torch.isfinite(logits).all()
            assert torch.allclose(single, double.float(), rtol=0, atol=1e-4)
            assert torch.allclose(half.float(), single, rtol=0, atol=0.1)


@every_type
def test_images_of_a_batch_do_not_see_each_other(name: str) -> None:
    found = spec(sample(name))
    model = network(found).double().eval()
    batch = noise(found, batch=3, dtype=torch.float64)
    with torch.no_grad():
        alone = torch.cat([model(image[None]) for image in batch])
        assert torch.allclose(model(batch), alone, rtol=0, atol=1e-12)


# ------------------------------------------------------------------------------------------------------- declarations


@every_type
def test_every_type_and_field_says_what_it_is(name: str) -> None:
    """The type in the docstring of its declaration, each field and each field of an option in its description."""
    assert TYPES[name].__doc__
    assert issubclass(TYPES[name], Part)
    silent = [name for name, field in node_models()[name].model_fields.items() if not field.description]
    assert set(silent) <= {"id", "type"}
    assert options_without_words(node_models()[name]) == []


def options_without_words(model: type[BaseModel]) -> list[str]:
    """Fields of the sub-objects that a node may hold, as NORM.eps, of which nothing is said."""
    return [
        f"{name}.{field}"
        for name, held in model.model_fields.items()
        for option in options_of(held)
        for field, info in option.model_fields.items()
        if field != "type" and not info.description
    ]


@pytest.mark.parametrize(
    ("node", "field"),
    [
        ({"norm": {"type": "batch"}}, "norm"),
        ({"mlp": {"type": "dwconv"}}, "mlp"),
        ({"position_bias": {"type": "relative"}}, "position_bias"),
        ({"local_perception": True}, "local_perception"),
    ],
)
def test_what_acts_on_a_map_alone_takes_no_class_token_along(node: Raw, field: str) -> None:
    with_token = {"type": "attention", "depth": 1, "heads": 2, "class_token": True}
    assert spec(with_token)
    with pytest.raises(SpecError) as refused:
        spec({**with_token, **node})
    assert refused.value.problems[0].path == f"nodes[1].{field}"


def test_declarations_schema_graph_and_count_never_import_torch() -> None:
    lines = [
        "import sys, archdsl",
        "from archdsl.language.nodes import declared",
        "declared()",
        "spec = archdsl.load_spec('litv2_s')",
        "archdsl.count(spec), archdsl.graph(spec)",
        "assert 'torch' not in sys.modules",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, timeout=60)
