"""The encoders of the paper (section 4.1): DistilBERT for texts, VGG16 for images.

Their weights are read from a local folder and from nowhere else; each file must have the sha256
that model/pretrained.py pins. What the paper leaves open (D61, D62): DistilBERT's last states are
averaged over the words, VGG16 sees the whole image squeezed to 224x224 and answers with fc7.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from tvnet.model.pretrained import DISTILBERT, ENCODERS, VGG16, encoder_files
from tvnet.retrieval.encoders import ImageEncoder

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB from 0 to 1


def weights_of(name: str) -> str:
    """The pinned sha256 of an encoder's weights, twelve digits of it."""
    file = VGG16 if name.startswith("vgg16") else f"{DISTILBERT}/model.safetensors"
    return ENCODERS[file][:12]


def about(name: str, precision: str) -> dict:
    """All that an encoder's rows depend on besides their inputs."""
    return {"encoder": name, "weights": weights_of(name), "precision": precision}


def precision_of(device: str) -> str:
    """bfloat16 where its products are the faster ones (a GPU, a CPU with avx512_bf16 or AMX).

    The processor is asked and nothing is timed: a busy moment must not change what is encoded.
    """
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if device != "cpu" or native else "float32"


class DistilBert:
    """Texts -> unit rows (N, 768): the last states, averaged over the words or that of [CLS]."""

    def __init__(self, folder: Path, name: str, precision: str, device: str = "cpu"):
        path = encoder_files(Path(folder), DISTILBERT)
        from transformers import AutoTokenizer, DistilBertModel

        self.name, self.device = name, device
        self.about = about(name, precision)
        self.tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        self.model = DistilBertModel.from_pretrained(path, local_files_only=True)
        self.model.eval().to(device, getattr(torch, precision))
        self.batch = 64 if device == "cpu" else 1024

    @torch.inference_mode()
    def encode(self, texts: list[str]) -> np.ndarray:
        """In batches of equal length, so that little is computed for padding."""
        limit = min(self.model.config.max_position_embeddings, self.tokenizer.model_max_length)
        ids = self.tokenizer(texts, truncation=True, max_length=limit)["input_ids"]
        order = sorted(range(len(texts)), key=lambda i: (len(ids[i]), texts[i]))
        rows = np.empty((len(texts), self.model.config.hidden_size), dtype=np.float32)
        for start in range(0, len(order), self.batch):
            some = order[start : start + self.batch]
            rows[some] = self._batch([ids[i] for i in some]).cpu().numpy()
        return rows

    def _batch(self, ids: list[list[int]]) -> Tensor:
        longest = max(map(len, ids))
        pad = self.tokenizer.pad_token_id
        words = torch.tensor([line + [pad] * (longest - len(line)) for line in ids])
        length = torch.tensor([len(line) for line in ids])[:, None]
        place = torch.arange(longest)
        real = (place < length).to(self.device)
        states = self.model(words.to(self.device), real.long()).last_hidden_state.float()
        return nn.functional.normalize(self._pooled(states, place, length), dim=1)

    def _pooled(self, states: Tensor, place: Tensor, length: Tensor) -> Tensor:
        """states (B, T, d) -> (B, d). place: (T,) the tokens' places, length: (B, 1) how many."""
        if self.name == "distilbert-cls":
            return states[:, 0]
        # The first token is [CLS], the last [SEP]; an empty text has these two alone.
        inner = torch.where(length > 2, (place > 0) & (place < length - 1), place < 2)
        return mean_of(states, inner)


def mean_of(states: Tensor, chosen: Tensor) -> Tensor:
    """The mean (B, d) of states (B, T, d) where `chosen` (B, T) is true."""
    weight = chosen.to(states)[..., None]
    return (states * weight).sum(dim=1) / weight.sum(dim=1)


class Vgg16(ImageEncoder):
    """Images -> unit rows: fc7 after its ReLU (4096), or pool5 averaged over its cells (512)."""

    def __init__(self, folder: Path, name: str, precision: str, device: str = "cpu"):
        self.name, self.device = name, device
        self.about, self.dtype = about(name, precision), getattr(torch, precision)
        path = encoder_files(Path(folder), VGG16)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        self.model = vgg16(state).to(device, self.dtype, memory_format=torch.channels_last)
        if name == "vgg16-pool5":
            self.model = nn.Sequential(self.model[0], nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.mean, self.std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
        self.batch = 8 if device == "cpu" else 256

    @torch.inference_mode()
    def encode_images(self, pictures: list[Image.Image]) -> np.ndarray:
        pixels = torch.stack([self._pixels(picture) for picture in pictures])
        pixels = pixels.to(self.device, self.dtype)
        features = self.model(pixels.contiguous(memory_format=torch.channels_last)).float()
        return nn.functional.normalize(features, dim=1).cpu().numpy()

    def _pixels(self, picture: Image.Image) -> Tensor:
        """(3, 224, 224): the whole picture, squeezed, as referents stand at borders too."""
        whole = picture.resize((224, 224), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(whole)).permute(2, 0, 1).float() / 255
        return (pixels - self.mean) / self.std


def vgg16(state: dict[str, Tensor]) -> nn.Sequential:
    """VGG16 up to fc7 from torchvision's state dict."""
    from torchvision import models

    with torch.device("meta"):
        whole = models.vgg16()
    whole.load_state_dict(state, assign=True)
    head = nn.Sequential(whole.avgpool, nn.Flatten(), *whole.classifier[:5])
    return nn.Sequential(whole.features, head).eval().requires_grad_(False)
