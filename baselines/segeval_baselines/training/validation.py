"""Scoring a split in memory, with the same rule and the same bits as `segeval score` on a folder."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from segeval.results.result import Result
from segeval.samples.taxonomy import Taxonomy
from segeval.scoring.accumulator import Accumulator
from segeval_baselines.data.object_truth import panoptic_map
from segeval_baselines.data.objects import ObjectSample, ObjectSamples
from segeval_baselines.data.samples import VOID, Samples
from segeval_baselines.group import Group
from segeval_baselines.prediction.inference import WHOLE, Predictor, View
from segeval_baselines.prediction.object_inference import ObjectPredictor, most_detections, thing_ids

_ALONE = Group(0, 1, torch.device("cpu"))


def validate(
    predictor: Predictor,
    samples: Samples,
    images: int | None = None,
    group: Group = _ALONE,
    view: View = WHOLE,
) -> Result:
    """Predict a split and score it.

    Parameters
    ----------
    predictor
        The network.
    samples
        The split.
    images
        At most this many, evenly spaced.
    group
        The processes that share the work; every image is counted once, whatever their number.
    view
        How images are shown to the network.

    Returns
    -------
    Result
        Over all processes' images.
    """
    known = samples.taxonomy
    # Labels are positions here, so that ids above 255 or in use for void do no harm.
    rule_classes = Taxonomy(tuple(range(len(known))), known.names, known.things, known.colours)
    seen = Accumulator("semantic", classes=rule_classes, void=(VOID,))
    for key in group.share(spaced(list(samples.keys()), images)):
        sample = samples.load(key)
        seen.update(prediction=predictor.labels(sample.image, view), truth=sample.labels, key=key)
    parts = group.gather(seen)
    for other in parts[1:]:
        parts[0].merge(other)
    result: Result = parts[0].compute()
    return result


def spaced(keys: list[str], count: int | None) -> list[str]:
    """At most `count` of the keys, evenly spaced."""
    if count is None or count >= len(keys):
        return keys
    return [keys[i * len(keys) // count] for i in range(count)]


_ALONE = Group(0, 1, torch.device("cpu"))
_FEWEST = 100  # detections of an image that count, as COCO has it; more where a network finds more


def validate_objects(
    predictor: ObjectPredictor,
    samples: ObjectSamples,
    task: str,
    images: int | None = None,
    group: Group = _ALONE,
) -> Result:
    """Predict a split and score it.

    Parameters
    ----------
    predictor
        The network.
    samples
        The split.
    task
        ``instance`` or ``panoptic``.
    images
        At most this many, evenly spaced.
    group
        The processes that share the work; every image is counted once, whatever their number.

    Returns
    -------
    Result
        Over all processes' images. For instances `max_dets` ends at 100, or at what the network finds at most if that
        is more.
    """
    seen = accumulator(task, samples.taxonomy, most_detections(predictor.network))
    ids = samples.image_ids()
    for key in group.share(spaced(list(samples.keys()), images)):
        sample = samples.load(key)
        number = ids.get(key)
        named = key if number is None else number
        if task == "instance":
            found: Any = predictor.instances(sample.image).as_prediction()
            seen.update(prediction=found, truth=instance_truth(sample, samples.taxonomy), key=named)
        else:
            mapped = predictor.panoptic(sample.image)
            truth = panoptic_map(sample, samples.taxonomy, key)
            seen.update(prediction=(mapped.ids, list(mapped.segments)), truth=truth, key=named)
    parts = group.gather(seen)
    for other in parts[1:]:
        parts[0].merge(other)
    result: Result = parts[0].compute()
    return result


def accumulator(task: str, taxonomy: Taxonomy, detections: int) -> Accumulator:
    """What counts a task's images; of instances only the things are classes."""
    if task == "panoptic":
        return Accumulator("panoptic", classes=taxonomy)
    flags = taxonomy.things
    stuff = [] if flags is None else [i for i, thing in zip(taxonomy.ids, flags, strict=True) if not thing]
    return Accumulator("instance", classes=taxonomy.without(stuff), max_dets=(1, 10, max(_FEWEST, detections)))


def instance_truth(sample: ObjectSample, taxonomy: Taxonomy) -> dict[str, Any]:
    """The objects of a sample, as `segeval.Accumulator` takes them."""
    labels = np.array(thing_ids(taxonomy), np.int64)[sample.labels - 1]
    return {"masks": sample.masks, "labels": labels, "crowd": sample.crowd, "size": sample.image.shape[:2]}
