"""Contenders: a folder of label PNGs against a folder of label PNGs, to mIoU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.contender import Prepare, Work


def settings_of(folder: Path) -> tuple[int, int]:
    """How many classes, and the void."""
    data = json.loads((folder / "settings.json").read_text())
    return data["classes"], data["void"]


def _ours(workers: int) -> Prepare:
    def prepare(folder: Path) -> Work:
        from segeval import SemanticIoU, Taxonomy
        from segeval.readers.reading import Reading
        from segeval.readers.sources import open_pairs
        from segeval.scoring.evaluation import evaluate, score

        classes, void = settings_of(folder)
        rule = SemanticIoU(Taxonomy.of_count(classes), (void,))
        first = sorted((folder / "truth").glob("*.png"))[0]
        # Loads the compiled kernels; the fresh-process row counts that too.
        rule.score(evaluate(open_pairs(Reading(first, first), "semantic"), SemanticIoU(void=(void,)), workers=1))

        def work() -> dict[str, Any]:
            result = score(
                folder / "prediction", folder / "truth", task="semantic", classes=classes, void=(void,), workers=workers
            )
            return {"mIoU": result["mIoU"]}

        return work

    return prepare


def _hotcoco(folder: Path) -> Work:
    from hotcoco.semantic import SemanticEval

    classes, void = settings_of(folder)

    def work() -> dict[str, Any]:
        seen = SemanticEval(classes, ignore_index=void)
        seen.update_folders(str(folder / "truth"), str(folder / "prediction"))
        return {"mIoU": float(seen.results()["mIoU"])}

    return work


def _vernier(folder: Path) -> Work:
    from vernier import semantic

    classes, void = settings_of(folder)

    def work() -> dict[str, Any]:
        truth, predicted = ({k: str(pair[side]) for k, pair in enumerate(pairs_of(folder))} for side in (0, 1))
        result = semantic.evaluate_semantic_from_pngs(
            truth, predicted, classes, "strict", ignore_label=void, num_threads=1
        )
        return {"mIoU": float(result.miou)}

    return work


def pairs_of(folder: Path) -> list[tuple[Path, Path]]:
    return [(p, folder / "prediction" / p.name) for p in sorted((folder / "truth").glob("*.png"))]


def _mean_iou(matrix: Any) -> float:
    import numpy as np

    common = np.diag(matrix).astype(float)
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = common / union
    defined = iou[~np.isnan(iou)]
    total = 0.0
    for value in defined:
        total += float(value)
    return total / len(defined)


def _opencv_bincount(folder: Path) -> Work:
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    classes, void = settings_of(folder)

    def work() -> dict[str, Any]:
        matrix = np.zeros((classes, classes), np.int64)
        for truth_path, predicted_path in pairs_of(folder):
            truth = cv2.imread(str(truth_path), cv2.IMREAD_UNCHANGED)
            predicted = cv2.imread(str(predicted_path), cv2.IMREAD_UNCHANGED)
            counted = truth != void
            key = truth[counted].astype(np.int64) * classes + predicted[counted]
            matrix += np.bincount(key, minlength=classes**2).reshape(classes, classes)
        return {"mIoU": _mean_iou(matrix)}

    return work


def _mmseg_rule(folder: Path) -> Work:
    """mmsegmentation's rule as its IoUMetric states it (three torch.histc an image), read by OpenCV as it does."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    classes, void = settings_of(folder)

    def work() -> dict[str, Any]:
        totals = [torch.zeros(classes, dtype=torch.float64) for _ in range(3)]
        for truth_path, predicted_path in pairs_of(folder):
            truth = torch.from_numpy(cv2.imread(str(truth_path), cv2.IMREAD_UNCHANGED)).long()
            predicted = torch.from_numpy(cv2.imread(str(predicted_path), cv2.IMREAD_UNCHANGED)).long()
            counted = truth != void
            truth, predicted = truth[counted], predicted[counted]
            for total, labels in zip(totals, (predicted[predicted == truth], predicted, truth), strict=True):
                total += torch.histc(labels.float(), bins=classes, min=0, max=classes - 1).double()
        common, areas, truths = totals
        iou = common / (areas + truths - common)
        return {"mIoU": float(iou[~iou.isnan()].mean())}

    return work


CONTENDERS: dict[str, Prepare] = {
    "segeval": _ours(1),
    "segeval, 2 threads": _ours(2),
    "hotcoco": _hotcoco,
    "vernier": _vernier,
    "OpenCV + np.bincount": _opencv_bincount,
    "mmsegmentation's rule": _mmseg_rule,
}
