"""Random views of a sample: one sampling grid carries zoom, rotation, mirroring, place and elastic deformation.

Image and labels are read through the same grid, the image bilinearly and mirrored beyond its borders, the labels at the
nearest pixel and void beyond them. Everything is drawn from the generator that is passed in, so a view is a function of
seed, step and place in the batch.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from segeval_baselines.data.samples import VOID, Sample
from segeval_baselines.recipes import Recipe


def rescale(sample: Sample, factor: float) -> Sample:
    """Both resized by a factor: the image with antialiasing, the labels to the nearest pixel."""
    if factor == 1.0:
        return sample
    height, width = sample.labels.shape
    size = scaled_size((height, width), factor)[::-1]
    image = Image.fromarray(sample.image).resize(size, Image.Resampling.BILINEAR)
    labels = Image.fromarray(sample.labels).resize(size, Image.Resampling.NEAREST)
    instances = sample.instances
    if instances is not None:
        instances = np.array(Image.fromarray(instances).resize(size, Image.Resampling.NEAREST))
    return Sample(np.array(image), np.array(labels), instances)


def scaled_size(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """A size times a factor, at least one pixel a side."""
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def displacement(rng: np.random.Generator, size: tuple[int, int], sigma: float) -> Tensor:
    """U-Net's elastic deformation: normal displacements on a 3x3 grid, bicubic between; (h, w, 2) pixels, x first."""
    coarse = torch.from_numpy(rng.normal(0.0, sigma, (1, 2, 3, 3)).astype(np.float32))
    return F.interpolate(coarse, size, mode="bicubic", align_corners=True)[0].permute(1, 2, 0)


def view_grid(
    rng: np.random.Generator, source: tuple[int, int], target: tuple[int, int], recipe: Recipe, border: int = 0
) -> Tensor:
    """Where each pixel of a random view lies in the source: (h, w, 2), x first, in source pixels from the corner.

    Parameters
    ----------
    rng
        Where the draws come from; always the same number of draws for one recipe.
    source, target
        Sizes. The view's size is the target's plus twice the border.
    recipe
        Ranges of the transformations.
    border
        Context around the target; it moves with it.
    """
    low, high = recipe.scales
    zoom = math.exp(rng.uniform(math.log(low), math.log(high)))
    angle = math.radians(rng.uniform(-recipe.rotation, recipe.rotation))
    mirrored = rng.random() < recipe.flip
    centre = []
    for side, wanted in zip(source, target, strict=True):
        # Where the view is larger than the image, it moves around it instead of within it.
        slack = side - wanted / zoom
        centre.append(side / 2 + (rng.random() - 0.5) * slack)
    height, width = target[0] + 2 * border, target[1] + 2 * border
    y = (torch.arange(height, dtype=torch.float32) + 0.5 - height / 2) / zoom
    x = (torch.arange(width, dtype=torch.float32) + 0.5 - width / 2) / zoom
    if mirrored:
        x = -x
    cos, sin = math.cos(angle), math.sin(angle)
    across = centre[1] + cos * x[None, :] - sin * y[:, None]
    down = centre[0] + sin * x[None, :] + cos * y[:, None]
    grid = torch.stack((across, down), dim=-1)
    if recipe.elastic > 0:
        grid = grid + displacement(rng, (height, width), recipe.elastic)
    return grid


def read_bilinear(image: Tensor, grid: Tensor, beyond: str = "reflection") -> Tensor:
    """An image (3, H, W) of float through a grid of source pixels; beyond it, its reflection or zeros."""
    height, width = image.shape[-2:]
    unit = 2 * grid / torch.tensor([width, height], dtype=torch.float32) - 1
    return F.grid_sample(image[None], unit[None], mode="bilinear", padding_mode=beyond, align_corners=False)[0]


def read_nearest(values: Tensor, grid: Tensor, beyond: int) -> Tensor:
    """Maps (..., H, W) of integers through a grid of source pixels, as int64; beyond them, a value."""
    height, width = values.shape[-2:]
    across, down = grid[..., 0].floor().long(), grid[..., 1].floor().long()
    inside = (across >= 0) & (across < width) & (down >= 0) & (down < height)
    found = values[..., down.clamp(0, height - 1), across.clamp(0, width - 1)].long()
    return torch.where(inside, found, beyond)


def jitter(rng: np.random.Generator, image: Tensor, strength: float) -> Tensor:
    """Random brightness, contrast and saturation of an image (3, H, W) in [0, 1]."""
    if strength == 0.0:
        return image
    brightness, contrast, saturation = (float(f) for f in rng.uniform(1 - strength, 1 + strength, 3))
    grey = image.mean(dim=0, keepdim=True)
    image = grey + (image - grey) * saturation
    mean = image.mean()
    return ((mean + (image - mean) * contrast) * brightness).clamp(0.0, 1.0)


def random_view(
    rng: np.random.Generator,
    sample: Sample,
    target: tuple[int, int],
    recipe: Recipe,
    border: int = 0,
    weights: NDArray[np.floating] | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """A view as the network is trained on.

    Returns
    -------
    image, labels, weights
        (3, h + 2 border, w + 2 border) in [0, 1]; (h, w) of int64; (h, w) of float32, 0 beyond the image, or None.
    """
    image = torch.from_numpy(sample.image).permute(2, 0, 1).float() / 255.0
    grid = view_grid(rng, sample.labels.shape, target, recipe, border)
    seen = jitter(rng, read_bilinear(image, grid), recipe.colour)
    if border:
        grid = grid[border:-border, border:-border]
    labels = read_nearest(torch.from_numpy(sample.labels), grid, VOID)
    if weights is None:
        return seen, labels, None
    return seen, labels, read_bilinear(torch.from_numpy(weights).float()[None], grid, "zeros")[0]
