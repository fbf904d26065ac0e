"""What a training loop hands over, image by image: batches are split and logits become labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segeval.errors import SegevalError
from segeval.metrics.metric import Metric
from segeval.metrics.semantic.channels import is_floating
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
        Says what it reads.
    prediction, truth
        As for `Accumulator.update`.
    keys
        The images' keys, for messages.
    many
        Whether they are a batch for certain; else that is told from their shapes.

    Raises
    ------
    SegevalError
        If the two sides hold different numbers of images.
    """
    if rule.reads == "semantic":
        predictions, truths = _semantic(prediction, truth, many)
    else:
        split = {"panoptic": _panoptic, "instance": _instances}[rule.reads]
        predictions, truths = split(prediction, many, "prediction"), split(truth, many, "truth")
    if len(predictions) != len(truths):
        raise SegevalError(
            f"{len(predictions)} predictions but {len(truths)} truths", remedy="give one prediction for each truth"
        )
    if rule.reads == "semantic":
        return [(narrow(p), narrow(t)) for p, t in zip(predictions, truths, strict=True)]
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


def _rank(data: Any) -> int:
    return len(getattr(data, "shape", (0, 0)))


def _semantic(prediction: Any, truth: Any, many: bool) -> tuple[Sequence[Any], Sequence[Any]]:
    """Both sides image by image.

    Four axes are a batch: (N, 1, H, W), (N, H, W, 1), logits or one-hot channels. Three axes on both sides are a batch
    (N, H, W), unless they are colours, or floats of another shape: then the channels of one image.
    """
    listed = [_is_list(side, many) for side in (prediction, truth)]
    if any(listed):
        return (prediction if listed[0] else _split(prediction)), (truth if listed[1] else _split(truth))
    ranks = _rank(prediction), _rank(truth)
    if many or 4 in ranks or (ranks == (3, 3) and not _one_image(prediction, truth)):
        return _split(prediction), _split(truth)
    return [prediction], [truth]


def _is_list(side: Any, many: bool) -> bool:
    """Whether a side came as a list of images, not as nested lists of labels."""
    if not isinstance(side, (list, tuple)):
        return False
    return many or not len(side) or getattr(side[0], "ndim", 0) >= 2


def _split(side: Any) -> Sequence[Any]:
    return list(side) if _rank(side) > 2 or isinstance(side, (list, tuple)) else [side]


def _one_image(prediction: Any, truth: Any) -> bool:
    """Whether two arrays of three axes are one image: colours, or channels beside a truth of one channel."""
    colours = [side.shape[2] in (3, 4) and str(side.dtype).endswith("uint8") for side in (prediction, truth)]
    return any(colours) or (is_floating(prediction) and tuple(prediction.shape) != tuple(truth.shape))


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
