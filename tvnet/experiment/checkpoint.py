"""A trained model on disk: safetensors, its settings and its vocabulary as JSON, in one folder."""

from __future__ import annotations

import json
import os
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from tvnet.data.words import Vocabulary
from tvnet.experiment.results import sha256_of, write_json, write_whole
from tvnet.model.backbone import Backbone
from tvnet.model.method import Method, build
from tvnet.model.pretrained import check_hash, fill, read_tensors
from tvnet.settings import Settings, as_dict, settings

SHAPING = ("data", "backbone", "model")  # the parts of the settings that a model depends on


def save_tensors(module: nn.Module, path: Path) -> None:
    """Write aside, then rename; the file's sha256 stands beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".part{os.getpid()}")
    save_file({name: t.contiguous() for name, t in module.state_dict().items()}, part)
    write_whole(path.with_name(f"{path.name}.sha256"), f"{sha256_of(part)}  {path.name}\n")
    os.replace(part, path)


def save(folder: Path, model: Method, vocabulary: Vocabulary, backbone: Backbone) -> None:
    """Everything that `load` needs; a backbone only where it was trained on."""
    folder = Path(folder)
    vocabulary.save(folder / "vocabulary.json")
    if model.settings.backbone.train_from != "none":
        save_tensors(backbone, folder / "backbone.safetensors")
    save_tensors(model, folder / "model.safetensors")
    write_json(folder / "settings.json", as_dict(model.settings))


def load(folder: Path | str, expected: Settings | None = None) -> tuple[Method, Vocabulary]:
    """The exact model of a folder in eval mode, and its vocabulary.

    Raises FileNotFoundError when a file is missing, and ValueError when tensors do not fit or hold
    NaN or are not those that were written, or when the settings differ from the `expected` ones:
    the message lists the keys.
    """
    folder = Path(folder)
    for name in ("settings.json", "vocabulary.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"There is no trained model in {folder}: {name} is missing.")
    try:
        stored = from_dict(json.loads((folder / "settings.json").read_text("utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, TypeError) as error:
        raise ValueError(
            f"The settings in {folder} are damaged ({error}): fetch or make the model again."
        ) from error
    if expected is not None:
        refuse_other(stored, expected, folder)
    vocabulary = Vocabulary.load(folder / "vocabulary.json")
    if (folder / "model.safetensors.sha256").is_file():  # what ships is held against shipped.json
        check_hash(folder / "model.safetensors", published="")
    model = build(stored, len(vocabulary))
    fill(model, read_tensors(folder / "model.safetensors"), folder)
    return model.eval(), vocabulary


def load_backbone_of(folder: Path, backbone: Backbone) -> None:
    """Fill a backbone with the weights that were trained with a folder's model.

    Raises FileNotFoundError or ValueError when they are missing, or not those that were written.
    """
    path = folder / "backbone.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"There is no trained backbone in {folder}: it lacks {path.name}.")
    check_hash(path, published="")
    fill(backbone, read_tensors(path), folder)


def refuse_other(stored: Settings, expected: Settings, folder: Path) -> None:
    """ValueError listing every key in which two settings would make different models."""
    told = [
        f"{part}.{field.name} is {mine!r} there, {asked!r} here"
        for part in SHAPING
        for field in fields(getattr(stored, part))
        for mine in [getattr(getattr(stored, part), field.name)]
        for asked in [getattr(getattr(expected, part), field.name)]
        if mine != asked
    ]
    if told:
        raise ValueError(f"The model in {folder} was made with other settings: {'; '.join(told)}.")


def from_dict(values: dict) -> Settings:
    """The settings that `as_dict` wrote. ValueError naming a key that no setting has."""
    return _filled(settings("paper"), values, "settings")


def _filled(part: object, values: dict, name: str) -> object:
    known = {field.name for field in fields(part)}
    if strange := sorted(values.keys() - known):
        raise ValueError(f"There is no setting {name}.{strange[0]}: use the version that wrote it.")
    new = {}
    for key, value in values.items():
        old = getattr(part, key)
        if is_dataclass(old):
            value = _filled(old, value, key)
        new[key] = tuple(value) if isinstance(value, list) else value
    return replace(part, **new)
