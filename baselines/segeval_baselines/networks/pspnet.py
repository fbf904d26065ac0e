"""PSPNet: pyramid scene parsing (Zhao, Shi, Qi, Wang, Jia, CVPR 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segeval_baselines.layers.blocks import Logits, conv_bn_relu, initialise, resize, size_of
from segeval_baselines.layers.resnet import ResNet


class PyramidPooling(nn.Module):
    """Means over 1x1, 2x2, 3x3 and 6x6 grids, each reduced to a share of the channels, upsampled, concatenated."""

    def __init__(self, inputs: int, bins: tuple[int, ...]) -> None:
        super().__init__()
        self.bins = bins
        self.reduce = nn.ModuleList(conv_bn_relu(inputs, inputs // len(bins), 1) for _ in bins)
        self.channels = inputs + len(bins) * (inputs // len(bins))

    def forward(self, x: Tensor) -> Tensor:
        """(N, c, h, w) to (N, 2 c, h, w): the input first."""
        maps = [x]
        for grid, reduce in zip(self.bins, self.reduce, strict=True):
            maps.append(resize(reduce(F.adaptive_avg_pool2d(x, grid)), size_of(x), align_corners=True))
        return torch.cat(maps, dim=1)


class PSPNet(nn.Module):
    """Dilated ResNet with deep stem, pyramid pooling, and an auxiliary head on the third layer.

    Parameters
    ----------
    classes
        Channels of the output.
    depth, width, output_stride, channels
        Of the ResNet.
    deep_stem
        Three 3x3 convolutions first, as the authors' networks have.
    bins
        Grids of the pyramid.
    aux
        The auxiliary head (0.4 of its loss in the paper's recipe).
    dropout
        Before the last convolution.
    """

    border = 0

    def __init__(
        self,
        classes: int,
        *,
        depth: int = 50,
        width: int = 64,
        output_stride: int = 8,
        deep_stem: bool = True,
        bins: tuple[int, ...] = (1, 2, 3, 6),
        aux: bool = True,
        dropout: float = 0.1,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.backbone = ResNet(
            depth,
            output_stride=output_stride,
            width=width,
            deep_stem=deep_stem,
            dilate_first=True,
            channels=channels,
        )
        *_, third, fourth = self.backbone.channels
        self.pyramid = PyramidPooling(fourth, tuple(bins))
        self.head = _head(self.pyramid.channels, fourth // 4, classes, dropout)
        self.aux_head = _head(third, third // 4, classes, dropout) if aux else None
        for part in (self.pyramid, self.head, self.aux_head):
            if part is not None:
                initialise(part)

    def forward(self, x: Tensor) -> Logits:
        """(N, channels, h, w) to logits of the same size."""
        size = size_of(x)
        *_, three, four = self.backbone(x)
        main = resize(self.head(self.pyramid(four)), size, align_corners=True)
        if self.aux_head is None or not self.training:
            return Logits(main)
        return Logits(main, (resize(self.aux_head(three), size, align_corners=True),))


def _head(inputs: int, inner: int, classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(*conv_bn_relu(inputs, inner), nn.Dropout2d(dropout), nn.Conv2d(inner, classes, 1))
