"""Maps and weights that some losses need, made from the truth in the data loader (numpy and scipy, one image each)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from segeval.errors import SegevalError

Float = NDArray[np.float32]


def inner_distance(mask: NDArray[np.bool_], spacing: float | tuple[float, ...] | None = None) -> NDArray[np.float64]:
    """Euclidean distance of every True pixel to the nearest False one; 0 if there is no False pixel.

    scipy leaves the case without a False pixel undefined and returns distances to a point outside the image.
    """
    if mask.all() or not mask.any():
        return np.zeros(mask.shape)
    return np.asarray(ndimage.distance_transform_edt(mask, sampling=spacing), dtype=np.float64)


def _labels(labels: ArrayLike) -> NDArray[np.integer]:
    array = np.asarray(labels)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    if not np.issubdtype(array.dtype, np.integer) or array.ndim < 1:
        raise SegevalError(f"labels are {array.dtype} {array.shape}", remedy="give one image of integer labels")
    return array


def signed_distance_map(
    labels: ArrayLike, num_classes: int, *, spacing: float | tuple[float, ...] | None = None
) -> Float:
    r"""Signed distance to each class's boundary, for :func:`segeval.losses.functional.boundary`.

    :math:`\phi_c = d(i, c)` outside the class and :math:`-(d(i, \bar c) - 1)` inside, so that the inner boundary pixels
    hold 0. With `spacing` the unit is the spacing's, and 1 becomes the smallest spacing.

    Parameters
    ----------
    labels
        (*spatial) class indices of one image; values that are no class (void) belong to no class.
    num_classes
        Channels of the network. With 1, the single map is that of label 1.
    spacing
        Size of a pixel along each axis; 1 by default.

    Returns
    -------
    ndarray
        (C, *spatial) float32. All 0 for a class that is absent or fills the image: it has no boundary.
    """
    array = _labels(labels)
    step = 1.0 if spacing is None else float(np.min(spacing))
    out = np.zeros((num_classes, *array.shape), np.float32)
    for c in range(num_classes):
        inside = array == (1 if num_classes == 1 else c)
        if inside.any() and not inside.all():
            out[c] = inner_distance(~inside, spacing) - (inner_distance(inside, spacing) - step) * inside
    return out


def boundary_mask(labels: ArrayLike, *, ignore_index: int | None = None) -> NDArray[np.bool_]:
    """Pixels whose label differs from the next one along some axis; neither side may be ignored."""
    array = _labels(labels)
    edge = np.zeros(array.shape, np.bool_)
    for axis in range(array.ndim):
        here = np.moveaxis(array, axis, 0)
        differs = here[1:] != here[:-1]
        if ignore_index is not None:
            differs &= (here[1:] != ignore_index) & (here[:-1] != ignore_index)
        np.moveaxis(edge, axis, 0)[:-1] |= differs
    return edge


def boundary_distance_map(
    labels: ArrayLike, *, ignore_index: int | None = None, spacing: float | tuple[float, ...] | None = None
) -> Float:
    """Distance of every pixel to the nearest boundary between classes; 0 everywhere if there is none.

    Parameters
    ----------
    labels
        (*spatial) class indices of one image.
    ignore_index
        Label whose borders are no boundary.

    Returns
    -------
    ndarray
        (*spatial) float32, 0 on the boundary pixels of :func:`boundary_mask`.
    """
    return inner_distance(~boundary_mask(labels, ignore_index=ignore_index), spacing).astype(np.float32)


def inner_distance_map(labels: ArrayLike, *, spacing: float | tuple[float, ...] | None = None) -> Float:
    """Distance of every object pixel (label > 0) to the nearest pixel outside its label, 0 outside.

    Needed by :func:`segeval.losses.functional.boundary_aware`. An object that fills the image has no outside: 0.
    """
    array = _labels(labels)
    out = np.zeros(array.shape, np.float32)
    for value in np.unique(array[array > 0]):
        mask = array == value
        out[mask] = inner_distance(mask, spacing)[mask]
    return out


def inverted_distance_map(labels: ArrayLike, *, ignore_index: int | None = None) -> Float:
    r"""Caliva's map: :math:`\phi = (d_{\max} - d) / (d_{\max} - 1)` in each class's region, 1 at its boundary, 0
    deepest.

    d is the distance to the nearest pixel outside the region. A region of one pixel's thickness holds 1; a class that
    fills the image holds 0, as it has no boundary.
    """
    array = _labels(labels)
    out = np.zeros(array.shape, np.float32)
    for value in np.unique(array):
        mask = array == value
        if value == ignore_index or mask.all():
            continue
        d = inner_distance(mask)[mask]
        deepest = d.max()
        out[mask] = (deepest - d) / (deepest - 1) if deepest > 1 else 1.0
    return out


def region_wise_map(labels: ArrayLike, num_classes: int) -> Float:
    r"""Rectified region-wise map, :math:`-d/\max d` inside the class and 1 outside, (C, *spatial) float32.

    A class that fills the image holds -1 everywhere. For :func:`segeval.losses.functional.region_wise`.
    """
    array = _labels(labels)
    out = np.ones((num_classes, *array.shape), np.float32)
    for c in range(num_classes):
        inside = array == (1 if num_classes == 1 else c)
        if inside.all():
            out[c] = -1
        elif inside.any():
            d = inner_distance(inside)
            out[c][inside] = -(d[inside] / d.max())
    return out


def border_weight_map(instance_ids: ArrayLike, *, w0: float = 10.0, sigma: float = 5.0) -> Float:
    r"""U-Net's border term, :math:`w_0 \exp(-(d_1 + d_2)^2 / 2\sigma^2)` on background pixels.

    :math:`d_1, d_2` are the distances in pixels to the nearest and second nearest instance. The term is 0 on the
    instances themselves, and everywhere if there are fewer than two.

    Parameters
    ----------
    instance_ids
        (*spatial) ids of one image, 0 for background.
    """
    ids = _labels(instance_ids)
    present = np.unique(ids[ids != 0])
    if present.size < 2:
        return np.zeros(ids.shape, np.float32)
    first = np.full(ids.shape, np.inf)
    second = np.full(ids.shape, np.inf)
    # Beyond seven sigma the term is under w0 * 3e-11: each instance needs only its surroundings.
    margin = int(np.ceil(7 * sigma))
    for value in present:
        mask = ids == value
        spans = [np.flatnonzero(mask.any(tuple(a for a in range(ids.ndim) if a != axis))) for axis in range(ids.ndim)]
        near = tuple(slice(max(0, span[0] - margin), span[-1] + margin + 1) for span in spans)
        d = inner_distance(~mask[near])
        np.minimum(second[near], np.maximum(first[near], d), out=second[near])
        np.minimum(first[near], d, out=first[near])
    term = w0 * np.exp(-((first + second) ** 2) / (2 * sigma**2))
    return np.where(ids == 0, term, 0.0).astype(np.float32)


def median_frequency_weights(
    images: Iterable[ArrayLike], num_classes: int, *, ignore_index: int | None = None
) -> Float:
    r"""Median-frequency class weights, :math:`w_c = \mathrm{median}(f) / f_c`.

    :math:`f_c` is the pixels of class c over the labelled pixels of the images in which c occurs. The median is over
    the classes that occur; a class that never occurs gets 0.

    Parameters
    ----------
    images
        Label arrays, each (*spatial).

    Returns
    -------
    ndarray
        (C,) float32.

    References
    ----------
    Eigen, Fergus, ICCV 2015; Badrinarayanan, Kendall, Cipolla, "SegNet", PAMI 2017.
    """
    pixels = np.zeros(num_classes, np.int64)
    totals = np.zeros(num_classes, np.int64)
    for labels in images:
        array = _labels(labels).ravel()
        if ignore_index is not None:
            array = array[array != ignore_index]
        if array.size and not 0 <= int(array.min()) <= int(array.max()) < num_classes:
            raise SegevalError(
                f"labels run from {array.min()} to {array.max()} for {num_classes} classes",
                remedy=f"set ignore_index (now {ignore_index})",
            )
        counts = np.bincount(array, minlength=num_classes)
        pixels += counts
        totals += np.where(counts > 0, array.size, 0)
    seen = pixels > 0
    if not seen.any():
        raise SegevalError("no labelled pixel in any image, so there are no class frequencies")
    frequency = pixels / np.maximum(totals, 1)
    weights = np.zeros(num_classes, np.float32)
    weights[seen] = np.median(frequency[seen]) / frequency[seen]
    return weights
