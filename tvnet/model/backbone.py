"""The siamese CNN of Fig. 2: a dilated ResNet whose maps res2..res5 are V2..V5."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn, tensor

from tvnet.settings import BackboneSettings


@dataclass(frozen=True)
class InputContract:
    """How pixels enter a network: channel order, then (pixel - mean) / std, all in 0..255."""

    order: str  # "RGB" | "BGR"
    mean: tuple[float, float, float]
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


CAFFE = InputContract("BGR", (104.00698793, 116.66876762, 122.67891434))
TORCHVISION = InputContract("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


class Backbone(nn.Module):
    """Picture -> {"V2": at 1/4, "V3", "V4", "V5": at 1/8 of its size} (Fig. 2).

    A subclass sets `stages`, res2 to res5, and gives `res1`, the map at 1/4 before them.
    """

    stages: nn.ModuleList

    def __init__(self, contract: InputContract, pool: str = "floor"):
        super().__init__()
        self.contract, self.pool = contract, pool
        for name in ("mean", "std"):
            value = tensor(getattr(contract, name)).view(1, 3, 1, 1)
            self.register_buffer(name, value, persistent=False)
        self.frozen = False

    def freeze(self, train_from: str = "none") -> Backbone:
        """Freeze weights and batch-norm statistics; a later `.train()` does not change that.

        With train_from = "res3" the kernels of res3 to res5 stay trainable, their norms do not
        (D26).
        """
        self.frozen = True
        self.requires_grad_(False)
        if train_from != "none":
            for stage in self.stages[int(train_from[-1]) - 2 :]:
                for module in stage.modules():
                    if isinstance(module, nn.Conv2d):
                        module.requires_grad_(True)
        return self.train(False)

    @property
    def is_frozen(self) -> bool:
        """Whether none of its parameters is trained."""
        return not any(p.requires_grad for p in self.parameters())

    def train(self, mode: bool = True) -> Backbone:
        return super().train(mode and not self.frozen)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """pixels: RGB uint8 (B, 3, S, S), padded with black -> V2..V5, each after its ReLU."""
        x = pixels.flip(1) if self.contract.order == "BGR" else pixels
        # D51: black padding enters as -mean, as in CMPC's code.
        x = self.res1((x.to(self.mean.dtype) - self.mean) / self.std)
        maps = {}
        for i, stage in enumerate(self.stages):
            x = stage(x)
            cells = -(-pixels.shape[-1] // (4 if i == 0 else 8))
            maps[f"V{i + 2}"] = x[..., :cells, :cells]
        return maps

    def pooled(self, x: Tensor) -> Tensor:
        """The stem's map at half of its size.

        D52: "ceil" adds a row and a column of cells at the lower and right border, 81x81 of 320 px,
        which the stages see and `forward` cuts off: cell i stays at pixel 8i.
        """
        return F.max_pool2d(x, 3, 2, 1, ceil_mode=self.pool == "ceil")


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


class DeepLab(Backbone):
    """DeepLab-v2's ResNet: res4 and res5 keep the stride of res3 and dilate by 2 and 4 instead."""

    def __init__(self, settings: BackboneSettings):
        super().__init__(CAFFE, settings.pool)
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

    def res1(self, x: Tensor) -> Tensor:
        """The pooled stem at 1/4: the paper's res1, which no later part reads."""
        return self.pooled(F.relu(self.stem_norm(self.stem(x))))


class TorchvisionResNet101(Backbone):
    """torchvision's ResNet-101 with strides of res4 and res5 turned into dilation.

    It differs from DeepLab-v2's: the stride sits in the 3x3, and the first block of res4 and of
    res5 keeps the dilation of the stage before.
    """

    def __init__(self, pool: str = "floor"):
        from torchvision.models import resnet101

        super().__init__(TORCHVISION, pool)
        net = resnet101(replace_stride_with_dilation=[False, True, True])
        self.conv1, self.bn1 = net.conv1, net.bn1
        self.stages = nn.ModuleList([net.layer1, net.layer2, net.layer3, net.layer4])

    def res1(self, x: Tensor) -> Tensor:
        return self.pooled(F.relu(self.bn1(self.conv1(x))))
