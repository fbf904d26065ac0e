"""``CocoEvaluator`` with the face of torchvision's and DETR's references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from segeval.adapters.coco_datasets import as_file, dataset_of
from segeval.adapters.pycocotools_style import COCOeval, Params, rule_of
from segeval.errors import SegevalError
from segeval.readers.coco.instances import CocoInstances
from segeval.samples.labels import to_numpy
from segeval.samples.pairs import Key
from segeval.scoring.accumulator import Accumulator


class CocoEvaluator:
    """Collects predictions batch by batch, joins the ranks, and prints the COCO numbers.

    Only the images that were updated count, as in the original. Where it gathers every mask of every rank, here
    small rows travel, and an image that several ranks saw counts once.

    Parameters
    ----------
    coco_gt
        The truth: a `pycocotools.coco.COCO`, a path, or plain JSON data.
    iou_types
        Some of ``segm`` and ``bbox``.

    Attributes
    ----------
    coco_eval
        A `COCOeval` for each type, with `stats` after `summarize`.
    """

    def __init__(self, coco_gt: Any, iou_types: Sequence[str] = ("bbox",)) -> None:
        self.coco_gt, self.iou_types = coco_gt, list(iou_types)
        self.coco_eval = {iou: COCOeval(coco_gt, None, iou) for iou in self.iou_types}
        self._truth: dict[str, CocoInstances] = {}
        self._seen: dict[str, Accumulator] = {}
        with as_file(dataset_of(coco_gt, "coco_gt")) as path:
            for iou in self.iou_types:
                truth = CocoInstances(path, iou == "segm")
                self._truth[iou] = truth
                self._seen[iou] = Accumulator(replace(rule_of(Params(iou)), taxonomy=truth.taxonomy))

    @property
    def img_ids(self) -> list[Key]:
        """The images updated so far."""
        return list(self._seen[self.iou_types[0]].tally.keys)

    def update(self, predictions: Mapping[Any, Mapping[str, Any]]) -> None:
        """Count some images.

        Parameters
        ----------
        predictions
            By image id: ``scores`` (N), ``labels`` (N) category ids, ``boxes`` (N, 4) as x0, y0, x1, y1, and for
            ``segm`` ``masks`` (N, H, W) or (N, 1, H, W) probabilities, a pixel belonging above 0.5.

        Raises
        ------
        SegevalError
            For an image that the truth does not list, or a prediction without what the type needs.
        """
        for iou in self.iou_types:
            truth, seen = self._truth[iou], self._seen[iou]
            known = set(truth.keys())
            for key in predictions:
                if key not in known:
                    raise SegevalError("the truth does not list this image", key=key, remedy="give the truth's ids")
            if predictions:
                seen.update(
                    prediction=[_detections(p, iou, key) for key, p in predictions.items()],
                    truth=[truth.load(key) for key in predictions],
                    keys=list(predictions),
                )

    def synchronize_between_processes(self) -> None:
        """Join the evidence of all ranks of `torch.distributed`; without ranks nothing happens."""
        self._seen = {iou: seen.gather() for iou, seen in self._seen.items()}

    def accumulate(self) -> None:
        """Make the curves."""
        for iou, evaluation in self.coco_eval.items():
            evaluation.tally, evaluation.rule = self._seen[iou].tally, self._seen[iou].rule
            evaluation.accumulate()

    def summarize(self) -> None:
        """Print the numbers of every type."""
        for iou, evaluation in self.coco_eval.items():
            print(f"IoU metric: {iou}")
            evaluation.summarize()


def _detections(prediction: Mapping[str, Any], iou: str, key: Any) -> dict[str, Any]:
    wanted = "masks" if iou == "segm" else "boxes"
    for name in (wanted, "scores", "labels"):
        if name not in prediction:
            raise SegevalError(f"the prediction has no {name}", key=key, remedy=f"give {name}")
    data = {name: to_numpy(prediction[name], name) for name in (wanted, "scores", "labels")}
    if iou == "segm":
        masks = data["masks"]
        masks = masks[:, 0] if masks.ndim == 4 else masks
        data["masks"] = masks if masks.dtype == bool else masks > 0.5
    else:
        boxes = data["boxes"].astype(np.float64).reshape(-1, 4)
        data["boxes"] = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return data
