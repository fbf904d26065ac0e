"""What each detection is, in the manner of TIDE (Bolya et al. 2020): found, badly placed, of the wrong class, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from segeval.kernels.counting.matching import Kinds, Truths

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
    found: Kinds, truths: Truths, truth_image: Array, about: tuple[Array, Array, Array, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The rows that diagnosis reads, of one chunk of images.

    Parameters
    ----------
    found
        What `examine` filled.
    truths
        The chunk's truths.
    truth_image
        Of each truth.
    about
        Image, class, score and rank of each detection, in sorted order.

    Returns
    -------
    kinds
        For each detection its kind, the place among the image's truths of the one that it is about (or -1), that one's
        class, and whether no detection has found that one.
    unmet
        The truths that no detection is about.
    """
    met, truth_classes = found.met, truths.classes
    kept = found.kind >= 0
    image, classes, scores, rank = (column[kept] for column in about)
    aim = found.truth[kept]
    aimed = aim >= 0
    place = np.where(aimed, aim - truths.offsets[image], -1)
    at = np.where(aimed, aim, 0)
    blank = np.full(len(aim), -1)
    free = np.where(aimed, met[at] & 1 == 0, False) if len(met) else np.zeros(len(aim), bool)
    missed = (met == 0) & (truths.crowd == 0)
    return {
        "image": image,
        "class": classes,
        "score": scores,
        "rank": rank,
        "kind": found.kind[kept],
        "truth": place,
        "truth_class": np.where(aimed, truth_classes[at], -1) if len(met) else blank,
        "free": free,
    }, {
        "image": truth_image[missed],
        "class": truth_classes[missed],
        "missed": np.ones(int(missed.sum()), np.int64),
    }
