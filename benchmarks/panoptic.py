"""Contenders: COCO panoptic JSON and PNG folders, to PQ."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from benchmarks.contender import Prepare, Work


def _ours(workers: int) -> Prepare:
    def prepare(folder: Path) -> Work:
        from segeval.metrics.panoptic.rule import PanopticQuality
        from segeval.readers.pairing import PairedSource
        from segeval.readers.reading import Reading
        from segeval.readers.sources import open_pairs
        from segeval.scoring.evaluation import evaluate, score

        source = open_pairs(Reading(folder / "prediction.json", folder / "truth.json"), "panoptic")
        first = {k: source.pairs[k] for k in source.keys()[:1]}
        small = PairedSource(source.truth, source.prediction, first, source.taxonomy, ())
        # Loads the compiled kernels; the fresh-process row counts that too.
        rule = PanopticQuality(source.taxonomy)
        rule.score(evaluate(small, rule, workers=1))

        def work() -> dict[str, Any]:
            result = score(folder / "prediction.json", folder / "truth.json", task="panoptic", workers=workers)
            return {name: result[name] for name in ("PQ", "SQ", "RQ")}

        return work

    return prepare


def _hotcoco(folder: Path) -> Work:
    from hotcoco.panoptic import PanopticEval

    def work() -> dict[str, Any]:
        folders = {"gt_folder": str(folder / "truth"), "pred_folder": str(folder / "prediction")}
        seen = PanopticEval(str(folder / "truth.json"), str(folder / "prediction.json"), **folders)
        seen.evaluate()
        found = seen.results()["All"]
        return {name: float(found[name.lower()]) for name in ("PQ", "SQ", "RQ")}

    return work


def _panopticapi(folder: Path) -> Work:
    import json

    from panopticapi.evaluation import pq_compute_single_core

    def work() -> dict[str, Any]:
        truth, predicted = (json.loads((folder / f"{s}.json").read_text()) for s in ("truth", "prediction"))
        categories = {c["id"]: c for c in truth["categories"]}
        by_image = {a["image_id"]: a for a in predicted["annotations"]}
        pairs = [(a, by_image[a["image_id"]]) for a in truth["annotations"]]
        with contextlib.redirect_stdout(io.StringIO()):
            stat = pq_compute_single_core(0, pairs, str(folder / "truth"), str(folder / "prediction"), categories)
        found, _ = stat.pq_average(categories, isthing=None)
        return {name: float(found[name.lower()]) for name in ("PQ", "SQ", "RQ")}

    return work


CONTENDERS: dict[str, Prepare] = {
    "segeval": _ours(1),
    "segeval, 2 threads": _ours(2),
    "hotcoco": _hotcoco,
    "panopticapi": _panopticapi,
}
