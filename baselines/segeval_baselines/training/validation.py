"""Scoring a split in memory, with the same rule and the same bits as `segeval score` on a folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch

from segeval.results.result import Result
from segeval.samples.taxonomy import Taxonomy
from segeval.scoring.accumulator import Accumulator
from segeval_baselines.data.object_truth import panoptic_map
from segeval_baselines.data.objects import ObjectSample, ObjectSamples, image_id
from segeval_baselines.data.samples import VOID, Sample, Samples, Split
from segeval_baselines.group import Group
from segeval_baselines.prediction.inference import WHOLE, Predictor, View
from segeval_baselines.prediction.object_inference import ObjectPredictor, most_detections, thing_ids

S = TypeVar("S")

_ALONE = Group(0, 1, torch.device("cpu"))
_FEWEST = 100  # detections of an image that count, as COCO has it; more where a network finds more


def validate(
    predictor: Predictor, samples: Samples, images: int | None = None, group: Group = _ALONE, view: View = WHOLE
) -> Result:
    """Predict a split of label maps and score it.

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
    positions = Taxonomy(tuple(range(len(known))), known.names, known.things, known.colours)

    def both(key: str, sample: Sample) -> dict[str, Any]:
        return {"prediction": predictor.labels(sample.image, view), "truth": sample.labels, "key": key}

    return _score(Accumulator("semantic", classes=positions, void=(VOID,)), samples, both, images, group)


def validate_instances(
    predictor: ObjectPredictor, samples: ObjectSamples, images: int | None = None, group: Group = _ALONE
) -> Result:
    """Predict a split and score its instances; the other parameters are those of `validate`.

    Only the things are classes. `max_dets` ends at 100, or at what the network finds at most if that is more.
    """
    known, ids = samples.taxonomy, samples.image_ids()
    flags = known.things
    stuff = [] if flags is None else [i for i, thing in zip(known.ids, flags, strict=True) if not thing]
    most = max(_FEWEST, most_detections(predictor.network))

    def both(key: str, sample: ObjectSample) -> dict[str, Any]:
        found = predictor.instances(sample.image).as_prediction()
        return {"prediction": found, "truth": instance_truth(sample, known), "key": image_id(ids, key)}

    seen = Accumulator("instance", classes=known.without(stuff), max_dets=(1, 10, most))
    return _score(seen, samples, both, images, group)


def validate_panoptic(
    predictor: ObjectPredictor, samples: ObjectSamples, images: int | None = None, group: Group = _ALONE
) -> Result:
    """Predict a split and score its panoptic maps; the other parameters are those of `validate`."""
    known, ids = samples.taxonomy, samples.image_ids()

    def both(key: str, sample: ObjectSample) -> dict[str, Any]:
        found = predictor.panoptic(sample.image)
        truth = panoptic_map(sample, known, key)
        return {"prediction": (found.ids, list(found.segments)), "truth": truth, "key": image_id(ids, key)}

    return _score(Accumulator("panoptic", classes=known), samples, both, images, group)


def _score(
    seen: Accumulator,
    samples: Split[S],
    both: Callable[[str, S], dict[str, Any]],
    images: int | None,
    group: Group,
) -> Result:
    """Count this process's share of a split, given what an image's prediction, truth and key are; score them all."""
    for key in group.share(spaced(list(samples.keys()), images)):
        seen.update(**both(key, samples.load(key)))
    whole, *others = group.gather(seen)
    for other in others:
        whole.merge(other)
    result: Result = whole.compute()
    return result


def spaced(keys: list[str], count: int | None) -> list[str]:
    """At most `count` of the keys, evenly spaced."""
    if count is None or count >= len(keys):
        return keys
    return [keys[i * len(keys) // count] for i in range(count)]


def instance_truth(sample: ObjectSample, taxonomy: Taxonomy) -> dict[str, Any]:
    """The objects of a sample, as `segeval.Accumulator` takes them."""
    labels = np.array(thing_ids(taxonomy), np.int64)[sample.labels - 1]
    return {"masks": sample.masks, "labels": labels, "crowd": sample.crowd, "size": sample.image.shape[:2]}
