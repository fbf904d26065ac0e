"""Contenders: COCO instances JSON and results JSON of masks, to the twelve numbers."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")

Work = Callable[[], dict[str, Any]]
Prepare = Callable[[Path], Work]


def _quiet(work: Callable[[], Any]) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return work()


def _named(stats: Any) -> dict[str, float]:
    """The twelve numbers by name, with undefined ones left out."""
    return {name: float(value) for name, value in zip(NAMES, stats, strict=True) if value > -1}


def ours(iou: str, workers: int) -> Prepare:
    """This library, with compiled loops loaded beforehand."""

    def prepare(folder: Path) -> Work:
        from benchmarks.instance_inputs import write
        from segeval.scoring.evaluation import score

        def run(truth: Path, results: Path) -> dict[str, Any]:
            found = score(results, truth, task="instance", iou=iou, workers=workers)
            return {name: found[name] for name in NAMES if found[name] == found[name]}

        small = write(folder.parent / "warm", 2, seed=1)
        run(small["truth"], small[iou])
        return lambda: run(folder / "truth.json", folder / f"{iou}.json")

    return prepare


def like_pycocotools(module: str, evaluation: str, iou: str, **options: Any) -> Prepare:
    """A library with the classes of pycocotools."""

    def prepare(folder: Path) -> Work:
        import importlib

        coco = importlib.import_module(module).COCO
        kind = getattr(importlib.import_module(evaluation.rpartition(".")[0]), evaluation.rpartition(".")[2])

        def work() -> dict[str, Any]:
            truth = coco(str(folder / "truth.json"))
            seen = kind(truth, truth.loadRes(str(folder / f"{iou}.json")), iou, **options)
            seen.evaluate()
            seen.accumulate()
            seen.summarize()
            return _named(seen.stats)

        return lambda: _quiet(work)  # type: ignore[no-any-return]

    return prepare


def vernier(iou: str) -> Prepare:
    """vernier, which wants a box beside each mask: it is given the mask's, and its areas are then the boxes'."""

    def prepare(folder: Path) -> Work:
        import json

        from pycocotools import mask
        from vernier import instance

        path = folder / f"{iou}.json"
        if iou == "segm":
            rows = json.loads(path.read_bytes())
            for row in rows:
                row["bbox"] = mask.toBbox(row["segmentation"]).tolist()
            path = folder / "segm_boxed.json"
            path.write_text(json.dumps(rows))
        kind = instance.Segm() if iou == "segm" else instance.Bbox()
        evaluator = instance.Evaluator(iou=kind, parity_mode="strict")

        def work() -> dict[str, Any]:
            truth, results = (folder / "truth.json").read_bytes(), path.read_bytes()
            summary = evaluator.evaluate(truth, results, num_threads=1)
            # With box areas only the numbers over all areas can be compared.
            whole = NAMES[:3] + NAMES[6:9] if iou == "segm" else NAMES
            return {n: v for n, v in _named(summary.stats).items() if n in whole}

        return work

    return prepare


def contenders(iou: str) -> dict[str, Prepare]:
    """Everyone, by name."""
    return {
        "segeval": ours(iou, 1),
        "segeval, 2 threads": ours(iou, 2),
        "hotcoco": like_pycocotools("hotcoco", "hotcoco.COCOeval", iou),
        "vernier": vernier(iou),
        "ultrafast-pycocotools": like_pycocotools("ultrafast_pycocotools", "ultrafast_pycocotools.COCOeval", iou),
        "faster-coco-eval": like_pycocotools("faster_coco_eval", "faster_coco_eval.COCOeval_faster", iou),
        "pycocotools": like_pycocotools("pycocotools.coco", "pycocotools.cocoeval.COCOeval", iou),
    }


CONTENDERS = contenders("segm")
