"""Backbones on the Hugging Face Hub, or in a folder of its form: `model.safetensors`, `config.json` and a model card.

`model.safetensors` is a file as `archdsl.save_model` writes it, so that it is a whole network by itself; `config.json`
tells the same spec to those who read that alone. Nothing is imported or run from what is downloaded.
"""
# Annotations are not strings here: the mixin reads those of `__init__` to know how to write and read its values.

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from archdsl.compile import Backbone
from archdsl.errors import WeightsError, WrongUse, short
from archdsl.json_types import JsonObject
from archdsl.language.document import Spec
from archdsl.latency.result import Latency
from archdsl.load.specs import load_spec
from archdsl.weights.facts import ModelFacts, read_facts
from archdsl.weights.model_file import load_model, save_model

try:
    from huggingface_hub import ModelCard, PyTorchModelHubMixin, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "huggingface_hub":
        raise
    message = "archdsl.integrations.hub needs huggingface_hub; pip install 'archdsl[hub]'"
    raise ModuleNotFoundError(message, name="huggingface_hub") from None

from archdsl.integrations.model_card import TAGS, model_card

WEIGHTS, CONFIG = "model.safetensors", "config.json"
_DOWNLOAD = ("revision", "cache_dir", "force_download", "local_files_only", "token")


def _document(spec: Spec) -> JsonObject:
    return spec.to_json()


def _read_config(name: str | Path, options: dict[str, Any]) -> JsonObject:
    """What config.json says, in a folder or a repository of the Hub; nothing where there is none.

    Raises:
        WrongUse: there is no such folder, and the name is that of no repository.
        WeightsError: it cannot be read, or is not as `HubBackbone` writes it.
    """
    if not isinstance(name, str | os.PathLike):
        raise WrongUse(f"from_pretrained takes a folder or the name of a repository; got {short(name)}")
    try:
        file = _config_file(str(name), options)
    except HFValidationError:
        raise WrongUse(f"no such folder: {name}; and no repository of the Hub has such a name") from None
    if file is None:
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise WeightsError(f"{file}: is no JSON: {error}; save the network again") from None
    kinds: dict[str, tuple[type, str]] = {"spec": (dict, "a document"), "features_only": (bool, "true or false")}
    if not isinstance(config, dict):
        raise WeightsError(f"{file}: must be an object; got {short(config)}; save the network again")
    for key, (kind, wanted) in kinds.items():
        if key in config and not isinstance(config[key], kind):
            raise WeightsError(f"{file}: {key} must be {wanted}; got {short(config[key])}; save the network again")
    return config


def _config_file(name: str, options: dict[str, Any]) -> Path | None:
    if name and Path(name).is_dir():
        file = Path(name) / CONFIG
        return file if file.exists() else None
    try:
        return Path(hf_hub_download(name, CONFIG, **{key: options[key] for key in _DOWNLOAD if key in options}))
    except HfHubHTTPError:  # the weights alone are enough
        return None


class HubBackbone(
    Backbone,
    PyTorchModelHubMixin,
    library_name="archdsl",
    tags=[*TAGS],
    pipeline_tag="image-classification",
    coders={Spec: (_document, load_spec)},
):
    """A backbone with `save_pretrained`, `from_pretrained` and `push_to_hub`, as huggingface_hub's mixin has them.

    `facts` are what a file says of itself: classes, preprocessing, accuracy and provenance. They stand in
    `model.safetensors` and on the model card; set them anew after further training. `latencies`, as `archdsl.measure`
    gives them, stand on the card alone, each with its conditions.
    """

    def __init__(self, spec: Spec, features_only: bool = False) -> None:
        super().__init__(spec, features_only)
        self.facts = ModelFacts()
        self.latencies: tuple[Latency, ...] = ()

    @classmethod
    def of(
        cls,
        model: Backbone | str | os.PathLike[str],
        facts: ModelFacts | None = None,
        latencies: Latency | Sequence[Latency] = (),
    ) -> "HubBackbone":
        """A network that shares the tensors of a built one, or that of a `.safetensors` of ours with all it says.

        `facts` replace what a file says; `latencies` were measured of this network.

        Raises:
            WrongUse, WeightsError, SpecError: as `archdsl.load_model`.
        """
        if not isinstance(model, Backbone):
            facts = read_facts(model) if facts is None else facts
            model = load_model(model)
        made = cls.__new__(cls, model.spec, model.features_only)
        made.__dict__.update({name: value for name, value in vars(model).items() if not name.startswith("_hub_mixin")})
        made.facts = facts or ModelFacts()
        made.latencies = (latencies,) if isinstance(latencies, Latency) else tuple(latencies)
        return made

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the weights; the spec may be another one than at the start, as after `reset_classifier`."""
        self._hub_mixin_config = {"spec": _document(self.spec), "features_only": self.features_only}
        save_model(self, save_directory / WEIGHTS, facts=self.facts)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Self:
        """The network in a folder, or in a repository of the Hub; keywords are those of huggingface_hub's mixin.

        `features_only` gives the dense-prediction build of a classifier, `map_location` the device.

        Raises:
            WrongUse: there is no such folder, no weights in it, or no such keyword.
            WeightsError, SpecError: as `archdsl.load_model`; also where config.json is damaged or has another spec or
                build than the weights.
        """
        config = _read_config(pretrained_model_name_or_path, options)
        asked = options.get("features_only")
        if not isinstance(asked, bool | None):
            raise WrongUse(f"features_only must be True, False or None; got {short(asked)}")
        loaded: Self = super().from_pretrained(pretrained_model_name_or_path, **{**options, "features_only": asked})
        if asked is None and config.get("features_only", loaded.features_only) != loaded.features_only:
            where = f"{pretrained_model_name_or_path}: its features_only"
            raise WeightsError(f"{where} is not the one of {CONFIG}; save the network again")
        return loaded

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        map_location: str = "cpu",
        strict: bool = True,
        spec: Spec | None = None,
        features_only: bool | None = None,
        **model_kwargs: Any,
    ) -> "HubBackbone":
        """The network in a folder, or in a repository of the Hub.

        Raises:
            WrongUse: a keyword that there is not, or no weights in the folder.
            WeightsError, SpecError: as `archdsl.load_model`; also where config.json has another spec than the weights.
        """
        if model_kwargs or not strict:
            names = ", ".join([*model_kwargs, *([] if strict else ["strict"])])
            raise WrongUse(f"from_pretrained cannot set {names}; use features_only, map_location or archdsl.override")
        file = Path(model_id) / WEIGHTS
        if not Path(model_id).is_dir():
            downloaded = hf_hub_download(
                model_id,
                WEIGHTS,
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
            )
            file = Path(downloaded)
        facts = read_facts(file)
        model = load_model(file, map_location, features_only)
        if spec is not None and spec != model.spec:
            raise WeightsError(f"{file}: its spec is not the one of config.json; save the network again")
        return cls.of(model, facts)

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """The card of this network; keywords are further metadata, e.g. `license="apache-2.0"`."""
        return model_card(self.spec, self.facts, self.features_only, self.latencies, **kwargs)
