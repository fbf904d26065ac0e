"""Semantic runs that a reader can score by hand: each image is one line of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segeval import Accumulator, Result
from segeval.samples.pairs import Key

Line = Sequence[int]


def run_of_lines(images: Mapping[Key, tuple[Line, Line]], classes: int | None = 2, **options: Any) -> Result:
    """The run of images that are given as (truth, prediction)."""
    seen = Accumulator("semantic", classes=classes, **options)
    for key, (truth, prediction) in images.items():
        seen.update(prediction=np.array([prediction]), truth=np.array([truth]), key=key)
    return seen.compute()
