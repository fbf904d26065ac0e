"""Recipes: everything that decides how a network is trained, as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from segeval.errors import SegevalError, nearest

SCHEDULES = ("poly", "step", "constant")
OPTIMISERS = ("adamw", "sgd")
BORDER_LOSS = "border_cross_entropy"
"""U-Net's loss: pixels weigh more where the background between two objects is narrow."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Parameters
    ----------
    optimiser
        ``adamw`` or ``sgd`` (with `momentum`).
    rate, decay
        Learning rate at its peak and weight decay (none on biases and normalisation).
    head_rate
        Factor on the learning rate of everything outside the backbone.
    schedule, power
        ``poly``: (1 - f) ^ power of the fraction f of the budget spent; ``step``: a tenth after 2/3 and again after
        8/9; ``constant``.
    warmup
        Fraction of the budget over which the rate rises linearly.
    loss, loss_options
        A name of ``segeval.losses.LOSSES`` and its options.
    class_weights
        ``none`` or ``median`` (median frequency over frequency, Eigen and Fergus 2015).
    aux_weight
        Factor on the loss of auxiliary heads.
    batch
        Images a step, over all devices.
    image_scale
        Images are resized by this factor before anything else, in training and in prediction.
    short_side, long_side
        Of detectors: instead, images are resized until their shorter side has so many pixels, or the longer one
        `long_side`.
    crop
        Height and width of what the network sees (of its output, for an unpadded one), after `image_scale`; the size
        of the first training image if None.
    scales, rotation, flip
        Range of random zoom, degrees of random rotation, probability of mirroring.
    colour
        Strength of random brightness, contrast and saturation.
    elastic
        Standard deviation in pixels of displacements on a 3x3 grid (Ronneberger et al. 2015).
    epochs
        Length where neither iterations nor minutes are given.
    clip
        Largest gradient norm, or None.
    ema
        Decay of an exponential moving average of the weights, which then is what is validated and saved.
    """

    optimiser: str = "adamw"
    rate: float = 3e-3
    momentum: float = 0.9
    decay: float = 1e-3
    head_rate: float = 1.0
    schedule: str = "poly"
    power: float = 0.9
    warmup: float = 0.05
    loss: str = "cross_entropy"
    loss_options: tuple[tuple[str, Any], ...] = ()
    class_weights: str = "none"
    aux_weight: float = 0.4
    batch: int = 4
    image_scale: float = 1.0
    short_side: int | None = None
    long_side: int | None = None
    crop: tuple[int, int] | None = None
    scales: tuple[float, float] = (0.75, 1.5)
    rotation: float = 0.0
    flip: float = 0.5
    colour: float = 0.0
    elastic: float = 0.0
    epochs: float = 100.0
    clip: float | None = None
    ema: float | None = None

    def __post_init__(self) -> None:
        for name, known in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES), ("class_weights", ("none", "median"))):
            if getattr(self, name) not in known:
                raise SegevalError(f"{getattr(self, name)!r} is no {name}", remedy=f"take {' or '.join(known)}")
        positive = {"rate": self.rate, "batch": self.batch, "image_scale": self.image_scale, "epochs": self.epochs}
        for name, value in positive.items():
            if not (math.isfinite(value) and value > 0):
                raise SegevalError(f"{name} {value} makes no sense", remedy="give more than 0")
        if any(side is not None and side < 1 for side in (self.short_side, self.long_side)):
            raise SegevalError(f"sides {self.short_side}, {self.long_side} make no sense", remedy="give more than 0")
        if self.crop is not None and min(self.crop) < 1:
            raise SegevalError(f"crop {self.crop} holds no pixel", remedy="give two numbers of at least 1")
        if not 0 < self.scales[0] <= self.scales[1]:
            raise SegevalError(f"scales {self.scales} are no range", remedy="give two positive numbers in order")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """The reverse of `to_dict`; unknown fields of other versions are refused."""
        known = {f.name for f in fields(cls)}
        if strange := sorted(set(data) - known):
            raise SegevalError(f"{strange[0]!r} is no part of a recipe", remedy="use the version that wrote it")
        values = {k: _frozen(v) for k, v in data.items()}
        return cls(**values)

    def changed(self, values: Mapping[str, Any]) -> Recipe:
        """The same with other values of some fields.

        Raises
        ------
        SegevalError
            For a field that a recipe lacks, with the nearest one, or a value that makes no sense.
        """
        known = [f.name for f in fields(self)]
        for name in values:
            if name not in known:
                raise SegevalError(f"a recipe has no {name!r}", remedy=nearest(name, known))
        return Recipe.from_dict({**self.to_dict(), **values})

    def zoom(self, size: tuple[int, int]) -> float:
        """The factor by which an image of a size is resized before anything else."""
        if self.short_side is None:
            return self.image_scale
        # In single precision, as torchvision has it: sizes are this times the image's, rounded down.
        factor = np.float32(self.short_side) / np.float32(min(size))
        return float(
            factor if self.long_side is None else min(factor, np.float32(self.long_side) / np.float32(max(size)))
        )

    def factor(self, spent: float) -> float:
        """What the learning rate is multiplied by when this fraction of the budget is spent."""
        spent = min(max(spent, 0.0), 1.0)
        rise = min(1.0, (spent + 1e-3) / self.warmup) if self.warmup > 0 else 1.0
        if self.schedule == "poly":
            return float(rise * (1 - spent) ** self.power)
        if self.schedule == "step":
            return rise * (1.0 if spent < 2 / 3 else 0.1 if spent < 8 / 9 else 0.01)
        return rise


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, (list, tuple)) else value


TINY = Recipe(image_scale=0.5)
"""Two CPU cores, a few minutes, from scratch: AdamW at half the image size."""

UNET_NUCLEI = Recipe(
    loss=BORDER_LOSS,
    loss_options=(("w0", 10.0), ("sigma", 5.0)),
    batch=8,
    crop=(128, 128),
    scales=(0.6, 1.6),
    rotation=180.0,
    colour=0.3,
    clip=5.0,
)
"""Small objects that touch: any turn, the weights of U-Net's paper."""

FCN_FULL = Recipe(
    optimiser="sgd", rate=0.01, decay=5e-4, batch=20, warmup=0.02, scales=(1.0, 1.0), epochs=200, schedule="poly"
)
SEGNET_FULL = Recipe(
    optimiser="sgd",
    rate=0.1,
    decay=5e-4,
    batch=12,
    schedule="constant",
    warmup=0.0,
    class_weights="median",
    scales=(1.0, 1.0),
    epochs=200,
)
UNET_FULL = Recipe(
    optimiser="sgd",
    rate=1e-3,
    momentum=0.99,
    decay=0.0,
    batch=1,
    schedule="constant",
    warmup=0.0,
    scales=(1.0, 1.0),
    rotation=15.0,
    colour=0.1,
    elastic=10.0,
    epochs=60,
)
PSPNET_FULL = Recipe(
    optimiser="sgd",
    rate=0.01,
    decay=1e-4,
    head_rate=10.0,
    batch=16,
    warmup=0.0,
    crop=(473, 473),
    scales=(0.5, 2.0),
    rotation=10.0,
    epochs=200,
)
DEEPLAB_FULL = Recipe(
    optimiser="sgd", rate=0.007, decay=4e-5, batch=16, warmup=0.0, crop=(513, 513), scales=(0.5, 2.0), epochs=200
)

OBJECTS_TINY = Recipe(rate=2e-3, batch=4, crop=(128, 128), clip=5.0)
"""Detectors from scratch on a CPU."""

NUCLEI = Recipe(rate=1e-3, batch=4, crop=(192, 192), clip=5.0)
"""Small and many objects: half the resolution would lose them."""

COCO_TINY = Recipe(rate=2e-3, batch=4, image_scale=0.4, crop=(160, 192), colour=0.2, clip=5.0)
"""COCO's images on a CPU, at less than half their size."""

MASK_RCNN_FULL = Recipe(
    optimiser="sgd",
    rate=0.02,
    decay=1e-4,
    schedule="step",
    warmup=0.011,
    batch=16,
    short_side=800,
    long_side=1333,
    crop=(800, 1088),
    scales=(0.8, 1.0),
    epochs=12,
)
