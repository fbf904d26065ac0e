"""SegNet (Badrinarayanan, Kendall, Cipolla, PAMI 2017): a decoder that unpools with the encoder's pooling indices."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from segeval_baselines.layers.blocks import Logits, Size, initialise_fan_in, resize, shrink, size_of
from segeval_baselines.layers.vgg import STAGES, stage_widths, vgg_features


def pool(x: Tensor) -> tuple[Tensor, Tensor, Size]:
    """2x2 pooling that keeps odd rows and columns: the maxima, where each came from, and the size before."""
    pooled, indices = F.max_pool2d(x, 2, 2, ceil_mode=True, return_indices=True)
    return pooled, indices, size_of(x)


def unpool(x: Tensor, indices: Tensor, size: Size) -> Tensor:
    """Each value back where the maximum came from; zeros elsewhere."""
    return F.max_unpool2d(x, indices, [2, 2], [2, 2], output_size=list(size))


class SegNet(nn.Module):
    """The paper's network: VGG-16's 13 convolutions with batch normalisation, and their mirror image.

    Parameters
    ----------
    classes
        Channels of the output.
    channels, width
        Channels of the image and of the first stage (64 in the paper).
    shrink
        The image is averaged over windows of this size first, and the logits upsampled (1 in the paper).
    """

    border = 0

    def __init__(self, classes: int, *, channels: int = 3, width: int = 64, shrink: int = 1) -> None:
        super().__init__()
        self.shrink = shrink
        widths = stage_widths(width)
        self.features = vgg_features(channels=channels, width=width, norm=True, ceil=True, bias=False)
        stages = []
        for stage in reversed(range(len(STAGES))):
            last = stage == 0
            outputs = classes if last else widths[stage - 1]
            layers: list[nn.Module] = []
            for k in range(STAGES[stage]):
                end = k == STAGES[stage] - 1
                layers.append(
                    nn.Conv2d(widths[stage], outputs if end else widths[stage], 3, padding=1, bias=end and last)
                )
                if not (end and last):
                    layers += [nn.BatchNorm2d(outputs if end else widths[stage]), nn.ReLU(inplace=True)]
            stages.append(nn.Sequential(*layers))
        self.decoder = nn.ModuleList(stages)
        initialise_fan_in(self)

    def forward(self, x: Tensor) -> Logits:
        """(N, channels, h, w) to logits of the same size."""
        size = size_of(x)
        x = shrink(x, self.shrink)
        taken: list[tuple[Tensor, Size]] = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                x, indices, before = pool(x)
                taken.append((indices, before))
            else:
                x = layer(x)
        for stage, (indices, before) in zip(self.decoder, reversed(taken), strict=True):
            x = stage(unpool(x, indices, before))
        return Logits(resize(x, size))


class SegNetBasic(nn.Module):
    """SegNet-Basic: four stages of one wide convolution each, a decoder without ReLU, a 1x1 classifier.

    Parameters
    ----------
    classes
        Channels of the output.
    channels, width, kernel
        Channels of the image and of every stage (64 in the paper), and the convolutions' size (7).
    shrink
        As for `SegNet`.
    """

    border = 0

    def __init__(self, classes: int, *, channels: int = 3, width: int = 64, kernel: int = 7, shrink: int = 1) -> None:
        super().__init__()
        self.shrink = shrink

        def stage(inputs: int, *, relu: bool) -> nn.Sequential:
            conv = nn.Conv2d(inputs, width, kernel, padding=kernel // 2, bias=False)
            return nn.Sequential(conv, nn.BatchNorm2d(width), *([nn.ReLU(inplace=True)] if relu else []))

        self.encoder = nn.ModuleList(stage(channels if k == 0 else width, relu=True) for k in range(4))
        self.decoder = nn.ModuleList(stage(width, relu=False) for _ in range(4))
        self.classifier = nn.Conv2d(width, classes, 1)
        initialise_fan_in(self)

    def forward(self, x: Tensor) -> Logits:
        """(N, channels, h, w) to logits of the same size."""
        size = size_of(x)
        x = shrink(x, self.shrink)
        taken: list[tuple[Tensor, Size]] = []
        for stage in self.encoder:
            x, indices, before = pool(stage(x))
            taken.append((indices, before))
        for stage, (indices, before) in zip(self.decoder, reversed(taken), strict=True):
            x = stage(unpool(x, indices, before))
        return Logits(resize(self.classifier(x), size))
