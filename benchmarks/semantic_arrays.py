"""Contenders: label maps in memory, image after image, to mIoU; reading the files is not under the clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.contender import Prepare, Work
from benchmarks.semantic import pairs_of, settings_of

Maps = list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]


def _with_arrays(start: Callable[[int, int], Callable[[Maps], float]]) -> Prepare:
    def prepare(folder: Path) -> Work:
        maps = [(np.array(Image.open(a)), np.array(Image.open(b))) for a, b in pairs_of(folder)]
        run = start(*settings_of(folder))
        run(maps[:1])  # loads compiled code, and touches the memory that is reused

        def work() -> dict[str, Any]:
            return {"mIoU": run(maps)}

        return work

    return prepare


def _ours(classes: int, void: int) -> Callable[[Maps], float]:
    from segeval import Accumulator

    def run(maps: Maps) -> float:
        seen = Accumulator("semantic", classes=classes, void=(void,))
        for key, (truth, prediction) in enumerate(maps):
            seen.update(prediction=prediction, truth=truth, key=key)
        return seen.compute()["mIoU"]

    return run


def _hotcoco(classes: int, void: int) -> Callable[[Maps], float]:
    from hotcoco.semantic import SemanticEval

    def run(maps: Maps) -> float:
        seen = SemanticEval(classes, ignore_index=void)
        for truth, prediction in maps:
            seen.update(truth, prediction)
        return float(seen.results()["mIoU"])

    return run


def _torchmetrics(classes: int, void: int) -> Callable[[Maps], float]:
    import torch
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    torch.set_num_threads(1)

    def run(maps: Maps) -> float:
        total = torch.zeros(classes, classes, dtype=torch.int64)
        for truth, prediction in maps:
            total += multiclass_confusion_matrix(
                torch.from_numpy(prediction), torch.from_numpy(truth).long(), classes, ignore_index=void
            )
        common = total.diag().double()
        iou = common / (total.sum(0) + total.sum(1) - total.diag())
        return float(iou[~iou.isnan()].mean())

    return run


CONTENDERS: dict[str, Prepare] = {
    "segeval": _with_arrays(_ours),
    "hotcoco": _with_arrays(_hotcoco),
    "torchmetrics": _with_arrays(_torchmetrics),
}
