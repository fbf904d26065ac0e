"""U-Net (Ronneberger, Fischer, Brox, MICCAI 2015).

With ``padding="valid"`` it is the paper's network: unpadded convolutions, so that each output pixel has seen its whole
neighbourhood, and the output is smaller than the input by a constant border (92 pixels a side at depth 4). Large images
are then predicted by overlapping tiles with mirrored borders. With ``padding="same"`` any size goes in and comes out.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segeval.errors import SegevalError
from segeval_baselines.layers.blocks import Logits, Size, initialise_fan_in, resize, shrink, size_of


class UNet(nn.Module):
    """Contracting path, expanding path, skips between them.

    Parameters
    ----------
    classes
        Channels of the output.
    channels, width, depth
        Channels of the image and of the first level, and the number of poolings (64 and 4 in the paper).
    padding
        ``valid`` (the paper's) or ``same``.
    norm
        Batch normalisation after each 3x3 convolution (not in the paper).
    skips
        ``concat`` (the paper's) or ``sum``.
    dropout
        At the end of the contracting path.
    shrink
        The image is averaged over windows of this size first, and the logits upsampled; ``same`` only.

    Attributes
    ----------
    border
        Pixels that the output lacks on each side.
    """

    def __init__(
        self,
        classes: int,
        *,
        channels: int = 3,
        width: int = 64,
        depth: int = 4,
        padding: str = "same",
        norm: bool = False,
        skips: str = "concat",
        dropout: float = 0.0,
        shrink: int = 1,
    ) -> None:
        super().__init__()
        for name, value, known in (("padding", padding, ("same", "valid")), ("skips", skips, ("concat", "sum"))):
            if value not in known:
                raise SegevalError(f"{value!r} is no {name} of a U-Net", remedy=f"take {' or '.join(known)}")
        if padding == "valid" and shrink > 1:
            raise SegevalError("an unpadded U-Net doesn't shrink its input", remedy="take padding same, or shrink 1")
        self.depth, self.valid, self.add, self.shrink = depth, padding == "valid", skips == "sum", shrink
        widths = [width * 2**k for k in range(depth + 1)]

        def pair(inputs: int, outputs: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for wide in (inputs, outputs):
                layers.append(nn.Conv2d(wide, outputs, 3, padding=0 if self.valid else 1, bias=not norm))
                layers += [nn.BatchNorm2d(outputs)] if norm else []
                layers.append(nn.ReLU(inplace=True))
            return nn.Sequential(*layers)

        self.down = nn.ModuleList(pair(a, b) for a, b in zip([channels, *widths[:-1]], widths, strict=True))
        self.dropout = nn.Dropout(dropout)
        upward = list(reversed(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, a // 2, 2, stride=2) for a in upward[:-1])
        self.merge = nn.ModuleList(pair(b if self.add else a, b) for a, b in itertools.pairwise(upward))
        self.head = nn.Conv2d(width, classes, 1)
        initialise_fan_in(self)
        self.border = _border(depth) if self.valid else 0

    def forward(self, x: Tensor) -> Logits:
        """(N, channels, h, w) to logits, smaller by twice the border.

        Raises
        ------
        SegevalError
            If an unpadded network meets a size whose maps can't all be halved.
        """
        size = size_of(x)
        if self.valid:
            for side in size:
                if valid_output(side, self.depth) is None:
                    raise SegevalError(
                        f"an unpadded U-Net takes no side of {side} pixels",
                        remedy=f"the next that it takes is {valid_input(side - 2 * self.border, self.depth)}",
                    )
        x = shrink(x, self.shrink)
        passed = []
        for level, convolve in enumerate(self.down):
            x = convolve(x if level == 0 else F.max_pool2d(x, 2))
            passed.append(x)
        x = self.dropout(passed.pop())
        for upsample, convolve in zip(self.up, self.merge, strict=True):
            skip = passed.pop()
            x = upsample(x)
            if self.valid:
                skip = _centre(skip, size_of(x))
            else:
                # The pooling dropped an odd last row or column; repeat the neighbour's.
                h, w = size_of(skip)
                x = F.pad(x, (0, w - x.shape[-1], 0, h - x.shape[-2]), mode="replicate")
            x = convolve(x + skip if self.add else torch.cat((skip, x), dim=1))
        x = self.head(x)
        return Logits(x if self.valid else resize(x, size))


def _centre(x: Tensor, size: Size) -> Tensor:
    top, left = (x.shape[-2] - size[0]) // 2, (x.shape[-1] - size[1]) // 2
    return x[..., top : top + size[0], left : left + size[1]]


def valid_output(side: int, depth: int) -> int | None:
    """Pixels that leave an unpadded U-Net for `side` pixels that enter; None if some map can't be halved."""
    for _ in range(depth):
        side -= 4
        if side <= 0 or side % 2:
            return None
        side //= 2
    side -= 4
    for _ in range(depth):
        side = 2 * side - 4
    return side if side > 0 else None


def valid_input(side: int, depth: int) -> int:
    """The least input of an unpadded U-Net whose output has at least `side` pixels."""
    entering = max(side, 1) + 2 * _border(depth)
    while valid_output(entering, depth) is None:
        entering += 1
    return entering


def _border(depth: int) -> int:
    # The two convolutions take 2 pixels a side, at every level down and up; a pixel of level k is 2^k wide.
    return 4 * sum(1 << k for k in range(depth)) + (2 << depth)
