"""What `archdsl check` says of windows that do not divide a map."""

from __future__ import annotations

import json

import pytest

from archdsl.graphs.padding import padding_hints
from archdsl.load.specs import load_spec, override
from archdsl.zoo import names
from tests.support.commands import Run, command_line

run = pytest.fixture(command_line)


@pytest.mark.parametrize("name", names())
def test_nothing_is_said_of_a_published_network(name: str) -> None:
    assert padding_hints(load_spec(name)) == []


@pytest.mark.parametrize(
    ("name", "change", "hint"),
    [
        (
            "litv2_s",
            ["image=64", "stage3.window=16"],
            "stage3 (hilo): window 16 is larger than the 4x4 map, which is padded to 16x16: 94% of it is padding",
        ),
        (
            "litv2_s",
            ["image=80"],
            "stage3 (hilo): window 2 does not divide the 5x5 map, which is padded to 6x6: 31% of it is padding",
        ),
        (
            "litv2_s",
            ["image=254"],
            "stem (patch_stem): patch 4 does not divide the 254x254 image, which is padded to 256x256: "
            "2% of it is padding",
        ),
        (
            "dat_t",
            ["image=256", "stage1.blocks.0.window=8", "stage1.blocks.1.window=8"],
            "stage2 (window, shifted_window): window 7 does not divide the 32x32 map, which is padded to 35x35: "
            "16% of it is padding",
        ),
    ],
)
def test_windows_that_pad_a_map_are_named_once(name: str, change: list[str], hint: str) -> None:
    assert padding_hints(override(load_spec(name), change))[0] == hint


def test_a_hint_is_no_error(run: Run) -> None:
    ended = run("check", "litv2_s", "--set", "image=80", "--strict")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].startswith("litv2_s: ok: ")
    assert lines[1].startswith("litv2_s: hint: stage3 (hilo): window 2 does not divide the 5x5 map, which is padded")
    facts = json.loads(run("check", "litv2_s", "--set", "image=80", "--json").out)
    assert (facts["ok"], facts["hints"][0]["file"]) == (True, "litv2_s")
