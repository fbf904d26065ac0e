"""``pq_compute`` with the face of panopticapi."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from segeval.errors import SegevalError
from segeval.metrics.panoptic.rule import PanopticQuality
from segeval.readers.coco.panoptic import CocoPanoptic
from segeval.readers.pairing import match_keys, pair_up
from segeval.samples.panoptic import no_segments_like
from segeval.scoring.evaluation import evaluate

GROUPS = (("All", ""), ("Things", "_th"), ("Stuff", "_st"))


def pq_compute(
    gt_json_file: str | os.PathLike[str],
    pred_json_file: str | os.PathLike[str],
    gt_folder: str | os.PathLike[str] | None = None,
    pred_folder: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Panoptic quality of one panoptic JSON against another; prints the table.

    Parameters
    ----------
    gt_json_file, pred_json_file
        COCO panoptic JSON.
    gt_folder, pred_folder
        Their PNGs; the JSON's path without its extension if None.

    Returns
    -------
    results
        ``All``, ``Things`` and ``Stuff``, each with ``pq``, ``sq``, ``rq`` and ``n``; and ``per_class`` with ``pq``,
        ``sq`` and ``rq`` of each category id, 0 for a category in neither. A group without any category present has
        0 everywhere, where panopticapi divides by zero.

    Raises
    ------
    SegevalError
        For bad data, or a truth without a prediction; predictions without a truth are ignored, as in the original.
    """
    sides = []
    for path, folder, side in ((gt_json_file, gt_folder, "truth"), (pred_json_file, pred_folder, "prediction")):
        file = Path(path)
        place = Path(folder) if folder is not None else file.with_suffix("")
        if not place.is_dir():
            raise SegevalError("no such folder of PNGs", file=place, remedy=f"give the folder of {file.name}")
        sides.append(CocoPanoptic.open(file, side, folder=place))
    truth, prediction = sides
    if truth.taxonomy is None:
        raise SegevalError("has no 'categories'", file=gt_json_file, remedy="add them")
    _, left, _ = match_keys(truth, prediction)
    if left:
        raise SegevalError(
            f"{len(left)} images have no prediction", file=pred_json_file, key=left[0], remedy="predict them"
        )
    source = pair_up(
        truth,
        prediction,
        missing="skip",
        empty=no_segments_like,
        taxonomy=truth.taxonomy,
        prediction_path=pred_json_file,
    )
    rule = PanopticQuality(taxonomy=truth.taxonomy)
    result = rule.score(evaluate(source, rule))
    results: dict[str, Any] = {}
    for name, tail in GROUPS:
        there = [row for row in result.per_class if row["tp"] + row["fp"] + row["fn"] > 0]
        count = sum(1 for row in there if not tail or bool(row["isthing"]) == (tail == "_th"))
        figures = {figure: _defined(result.values[figure.upper() + tail]) for figure in ("pq", "sq", "rq")}
        results[name] = {**figures, "n": count}
    results["per_class"] = {
        row["id"]: {figure: _defined(row[figure.upper()]) for figure in ("pq", "sq", "rq")} for row in result.per_class
    }
    _show(results)
    return results


def _defined(value: float) -> float:
    return 0.0 if value != value else value


def _show(results: dict[str, Any]) -> None:
    print(f"{'':10s}| {'PQ':>5s}  {'SQ':>5s}  {'RQ':>5s} {'N':>5s}")
    print("-" * 38)
    for name, _ in GROUPS:
        row = results[name]
        print(f"{name:10s}| {100 * row['pq']:5.1f}  {100 * row['sq']:5.1f}  {100 * row['rq']:5.1f} {row['n']:5d}")
