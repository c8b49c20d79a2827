"""EfficientNet-Lite0, a small network that was trained on ImageNet, as a backbone (D90)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.model.backbone import Backbone, InputContract

# Groups of blocks for V2, V3, V4 and V5: kernel, stride, widening inside, channels, blocks.
STAGES = (
    ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2)),
    ((5, 2, 6, 40, 2),),
    ((3, 2, 6, 80, 3), (5, 1, 6, 112, 3)),
    ((5, 2, 6, 192, 4), (3, 1, 6, 320, 1)),
)
LITE = InputContract("RGB", (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))


def norm(d: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(d, eps=1e-3)


class Block(nn.Module):
    """1x1 to more channels, a 3x3 or 5x5 in each channel, 1x1 back; no activation at the end."""

    def __init__(self, d_in: int, d_out: int, kernel: int, stride: int, widen: int, dilation: int):
        super().__init__()
        d, pad = d_in * widen, kernel // 2 * dilation
        if widen > 1:
            self.expand_conv, self.bn0 = nn.Conv2d(d_in, d, 1, bias=False), norm(d)
        self.widened = widen > 1
        self.depthwise_conv = nn.Conv2d(d, d, kernel, stride, pad, dilation, groups=d, bias=False)
        self.bn1 = norm(d)
        self.project_conv, self.bn2 = nn.Conv2d(d, d_out, 1, bias=False), norm(d_out)
        self.shortcut = stride == 1 and d_in == d_out

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.bn0(self.expand_conv(x))) if self.widened else x
        y = F.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return x + y if self.shortcut else y


class EfficientNetLite0(Backbone):
    """The network up to its pooled features, without the classifier.

    dilated: the strides of V4 and V5 are turned into dilation, so that both lie at 1/8; without,
    they lie at 1/16 and 1/32, as they were trained. Kernels are padded by the same on all sides,
    not by TensorFlow's rule, so that cell i stays at pixel 8i (D38).
    """

    def __init__(self, dilated: bool = True):
        super().__init__(LITE)
        self.conv_stem, self.bn0 = nn.Conv2d(3, 32, 3, 2, 1, bias=False), norm(32)
        self.stages = nn.ModuleList()
        d_in, dilation = 32, 1
        for i, groups in enumerate(STAGES):
            blocks = []
            for kernel, first_stride, widen, d_out, count in groups:
                for k in range(count):
                    stride, later = first_stride if k == 0 else 1, dilation
                    if dilated and i > 1 and stride == 2:
                        stride, later = 1, 2 * dilation
                    blocks.append(Block(d_in, d_out, kernel, stride, widen, dilation))
                    d_in, dilation = d_out, later
            self.stages.append(nn.Sequential(*blocks))
        self.conv_head, self.bn1 = nn.Conv2d(d_in, 1280, 1, bias=False), norm(1280)

    def res1(self, x: Tensor) -> Tensor:
        """The stem at 1/2."""
        return F.relu6(self.bn0(self.conv_stem(x)))

    def features(self, pixels: Tensor) -> Tensor:
        """pixels: RGB uint8 (B, 3, S, S) -> (B, 1280), what the classifier would read."""
        return F.relu6(self.bn1(self.conv_head(self(pixels)["V5"]))).mean(dim=(2, 3))
