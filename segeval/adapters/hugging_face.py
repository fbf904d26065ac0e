"""``compute_metrics`` for Hugging Face's Trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from segeval.errors import SegevalError
from segeval.scoring.accumulator import Accumulator


def compute_metrics_for(classes: Any, **options: Any) -> Callable[..., dict[str, float]]:
    """A function for ``Trainer(compute_metrics=...)`` on semantic segmentation.

    It takes predictions (N, C, h, w), logits, or (N, H, W), labels, and label ids (N, H, W). Smaller logits are
    brought to the labels' size bilinearly before the channels are compared, as the models' examples do (needs torch).
    With ``batch_eval_metrics=True`` batches add up until ``compute_result``, so no logits pile up in memory.

    Parameters
    ----------
    classes
        A taxonomy, a count or names.
    **options
        The fields of `SemanticIoU`, such as ``void=(255,)`` and ``reduce_zero_label=True``.

    Returns
    -------
    compute_metrics
        Gives ``mean_iou``, ``mean_accuracy``, ``overall_accuracy`` and ``iou_NAME`` of every class.
    """
    seen = Accumulator("semantic", classes=classes, **options)

    def compute_metrics(eval_pred: Any, compute_result: bool = True) -> dict[str, float]:
        predictions, labels = eval_pred[0], eval_pred[1]
        if isinstance(predictions, (tuple, list)):
            predictions = predictions[0]  # the logits come first, then what else the model returns
        seen.update(prediction=_sized(predictions, labels), truth=labels)
        if not compute_result:
            return {}
        result = seen.compute()
        seen.reset()
        names = {"mean_iou": "mIoU", "mean_accuracy": "mAcc", "overall_accuracy": "aAcc"}
        found = {theirs: result.values[ours] for theirs, ours in names.items()}
        return found | {f"iou_{row['name']}": row["IoU"] for row in result.per_class}

    return compute_metrics


def _sized(predictions: Any, labels: Any) -> Any:
    size, wanted = tuple(predictions.shape[-2:]), tuple(labels.shape[-2:])
    if size == wanted:
        return predictions
    if len(predictions.shape) != 4:
        raise SegevalError(
            f"predictions are {size[1]}x{size[0]}, labels {wanted[1]}x{wanted[0]} (width x height)",
            remedy="give logits (N, C, h, w), or labels of the right size",
        )
    import torch
    from torch.nn import functional as F

    return F.interpolate(torch.as_tensor(predictions).float(), size=wanted, mode="bilinear", align_corners=False)
