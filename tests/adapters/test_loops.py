"""The faces for training loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from segeval import Accumulator, SegevalError
from segeval.adapters.hugging_face import compute_metrics_for
from segeval.adapters.torchmetrics_style import SegmentationMetric

torch = pytest.importorskip("torch")


def _batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 5, 8, 9, generator=generator), torch.randint(0, 4, (3, 8, 9), generator=generator)


def test_a_metric_of_torchmetrics_kind() -> None:
    torchmetrics = pytest.importorskip("torchmetrics")
    theirs = torchmetrics.classification.MulticlassJaccardIndex(num_classes=5, average="macro", ignore_index=2)
    ours = SegmentationMetric("semantic", classes=5, void=(2,), prefix="val/").to("cpu")
    per_batch = []
    for step in range(3):
        logits, masks = _batch(step)
        theirs.update(logits, masks)
        per_batch.append(ours(logits, masks, keys=[f"{step}/{i}" for i in range(3)]))
    found = ours.compute()
    assert found.keys() == {"val/" + n for n in ("mIoU", "fwIoU", "aAcc", "mAcc", "mDice")}
    pooled = Accumulator("semantic", classes=5, void=(2,))
    for step in range(3):
        logits, masks = _batch(step)
        pooled.update(prediction=logits.argmax(1), truth=masks, keys=[f"{step}/{i}" for i in range(3)])
        assert per_batch[step]["val/mIoU"] != found["val/mIoU"]
    assert found["val/mIoU"] == pooled.compute()["mIoU"]
    # That library leaves the ignored class's predictions out of nothing, so its mean is compared class by class.
    whole = torchmetrics.classification.MulticlassJaccardIndex(num_classes=5, average="none")
    plain = SegmentationMetric("semantic", classes=5)
    for step in range(3):
        logits, masks = _batch(step)
        whole.update(logits, masks)
        plain.update(logits, masks)
    assert [row["IoU"] for row in plain.result().per_class] == pytest.approx(whole.compute().tolist(), abs=1e-6)
    copy = ours.clone()
    ours.reset()
    with pytest.raises(SegevalError, match="nothing was counted"):
        ours.compute()
    assert copy.compute() == found


def test_compute_metrics_of_a_trainer() -> None:
    compute = compute_metrics_for(["a", "b", "c", "d", "e"], void=(3,))
    batches = [_batch(step) for step in range(2)]
    seen = Accumulator("semantic", classes=["a", "b", "c", "d", "e"], void=(3,))
    for logits, masks in batches:
        seen.update(prediction=logits, truth=masks)
    whole = (np.concatenate([b[0] for b in batches]), np.concatenate([b[1] for b in batches]))
    found = compute(whole)
    assert found["mean_iou"] == seen.compute()["mIoU"]
    assert found.keys() == {"mean_iou", "mean_accuracy", "overall_accuracy", *(f"iou_{c}" for c in "abce")}
    assert compute(batches[0], compute_result=False) == {}
    assert compute(batches[1], compute_result=True) == pytest.approx(found)
    assert compute(((whole[0], "hidden states"), whole[1])) == pytest.approx(found)


def test_small_logits_are_brought_to_size() -> None:
    compute = compute_metrics_for(2)
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 1, :, 1] = 1.0
    logits[0, 0, :, 0] = 1.0
    truth = torch.zeros(1, 4, 4, dtype=torch.int64)
    truth[..., 2:] = 1
    assert compute((logits.numpy(), truth.numpy()))["mean_iou"] == 1.0
    with pytest.raises(SegevalError, match="predictions are 2x2, labels 4x4"):
        compute((logits.argmax(1), truth))
    assert not math.isnan(compute((logits, truth))["overall_accuracy"])
