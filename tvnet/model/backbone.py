"""The siamese CNN of Fig. 2: a DeepLab-v2 ResNet whose maps res2..res5 are V2..V5."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.settings import BackboneSettings

SHIPPED = Path(__file__).parent.parent / "weights"
MEAN_BGR = (104.00698793, 116.66876762, 122.67891434)  # CMPC's input contract


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a shortcut; the stride sits in the first 1x1, as in Caffe's ResNet."""

    def __init__(self, d_in: int, inner: int, d_out: int, stride: int, dilation: int):
        super().__init__()
        self.reduce = nn.Conv2d(d_in, inner, 1, stride, bias=False)
        self.reduce_norm = nn.BatchNorm2d(inner)
        self.conv = nn.Conv2d(inner, inner, 3, 1, dilation, dilation, bias=False)
        self.conv_norm = nn.BatchNorm2d(inner)
        self.increase = nn.Conv2d(inner, d_out, 1, bias=False)
        self.increase_norm = nn.BatchNorm2d(d_out)
        self.shortcut = nn.Identity()
        if stride != 1 or d_in != d_out:
            project = nn.Conv2d(d_in, d_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(project, nn.BatchNorm2d(d_out))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.reduce_norm(self.reduce(x)))
        y = F.relu(self.conv_norm(self.conv(y)))
        y = self.increase_norm(self.increase(y))
        return F.relu(y + self.shortcut(x))


class Backbone(nn.Module):
    """Picture -> {"V2": at 1/4, "V3", "V4", "V5": at 1/8 of its size} (Fig. 2).

    res4 and res5 keep the stride of res3 and dilate their 3x3 convolutions by 2 and 4 instead.
    """

    def __init__(self, settings: BackboneSettings):
        super().__init__()
        width, d = settings.width, list(settings.channels.values())
        self.stem = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        strides, dilations, d_ins = (1, 2, 1, 1), (1, 1, 2, 4), (width, *d[:3])
        self.stages = nn.ModuleList()
        for i, count in enumerate(settings.blocks):
            inner = width * 2**i
            first = Bottleneck(d_ins[i], inner, d[i], strides[i], dilations[i])
            rest = [Bottleneck(d[i], inner, d[i], 1, dilations[i]) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(first, *rest))
        self.register_buffer("mean", torch.tensor(MEAN_BGR).view(1, 3, 1, 1), persistent=False)
        self.frozen = False

    def freeze(self) -> Backbone:
        """Fix weights and batch-norm statistics for good (D26), whatever `.train()` is called."""
        self.frozen = True
        self.requires_grad_(False)
        return self.train(False)

    def train(self, mode: bool = True) -> Backbone:
        return super().train(mode and not self.frozen)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """pixels: RGB uint8 (B, 3, S, S), padded with black -> V2..V5, each after its ReLU."""
        # Black padding enters as -mean, as in the prior code.
        x = pixels.flip(1).to(self.stem.weight.dtype) - self.mean
        x = F.relu(self.stem_norm(self.stem(x)))
        x = F.max_pool2d(x, 3, 2, 1)  # "res1": 1/4 of the size; the paper never uses it
        maps = {}
        for i, stage in enumerate(self.stages):
            x = stage(x)
            maps[f"V{i + 2}"] = x
        return maps


def weights_file(name: str) -> Path:
    """Where the named weights lie: the shipped ones by name, any others by their path."""
    return SHIPPED / f"{name}_backbone.safetensors" if name == "miniref" else Path(name)


def load_backbone(settings: BackboneSettings) -> Backbone:
    """The frozen backbone with the settings' weights, whose sha256 is checked first.

    Raises FileNotFoundError or ValueError with one sentence when the file is absent, altered, or
    made for another architecture.
    """
    from safetensors.torch import load_file

    path = weights_file(settings.weights)
    if not settings.weights or not path.is_file():
        raise FileNotFoundError(
            f"There are no backbone weights at '{path}': train them with "
            "`python -m tvnet.experiment.pretrain` or name another file in the settings."
        )
    stated = json.loads(path.with_suffix(".json").read_text())["sha256"]
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if actual != stated:
        raise ValueError(
            f"The backbone weights {path} have sha256 {actual[:12]}..., but {stated[:12]}... was "
            "recorded when they were made: restore the file or train them again."
        )
    backbone = Backbone(settings)
    state = {name: tensor.float() for name, tensor in load_file(path).items()}
    expected = backbone.state_dict()
    wrong = sorted(
        name
        for name in state.keys() | expected.keys()
        if name not in state or name not in expected or state[name].shape != expected[name].shape
    )
    if wrong:
        raise ValueError(
            f"{path} was made for another backbone: {len(wrong)} tensors differ, first {wrong[0]}."
            " Use the settings it was trained with."
        )
    backbone.load_state_dict(state)
    return backbone.freeze()
