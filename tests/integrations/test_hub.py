"""Backbones go to the Hugging Face Hub and come back whole, with a card that says what is known of them; no network."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

huggingface_hub = pytest.importorskip("huggingface_hub")

import torch  # noqa: E402
from huggingface_hub import ModelCard, hub_mixin  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from archdsl.compile import build  # noqa: E402
from archdsl.errors import SpecError, WeightsError, WrongUse  # noqa: E402
from archdsl.integrations import hub  # noqa: E402
from archdsl.integrations.hub import HubBackbone  # noqa: E402
from archdsl.json_types import JsonObject  # noqa: E402
from archdsl.latency import Latency  # noqa: E402
from archdsl.load.specs import load_spec  # noqa: E402
from archdsl.weights import ModelFacts, load_model, read_facts, save_model  # noqa: E402
from archdsl.weights.facts import Accuracy, Crop, DataFacts, Measured, Preprocessing, Provenance, Resize  # noqa: E402
from tests.support.devices import fake_device  # noqa: E402
from tests.support.two_stages import NODES, images  # noqa: E402

SMALL: dict[str, Any] = {
    "kind": "arch",
    "version": 1,
    "name": "small",
    "image": 32,
    "classes": 3,
    "paper": {"title": "A *title*", "arxiv": "2205.13213"},
    "nodes": NODES,
}
FACTS = ModelFacts(
    classes=("cat", "dog", "a|b"),
    preprocessing=Preprocessing(
        size=(32, 32),
        channels="RGB",
        range=(0, 1),
        mean=(0.5, 0.25, 0.125),
        std=(0.2, 0.2, 0.2),
        resize=Resize(filter="bicubic", antialias=True),
        crop=Crop(centre=0.875),
    ),
    accuracy=Accuracy(
        validation=Measured(accuracy=0.625, images=800, standard_error=0.0171, per_class={"cat": (5, 8)}),
        held_out=Measured(accuracy=0.6, images=1000, standard_error=0.0155, per_class={}),
        data=DataFacts(name="pets_3", fingerprint="0123abcd"),
    ),
    provenance=Provenance(
        parent=None,
        recipe=2,
        epochs=6,
        images=5000,
        batch=64,
        steps=468,
        seed=1,
        device="cpu",
        autocast=None,
        threads=4,
        torch="2.13.0",
        archdsl="0.1.0",
    ),
)


@pytest.fixture
def model() -> HubBackbone:
    """A network that is not as it was built, with facts."""
    torch.manual_seed(1)
    built = build(load_spec(SMALL)).eval()
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return HubBackbone.of(built, FACTS)


def test_a_folder_gives_the_network_again(model: HubBackbone, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "small")
    assert {file.name for file in (tmp_path / "small").iterdir()} == {"README.md", "config.json", "model.safetensors"}
    random = torch.get_rng_state()
    again = HubBackbone.from_pretrained(tmp_path / "small")
    assert torch.equal(random, torch.get_rng_state())
    assert isinstance(again, HubBackbone)
    assert (again.spec, again.facts, again.training) == (model.spec, FACTS, False)
    assert torch.equal(again(images()), model(images()))


def test_the_weights_are_a_model_of_ours_and_the_config_has_the_spec(model: HubBackbone, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    assert torch.equal(load_model(file)(images()), model(images()))
    assert (load_spec(file), read_facts(file)) == (model.spec, FACTS)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config == {"spec": model.spec.to_json(), "features_only": False}
    assert load_spec(config["spec"]) == model.spec


def test_a_network_made_from_a_spec_or_a_file_is_the_same(tmp_path: Path) -> None:
    torch.manual_seed(2)
    made = HubBackbone(load_spec(SMALL)).eval()
    assert made.facts == ModelFacts()
    save_model(made, tmp_path / "small.safetensors", facts=FACTS)
    loaded = HubBackbone.of(tmp_path / "small.safetensors")
    assert loaded.facts == FACTS
    assert torch.equal(loaded(images()), made(images()))
    assert HubBackbone.of(tmp_path / "small.safetensors", ModelFacts(classes=("a",))).facts.classes == ("a",)
    assert torch.equal(copy.deepcopy(loaded)(images()), made(images()))


def test_what_was_changed_after_the_start_is_saved(model: HubBackbone, tmp_path: Path) -> None:
    model.reset_classifier(5)
    model.set_input_size(64)
    model.save_pretrained(tmp_path / "five")
    again = HubBackbone.from_pretrained(tmp_path / "five")
    assert (again.spec.classes, again.spec.image, again(images()).shape) == (5, 64, (2, 5))
    model.reset_classifier(0, "")
    model.save_pretrained(tmp_path / "none")
    assert HubBackbone.from_pretrained(tmp_path / "none")(images()).shape == (2, 64, 4, 4)


def test_a_dense_build_and_one_from_a_classifier(model: HubBackbone, tmp_path: Path) -> None:
    dense = HubBackbone(load_spec(SMALL), features_only=True).eval()
    dense.save_pretrained(tmp_path / "dense")
    again = HubBackbone.from_pretrained(tmp_path / "dense")
    assert all(torch.equal(left, right) for left, right in zip(again(images()), dense(images()), strict=True))
    assert "pipeline_tag: image-feature-extraction" in (tmp_path / "dense" / "README.md").read_text(encoding="utf-8")
    model.save_pretrained(tmp_path / "whole")
    with pytest.warns(UserWarning, match="a classifier's file has no norms for dense prediction"):
        maps = HubBackbone.from_pretrained(tmp_path / "whole", features_only=True)(images())
    assert [level.shape[1] for level in maps] == [32, 64]


def test_the_card_says_what_is_known(model: HubBackbone, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path, model_card_kwargs={"license": "apache-2.0", "tags": ["pets"]})
    card = ModelCard.load(tmp_path / "README.md")
    assert (card.data.library_name, card.data.license, card.data.pipeline_tag) == (
        "archdsl",
        "apache-2.0",
        "image-classification",
    )
    assert card.data.tags == ["archdsl", "vision-backbone", "pets"]
    assert [(result.dataset_name, result.dataset_split, result.metric_value) for result in card.data.eval_results] == [
        ("pets_3", "validation", 0.625),
        ("pets_3", "held out", 0.6),
    ]
    for line in (
        "# small",
        "3x32x32 to 3 classes. Its classifier has 0.18 M params",
        "Paper: A \\*title\\*, [arXiv:2205.13213](https://arxiv.org/abs/2205.13213).",
        "cat, dog, a\\|b",
        "| crop | middle square of 0.875 of the shorter side |",
        "| mean | 0.5, 0.25, 0.125 |",
        "On pets\\_3 (fingerprint 0123abcd), in float32.",
        "| validation, by which networks were chosen | 62.5 % | 1.7 % | 800 |",
        "| held out, not used for training or selection | 60.0 % | 1.6 % | 1,000 |",
        "| epochs | 6 of 5,000 images |",
        "| device | cpu, 4 threads, float32 |",
        "| stage2 | attention | 64x4x4 |",
    ):
        assert line in card.text
    spec = card.text.partition("```json\n")[2].partition("```")[0]
    assert load_spec(json.loads(spec)) == model.spec


def test_the_card_has_latencies_with_their_conditions(model: HubBackbone) -> None:
    facts = fake_device("a board", "cpu").as_json()
    slow = Latency("small", (2.0, 3.0, 4.0), facts | {"batch": 8, "runtime": "eager", "threads": 2})
    file: JsonObject = {"versions": {"onnxruntime": "1.32.0"}}
    fast = Latency("small", (1.0,), facts | {"runtime": "onnxruntime", "file": file, "target": "ssh://pi@board"})
    text = HubBackbone.of(model, FACTS, [slow, fast]).generate_model_card().text
    assert "| 3.00 | 2.20 to 3.80 | 3 | 8 | float32 | eager, torch 2.0 | 2 | cpu, a board |" in text
    assert "| onnxruntime 1.32.0 |" in text
    assert "| ssh://pi@board, a board |" in text
    assert HubBackbone.of(model, FACTS, slow).latencies == (slow,)


def test_a_card_without_facts_leaves_them_out(tmp_path: Path) -> None:
    HubBackbone(load_spec(SMALL)).save_pretrained(tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.eval_results is None
    assert [line for line in card.text.splitlines() if line.startswith("## ")] == ["## Use", "## Network", "## Spec"]


def test_texts_of_a_file_are_no_markup_and_no_metadata(model: HubBackbone, tmp_path: Path) -> None:
    accuracy = FACTS.accuracy
    assert accuracy is not None
    hostile = "x\n---\nlicense: mit\n# <b>`y`"
    data = DataFacts(name=hostile, fingerprint="0")
    model.facts = ModelFacts(classes=(hostile,), accuracy=accuracy.model_copy(update={"data": data}))
    model.save_pretrained(tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    assert card.data.license is None
    assert card.data.eval_results[0].dataset_name == hostile
    assert "x --- license: mit \\# \\<b\\>\\`y\\`" in card.text


class Api:
    """What `push_to_hub` asks of the Hub."""

    uploaded: dict[str, bytes]
    asked: dict[str, Any]

    def __init__(self, token: str | None = None) -> None:
        Api.asked = {"token": token}

    def create_repo(self, repo_id: str, **options: Any) -> Any:
        Api.asked |= {"repo_id": repo_id, **options}
        return huggingface_hub.RepoUrl(f"https://huggingface.co/{repo_id}")

    def upload_folder(self, *, folder_path: Path, commit_message: str, **options: Any) -> str:
        Api.uploaded = {file.name: file.read_bytes() for file in Path(folder_path).iterdir()}
        Api.asked |= {"message": commit_message, "type": options["repo_type"]}
        return "commit"


def test_a_pushed_network_comes_back_from_the_hub(
    model: HubBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_mixin, "HfApi", Api)
    assert model.push_to_hub("me/small", private=True, commit_message="first") == "commit"
    assert Api.asked["repo_id"] == "me/small"
    assert (Api.asked["private"], Api.asked["message"], Api.asked["type"]) == (True, "first", "model")
    assert set(Api.uploaded) == {"README.md", "config.json", "model.safetensors"}

    def download(repo_id: str, filename: str, revision: str | None = None, **_: Any) -> str:
        assert (repo_id, revision) == ("me/small", "main")
        file = tmp_path / filename
        file.write_bytes(Api.uploaded[filename])
        return str(file)

    monkeypatch.setattr(hub, "hf_hub_download", download)
    monkeypatch.setattr(
        hub_mixin, "hf_hub_download", lambda repo_id, filename, **more: download(repo_id, filename, "main")
    )
    again = HubBackbone.from_pretrained("me/small", revision="main")
    assert torch.equal(again(images()), model(images()))
    assert again.facts == FACTS


def test_what_is_not_a_network_of_ours_is_refused(model: HubBackbone, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"no such file: .*model\.safetensors"):
        HubBackbone.from_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    with pytest.raises(WrongUse, match="from_pretrained cannot set width, strict; use features_only, map_location"):
        HubBackbone.from_pretrained(tmp_path, width=3, strict=False)
    with pytest.raises(WrongUse, match=r'features_only must be True, False or None; got "yes"'):
        HubBackbone.from_pretrained(tmp_path, features_only="yes")
    with pytest.raises(WrongUse, match='torch sees no device "nowhere" here'):
        HubBackbone.from_pretrained(tmp_path, map_location="nowhere")
    config = {"spec": {**SMALL, "image": 64}, "features_only": False}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"its spec is not the one of config\.json; save the network again"):
        HubBackbone.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"spec": {"kind": "arch"}}), encoding="utf-8")
    with pytest.raises(SpecError, match="nodes"):
        HubBackbone.from_pretrained(tmp_path)
    save_file(torch.nn.Linear(1, 1).state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").unlink()
    with pytest.raises(WeightsError, match="has no spec of archdsl in its header"):
        HubBackbone.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{", r"config\.json: is no JSON: "),
        ("", r"config\.json: is no JSON: "),
        (b"\xff\xfe", r"config\.json: is no JSON: "),
        ("[1]", r"config\.json: must be an object; got \[1\]"),
        ("null", r"config\.json: must be an object; got null"),
        ('{"spec": "/etc/passwd"}', r'config\.json: spec must be a document; got "/etc/passwd"'),
        ('{"spec": null}', r"config\.json: spec must be a document; got null"),
        ('{"features_only": "yes"}', r'config\.json: features_only must be true or false; got "yes"'),
        ('{"features_only": true}', r"its features_only is not the one of config\.json"),
    ],
)
@pytest.mark.parametrize("where", ["folder", "hub"])
def test_a_damaged_config_is_one_line_and_names_no_file_to_read(
    config: str | bytes, said: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(build(load_spec(SMALL)), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes(config if isinstance(config, bytes) else config.encode())
    for module in (hub, hub_mixin):
        monkeypatch.setattr(module, "hf_hub_download", lambda repo_id, filename, **_: str(tmp_path / filename))
    with pytest.raises(WeightsError, match=said) as caught:
        HubBackbone.from_pretrained(tmp_path if where == "folder" else "me/small")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["absent/folder/here", "/absent", "", "two words", 5, None])
def test_a_name_of_neither_a_folder_nor_a_repository_is_wrong_use(name: Any) -> None:
    with pytest.raises(WrongUse, match=r"no such folder: |takes a folder or the name of a repository"):
        HubBackbone.from_pretrained(name, local_files_only=True)
