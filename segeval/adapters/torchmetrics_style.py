"""A metric with the face of torchmetrics: update, compute, reset, forward; ranks are joined when computing."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from segeval.results.result import Result
from segeval.samples.pairs import Key
from segeval.scoring.accumulator import Accumulator


class SegmentationMetric:
    """Any task's numbers in a training loop, plain or Lightning's.

    In a LightningModule: ``self.metric.update(logits, masks, keys=names)`` in the validation step, and at its end
    ``self.log_dict(self.metric.compute())`` and ``self.metric.reset()``. On several ranks `compute` joins them, which
    needs keys: they tell a padded sampler's repetitions from images.

    Parameters
    ----------
    task
        ``semantic``, ``instance`` or ``panoptic``.
    prefix
        Stands before each name in what `compute` returns.
    sync_on_compute
        Whether `compute` joins the ranks of `torch.distributed`.
    **options
        As for `Accumulator`: ``classes`` and the rule's fields.
    """

    higher_is_better = True
    is_differentiable = False
    full_state_update = False

    def __init__(self, task: str, *, prefix: str = "", sync_on_compute: bool = True, **options: Any) -> None:
        self.prefix, self.sync_on_compute = prefix, sync_on_compute
        self._seen = Accumulator(task, **options)

    def update(self, preds: Any, target: Any, keys: Sequence[Key] | None = None) -> None:
        """Count a batch; see `Accumulator.update`.

        Raises
        ------
        SegevalError
            As there.
        """
        self._seen.update(prediction=preds, truth=target, keys=keys)

    def result(self) -> Result:
        """Everything: values, classes, cautions, the signature; of all ranks."""
        return (self._seen.gather() if self.sync_on_compute and _ranks() else self._seen).compute()

    def compute(self) -> dict[str, float]:
        """The headline values, for a logger."""
        return self.result().to_dict(self.prefix)

    def forward(self, preds: Any, target: Any, keys: Sequence[Key] | None = None) -> dict[str, float]:
        """Count a batch, and return the values of this batch alone."""
        batch = Accumulator(self._seen.rule)
        batch.update(prediction=preds, truth=target, keys=keys)
        self.update(preds, target, keys)
        return batch.compute().to_dict(self.prefix)

    __call__ = forward

    def reset(self) -> None:
        """Forget what was counted."""
        self._seen.reset()

    def clone(self) -> SegmentationMetric:
        """A copy with evidence of its own."""
        return copy.deepcopy(self)

    def to(self, *_: Any, **__: Any) -> SegmentationMetric:
        """Itself: counting happens wherever the tensors are."""
        return self


def _ranks() -> bool:
    import torch.distributed as dist

    return bool(dist.is_available() and dist.is_initialized())
