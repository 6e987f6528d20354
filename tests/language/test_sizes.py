"""A size written as people write sizes is refused with the form that is read, its very numbers in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl.errors import SpecError
from archdsl.language.sizes import size_remedy
from archdsl.load.specs import load_spec, override, spec_of
from tests.support.commands import TINY, Run, command_line
from tests.support.small_spaces import MLP, raw, refusal

run = pytest.fixture(command_line)

USE = "use [224, 320] (height 224, width 320)"
WRITTEN = [
    *("224x320", "224,320", "224X320", "224*320", "224 x 320", "(224, 320)", "[224 320]", "224\u00d7320", "224 320"),
    *("224;320", "224/320", "224-320", "224_320", "<224,320>", "{224,320}", "224pxx320px", "224.0x320.0", "224 by 320"),
    *("h224w320", "224hx320w", "height=224,width=320", "width=320, height=224", "3x224x320", "224x320x3"),
]
VALUES: list[Any] = [
    *([3, 224, 320], [224, 320, 3], [[224, 320]], (224.0, 320.0, 3)),
    *({"height": 224, "width": 320}, {"width": 320, "height": 224}, {"h": 224, "w": 320}),
]


@pytest.mark.parametrize("written", [*WRITTEN, *VALUES], ids=str)
def test_two_numbers_are_told_as_height_and_width(written: Any) -> None:
    assert size_remedy(written) == USE


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ("224x224", "use 224, or [224, 224] (height 224, width 224)"),
        ("224px", "write 224"),
        ("[224,", "write [height, width] without blanks, or in quotes for the shell"),
        ([224], "write [height, width]"),
        ([32, 64, 96], "write [height, width]"),
        ("8x9000", "use [height, width], each 16 to 4096"),
        ("224.5x320", "use 16 to 4096, or [height, width]"),
        ("square", "use 16 to 4096, or [height, width]"),
        ("9" * 100, "use 16 to 4096, or [height, width]"),
        (None, "use 16 to 4096, or [height, width]"),
        (True, "use 16 to 4096, or [height, width]"),
    ],
    ids=str,
)
def test_what_is_no_rectangle_gets_no_numbers_of_its_own(written: Any, remedy: str) -> None:
    assert size_remedy(written) == remedy


@pytest.mark.parametrize("written", WRITTEN)
def test_the_command_line_and_python_tell_it_alike(run: Run, written: str) -> None:
    ended = run("check", "litv2_s", "--set", f"image={written}")
    remark = "litv2_s: not everything was checked, because of these errors; mend them and check again\n"
    assert (ended.code, ended.err) == (1, remark)
    assert ended.out.startswith("image: image must be an integer or [height, width]; got ")
    assert ended.out.endswith(f"; {USE}\n")
    with pytest.raises(SpecError) as caught:
        override(load_spec("litv2_s"), [f"image={written}"])
    assert f"{caught.value}\n" == ended.out
    assert run("check", "litv2_s", "--set", "image=[224, 320]").code == 0


def test_documents_of_both_kinds_and_seeds_tell_it_with_its_place(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(TINY | {"image": "224x320"}), encoding="utf-8")
    ended = run("show", path)
    assert ended.err.startswith(f"{path}:1:")
    assert ended.err.endswith(f'got "224x320"; {USE}\n')
    rule = "image must be an integer or [height, width]"
    assert refusal(raw(MLP, image="224x320")) == [f'image: {rule}; got "224x320"; {USE}']
    seeds = [["litv2_s", "image=224x320"]]
    assert refusal(raw(MLP, seeds=seeds)) == [f'seeds[0]: image: {rule}; got "224x320"; {USE}']


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [("window", "7x7", "write 7"), ("window", [7, 7], "write 7"), ("window", "7", "write 7")],
    ids=str,
)
def test_a_square_for_a_side_is_told_as_the_side(field: str, value: Any, remedy: str) -> None:
    stage = {"id": "stage", "type": "window", "depth": 1, "heads": 2, "window": 4, field: value}
    with pytest.raises(SpecError) as caught:
        spec_of(TINY | {"nodes": [TINY["nodes"][0], stage, TINY["nodes"][2]]})
    assert str(caught.value).endswith(f"got {json.dumps(value)}; {remedy}")


def test_the_size_that_a_checkpoint_was_made_for_is_told_alike() -> None:
    from archdsl import build, import_weights

    model = build(override(load_spec("lit_ti"), ["image=64"]))
    with pytest.raises(SpecError, match=r"use \[64, 96\] \(height 64, width 96\)"):
        import_weights(model, model.state_dict(), image="64x96")  # type: ignore[arg-type]  # as people write it
