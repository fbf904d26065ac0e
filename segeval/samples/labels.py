"""What an array must be before a kernel sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.kernels.decoding.inflate import crc32

# Four-byte ids are the widest that any supported format stores.
LARGEST_LABEL = 2**32 - 1

# Stands for "no prediction" where a missing one is scored as empty.
NOTHING = 2**32 - 1


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


def as_labels(data: Any, what: str, *, file: str | None = None, key: object | None = None) -> NDArray[Any]:
    """A label map that kernels can trust: two-dimensional, C-contiguous, native, uint8, uint16, uint32 or int64.

    Parameters
    ----------
    data
        Integers or booleans, (H, W).
    what
        ``truth`` or ``prediction``, for messages.
    file, key
        Where it came from, for messages.

    Raises
    ------
    SegevalError
        For another number of dimensions, floats, negative values, values above 2^32 - 1, or no pixels at all.
    """
    if type(data) is np.ndarray and data.dtype == np.uint8 and data.ndim == 2 and data.size and data.flags.carray:
        return data
    try:
        array = to_numpy(data, what)
    except SegevalError as error:
        raise SegevalError(error.message, file=file, key=key, remedy=error.remedy) from None
    if array.dtype.kind == "f":
        raise SegevalError(
            f"{what} holds floats ({array.dtype}), not labels",
            file=file,
            key=key,
            remedy="give class ids as integers (argmax over the channels)",
        )
    if array.ndim != 2:
        remedy = "give one class id a pixel"
        if array.ndim == 3 and array.shape[-1] in (3, 4):
            remedy = "colours are no labels: convert each colour to its class id"
        raise SegevalError(
            f"{what} has shape {array.shape}, but a label map is (height, width)", file=file, key=key, remedy=remedy
        )
    if not array.size:
        raise SegevalError(f"{what} has no pixels (shape {array.shape})", file=file, key=key, remedy="remove the image")
    if array.dtype.kind == "b":
        array = array.view(np.uint8) if array.flags.c_contiguous else array.astype(np.uint8)
    if array.dtype.kind == "i" and (low := int(array.min())) < 0:
        raise SegevalError(
            f"{what} holds the negative label {low}",
            file=file,
            key=key,
            remedy="map it to the void value, for example 255",
        )
    if array.dtype.itemsize == 8 and (high := int(array.max())) > LARGEST_LABEL:
        raise SegevalError(
            f"{what} holds the label {high}", file=file, key=key, remedy=f"use ids up to {LARGEST_LABEL}"
        )
    kind = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.int64}[array.dtype.itemsize]
    # Read-only or unaligned memory would be another type to the kernels, and another compilation.
    return np.require(array, kind, ["C", "A", "W"])


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
