"""FCN: fully convolutional networks (Long, Shelhamer, Darrell, CVPR 2015; Shelhamer et al., PAMI 2017).

`FCN` is the papers' network on VGG-16: the classifier's layers become convolutions (fc6 7x7, fc7 1x1), scores at
strides 32, 16 and 8 are upsampled by transposed convolutions that start as bilinear interpolation, and summed.
`FCNResNet` is what torchvision calls FCN: a dilated ResNet with one head and no skips.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segeval.errors import SegevalError
from segeval_baselines.layers.blocks import Logits, Size, bilinear_filter, fcn_head, initialise, resize, size_of
from segeval_baselines.layers.resnet import ResNet
from segeval_baselines.layers.vgg import stage_widths, vgg_features


class FCN(nn.Module):
    """FCN-32s, -16s or -8s on VGG-16.

    Parameters
    ----------
    classes
        Channels of the output.
    channels
        Channels of the image.
    stride
        32, 16 or 8: the finest scores that take part.
    width, hidden
        Channels of the first stage and of fc6 and fc7; 64 and 4096 in the paper.
    norm
        Batch normalisation in the features (not in the paper).
    dropout
        After fc6 and fc7.
    learn_upsampling
        Whether the transposed convolutions move from their bilinear start; the authors' released nets keep them fixed.

    Notes
    -----
    fc6 is padded by 3 instead of the image by 100, and poolings round up, so any size works and scores stay aligned:
    upsampled maps are cropped by half a stride, to the size of the finer map.
    """

    border = 0

    def __init__(
        self,
        classes: int,
        *,
        channels: int = 3,
        stride: int = 8,
        width: int = 64,
        hidden: int = 4096,
        norm: bool = False,
        dropout: float = 0.5,
        learn_upsampling: bool = True,
    ) -> None:
        super().__init__()
        if stride not in (8, 16, 32):
            raise SegevalError(f"there is no FCN-{stride}s", remedy="take 8, 16 or 32")
        widths = stage_widths(width)
        self.stride = stride
        self.features = vgg_features(channels=channels, width=width, norm=norm, ceil=True)
        self.fc6 = nn.Conv2d(widths[-1], hidden, 7, padding=3)
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout2d(dropout)
        self.score = nn.Conv2d(hidden, classes, 1)
        skips = {32: (), 16: (3,), 8: (3, 2)}[stride]
        self.skip_scores = nn.ModuleList(nn.Conv2d(widths[s], classes, 1) for s in skips)
        self.twice = nn.ModuleList(_upsampling(classes, 2, learn_upsampling) for _ in skips)
        self.final = _upsampling(classes, stride, learn_upsampling)
        initialise(self)
        for layer in (self.score, *self.skip_scores):
            assert isinstance(layer, nn.Conv2d)
            nn.init.zeros_(layer.weight)
        self.score.weight.data.normal_(0.0, 0.01)

    def forward(self, x: Tensor) -> Logits:
        """(N, channels, h, w) to logits of the same size."""
        size = size_of(x)
        pooled = []
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                pooled.append(x)
        x = self.dropout(self.relu(self.fc6(x)))
        x = self.dropout(self.relu(self.fc7(x)))
        x = self.score(x)
        for skip, score, upsample in zip((pooled[3], pooled[2]), self.skip_scores, self.twice, strict=False):
            x = _crop(upsample(x), size_of(skip), 1) + score(skip)
        return Logits(_crop(self.final(x), size, self.stride // 2))


def _upsampling(classes: int, factor: int, learned: bool) -> nn.ConvTranspose2d:
    layer = nn.ConvTranspose2d(classes, classes, 2 * factor, stride=factor, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        for c in range(classes):
            layer.weight[c, c] = bilinear_filter(2 * factor)
    layer.weight.requires_grad_(learned)
    return layer


def _crop(x: Tensor, size: Size, offset: int) -> Tensor:
    return x[..., offset : offset + size[0], offset : offset + size[1]]


class FCNResNet(nn.Module):
    """torchvision's ``fcn_resnet50`` and ``fcn_resnet101``: its checkpoints load.

    Parameters
    ----------
    classes
        Channels of the output.
    depth
        Of the ResNet.
    aux
        A second head on the third layer.
    width, channels
        Of the ResNet.
    """

    border = 0

    def __init__(self, classes: int, *, depth: int = 50, aux: bool = True, width: int = 64, channels: int = 3) -> None:
        super().__init__()
        self.backbone = ResNet(depth, output_stride=8, width=width, channels=channels)
        self.classifier = fcn_head(self.backbone.channels[3], classes)
        self.aux_classifier = fcn_head(self.backbone.channels[2], classes) if aux else None
        initialise(self.classifier)

    def forward(self, x: Tensor) -> Logits:
        """(N, channels, h, w) to logits of the same size."""
        size = size_of(x)
        *_, three, four = self.backbone(x)
        main = resize(self.classifier(four), size)
        if self.aux_classifier is None or not self.training:
            return Logits(main)
        return Logits(main, (resize(self.aux_classifier(three), size),))
