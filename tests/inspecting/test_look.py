"""`archdsl look`: the right numbers at the right places of the image, a model left as it was, and refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import archdsl
from archdsl.blocks.views import Heat
from archdsl.errors import WrongUse
from archdsl.inspecting.looking import Look
from archdsl.inspecting.panels import Floats, MapGrid, Panel, PanelKind, Place
from archdsl.load.specs import spec_of
from archdsl.render.look_drawing import panel_picture
from archdsl.render.look_page import look_picture
from archdsl.weights.facts import Crop, ModelFacts, Preprocessing, Resize
from tests.support.browser import NEEDS_CHROMIUM, widths
from tests.support.commands import Run, command_line
from tests.support.places import ROOT
from tests.support.small_networks import MIXED, PLAIN, QUICK

run = pytest.fixture(command_line)
PARENT = ROOT / "specs" / "spaces" / "lit-dat-64.safetensors"
HALVES = Preprocessing(
    size=(32, 32), channels="RGB", range=(0, 1), mean=(0.5,) * 3, std=(0.25,) * 3,
    resize=Resize(filter="bilinear", antialias=True), crop=None,
)  # fmt: skip


def quick() -> archdsl.Backbone:
    torch.manual_seed(0)
    return archdsl.build(spec_of(QUICK))


@pytest.fixture
def corner(tmp_path: Path) -> Path:
    """A dark picture, higher than wide, whose upper right corner is white."""
    pixels = np.zeros((60, 40, 3), np.uint8)
    pixels[:20, 30:] = 255
    path = tmp_path / "corner.png"
    Image.fromarray(pixels).save(path)
    return path


def test_a_model_gives_the_same_after_it_was_looked_at_and_keeps_its_state_and_each_modules_mode() -> None:
    torch.manual_seed(0)
    model = archdsl.build(spec_of(MIXED)).train()
    model.get_submodule("stage2").eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    state, x = torch.get_rng_state(), torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    nodes = ["stage1", *(f"stage2.{block}" for block in range(1, 7))]
    page = archdsl.look(model, np.full((80, 80, 3), 90, np.uint8), nodes=nodes)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())
    fresh = archdsl.build(spec_of(MIXED))
    fresh.load_state_dict(before)
    assert torch.equal(model.eval()(x), fresh.eval()(x))
    types = {panel.place.block: panel.place.type for panel in page.panels if panel.place.node == "stage2"}
    assert types == {1: "hilo", 2: "deformable", 3: "fcvit_conv", 4: "neighborhood", 5: "window", 6: "attention"}


def test_what_the_network_reads_is_the_upright_image_prepared_as_the_file_says(corner: Path, tmp_path: Path) -> None:
    """A corner that is bright is bright in the same corner of what is drawn, also where EXIF turns the picture."""
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # stored rotated by 90 degrees
    Image.open(corner).transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif, quality=98)
    for file in (corner, turned):
        picture = archdsl.look(quick(), file, preprocessing=HALVES).picture
        assert picture.shape == (32, 32, 3)
        assert picture[2, -3].min() > 220
        assert max(picture[2, 2].max(), picture[-3, 2].max(), picture[-3, -3].max()) < 30


def test_a_network_reads_normalised_values(corner: Path) -> None:
    from archdsl.inspecting.picture import read

    images = read(corner, HALVES).images
    assert images.shape == (1, 3, 32, 32)
    assert float(images[0, 0, 0, -1]) == pytest.approx((1 - 0.5) / 0.25)
    assert float(images[0, 0, -1, 0]) == pytest.approx(-0.5 / 0.25)
    grey = HALVES.model_copy(update={"channels": "L", "mean": (0.5,), "std": (0.25,), "range": (-1.0, 1.0)})
    assert float(read(corner, grey).images[0, 0, -1, 0]) == pytest.approx((-1 - 0.5) / 0.25)
    middle = HALVES.model_copy(update={"crop": Crop(centre=0.5)})
    assert read(corner, middle).pixels.max() == 0  # the corner is cut off


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [("L", 200, 200), ("1", 1, 255), ("P", 3, 3), ("RGBA", (255, 0, 0, 0), 255), ("CMYK", (0, 0, 0, 0), 255),
     ("I;16", 65535, 255), ("LA", (90, 255), 90), ("YCbCr", (120, 128, 128), 120), ("F", 0.5, 127)],
)  # fmt: skip
def test_pictures_of_every_mode_are_read(mode: str, colour: int | tuple[int, ...], seen: int, tmp_path: Path) -> None:
    """Transparent is white; what is below the network's size is enlarged."""
    path = tmp_path / ("a.tif" if mode in ("CMYK", "I;16", "YCbCr", "F") else "a.png")
    picture = Image.new(mode, (9, 5), colour)
    if mode == "P":
        picture.putpalette([value for grey in range(256) for value in (grey, grey, grey)])
    picture.save(path)
    page = archdsl.look(quick(), path)
    assert abs(page.picture.astype(int) - seen).max() <= 3


@pytest.mark.parametrize(
    ("query", "pixel"),
    [(None, (16, 16)), ((3, 31), (3, 31)), ((0.0, 1.0), (0, 31)), ((0.5, 0.25), (16, 8))],
)
def test_the_query_is_a_pixel_or_a_share_and_its_position_is_the_one_that_holds_the_pixel(
    query: tuple[float, float] | None, pixel: tuple[int, int], corner: Path
) -> None:
    page = archdsl.look(quick(), corner, query=query, nodes=["stage2"])
    (attention,) = [panel for panel in page.panels if panel.kind == "share"]
    assert page.query == pixel
    assert attention.grid.stride == 8
    assert attention.grid.query == (pixel[0] // 8, pixel[1] // 8)


def test_the_token_of_the_query_is_the_one_that_is_looked_from() -> None:
    """Queries and keys are the input itself, and one position differs from all others: from there it sees itself."""
    document = {**PLAIN, "nodes": [PLAIN["nodes"][0], {"id": "stage1", "type": "attention", "depth": 1, "heads": 1},
                                   PLAIN["nodes"][2]]}  # fmt: skip
    model = archdsl.build(spec_of(document))
    mixer: Any = model.get_submodule("stage1.blocks.0.mixer")
    with torch.no_grad():
        mixer.qkv.weight.copy_(torch.cat([4 * torch.eye(16)] * 3))
        mixer.qkv.bias.zero_()
    pixels = np.full((32, 32, 3), 60, np.uint8)
    pixels[20:24, 8:12] = (255, 20, 20)  # position (5, 2) of the map of 8x8
    seen = archdsl.look(model, pixels, query=(22, 9)).panels[0].values
    assert [int(at) for at in np.unravel_index(seen.argmax(), seen.shape)] == [5, 2]
    assert seen.sum() == pytest.approx(1)
    other = archdsl.look(model, pixels, query=(2, 9)).panels[0].values
    assert other[5, 2] == other.min()


def drawn(kind: PanelKind, values: Floats, **more: Floats) -> NDArray[np.int_]:
    """A panel over a black image of 32x32, in RGB, of 256x256."""
    panel = Panel(Place("n", "t", "m"), MapGrid((4, 4), 8, (0, 0)), kind, "title", values, 8.0, **more)  # type: ignore[arg-type]  # places and starts
    page = Look("net", "image", np.zeros((32, 32, 3), np.uint8), (0, 0), HALVES, False, (panel,), ())
    return np.asarray(panel_picture(page, panel)).astype(int)


def test_numbers_points_and_arrows_are_drawn_where_they_belong() -> None:
    values = np.zeros((4, 4))
    values[0, 3] = 1.0
    picture = drawn("share", values)
    assert picture.shape == (256, 256, 3)
    assert picture[32, 224, 1] > 3 * picture[224, 32, 1], "yellow above on the right, violet elsewhere"
    assert picture[32, 224].tolist() != picture[96, 224].tolist() == picture[32, 160].tolist()
    point = drawn("points", np.array([1.0]), places=np.array([[4.0, 28.0]]))
    assert point[32, 224].sum() > 400
    assert point.sum(2).argmax() // 256 < 64
    ends, starts = np.array([[4.0, 28.0], [4.0, 4.0]]), np.array([[28.0, 28.0], [28.0, 4.0]])
    arrow = drawn("offsets", np.array([3.0, 3.0]), places=ends, starts=starts)
    assert arrow[128, 222:226].sum(1).max() > 400
    assert arrow[128, 128].sum() == 0


class Brightness(torch.nn.Module):
    """A mixer of somebody else's, which shows the mean of its channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) -> (B, H, W, C)"""
        return x

    def views(self, x: torch.Tensor, *, query: tuple[int, int]) -> list[Heat]:
        """(1, H, W, C) -> the mean of the channels, and where the query is."""
        here = torch.zeros(1, *x.shape[1:3])
        here[0][query] = 1.0
        return [Heat("mean", x.mean(-1), "signed", query=False), Heat("here", here)]


def test_a_module_of_somebody_elses_is_drawn_by_what_it_declares(corner: Path) -> None:
    model = quick()
    model.get_submodule("stage2.blocks.0").mixer = Brightness()
    mean, here = archdsl.look(model, corner, query=(9, 30), nodes=["stage2"]).panels
    assert (mean.title, mean.kind, mean.values.shape) == ("mean", "signed", (4, 4))
    assert here.values[1, 3] == here.values.sum() == 1


def test_a_padded_map_is_cut_to_the_image() -> None:
    """Cells of 16 pixels over 40: the last one is half outside, and the others keep their size."""
    from archdsl.render.look_drawing import _cells

    assert np.bincount(_cells(256, 256 * 16 / 40, 3)).tolist() == [102, 103, 51]


def test_the_page_shows_the_shipped_parent_in_full_and_its_html_loads_nothing(run: Run, tmp_path: Path) -> None:
    image = tmp_path / "<b>.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(image)
    out = tmp_path / "page.png"
    ended = run("look", PARENT, "--image", image, "-o", out, "--html", "--json", "--query", "10,50")
    assert ended.code == 0, ended.err
    facts = json.loads(ended.out)
    assert facts["files"] == [str(out), str(out.with_suffix(".html"))]
    assert facts["query"] == [10, 50]
    assert facts["preprocessing"]["assumed"] is False
    kinds = [(panel["node"], panel["kind"]) for panel in facts["panels"]]
    assert kinds == [("merge1", "offsets"), ("merge2", "offsets"), ("stage3", "amount"), ("stage3", "amount"),
                     ("stage3", "share"), ("merge3", "offsets"), ("stage4", "amount"), ("stage4", "share")]  # fmt: skip
    assert facts["without"] == [{"node": "stage1", "type": "mlp"}, {"node": "stage2", "type": "mlp"},
                                {"node": "head", "type": "mean_head"}]  # fmt: skip
    assert all(panel["range"][0] <= panel["range"][1] for panel in facts["panels"])
    assert facts["panels"][4]["query"] == [10 // 8, 50 // 8]
    with Image.open(out) as page:
        assert page.size[0] == 1152
    html = out.with_suffix(".html").read_text()
    assert html.count("<img") == 1 + len(facts["panels"]) == html.count("data:image/png;base64,")
    assert "&lt;b&gt;.png" in html
    assert "<b>.png" not in html
    assert not re.search(r"<script|<link|url\(|https?:", html)


@NEEDS_CHROMIUM
@pytest.mark.slow
@pytest.mark.parametrize("window", [390, 1200])
def test_the_html_page_fits_its_window(window: int, corner: Path, tmp_path: Path) -> None:
    archdsl.look(quick(), corner, weights="w" * 200).save(tmp_path / "page.html")
    laid_out = widths((tmp_path / "page.html").read_text(), window, tmp_path)
    assert laid_out == (window, window, [])


def test_no_text_of_a_page_leaves_its_column_however_long_names_are(corner: Path) -> None:
    model = quick()
    page = archdsl.look(model, corner, weights="w" * 400)
    narrow = look_picture(page)
    edges = np.asarray(narrow.convert("L"))
    assert edges[:, :20].min() == edges[:, -20:].min() == 255
    assert page._repr_html_().startswith("<strong>quick on corner.png</strong>")


def test_initial_weights_are_said_and_zero_offsets_are_drawn_as_such(run: Run, corner: Path, tmp_path: Path) -> None:
    (tmp_path / "quick.json").write_text(json.dumps(QUICK))
    ended = run("look", tmp_path / "quick.json", "--image", corner, "-o", tmp_path / "a.html", "--nodes", "merge1")
    assert ended.code == 0
    assert ended.out == f"{tmp_path / 'a.html'}\n"
    assert "warning: random weights are shown, so offsets are near zero" in ended.err
    assert "all offsets are zero" in (tmp_path / "a.html").read_text()


def test_a_published_checkpoint_and_a_size_of_ones_own_are_read_as_every_command_reads_them(
    run: Run, corner: Path, tmp_path: Path
) -> None:
    (tmp_path / "quick.json").write_text(json.dumps(QUICK))
    torch.save({"model": quick().state_dict()}, tmp_path / "quick.pth")
    weights = ("--weights", tmp_path / "quick.pth", "--image", corner, "-o", tmp_path / "a.png", "--json")
    facts = json.loads(run("look", tmp_path / "quick.json", "--set", "image=[32,64]", *weights).out)
    assert facts["size"] == [32, 64]
    assert facts["weights"] == "quick.pth"
    assert facts["preprocessing"]["mean"] == [0.485, 0.456, 0.406]
    archdsl.save_model(quick(), tmp_path / "quick.safetensors", facts=ModelFacts(preprocessing=HALVES))
    ours = run("look", tmp_path / "quick.safetensors", "--image", corner, "-o", tmp_path / "a.png", "--json")
    assert json.loads(ours.out)["preprocessing"]["std"] == [0.25] * 3


def test_the_mean_of_heads_is_drawn_or_the_head_that_is_asked_for(corner: Path) -> None:
    model = quick()
    mean, first, last = (archdsl.look(model, corner, nodes=["stage2"], head=head).panels[-1] for head in (None, 1, 3))
    assert (mean.head, first.head, last.head, mean.heads) == (None, 1, 3, 3)
    assert not np.array_equal(first.values, last.values)
    with pytest.raises(archdsl.ArchError, match=r"head must be from 1 to 3, .* got 9"):
        archdsl.look(model, corner, nodes=["stage2"], head=9)


def test_numbers_that_are_not_finite_are_refused(corner: Path) -> None:
    model = quick()
    with torch.no_grad():
        model.get_parameter("stage2.blocks.0.mixer.l_q.weight").fill_(float("nan"))
    with pytest.raises(archdsl.ArchError, match=r"stage2\.blocks\.0\.mixer: gives NaN or infinities"):
        archdsl.look(model, corner)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--image", "no.png"), 2, "no such file: no.png"),
        (("--image", "."), 2, "is a folder; give an image file"),
        (("--image", "broken.png"), 1, "broken.png: is not an image that Pillow can read"),
        (("--image", "cut.png"), 1, "cut.png: cannot be read as an image: image file is truncated"),
        (("--image", "a.png", "--query", "32,0"), 2, "in pixels of the image as the network reads it, 32x32"),
        (("--image", "a.png", "--query", "1.5,0.5"), 2, "'1.5,0.5'|shares of the sides are from 0 to 1"),
        (("--image", "a.png", "--query", "middle"), 2, "'middle' is not Y,X; write pixels"),
        (("--image", "a.png", "--query", "-1,3"), 2, "'-1,3' is not Y,X"),
        (("--image", "a.png", "--nodes", "stag2"), 2, "quick has no node 'stag2'; did you mean 'stage2'"),
        (("--image", "a.png", "--nodes", "stage2.2"), 2, "stage2 has blocks 1 to 1; got '2'"),
        (("--image", "a.png", "--nodes", "merge1.1"), 2, "merge1 is no stage and has no blocks; write merge1 alone"),
        (("--image", "a.png", "--nodes", ","), 2, "name at least one node"),
        (
            ("--image", "a.png", "--nodes", "head"),
            1,
            "no attention, sampling points or offsets in mean_head",
        ),
        (("--image", "a.png", "--head", "0"), 2, "'0' is not a whole number from 1 to 256"),
        (("--image", "a.png", "--weights", "no.pth"), 2, "no such file: no.pth"),
        (("--image", "a.png", "-o", "out.jpg"), 2, "out.jpg must end in .png or .html"),
        (("--image", "a.png", "-o", "a.png"), 2, "a.png is the input file"),
        (("--image", "a.png", "-o", "nowhere/a.png"), 2, "its folder does not exist"),
        (("--image", "a.png", "--set", "channels=4"), 1, "reads images of 4 channels, not pictures"),
    ],
)
def test_what_cannot_be_shown_is_told_in_one_line_and_leaves_no_file(
    arguments: tuple[str, ...], code: int, message: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quick.json").write_text(json.dumps(QUICK))
    Path("broken.png").write_text("no picture")
    Image.effect_noise((90, 90), 80).save("a.png")
    Path("cut.png").write_bytes(Path("a.png").read_bytes()[:4000])
    out = () if "-o" in arguments else ("-o", "out.png")
    ended = run("-q", "look", "quick.json", *arguments, *out)
    assert ended.code == code, ended.err
    assert re.search(message if "|" in message else re.escape(message), " ".join(ended.err.split()))
    assert "Traceback" not in ended.err
    assert not Path("out.png").exists()


def test_what_is_no_model_or_no_image_is_a_type_error(corner: Path) -> None:
    with pytest.raises(TypeError, match="look"):
        archdsl.look(torch.nn.Identity(), corner)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a path, a picture of Pillow or a uint8 array; got Tensor"):
        archdsl.look(quick(), torch.zeros(3, 8, 8))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"\(H, W, 3\) or \(H, W, 4\) of uint8; got \(3, 8, 8\) of float32"):
        archdsl.look(quick(), np.zeros((3, 8, 8), np.float32))
    with pytest.raises(archdsl.ArchError, match="must end in"):
        archdsl.look(quick(), Image.open(corner)).save("page.gif")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nodes": "stage3"}, 'nodes must be a list of names, one at least; got "stage3"'),
        ({"nodes": []}, r"nodes must be a list of names, one at least; got \[\]"),
        ({"nodes": ["stage3", 3]}, "nodes must be a list of names, one at least"),
        ({"head": 0}, "head must be a whole number from 1; got 0"),
        ({"head": "1"}, 'head must be a whole number from 1; got "1"'),
        ({"head": True}, "head must be a whole number from 1; got true"),
        ({"query": ("a", 2)}, r"query is \(y, x\), two numbers; got \('a', 2\)"),
        ({"query": (True, 2)}, r"query is \(y, x\), two numbers; got \(True, 2\)"),
        ({"query": (1, 2, 3)}, r"query is \(y, x\), two numbers; got \(1, 2, 3\)"),
    ],
)
def test_arguments_that_do_not_fit_are_named(options: dict[str, Any], message: str, corner: Path) -> None:
    with pytest.raises(WrongUse, match=message):
        archdsl.look(quick(), corner, **options)
