"""Telling a mask whose values were blurred: by JPEG, by resizing, or by soft borders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segeval.errors import Caution, SegevalError
from segeval.evidence.rows import Rows

MANY = 8
"""So many values that are no class are no slip of one."""

BLURRED = ", as a mask does that was compressed as JPEG, resized or given soft borders"

PHOTOGRAPH = "of the 256 values of a byte, as a photograph or a map of probabilities does"

# The least that is taken for the upper level of a mask of two.
_LEAST_TOP = 100
# So many of the values of a byte are those of a photograph.
_PHOTOGRAPH = 250


def cut_at(top: int) -> str:
    """What to do about a mask of two levels, 0 and `top`, that was blurred."""
    return f"give --binary --threshold {(top + 1) // 2}, or write the mask without loss"


def refuse_soft(rows: Rows) -> None:
    """Refuse truth whose values are no classes, where nobody has said what they are.

    Raises
    ------
    SegevalError
        For a blurred mask of two levels, and for as many values as a photograph has.
    """
    values, pixels = _values(rows, "truth")
    if (top := _top(values, pixels)) is not None:
        text = f"the truth holds {len(values)} values, mostly near 0 and {top}{BLURRED}"
        raise SegevalError(text, remedy=cut_at(top))
    if _as_photograph(values):
        raise SegevalError(
            f"the truth holds {len(values)} {PHOTOGRAPH}",
            remedy="give the folder of the label maps; if these are classes, give --classes 256 --void none",
        )


def soft_cautions(rows: Rows) -> list[Caution]:
    """What to know of sides whose values are hardly classes."""
    found = []
    for side in ("truth", "prediction"):
        values, pixels = _values(rows, side)
        if (top := _top(values, pixels)) is not None:
            text = f"the {side} holds {len(values)} values, mostly near 0 and {top}{BLURRED}; {cut_at(top)}"
            found.append(Caution(f"{side}-soft", text))
        elif _as_photograph(values):
            text = f"the {side} holds {len(values)} {PHOTOGRAPH}; write class ids"
            found.append(Caution(f"{side}-soft", text))
    return found


def _values(rows: Rows, side: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct values of a side, void being 255 where nothing else is said, and their pixels."""
    stored = np.where(rows[side] < 0, 255, rows[side])
    values, where = np.unique(stored, return_inverse=True)
    pixels = np.zeros(len(values), np.int64)
    np.add.at(pixels, where, rows["pixels"])
    return values, pixels


def _top(values: NDArray[np.int64], pixels: NDArray[np.int64]) -> int | None:
    """The upper level of what looks like a blurred mask of two levels; None for what does not.

    Such a mask has many values, several in the first quarter of their range and in the last, and what is not at the
    lower end is mostly at the upper one. Class ids don't: 255 beside them is alone, and the highest are not the most
    frequent.
    """
    if len(values) < MANY or (top := int(values.max())) < _LEAST_TOP:
        return None
    if (4 * values <= top).sum() < 3 or (4 * values >= 3 * top).sum() < 3:
        return None
    low, high = pixels[10 * values <= top].sum(), pixels[10 * values >= 9 * top].sum()
    return top if 2 * high > pixels.sum() - low else None


def _as_photograph(values: NDArray[np.int64]) -> bool:
    return len(values) >= _PHOTOGRAPH and int(values.max()) < 256
