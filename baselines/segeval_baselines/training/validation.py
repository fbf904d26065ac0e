"""Scoring a split in memory, with the same rule and the same bits as `segeval score` on a folder."""

from __future__ import annotations

import torch

from segeval.results.result import Result
from segeval.samples.taxonomy import Taxonomy
from segeval.scoring.accumulator import Accumulator
from segeval_baselines.data.samples import VOID, Samples
from segeval_baselines.group import Group
from segeval_baselines.prediction.inference import WHOLE, Predictor, View

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
