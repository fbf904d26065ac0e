"""VGG-16 (Simonyan and Zisserman 2015), with and without batch normalisation; state-dict names are torchvision's."""

from __future__ import annotations

from torch import Tensor, nn

from segeval_baselines.layers.blocks import initialise

STAGES = (2, 2, 3, 3, 3)
"""Convolutions before each pooling."""


def stage_widths(width: int) -> tuple[int, ...]:
    """Channels of the five stages: doubled thrice, then kept."""
    return tuple(width * min(2**k, 8) for k in range(len(STAGES)))


def vgg_features(
    *, channels: int = 3, width: int = 64, norm: bool = False, ceil: bool = False, bias: bool = True
) -> nn.Sequential:
    """The convolutional part: 3x3 convolutions with ReLU in five stages, each ended by a 2x2 pooling.

    Parameters
    ----------
    channels
        Channels of the image.
    width
        Channels of the first stage; 64 in the paper.
    norm
        Batch normalisation after each convolution.
    ceil
        Whether an odd row or column is pooled alone (Caffe's way) instead of dropped.
    bias
        Whether the convolutions have one; batch normalisation makes it idle.
    """
    layers: list[nn.Module] = []
    inputs = channels
    for convolutions, outputs in zip(STAGES, stage_widths(width), strict=True):
        for _ in range(convolutions):
            layers.append(nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias))
            if norm:
                layers.append(nn.BatchNorm2d(outputs))
            layers.append(nn.ReLU(inplace=True))
            inputs = outputs
        layers.append(nn.MaxPool2d(2, 2, ceil_mode=ceil))
    return nn.Sequential(*layers)


class VGG(nn.Module):
    """The classifier, whose weights become an FCN's."""

    def __init__(self, classes: int = 1000, *, width: int = 64, hidden: int = 4096, norm: bool = False) -> None:
        super().__init__()
        self.features = vgg_features(width=width, norm=norm)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(stage_widths(width)[-1] * 49, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, classes),
        )
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, h, w) to (N, classes)."""
        out: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return out
