"""The encoders of the paper (section 4.1): DistilBERT for texts, VGG16 for images.

Their weights are read from a local folder and from nowhere else; each file must have the sha256
that is pinned here. What the paper leaves open (D61, D62): DistilBERT's last states are averaged
over the words, VGG16 sees the whole image squeezed to 224x224 and answers with fc7.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from tvnet.data.images import open_image
from tvnet.data.refer import ReferData
from tvnet.retrieval.fast import DTYPES, rate

PINNED = {  # distilbert/distilbert-base-uncased at revision 12040ac; torchvision's IMAGENET1K_V1
    "distilbert-base-uncased/model.safetensors": (
        "5e3f1108e3cb34ee048634875d8482665b65ac713291a7e32396fb18f6ff0063"
    ),
    "distilbert-base-uncased/config.json": (
        "69c94b0222d5d1f4b0ad027ca7416cdafb98378cbbb8305d0bf47c9365c60c83"
    ),
    "distilbert-base-uncased/tokenizer.json": (
        "ce64fce797c24f68df90b40a3f74f579b336a493db14bd583fd520ea0d8c9a98"
    ),
    "distilbert-base-uncased/tokenizer_config.json": (
        "a025160ef0431f1a392f6f050c1310f4c5d9fb6f275932dbccba73c4d214bf10"
    ),
    "vgg16-397923af.pth": "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
}
TEXT, IMAGE = "distilbert-base-uncased", "vgg16-397923af.pth"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB from 0 to 1
CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # their places in VGG16
TEXT_ENCODERS = ("distilbert", "distilbert-cls")
IMAGE_ENCODERS = ("vgg16", "vgg16-pool5")


def checked(folder: Path, name: str) -> Path:
    """The pinned files under a folder whose names begin with `name`, their sha256 checked.

    Raises FileNotFoundError or ValueError naming the file that is absent or another one.
    """
    for file in (file for file in PINNED if file.startswith(name)):
        path = folder / file
        if not path.is_file():
            raise FileNotFoundError(
                f"The encoder weights {path} are missing: put the file there, or name the folder "
                "that holds it with --weights."
            )
        with path.open("rb") as content:
            actual = hashlib.file_digest(content, "sha256").hexdigest()
        if actual != PINNED[file]:
            raise ValueError(
                f"The encoder weights {path} have sha256 {actual[:12]}..., not "
                f"{PINNED[file][:12]}...: the file is damaged or another one, fetch it again."
            )
    return folder / name


def weights_of(name: str) -> str:
    """The pinned sha256 of an encoder's weights, twelve digits of it."""
    return PINNED[f"{TEXT}/model.safetensors" if name in TEXT_ENCODERS else IMAGE][:12]


def about(name: str, precision: str) -> dict:
    """All that an encoder's rows depend on besides their inputs."""
    return {"encoder": name, "weights": weights_of(name), "precision": precision}


def precision_of(device: str) -> str:
    """bfloat16 where its products are the faster ones (a GPU, a CPU with avx512_bf16 or AMX)."""
    faster = device != "cpu" or rate("bfloat16") > 1.3 * rate("float32")
    return "bfloat16" if faster else "float32"


class DistilBert:
    """Texts -> unit rows (N, 768): the last states, averaged over the words or that of [CLS]."""

    def __init__(self, folder: Path, name: str, precision: str, device: str = "cpu"):
        path = checked(Path(folder), TEXT)
        from transformers import AutoTokenizer, DistilBertModel

        self.name, self.device = name, device
        self.about = about(name, precision)
        self.tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        self.model = DistilBertModel.from_pretrained(path, local_files_only=True)
        self.model.eval().to(device, DTYPES[precision])
        self.batch = 64 if device == "cpu" else 1024

    @torch.inference_mode()
    def encode(self, texts: list[str]) -> np.ndarray:
        """In batches of equal length, so that little is computed for padding."""
        limit = self.model.config.max_position_embeddings
        ids = self.tokenizer(texts, truncation=True, max_length=limit)["input_ids"]
        order = sorted(range(len(texts)), key=lambda i: (len(ids[i]), texts[i]))
        rows = np.empty((len(texts), self.model.config.dim), dtype=np.float32)
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
        if self.name == "distilbert-cls":
            pooled = states[:, 0]
        else:  # the first token is [CLS], the last [SEP]; an empty text has these two alone
            inner = torch.where(length > 2, (place > 0) & (place < length - 1), place < 2)
            weight = inner.to(self.device, torch.float32)[..., None]
            pooled = (states * weight).sum(dim=1) / weight.sum(dim=1)
        return nn.functional.normalize(pooled, dim=1)


class Vgg16:
    """Images -> unit rows: fc7 after its ReLU (4096), or pool5 averaged over its cells (512)."""

    def __init__(self, folder: Path, name: str, precision: str, device: str = "cpu"):
        self.name, self.device = name, device
        self.about, self.dtype = about(name, precision), DTYPES[precision]
        path = checked(Path(folder), IMAGE)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        self.model = vgg16(state).to(device, self.dtype, memory_format=torch.channels_last)
        if name == "vgg16-pool5":
            self.model = nn.Sequential(self.model[0], nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.mean, self.std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
        self.batch = 8 if device == "cpu" else 256

    def encode(self, data: ReferData, image_ids: np.ndarray) -> np.ndarray:
        starts = range(0, len(image_ids), self.batch)
        parts = (image_ids[start : start + self.batch] for start in starts)
        return np.concatenate([self.look([open_image(data, int(i)) for i in p]) for p in parts])

    @torch.inference_mode()
    def look(self, pictures: list[Image.Image]) -> np.ndarray:
        """RGB pictures of any sizes, in one batch."""
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
    """VGG16 up to fc7 from its state dict; the widths are those of the tensors.

    Raises ValueError when they are not VGG16's thirteen convolutions and two layers.
    """
    from torchvision.models import vgg

    try:
        depths = iter(state[f"features.{i}.weight"].shape[0] for i in CONVOLUTIONS)
        layers = [next(depths) if depth != "M" else "M" for depth in vgg.cfgs["D"]]
        with torch.device("meta"):
            features = vgg.make_layers(layers)
            fc6, fc7 = (nn.Linear(*reversed(state[f"classifier.{i}.weight"].shape)) for i in (0, 3))
        pieces = {"features.": features, "classifier.0.": fc6, "classifier.3.": fc7}
        for prefix, piece in pieces.items():
            own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            piece.load_state_dict(own, assign=True)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"The weights are not those of a VGG16 ({error}).") from error
    pool = nn.AdaptiveAvgPool2d(7)
    head = nn.Sequential(pool, nn.Flatten(), fc6, nn.ReLU(), fc7, nn.ReLU())
    return nn.Sequential(features, head).eval().requires_grad_(False)
