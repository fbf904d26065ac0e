"""What a training loop hands over, image by image: batches are split and logits become labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segeval.errors import SegevalError
from segeval.metrics.metric import Metric
from segeval.samples.labels import to_numpy
from segeval.samples.pairs import Key, Pair
from segeval.samples.panoptic import PanopticMap, from_arrays, without

# One image: its prediction and its truth.
Image = tuple[Any, Any]


def images_of(rule: Metric, prediction: Any, truth: Any, keys: Sequence[Key] | None, *, many: bool) -> list[Image]:
    """The images of an update.

    Parameters
    ----------
    rule
        Says the task, and the classes that the channels of logits stand for.
    prediction, truth
        As for `Accumulator.update`.
    keys
        The images' keys, for messages.
    many
        Whether they are a batch for certain; else that is told from their shapes.

    Raises
    ------
    SegevalError
        If the two sides hold different numbers of images, or logits have another number of channels than classes.
    """
    many = many or (rule.reads == "semantic" and _rank(prediction) == 4)
    split = {"semantic": _semantic, "panoptic": _panoptic, "instance": _instances}[rule.reads]
    predictions, truths = split(prediction, many, "prediction"), split(truth, many, "truth")
    if len(predictions) != len(truths):
        raise SegevalError(
            f"{len(predictions)} predictions but {len(truths)} truths", remedy="give one prediction for each truth"
        )
    if rule.reads == "semantic":
        names = keys if keys and len(keys) == len(truths) else [None] * len(truths)
        return [
            (narrow(labels_of(rule, p, _rank(t), key)), narrow(t))
            for p, t, key in zip(predictions, truths, names, strict=True)
        ]
    return list(zip(predictions, truths, strict=True))


def pair_of(rule: Metric, image: Image, key: Key) -> Pair:
    """One image as the rule observes it.

    Raises
    ------
    SegevalError
        For a panoptic side that is no pair of ids and segments.
    """
    prediction, truth = image
    if rule.reads == "panoptic":
        prediction, truth = panoptic_map(rule, prediction, "prediction", key), panoptic_map(rule, truth, "truth", key)
    return Pair(key, truth, prediction)


def panoptic_map(rule: Metric, data: Any, what: str, key: Key) -> PanopticMap:
    """A panoptic side of one image, checked, its void applied."""
    if not isinstance(data, PanopticMap):
        pixels, segments = panoptic_parts(data, what, key)
        data = from_arrays(pixels, segments, what, key)
    return without(data, rule.void_values)


def panoptic_parts(data: Any, what: str, key: Key) -> tuple[Any, Any]:
    """Ids and segments of one image."""
    try:
        pixels, segments = data
    except (TypeError, ValueError):
        remedy = "give (ids, [{'id': ..., 'category_id': ...}])"
        raise SegevalError(f"{what} is no pair of ids and segments", key=key, remedy=remedy) from None
    return pixels, segments


def narrow(labels: Any) -> Any:
    """Labels as uint8 where they fit: counting wider ones costs several times as much. Anything else passes."""
    if not hasattr(labels, "dtype"):
        return labels
    array = to_numpy(labels)
    if array.dtype.kind in "iu" and array.dtype.itemsize > 1:
        small = array.astype(np.uint8)
        if np.array_equal(small, array):
            return small
    return array


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


def labels_of(rule: Metric, prediction: Any, rank: int, key: Key | None = None) -> Any:
    """Labels of a prediction with one axis more than its truth: the channel of the largest logit, the first of equals.

    A single channel is a foreground against a background: above 0 it is class 1 (a probability above a half).

    Raises
    ------
    SegevalError
        If a logit is NaN, or there is another number of channels than classes.
    """
    shape = getattr(prediction, "shape", ())
    if len(shape) != rank + 1 or not _floats(prediction):
        return prediction
    axis = rank - 2
    values = [0, 1] if shape[axis] == 1 else channel_values(rule, shape[axis])
    labels, undefined = largest_channel(prediction, axis)
    if undefined.any():
        raise undefined_logits(int(undefined.sum()), key)
    if values == list(range(len(values))):
        return labels
    return np.array(values, np.int64)[to_numpy(labels)]


def largest_channel(logits: Any, axis: int) -> tuple[Any, Any]:
    """The channel of the largest logit, and where that is undefined: NaN counts as larger than any number.

    Raises
    ------
    SegevalError
        For a type that can't be compared.
    """
    try:
        if logits.shape[axis] == 1:
            return (logits > 0).squeeze(axis), (logits != logits).squeeze(axis)
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


def _floats(data: Any) -> bool:
    return "float" in str(getattr(data, "dtype", ""))


def _rank(data: Any) -> int:
    return len(getattr(data, "shape", (0, 0)))


def _semantic(data: Any, many: bool, what: str) -> Sequence[Any]:
    if isinstance(data, (list, tuple)) and not data:
        return []
    if isinstance(data, (list, tuple)) and (many or (len(data) and getattr(data[0], "ndim", 0) >= 2)):
        return data
    rank = _rank(data)
    if rank == 4 or (rank == 3 and many):
        return list(data)
    if rank != 3 or (what == "prediction" and _floats(data)) or data.shape[-1] in (3, 4):
        return [data]  # one label map, the logits of one image, or colours, which are refused later
    return list(data)


def _instances(data: Any, many: bool, what: str) -> Sequence[Any]:
    listed = isinstance(data, (list, tuple)) and not hasattr(data, "_fields")
    return data if listed and (many or all(isinstance(d, Mapping) or hasattr(d, "_fields") for d in data)) else [data]


def _panoptic(data: Any, many: bool, what: str) -> Sequence[Any]:
    if isinstance(data, PanopticMap) or not isinstance(data, (list, tuple)):
        return [data]
    if (isinstance(data, list) and all(isinstance(one, tuple) for one in data)) or all(_is_side(one) for one in data):
        return data
    if len(data) == 2 and _rank(data[0]) >= 3 and isinstance(data[1], (list, tuple)):
        ids, segments = data
        if len(ids) == len(segments) and all(isinstance(s, (list, tuple)) for s in segments):
            return list(zip(ids, segments, strict=True))
    return [data]


def _is_side(data: Any) -> bool:
    """Whether this is the pair of one image's ids and segments, for certain."""
    return isinstance(data, (list, tuple)) and len(data) == 2 and _rank(data[0]) >= 2
