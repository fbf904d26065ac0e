"""What every task's rows offer to resampling: figures under any weights of the images."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from segeval.samples.pairs import Key


class Figures(NamedTuple):
    """What R reweighted data sets score: headline values (R, V), and figures of classes (R, K, F)."""

    values: NDArray[np.float64]
    classes: NDArray[np.float64]


class Evidence(Protocol):
    """One run, ready to be reweighted.

    Attributes
    ----------
    keys
        The images; weights have one column for each.
    values, figures
        Names of the headline values and of the figures of a class.
    class_ids, class_names
        The classes.
    presence
        Whether the truth of an image holds a class: bool (images, classes).
    most_blocks
        How many leave-out evaluations are cheap enough.
    """

    @property
    def keys(self) -> tuple[Key, ...]: ...
    @property
    def values(self) -> tuple[str, ...]: ...
    @property
    def figures(self) -> tuple[str, ...]: ...
    @property
    def class_ids(self) -> tuple[int, ...]: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def presence(self) -> NDArray[np.bool_]: ...
    @property
    def most_blocks(self) -> int: ...

    def at(self, weights: NDArray[np.float64]) -> Figures:
        """The figures under whole weights (R, images)."""
        ...

    def without(self, block: NDArray[np.int64], indices: range) -> Figures:
        """The figures without one block of images at a time; `block` (images) says which block each is in."""
        ...

    def exchanged(self, other: Evidence, swaps: NDArray[np.float64]) -> tuple[Figures, Figures] | None:
        """The figures of two runs after the images with a 1 (R, images) changed sides; None if they can't change."""
        ...
