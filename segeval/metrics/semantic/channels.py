"""From what a network hands over to labels: logits, probabilities, one-hot channels, and axes of length one.

One rule serves arrays in a loop and files alike. The channel axis is the one that the truth's height and width leave
over: (C, H, W), else (H, W, C). Several channels of floats: the largest one, the first of equals. Several channels of
whole numbers: one-hot, or refused. One channel of whole numbers: labels. One channel of other floats is a foreground:
a probability where all of them lie in [0, 1], cut at 0.5, else a logit, cut at 0. A rule's threshold cuts one channel
of any kind, and nothing else is cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.samples.labels import to_numpy
from segeval.samples.pairs import Key

if TYPE_CHECKING:
    from segeval.metrics.metric import Metric

# How the foreground of an image was cut, as rows keep it.
NOT_CUT, PROBABILITY, LOGIT = 0, 1, 2


def channel_values(rule: Metric, channels: int) -> list[int]:
    """The label that each channel of logits stands for.

    As many channels as classes stand for the classes in their order. One channel more than the largest class id, or
    classes that are still to be found, or a map of predicted values: a channel stands for its own number.

    Raises
    ------
    SegevalError
        For another number of channels.
    """
    taxonomy = rule.taxonomy
    if taxonomy is None or getattr(rule, "map_prediction", None):
        return list(range(channels))
    if channels == len(taxonomy):
        return list(taxonomy.ids)
    if taxonomy.ids and channels == max(taxonomy.ids) + 1:
        return list(range(channels))
    raise SegevalError(
        f"logits have {channels} channels for {len(taxonomy)} classes",
        remedy=f"give one channel a class, or labels; {taxonomy.hint()}",
    )


def labels_of(rule: Metric, data: Any, size: tuple[int, ...], what: str, key: Key | None = None) -> tuple[Any, int]:
    """The labels of one image, and how its foreground was cut.

    Parameters
    ----------
    rule
        Says which classes channels stand for.
    data
        (H, W), or with one more axis of channels before or behind; an array or a tensor.
    size
        The truth's height and width, which tell the axis of channels.
    what
        ``truth`` or ``prediction``; only a prediction may be logits or probabilities.
    key
        The image, for messages.

    Returns
    -------
    labels
        (H, W); what is no label map, channels or foreground comes back as it is, and is refused by `as_labels`.
    cut
        `NOT_CUT`, `PROBABILITY` or `LOGIT`.

    Raises
    ------
    SegevalError
        If a logit is NaN, or there is another number of channels than classes.
    """
    shape = tuple(getattr(data, "shape", ()))
    if len(shape) not in (2, 3):
        return data, NOT_CUT
    axis = None if len(shape) == 2 else channel_axis(shape, size)
    threshold = getattr(rule, "threshold", None)
    if axis is not None and shape[axis] > 1:
        if threshold is not None:
            text = f"{what} has {shape[axis]} channels, and a threshold cuts one"
            raise SegevalError(text, key=key, remedy="give the foreground's channel, or leave out --threshold")
        if is_floating(data) and what == "prediction":
            return _of_logits(rule, data, axis, key), NOT_CUT
        return _of_one_hot(rule, data, (axis,) if size else (0, 2), what), NOT_CUT
    plane = data if axis is None else data.reshape(*(n for k, n in enumerate(shape) if k != axis))
    if not is_floating(plane):
        return plane, NOT_CUT
    if threshold is not None:
        return _cut_at(threshold, to_numpy(plane, what), rule.void_values, what, key), NOT_CUT
    return _of_one_channel(rule, plane, what, key, alone=axis is None)


def channel_axis(shape: tuple[int, ...], size: tuple[int, ...]) -> int:
    """Which axis of three holds the channels: 0, or 2 where only that leaves the truth's height and width."""
    return 2 if tuple(shape[:2]) == tuple(size) != tuple(shape[1:]) else 0


def _of_logits(rule: Metric, data: Any, axis: int, key: Key | None) -> Any:
    values = channel_values(rule, data.shape[axis])
    labels, undefined = largest_channel(data, axis)
    if undefined.any():
        raise undefined_logits(int(undefined.sum()), key)
    return _named(labels, values)


def _of_one_hot(rule: Metric, data: Any, axes: tuple[int, ...], what: str) -> Any:
    """The labels of channels that hold nothing but zeros and a single one; colours don't, and come back as they are."""
    array = to_numpy(data, what)
    if ((array == 0) | (array == 1)).all():
        for axis in axes:
            if (array.sum(axis) == 1).all():
                return _named(array.argmax(axis), channel_values(rule, array.shape[axis]))
    return data


def _named(labels: Any, values: list[int]) -> Any:
    return labels if values == list(range(len(values))) else np.array(values, np.int64)[to_numpy(labels)]


def _of_one_channel(rule: Metric, plane: Any, what: str, key: Key | None, *, alone: bool) -> tuple[Any, int]:
    """`alone` says that there is no axis of channels."""
    array: NDArray[Any] = to_numpy(plane, what)
    if what == "truth" or not array.size:
        return array, NOT_CUT
    low, high = float(array.min()), float(array.max())  # NaN, if there is one
    if low != low and not alone:
        raise undefined_logits(int(np.isnan(array).sum()), key)
    probable = low >= 0 and high <= 1
    if ((low >= 0 or alone) and not (array != np.floor(array)).any()) or (alone and not probable):
        return array, NOT_CUT  # whole numbers are labels; what is neither is refused as such
    require_foreground(rule, key)
    return (array > 0.5, PROBABILITY) if probable else (array > 0, LOGIT)


def _cut_at(
    threshold: float, array: NDArray[Any], void: tuple[int, ...], what: str, key: Key | None
) -> NDArray[np.int64]:
    """Floats as whole numbers on the same side of a threshold; those that are void stay."""
    if not array.size:
        return array.astype(np.int64)
    low, high = float(array.min()), float(array.max())
    if low != low:
        raise SegevalError(f"{what} holds NaN, which no threshold cuts", key=key, remedy="write a number there")
    if high <= 1 < threshold and (array != np.floor(array)).any():
        text = f"{what} holds numbers from {low:g} to {high:g}, and the threshold is {threshold:g}"
        raise SegevalError(text, key=key, remedy="give --threshold 0.5, or save them as grey from 0 to 255")
    most = int(np.ceil(threshold))
    below = next((v for v in range(most) if v not in void), None)
    above = next(v for v in range(most, most + len(void) + 1) if v not in void)
    if below is None:
        text = f"no whole number below the threshold {threshold:g} is left by void {void}"
        raise SegevalError(text, key=key, remedy="give integers, or another void")
    labels = np.where(array >= threshold, above, below)
    return np.where(np.isin(array, void), array, labels).astype(np.int64)


def require_foreground(rule: Metric, key: Key | None) -> None:
    """Refuse one channel for more classes than a foreground and a background.

    Raises
    ------
    SegevalError
        Naming the classes.
    """
    if rule.taxonomy is not None and len(rule.taxonomy) > 2:
        raise SegevalError(
            f"prediction has one channel of floats for {len(rule.taxonomy)} classes",
            key=key,
            remedy=f"give one channel a class, or class ids; {rule.taxonomy.hint()}",
        )


def largest_channel(logits: Any, axis: int) -> tuple[Any, Any]:
    """The channel of the largest logit, and where that is undefined: NaN counts as larger than any number.

    Raises
    ------
    SegevalError
        For a type that can't be compared.
    """
    try:
        labels = logits.argmax(axis)
        if hasattr(logits, "detach"):
            top = logits.gather(axis, labels.unsqueeze(axis)).squeeze(axis)
        else:
            top = np.take_along_axis(logits, np.expand_dims(labels, axis), axis).squeeze(axis)
        return labels, top != top
    except RuntimeError as error:
        raise SegevalError(f"logits of {logits.dtype} can't be compared ({error})", remedy="give float32") from None


def undefined_logits(pixels: int, key: Key | None) -> SegevalError:
    """What is said of logits that are NaN."""
    text = f"the logits of {pixels} pixels hold NaN, so the prediction is undefined"
    return SegevalError(text, key=key, remedy="look where the network makes them")


def is_floating(data: Any) -> bool:
    """Whether an array or a tensor holds floats."""
    return "float" in str(getattr(data, "dtype", ""))
