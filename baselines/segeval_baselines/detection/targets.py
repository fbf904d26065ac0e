"""The objects of a view, as detectors are trained on them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class DetectionTarget(NamedTuple):
    """The objects of one view: boxes (n, 4) of float32, labels (n,) of int64, masks (n, h, w) of uint8."""

    boxes: Tensor
    labels: Tensor
    masks: Tensor
