"""ResNet (He et al. 2016) with any output stride by dilation; state-dict names are torchvision's.

The stride of a bottleneck sits on its 3x3 convolution (v1.5). Where a layer trades its stride for dilation, its first
block keeps the dilation of the layer before: weights load either way, but only this way they fit. The authors of
PSPNet dilate the first block too; ``dilate_first`` says which.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from segeval.errors import SegevalError
from segeval_baselines.layers.blocks import initialise

LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
STRIDES = (8, 16, 32)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the shortcut."""

    expansion: ClassVar[int] = 1

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, width, h / stride, w / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        out: Tensor = self.relu(y + (x if self.downsample is None else self.downsample(x)))
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and the shortcut; four times as many channels leave as its width."""

    expansion: ClassVar[int] = 4

    def __init__(self, inputs: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, width * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) to (N, 4 width, h / stride, w / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        out: Tensor = self.relu(y + (x if self.downsample is None else self.downsample(x)))
        return out


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def _deep_stem(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, 2, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, 1, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, 2 * width, 3, 1, 1, bias=False),
    )


class ResNet(nn.Module):
    """The convolutional part of a ResNet.

    Parameters
    ----------
    depth
        18, 34, 50 or 101.
    output_stride
        8, 16 or 32: how much smaller the last map is than the image.
    width
        Channels of the first layer; 64 in the paper.
    deep_stem
        Three 3x3 convolutions (width, width, 2 width) in place of the 7x7, as PSPNet has.
    dilate_first
        Whether the first block of a dilated layer already has the layer's dilation.
    channels
        Channels of the image.

    Attributes
    ----------
    channels
        Channels of the four maps that `forward` returns.
    """

    def __init__(
        self,
        depth: int,
        *,
        output_stride: int = 32,
        width: int = 64,
        deep_stem: bool = False,
        dilate_first: bool = False,
        channels: int = 3,
    ) -> None:
        super().__init__()
        if depth not in LAYERS:
            raise SegevalError(f"there is no ResNet-{depth} here", remedy=f"take {', '.join(map(str, LAYERS))}")
        if output_stride not in STRIDES:
            raise SegevalError(f"{output_stride} is no output stride of a ResNet", remedy="take 8, 16 or 32")
        block = BasicBlock if depth < 50 else Bottleneck
        stem = 2 * width if deep_stem else width
        self.conv1 = _deep_stem(channels, width) if deep_stem else nn.Conv2d(channels, stem, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs, reached, dilation, layers = stem, 4, 1, []
        for number, blocks in enumerate(LAYERS[depth]):
            stride, before = (1 if number == 0 else 2), dilation
            if stride == 2 and reached == output_stride:
                stride, dilation = 1, dilation * 2
            reached *= stride
            wide = width * 2**number
            first = block(inputs, wide, stride, dilation if dilate_first else before)
            inputs = wide * block.expansion
            layers.append(nn.Sequential(first, *(block(inputs, wide, 1, dilation) for _ in range(blocks - 1))))
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.channels = tuple(width * 2**k * block.expansion for k in range(4))
        initialise(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The maps of the four layers; the first has stride 4, the last the output stride."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        one = self.layer1(x)
        two = self.layer2(one)
        three = self.layer3(two)
        return one, two, three, self.layer4(three)
