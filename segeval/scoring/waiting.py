"""Batches that are counted where they lie, and whose counts are still on their way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from segeval.metrics.metric import Metric
from segeval.samples.pairs import Key, Pair
from segeval.scoring.batches import _panoptic


class Waiting(Protocol):
    """A batch whose counts may still be on their way from a device."""

    def ready(self) -> bool:
        """Whether the counts have arrived."""
        ...

    def pairs(self, keys: Sequence[Key]) -> list[Pair]:
        """The counted images under their keys; waits for them."""
        ...


def on_device(*sides: Any) -> bool:
    """Whether the arrays are tensors on a CUDA device; told without importing torch."""
    return all(bool(getattr(side, "is_cuda", False)) for side in sides)


def waiting_of(rule: Metric, prediction: Any, truth: Any, *, many: bool) -> tuple[int, Waiting] | None:
    """Start counting on the device that holds a batch: how many images it has, and the counts to come.

    None where there is nothing to gain: arrays in host memory, instances, classes that are still to be found.
    """
    if not rule.takes_counts:
        return None
    if rule.reads == "semantic" and on_device(prediction, truth):
        from segeval.scoring.device import counting as torch_counting

        return torch_counting.count_semantic(rule, prediction, truth)
    if rule.reads == "panoptic":
        predictions, truths = _panoptic(prediction, many, "prediction"), _panoptic(truth, many, "truth")
        sides = [*predictions, *truths]
        pairs = all(isinstance(side, (tuple, list)) and len(side) == 2 for side in sides)
        if pairs and len(predictions) == len(truths) and on_device(*(side[0] for side in sides)):
            from segeval.scoring.device import counting as torch_counting

            return torch_counting.count_panoptic(rule, list(zip(predictions, truths, strict=True)))
    return None
