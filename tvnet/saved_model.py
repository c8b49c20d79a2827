"""A trained model on disk: safetensors, its settings and its vocabulary as JSON, in one folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.overrides import TorchFunctionMode

from tvnet.data.words import Vocabulary
from tvnet.files import SHIPPED, read_json, replacing, sha256_of, write_json
from tvnet.model.backbone import Backbone
from tvnet.model.method import Method, build
from tvnet.model.weights_file import check_hash, fill, read_tensors, refuse_misfits
from tvnet.settings import Settings, as_dict, settings
from tvnet.settings_checks import differences

SHAPING = ("data", "backbone", "model")  # the parts of the settings that a model depends on
FILES = ("settings.json", "vocabulary.json", "model.safetensors")
BACKBONE = "backbone.safetensors"  # where it was trained on
HASHES = "sha256.json"  # of the files above
MODELS = SHIPPED / "models"  # the rows of Table 1 that ship
AGAIN = "fetch or make the model again"


def save(folder: Path, model: Method, vocabulary: Vocabulary, backbone: Backbone) -> None:
    """Everything that `load` needs, a backbone only where it was trained on."""
    folder = Path(folder)
    write_json(folder / "settings.json", as_dict(model.settings))
    vocabulary.save(folder / "vocabulary.json")
    modules = {"model.safetensors": model}
    if model.settings.backbone.train_from != "none":
        modules[BACKBONE] = backbone
    for name, module in modules.items():
        with replacing(folder / name) as part:
            save_file({key: t.contiguous() for key, t in module.state_dict().items()}, part)
    digests = {name: sha256_of(folder / name) for name in {*FILES, *modules}}
    write_json(folder / HASHES, dict(sorted(digests.items())))


def load(
    folder: Path | str, expected: Settings | None = None, digests: dict[str, str] | None = None
) -> tuple[Method, Vocabulary]:
    """The exact model of a folder in eval mode, and its vocabulary.

    digests: the sha256 of each file, where they stand elsewhere. Raises FileNotFoundError when a
    file is missing, and ValueError when one is not as it was written, when tensors do not fit or
    hold NaN, or when the settings differ from the `expected` ones: the message lists the keys.
    """
    folder = Path(folder)
    digests = _checked(folder, digests)
    try:
        stored = from_dict(read_json(folder / "settings.json", {}, AGAIN))
    except ValueError as error:
        raise ValueError(f"The settings in {folder} do not fit: {error}") from error
    if expected is not None:
        refuse_other(stored, expected, folder)
    if stored.backbone.train_from != "none" and BACKBONE not in digests:
        raise ValueError(f"{folder} holds no {BACKBONE}, which its settings speak of: {AGAIN}.")
    vocabulary = Vocabulary.load(folder / "vocabulary.json")
    tensors = read_tensors(folder / "model.safetensors")
    # So that settings that the file does not fit take no memory.
    with torch.device("meta"), _WithoutNormal():
        refuse_misfits(build(stored, len(vocabulary)), tensors, folder)
    model = build(stored, len(vocabulary))
    fill(model, tensors, folder)
    return model.eval(), vocabulary


class _WithoutNormal(TorchFunctionMode):
    """Leaves out normal_, for whose shapes alone PyTorch imports its compiler, a second or two."""

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        kwargs = kwargs or {}
        if func in (torch.Tensor.normal_, torch.nn.init.normal_):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def load_backbone_of(folder: Path, backbone: Backbone) -> None:
    """Fill a backbone with the weights that were trained with a folder's model, which `load` has
    checked."""
    fill(backbone, read_tensors(folder / BACKBONE), folder)


def _checked(folder: Path, digests: dict[str, str] | None) -> dict[str, str]:
    """The sha256 of each file, every file held against its own."""
    for name in FILES if digests else (*FILES, HASHES):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"There is no trained model in {folder}: {name} is missing, {AGAIN}."
            )
    if digests is None:
        digests = read_json(folder / HASHES, dict.fromkeys(FILES, str), AGAIN)
    for name in [*FILES, *(digests.keys() - FILES)]:
        whole = name in (*FILES, BACKBONE) and re.fullmatch("[0-9a-f]{64}", str(digests[name]))
        if not whole:
            raise ValueError(f"{folder / HASHES} is damaged at {name!r:.60}: {AGAIN}.")
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} is missing: {AGAIN}.")
        check_hash(folder / name, digests[name])
    return digests


def refuse_other(stored: Settings, expected: Settings, folder: Path) -> None:
    """ValueError listing every key in which two settings would make different models."""
    there, here = ({part: as_dict(s)[part] for part in SHAPING} for s in (stored, expected))
    if found := differences(there, here):
        raise ValueError(f"The model in {folder} was made with other settings: {'; '.join(found)}.")


def from_dict(values: dict) -> Settings:
    """The settings that `as_dict` wrote. ValueError naming a key that no setting has."""
    return _filled(settings("paper"), values, "settings")


def _filled(part: object, values: dict, name: str) -> object:
    known = {field.name for field in fields(part)}
    if not isinstance(values, dict):
        raise ValueError(f"{name} is {values!r:.40}, not an object of settings.")
    if strange := sorted(values.keys() - known):
        raise ValueError(
            f"There is no setting {name + '.' + strange[0]!r:.60}: use the version that wrote it."
        )
    new = {}
    for key, value in values.items():
        old = getattr(part, key)
        if is_dataclass(old):
            value = _filled(old, value, key)
        new[key] = tuple(value) if isinstance(value, list) else value
    return replace(part, **new)
