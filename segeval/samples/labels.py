"""What an array must be before a kernel sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.kernels.decoding.inflate import crc32

# Four-byte ids are the widest that any supported format stores. The last of them stand for what is no label.
MOST_NEGATIVE = 2**16

# Stands for "no prediction" where a missing one is scored as empty.
NOTHING = 2**32 - MOST_NEGATIVE - 1

# What unsigned four bytes hold where signed ones hold -1: a label that people use for void.
ALL_ONES = 2**32 - 1
_ALL_ONES_STORED = NOTHING - 1

LARGEST_LABEL = NOTHING - 2

# An array of three axes that is no larger may well be a batch of an example.
TOY = 64


def crc_of(array: NDArray[Any]) -> int:
    """CRC-32 of an array's bytes in C order."""
    return crc32(np.ascontiguousarray(array))


def to_numpy(data: Any, what: str = "array") -> NDArray[Any]:
    """A numpy array of what a caller hands over: an array, a torch tensor on any device, or nested lists.

    Raises
    ------
    SegevalError
        If it is no array of numbers.
    """
    try:
        if hasattr(data, "detach"):  # a torch tensor, told without importing torch
            data = data.detach().cpu()
            # The short floats that numpy lacks are exact in longer ones.
            short = str(data.dtype).startswith(("torch.bfloat16", "torch.float8"))
            data = (data.float() if short else data).numpy()
        array = np.asarray(data)
    except (ValueError, TypeError, RuntimeError) as error:
        raise SegevalError(f"{what} is no array ({error})", remedy="give a numpy array or a torch tensor") from None
    if array.dtype.kind not in "biuf":
        raise SegevalError(f"{what} has dtype {array.dtype}", remedy="give an array of integers")
    if isinstance(data, np.ma.MaskedArray) and (masked := int(np.sum(data.mask))):
        raise SegevalError(f"{what} has {masked} masked entries", remedy="fill them with void: array.filled(255)")
    return array


def as_labels(
    data: Any, what: str, *, file: str | None = None, key: object | None = None, signed: bool = False
) -> NDArray[Any]:
    """A label map that kernels can trust: two-dimensional, C-contiguous, native, uint8, uint16, uint32 or int64.

    Parameters
    ----------
    data
        Integers or booleans, (H, W).
    what
        ``truth`` or ``prediction``, for messages.
    file, key
        Where it came from, for messages.
    signed
        Whether labels from -65536 to -1, and `ALL_ONES` in uint32, may be there; they come back as `stored` writes
        them.

    Raises
    ------
    SegevalError
        For another number of dimensions, floats that are no whole numbers, negative values, values above
        `LARGEST_LABEL`, or no pixels at all.
    """
    if type(data) is np.ndarray and data.dtype == np.uint8 and data.ndim == 2 and data.size and data.flags.carray:
        return data
    try:
        array = to_numpy(data, what)
    except SegevalError as error:
        raise SegevalError(error.message, file=file, key=key, remedy=error.remedy) from None
    if array.ndim == 3 and 1 in (array.shape[0], array.shape[2]):
        array = array.reshape(array.shape[1:] if array.shape[0] == 1 else array.shape[:2])
    if array.dtype.kind == "f":
        array = _whole(array, what, file, key)
    if array.ndim != 2:
        remedy = "give one class id a pixel"
        if array.ndim == 3 and array.shape[-1] in (3, 4):
            remedy = "colours are no labels: convert each colour to its class id"
            if max(array.shape[:2]) <= TOY:
                remedy += " (a batch of maps this narrow needs keys=)"
        raise SegevalError(
            f"{what} has shape {array.shape}, but a label map is (height, width)", file=file, key=key, remedy=remedy
        )
    if not array.size:
        raise SegevalError(f"{what} has no pixels (shape {array.shape})", file=file, key=key, remedy="remove the image")
    if array.dtype.kind == "b":
        array = array.view(np.uint8) if array.flags.c_contiguous else array.astype(np.uint8)
    if array.dtype.itemsize >= 4 and (high := int(array.max())) > LARGEST_LABEL:
        if not signed or array.dtype.str[1:] != "u4" or (array[array > LARGEST_LABEL] != ALL_ONES).any():
            remedy = f"use ids up to {LARGEST_LABEL}"
            raise SegevalError(f"{what} holds the label {high}", file=file, key=key, remedy=remedy)
        array = np.where(array == ALL_ONES, np.uint32(_ALL_ONES_STORED), array)
    if array.dtype.kind == "i" and (low := int(array.min())) < 0:
        if not signed or low < -MOST_NEGATIVE:
            remedy = f"use labels from {-MOST_NEGATIVE} on" if signed else "write 0 there, or leave the segment out"
            raise SegevalError(f"{what} holds the negative label {low}", file=file, key=key, remedy=remedy)
        array = np.where(array < 0, array.astype(np.int64) + 2**32, array)
    kind = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.int64}[array.dtype.itemsize]
    # Read-only or unaligned memory would be another type to the kernels, and another compilation.
    return np.require(array, kind, ["C", "A", "W"])


def _whole(array: NDArray[Any], what: str, file: str | None, key: object | None) -> NDArray[np.int64]:
    """Floats that are whole numbers as integers: what a tool that knows nothing but floats makes of labels."""
    low, high = float(array.min(initial=0)), float(array.max(initial=0))  # NaN, if there is one
    if not (low >= -MOST_NEGATIVE and high <= LARGEST_LABEL) or (array != np.floor(array)).any():
        reason = "NaN" if low != low else "numbers that are not whole" if high <= LARGEST_LABEL else f"{high:g}"
        raise SegevalError(
            f"{what} holds floats ({array.dtype}) with {reason}, not labels",
            file=file,
            key=key,
            remedy="save class ids as integers",
        )
    return array.astype(np.int64)


def stored(label: int) -> int:
    """A label as arrays hold it: a negative one stands above all others."""
    if label == ALL_ONES:
        return _ALL_ONES_STORED
    return label + 2**32 if label < 0 else label


def meant(value: int) -> int:
    """The reverse of `stored`."""
    if value == _ALL_ONES_STORED:
        return ALL_ONES
    return value - 2**32 if value > NOTHING else value


def smallest(labels: NDArray[Any]) -> NDArray[Any]:
    """The labels in the smallest unsigned type that holds them, so that a digest does not depend on the file format."""
    if labels.dtype == np.uint8:
        return labels
    return labels.astype(np.min_scalar_type(int(labels.max())))


def require_same_size(
    truth: NDArray[Any], prediction: NDArray[Any], *, file: str | None, key: object | None, remedy: str
) -> None:
    """Refuse a prediction of another height or width; nothing is broadcast.

    Raises
    ------
    SegevalError
        If the first two dimensions differ.
    """
    if truth.shape[:2] != prediction.shape[:2]:
        (h, w), (ph, pw) = truth.shape[:2], prediction.shape[:2]
        raise SegevalError(
            f"prediction is {pw}x{ph} but its truth is {w}x{h} (width x height)", file=file, key=key, remedy=remedy
        )


def resize_nearest(labels: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Labels at another size, each pixel from the source pixel under its centre."""
    rows, columns = (
        (2 * np.arange(new, dtype=np.int64) + 1) * old // (2 * new)
        for new, old in ((height, labels.shape[0]), (width, labels.shape[1]))
    )
    return np.ascontiguousarray(labels[rows[:, None], columns[None, :]])
