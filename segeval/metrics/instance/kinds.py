"""What each detection is, in the manner of TIDE (Bolya et al. 2020): found, badly placed, of the wrong class, ..."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Below the one IoU a detection is about nothing; from the other on it has found a truth.
FLOOR, POSITIVE = 0.1, 0.5

# A detection's kind, by number.
KINDS = ("found", "localisation", "class", "duplicate", "background", "both", "on crowd")

# Name, type, shape, and whether it adds; as in the other tables of instances.
Columns = tuple[tuple[str, Any, tuple[int, ...], bool], ...]
KIND_COLUMNS: Columns = (
    ("class", np.int32, (), False),
    ("score", np.float64, (), False),
    *((name, np.int32, (), False) for name in ("rank", "kind", "truth", "truth_class", "free")),
)
UNMET_COLUMNS: Columns = (("class", np.int32, (), False), ("missed", np.int64, (), True))


def kind_rows(
    kind: Array,
    target: Array,
    flags: Array,
    about: tuple[Array, Array, Array, Array],
    truth_image: Array,
    truth_classes: Array,
    crowd: Array,
    offsets: Array,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The rows that diagnosis reads, of one chunk of images.

    Parameters
    ----------
    kind, target, flags
        What `kernels.matching.examine` returns.
    about
        Image, class, score and rank of each detection.
    truth_image, truth_classes, crowd
        Of each truth.
    offsets
        Where the truths of each image begin.

    Returns
    -------
    kinds
        For each detection its kind, the place among the image's truths of the one that it is about (or -1), that one's
        class, and whether no detection has found that one.
    unmet
        The truths that no detection is about.
    """
    kept = kind >= 0
    image, classes, scores, rank = (column[kept] for column in about)
    aim = target[kept]
    aimed = aim >= 0
    place = np.where(aimed, aim - offsets[image], -1)
    at = np.where(aimed, aim, 0)
    blank = np.full(len(aim), -1)
    free = np.where(aimed, flags[at] & 1 == 0, False) if len(flags) else np.zeros(len(aim), bool)
    missed = (flags == 0) & (crowd == 0)
    return {
        "image": image,
        "class": classes,
        "score": scores,
        "rank": rank,
        "kind": kind[kept],
        "truth": place,
        "truth_class": np.where(aimed, truth_classes[at], -1) if len(flags) else blank,
        "free": free,
    }, {
        "image": truth_image[missed],
        "class": truth_classes[missed],
        "missed": np.ones(int(missed.sum()), np.int64),
    }
