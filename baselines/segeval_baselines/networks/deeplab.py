"""DeepLab v3 (Chen et al. 2017, arXiv 1706.05587) and v3+ (Chen et al., ECCV 2018).

Atrous (dilated) convolution spreads the taps of a kernel and keeps the resolution. It is not transposed convolution,
which puts zeros between the inputs and raises the resolution; lectures that equate the two are mistaken.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segeval.errors import SegevalError
from segeval_baselines.layers.blocks import Logits, conv_bn_relu, fcn_head, initialise, resize, separable_conv, size_of
from segeval_baselines.layers.resnet import ResNet

RATES = {8: (12, 24, 36), 16: (6, 12, 18), 32: (3, 6, 9)}
"""Rates of the atrous pyramid by output stride; those of 8 and 16 are the paper's."""


class ImagePooling(nn.Sequential):
    """The mean over the whole image, 1x1, BN, ReLU, spread over the map again."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), *conv_bn_relu(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w)."""
        y = x
        for layer in self:
            y = layer(y)
        return y.expand(-1, -1, *size_of(x))


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling with image-level features; names as torchvision's.

    Parameters
    ----------
    inputs, outputs
        Channels.
    rates
        Dilations of the 3x3 convolutions.
    separable
        Atrous separable convolutions in place of plain ones (v3+).
    dropout
        After the projection.
    """

    def __init__(
        self, inputs: int, outputs: int, rates: tuple[int, ...], *, separable: bool = False, dropout: float = 0.5
    ) -> None:
        super().__init__()

        def atrous(rate: int) -> nn.Sequential:
            if separable:
                return separable_conv(inputs, outputs, dilation=rate)
            return conv_bn_relu(inputs, outputs, dilation=rate)

        branches = [conv_bn_relu(inputs, outputs, 1), *map(atrous, rates), ImagePooling(inputs, outputs)]
        self.convs = nn.ModuleList(branches)
        self.project = nn.Sequential(*conv_bn_relu(len(branches) * outputs, outputs, 1), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, outputs, h, w)."""
        out: Tensor = self.project(torch.cat([branch(x) for branch in self.convs], dim=1))
        return out


class DeepLabV3(nn.Module):
    """Dilated ResNet, ASPP, 3x3, 1x1; with ``output_stride=8, aux=True`` torchvision's checkpoints load.

    Parameters
    ----------
    classes
        Channels of the output.
    depth, width, output_stride, channels
        Of the ResNet; the paper trains at stride 16 and tests at 8.
    rates
        Of the ASPP; by the output stride if None.
    inner
        Channels of the ASPP.
    aux
        An FCN head on the third layer, in training.
    dropout
        Of the ASPP.
    """

    border = 0

    def __init__(
        self,
        classes: int,
        *,
        depth: int = 50,
        width: int = 64,
        output_stride: int = 16,
        rates: tuple[int, ...] | None = None,
        inner: int = 256,
        aux: bool = False,
        dropout: float = 0.5,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.backbone = ResNet(depth, output_stride=output_stride, width=width, channels=channels)
        *_, third, fourth = self.backbone.channels
        aspp = ASPP(fourth, inner, _rates(rates, output_stride), dropout=dropout)
        self.classifier = nn.Sequential(aspp, *conv_bn_relu(inner, inner), nn.Conv2d(inner, classes, 1))
        self.aux_classifier = fcn_head(third, classes) if aux else None
        initialise(self.classifier)

    def forward(self, x: Tensor) -> Logits:
        """(N, channels, h, w) to logits of the same size."""
        size = size_of(x)
        *_, three, four = self.backbone(x)
        main = resize(self.classifier(four), size)
        if self.aux_classifier is None or not self.training:
            return Logits(main)
        return Logits(main, (resize(self.aux_classifier(three), size),))


class DeepLabV3Plus(nn.Module):
    """DeepLab v3's encoder and a decoder that adds the stride-4 features.

    Parameters
    ----------
    classes
        Channels of the output.
    depth, width, output_stride, channels
        Of the ResNet.
    rates, inner, dropout
        Of the ASPP; rates by the output stride if None.
    low
        Channels to which the stride-4 features are reduced.
    separable
        Atrous separable convolutions in ASPP and decoder, as the paper recommends.
    """

    border = 0

    def __init__(
        self,
        classes: int,
        *,
        depth: int = 50,
        width: int = 64,
        output_stride: int = 16,
        rates: tuple[int, ...] | None = None,
        inner: int = 256,
        low: int = 48,
        separable: bool = True,
        dropout: float = 0.5,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.backbone = ResNet(depth, output_stride=output_stride, width=width, channels=channels)
        first, *_, fourth = self.backbone.channels
        convolve = separable_conv if separable else conv_bn_relu
        self.aspp = ASPP(fourth, inner, _rates(rates, output_stride), separable=separable, dropout=dropout)
        self.reduce = conv_bn_relu(first, low, 1)
        self.decoder = nn.Sequential(convolve(inner + low, inner), convolve(inner, inner))
        self.head = nn.Conv2d(inner, classes, 1)
        for part in (self.aspp, self.reduce, self.decoder, self.head):
            initialise(part)

    def forward(self, x: Tensor) -> Logits:
        """(N, channels, h, w) to logits of the same size."""
        size = size_of(x)
        one, *_, four = self.backbone(x)
        coarse = resize(self.aspp(four), size_of(one))
        fine = self.decoder(torch.cat((coarse, self.reduce(one)), dim=1))
        return Logits(resize(self.head(fine), size))


def _rates(rates: tuple[int, ...] | None, output_stride: int) -> tuple[int, ...]:
    if rates is not None:
        return tuple(rates)
    if output_stride not in RATES:
        raise SegevalError(f"no atrous rates are known for stride {output_stride}", remedy="take 8, 16 or 32")
    return RATES[output_stride]
