"""Which class a panoptic truth segment was taken for."""

from __future__ import annotations

import numpy as np

from segeval.metrics.confusions import Confusions
from segeval.results.result import Result
from segeval.samples.taxonomy import positions


def confusions_of(result: Result) -> Confusions | None:
    """Matched segments by the class of the truth and of the prediction.

    A truth segment stands in the column of the class that overlaps it by more than half of the union, whatever that
    class is; one that no segment overlaps so stands in the last column.
    """
    if result.tally is None:
        return None
    taxonomy = result.taxonomy
    k = len(taxonomy)
    meetings = result.tally.tables["matches"]
    matrix = np.zeros((k, k + 1), np.int64)
    truth, prediction = (positions(meetings[side], taxonomy.ids) for side in ("truth", "prediction"))
    np.add.at(matrix, (truth, prediction), meetings["matches"])
    truths = np.array([int(r["tp"]) + int(r["fn"]) for r in result.per_class], np.int64)
    matrix[:, k] = truths - matrix[:, :k].sum(1)
    return Confusions(matrix, "segments")
