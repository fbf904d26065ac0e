"""Pieces that several papers share."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Size = tuple[int, int]


class Logits(NamedTuple):
    """What every network returns.

    Attributes
    ----------
    main
        (N, classes, h, w) logits; h and w are the input's, less twice the network's `border`.
    aux
        Logits of auxiliary heads, of the same size; empty in eval mode.
    """

    main: Tensor
    aux: tuple[Tensor, ...] = ()


def size_of(x: Tensor) -> Size:
    """Height and width of a batch."""
    return x.shape[-2], x.shape[-1]


def conv_bn_relu(inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU; keeps the size at stride 1."""
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def separable_conv(inputs: int, outputs: int, *, dilation: int = 1) -> nn.Sequential:
    """Atrous separable convolution: 3x3 per channel at a rate, then 1x1 across channels, each with BN and ReLU."""
    depthwise = nn.Conv2d(inputs, inputs, 3, padding=dilation, dilation=dilation, groups=inputs, bias=False)
    return nn.Sequential(
        depthwise,
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def fcn_head(inputs: int, classes: int) -> nn.Sequential:
    """3x3 to a quarter of the channels, BN, ReLU, dropout, 1x1 to the classes; names as torchvision's FCN head."""
    inner = inputs // 4
    return nn.Sequential(*conv_bn_relu(inputs, inner), nn.Dropout(0.1), nn.Conv2d(inner, classes, 1))


def resize(x: Tensor, size: Size, *, align_corners: bool = False) -> Tensor:
    """Bilinear interpolation to a size."""
    if size_of(x) == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)


def shrink(x: Tensor, factor: int) -> Tensor:
    """Mean over factor x factor windows; an incomplete last window averages what it has."""
    return x if factor == 1 else F.avg_pool2d(x, factor, ceil_mode=True)


def bilinear_filter(size: int) -> Tensor:
    """The (size, size) filter with which a transposed convolution interpolates bilinearly (Long et al. 2015)."""
    half = (size + 1) // 2
    centre = half - 1 if size % 2 else half - 0.5
    ramp = 1 - (torch.arange(size, dtype=torch.float32) - centre).abs() / half
    return torch.outer(ramp, ramp)


def initialise(module: nn.Module) -> None:
    """He et al. (2015) for convolutions (fan-out, ReLU), 1 and 0 for normalisation, 0 for biases."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, (nn.BatchNorm2d, nn.GroupNorm)):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)


def initialise_fan_in(module: nn.Module) -> None:
    """N(0, sqrt(2 / N)) with N the inputs of one neuron, as the U-Net and SegNet papers ask."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            inputs = part.weight[0].numel()
            nn.init.normal_(part.weight, 0.0, math.sqrt(2.0 / inputs))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
