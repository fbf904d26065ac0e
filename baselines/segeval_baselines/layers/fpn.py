"""Feature pyramid network (Lin et al., CVPR 2017) on a ResNet; state-dict names are torchvision's.

Maps P2 to P5 have strides 4 to 32 and the same number of channels; P6, for large anchors only, is every second pixel
of P5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segeval.errors import SegevalError
from segeval_baselines.layers.blocks import size_of
from segeval_baselines.layers.resnet import ResNet

STRIDES = (4, 8, 16, 32)
"""Of P2 to P5."""

MULTIPLE = 32
"""Images are padded to multiples of this, so that every map is exactly half the one before."""

Norm = Callable[[int], nn.Module]


class FrozenNorm(nn.Module):
    """Batch normalisation with fixed statistics and fixed affine parameters, all of them buffers.

    Parameters
    ----------
    channels
        Of the map.
    eps
        Added to the variance. torchvision's first Mask R-CNN file expects 0; with 1e-5 its outputs drift.
    """

    def __init__(self, channels: int, eps: float = 0.0) -> None:
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        """Of (N, channels, h, w)."""
        parts = (getattr(self, name).view(1, -1, 1, 1) for name in ("weight", "bias", "running_mean", "running_var"))
        weight, bias, mean, var = parts
        scale = weight * (var + self.eps).rsqrt()
        out: Tensor = x * scale + (bias - mean * scale)
        return out


def freeze_norms(module: nn.Module, eps: float = 0.0) -> None:
    """Replace every batch normalisation inside a module by a `FrozenNorm`."""
    for name, part in module.named_children():
        if isinstance(part, nn.BatchNorm2d):
            setattr(module, name, FrozenNorm(part.num_features, eps))
        else:
            freeze_norms(part, eps)


def convolution(
    inputs: int, outputs: int, kernel: int, norm: Norm | None = None, *, relu: bool = False
) -> nn.Sequential:
    """Convolution that keeps the size; with a normalisation it has no bias."""
    parts: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=norm is None)]
    if norm is not None:
        parts.append(norm(outputs))
    if relu:
        parts.append(nn.ReLU(inplace=True))
    return nn.Sequential(*parts)


class FPN(nn.Module):
    """1x1 convolutions bring the backbone's maps to one width; from coarse to fine each is added to the next finer one,
    enlarged by repetition; a 3x3 convolution follows.

    Parameters
    ----------
    inputs
        Channels of the backbone's maps, from fine to coarse.
    width
        Channels of the pyramid; 256 in the paper.
    norm
        Normalisation after each convolution, or none (the paper's).
    """

    def __init__(self, inputs: Sequence[int], width: int, norm: Norm | None = None) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList(convolution(channels, width, 1, norm) for channels in inputs)
        self.layer_blocks = nn.ModuleList(convolution(width, width, 3, norm) for _ in inputs)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_uniform_(part.weight, a=1)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """P2 to P5 of the backbone's four maps."""
        inner: list[Tensor] = [block(x) for block, x in zip(self.inner_blocks, maps, strict=True)]
        for level in range(len(inner) - 2, -1, -1):
            inner[level] = inner[level] + F.interpolate(inner[level + 1], size_of(inner[level]), mode="nearest")
        return [block(x) for block, x in zip(self.layer_blocks, inner, strict=True)]


class PyramidBackbone(nn.Module):
    """ResNet and FPN, as ``body`` and ``fpn``.

    Parameters
    ----------
    depth, width, channels
        Of the ResNet.
    pyramid
        Channels of the pyramid.
    norm
        ``batch``; or ``frozen`` for fixed statistics in the ResNet (published weights, small batches).
    pyramid_norm
        Batch normalisation in the pyramid too, as torchvision's second Mask R-CNN has it.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        pyramid: int,
        *,
        norm: str = "batch",
        pyramid_norm: bool = False,
        channels: int = 3,
    ) -> None:
        super().__init__()
        if norm not in ("batch", "frozen"):
            raise SegevalError(f"{norm!r} is no normalisation of a backbone", remedy="take batch or frozen")
        self.body = ResNet(depth, width=width, channels=channels)
        if norm == "frozen":
            freeze_norms(self.body)
        self.fpn = FPN(self.body.channels, pyramid, nn.BatchNorm2d if pyramid_norm else None)

    def forward(self, x: Tensor) -> list[Tensor]:
        """P2 to P5 of images (N, channels, h, w) whose sides are multiples of 32."""
        maps: list[Tensor] = self.fpn(self.body(x))
        return maps


def padded(x: Tensor, multiple: int = MULTIPLE) -> Tensor:
    """Images with zeros below and at the right, up to multiples of a number of pixels."""
    height, width = size_of(x)
    return F.pad(x, (0, -width % multiple, 0, -height % multiple))


def extra_level(finest_to_coarsest: Sequence[Tensor]) -> Tensor:
    """P6: every second pixel of P5."""
    return F.max_pool2d(finest_to_coarsest[-1], 1, 2)
