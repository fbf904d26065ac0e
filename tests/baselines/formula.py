"""Weights and images made by a formula, so that two libraries can be given the same ones without a file.

A hash of an entry's place and of its number among the sorted names gives a value in [-1, 1); until the last division
only integers are involved, so it is the same number everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

# Factors that keep maps near unit variance through the residual blocks, and scores and boxes as apart as trained ones.
_FACTORS = {
    "bn3.weight": 0.2,
    "rpn.head.cls_logits.weight": 0.2,
    "rpn.head.bbox_pred.weight": 0.05,
    "cls_score.weight": 0.5,
    "box_predictor.bbox_pred.weight": 0.2,
    "mask_fcn_logits.weight": 0.3,
}


def hashed(count: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """`count` values in [-1, 1), multiples of 2^-23."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed * 40503 + 977)
    for shift, factor in ((16, 2246822519), (13, 3266489917), (16, 668265263)):
        x ^= x >> np.uint32(shift)
        x *= np.uint32(factor)
    return ((x >> np.uint32(8)).astype(np.float32) / np.float32(2**23) - np.float32(1)).astype(np.float32)


def filled_by_formula(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A state dictionary of these names and shapes, in the range of trained weights."""
    state: dict[str, Tensor] = {}
    for number, name in enumerate(sorted(shapes)):
        shape = tuple(shapes[name])
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1)
            continue
        factor = next((f for suffix, f in _FACTORS.items() if name.endswith(suffix)), 1.0)
        values = torch.from_numpy(hashed(int(np.prod(shape)), number)).view(shape)
        if name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            values = (1 + values / 4) * factor
        elif len(shape) == 1:
            values = values / 10
        else:
            values = values * (factor * (6.0 / torch.Size(shape[1:]).numel()) ** 0.5)
        state[name] = values
    return state


def image_by_formula(height: int, width: int) -> Tensor:
    """(3, height, width) of whole 255ths: blocks of hashed colours under hashed noise."""
    noise = torch.from_numpy(hashed(3 * height * width, 5)).view(3, height, width)
    blocks = torch.from_numpy(hashed(3 * 64, 9)).view(3, 8, 8)
    rows, columns = torch.arange(height) * 8 // height, torch.arange(width) * 8 // width
    return (255 * (blocks[:, rows][:, :, columns] * 0.4 + noise * 0.1 + 0.5)).round().clamp(0, 255) / 255
