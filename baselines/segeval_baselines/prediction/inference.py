"""From an image to class probabilities: whole, by sliding windows or overlapping tiles, over flips and scales."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from segeval.errors import SegevalError
from segeval_baselines.checkpoints.checkpoint import Checkpoint
from segeval_baselines.data.augment import scaled_size
from segeval_baselines.layers.blocks import Size, resize
from segeval_baselines.networks.unet import UNet, valid_input, valid_output


@dataclass(frozen=True)
class View:
    """How an image is shown to the network.

    Parameters
    ----------
    window
        Side of square sliding windows (of tiles' outputs, for an unpadded network), in pixels after the recipe's
        `image_scale`; the whole image at once if None.
    overlap
        Share of a window that the next one covers again.
    flip
        Average with the mirrored image.
    scales
        Average over these zooms.
    """

    window: int | None = None
    overlap: float = 1 / 3
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 1:
            raise SegevalError(f"a window of {self.window} pixels shows nothing", remedy="give at least 1")
        if not 0 <= self.overlap < 1:
            raise SegevalError(f"an overlap of {self.overlap} makes no sense", remedy="give 0 up to less than 1")
        if not self.scales or min(self.scales) <= 0:
            raise SegevalError(f"scales {self.scales} make no sense", remedy="give positive numbers")

    @property
    def averages(self) -> bool:
        """Whether several looks are averaged."""
        return len(self.scales) > 1 or self.flip

    def probabilities(self, scores: Tensor) -> Tensor:
        """The probabilities of classes that `Predictor.scores` stand for under this view."""
        return scores if self.averages else scores.softmax(0)


WHOLE = View()
"""One look at the whole image."""


@dataclass(frozen=True)
class Predictor:
    """A network ready to predict.

    Parameters
    ----------
    network
        In eval mode.
    mean, std
        Of its training's RGB values in [0, 1].
    image_scale
        Factor by which images are resized first.
    device
        Where it runs.
    """

    network: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    image_scale: float
    device: torch.device

    @classmethod
    def of(cls, checkpoint: Checkpoint, device: torch.device | str = "cpu") -> Predictor:
        """From a checkpoint."""
        place = torch.device(device)
        network = checkpoint.network(place)
        return cls(network, checkpoint.mean, checkpoint.std, checkpoint.recipe.image_scale, place)

    def normalised(self, image: NDArray[np.uint8], zoom: float = 1.0) -> Tensor:
        """The image as the network sees it: (1, 3, h, w)."""
        size = scaled_size((image.shape[0], image.shape[1]), self.image_scale * zoom)
        if size != image.shape[:2]:
            image = np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
        return normalise(
            torch.from_numpy(image).permute(2, 0, 1)[None].to(self.device).float() / 255, self.mean, self.std
        )

    @torch.no_grad()
    def scores(self, image: NDArray[np.uint8], view: View = WHOLE) -> Tensor:
        """Class scores (classes, H, W) at the image's size, in float32: logits of one look, else mean probabilities.

        Raises
        ------
        SegevalError
            If memory runs out.
        """
        size = (image.shape[0], image.shape[1])
        looks = [(zoom, mirrored) for zoom in view.scales for mirrored in ((False, True) if view.flip else (False,))]
        total: Tensor | None = None
        for zoom, mirrored in looks:
            x = self.normalised(image, zoom)
            if mirrored:
                x = x.flip(-1)
            try:
                logits = self._look(x, view)
            except torch.OutOfMemoryError:
                raise SegevalError("out of memory", remedy="give --window a smaller size than the image") from None
            logits = resize(logits.flip(-1) if mirrored else logits, size)
            if len(looks) == 1:
                return logits[0]
            total = logits.softmax(1) if total is None else total + logits.softmax(1)
        assert total is not None
        return total[0] / len(looks)

    def labels(self, image: NDArray[np.uint8], view: View = WHOLE) -> NDArray[np.uint8]:
        """The most likely class of each pixel: positions (H, W)."""
        best: NDArray[Any] = self.scores(image, view).argmax(0).to(torch.uint8).cpu().numpy()
        return best

    def _look(self, x: Tensor, view: View) -> Tensor:
        def run(part: Tensor) -> Tensor:
            logits: Tensor = self.network(part).main
            return logits.float()

        if isinstance(self.network, UNet) and self.network.valid:
            return overlap_tiles(run, x, self.network.depth, view.window)
        if view.window is None:
            return run(x)
        return sliding_windows(run, x, view.window, view.overlap)


def normalise(x: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(x - mean) / std per channel."""
    centre = torch.tensor(mean, device=x.device, dtype=x.dtype).view(-1, 1, 1)
    spread = torch.tensor(std, device=x.device, dtype=x.dtype).view(-1, 1, 1)
    return (x - centre) / spread


def overlap_tiles(run: Callable[[Tensor], Tensor], x: Tensor, depth: int, window: int | None = None) -> Tensor:
    """Predict with an unpadded U-Net: tiles whose context overlaps, the image mirrored beyond its borders.

    Parameters
    ----------
    run
        The network.
    x
        (N, channels, h, w).
    depth
        Of the U-Net.
    window
        Side of what a tile gives; as large as the image if None.

    Returns
    -------
    logits
        (N, classes, h, w): what one pass over the whole mirrored image gives, up to rounding.
    """
    height, width = x.shape[-2:]
    block = 2**depth
    entering = [valid_input(min(window or side, side), depth) for side in (height, width)]
    leaving = [valid_output(side, depth) or 0 for side in entering]
    border = (entering[0] - leaving[0]) // 2
    # Steps in whole blocks, so that every tile pools the same pixels together as the whole image would.
    steps = [max(side // block * block, 1) for side in leaving]
    starts = [
        list(range(0, max(side - out, 0) + step, step))
        for side, out, step in zip((height, width), leaving, steps, strict=True)
    ]
    ends = [places[-1] + into - border for places, into in zip(starts, entering, strict=True)]
    padded = mirror(x, border, max(ends[0] - height, border), max(ends[1] - width, border))
    result: Tensor | None = None
    for top in starts[0]:
        for left in starts[1]:
            tile = run(padded[..., top : top + entering[0], left : left + entering[1]])
            if result is None:
                result = tile.new_zeros((*tile.shape[:2], height, width))
            room = result[..., top : top + leaving[0], left : left + leaving[1]]
            room.copy_(tile[..., : room.shape[-2], : room.shape[-1]])
    assert result is not None
    return result


def mirror(x: Tensor, before: int, below: int, right: int) -> Tensor:
    """Extend by reflection, as often as it takes: `before` at the top and left, the others at the end."""

    def places(side: int, after: int) -> Tensor:
        period = max(2 * (side - 1), 1)
        at = torch.arange(-before, side + after, device=x.device) % period
        return torch.where(at < side, at, period - at)

    return x[..., places(x.shape[-2], below)[:, None], places(x.shape[-1], right)[None, :]]


def sliding_windows(run: Callable[[Tensor], Tensor], x: Tensor, window: int, overlap: float) -> Tensor:
    """Log of the mean probabilities of overlapping square windows; an image smaller than a window is shown whole."""
    height, width = x.shape[-2:]
    total: Tensor | None = None
    seen = x.new_zeros((1, 1, height, width))
    for top, left, h, w in _windows((height, width), window, overlap):
        found = run(x[..., top : top + h, left : left + w]).softmax(1)
        if total is None:
            total = found.new_zeros((*found.shape[:2], height, width))
        total[..., top : top + h, left : left + w] += found
        seen[..., top : top + h, left : left + w] += 1
    assert total is not None
    return (total / seen).clamp_min(torch.finfo(torch.float32).tiny).log()


def _windows(size: Size, window: int, overlap: float) -> Iterator[tuple[int, int, int, int]]:
    extents = [min(window, side) for side in size]
    step = max(1, round(window * (1 - overlap)))
    starts = [[*range(0, side - extent, step), side - extent] for side, extent in zip(size, extents, strict=True)]
    for top in starts[0]:
        for left in starts[1]:
            yield top, left, extents[0], extents[1]
