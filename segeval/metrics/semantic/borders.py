"""Errors of a semantic run near the truth's borders and away from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.evidence.rows import Rows
from segeval.metrics.means import ratio
from segeval.results.result import Result
from segeval.results.tables import Table, percent
from segeval.samples.taxonomy import Taxonomy, positions


@dataclass(frozen=True)
class BorderSplit:
    """Errors of a semantic run near the truth's borders and away from them.

    Parameters
    ----------
    reach
        The width of the band in pixels on either side of a border.
    pixels, errors
        int64 (2, K): scored pixels of each truth class, and those predicted as another; row 0 the band, row 1 the
        interior.
    """

    reach: int
    pixels: NDArray[np.int64]
    errors: NDArray[np.int64]

    @property
    def share(self) -> float:
        """The part of all wrong pixels that lies in the band; NaN without errors."""
        return float(ratio(self.errors[0].sum(), self.errors.sum()))

    @property
    def area(self) -> float:
        """The part of all scored pixels that lies in the band; NaN without pixels."""
        return float(ratio(self.pixels[0].sum(), self.pixels.sum()))

    def table(self, taxonomy: Taxonomy) -> Table:
        """Errors at borders and inside."""
        places = (f"border ({self.reach} px)", "interior")
        cells = []
        for where, errors, pixels in zip(places, self.errors, self.pixels, strict=True):
            parts = (
                pixels.sum() / self.pixels.sum(),
                ratio(errors.sum(), self.errors.sum()),
                ratio(errors.sum(), pixels.sum()),
            )
            cells.append((where, *(percent(float(v)) for v in parts)))
        heads = ("", "% of pixels", "% of errors", "% wrong there")
        return Table(heads, tuple(cells), (0,), "errors at borders and inside")


def border_split(result: Result) -> BorderSplit | None:
    """Errors in the border band and in the interior; None if the run did not keep them."""
    tally = result.tally
    if tally is None or "band" not in tally.tables:
        return None
    taxonomy = result.taxonomy
    whole, near = (_class_counts(tally.tables[name], taxonomy) for name in ("pixels", "band"))
    planes = np.stack([near, whole - near])  # (band or interior, right or all, class)
    return BorderSplit(int(dict(result.rule)["band"]), planes[:, 1], planes[:, 1] - planes[:, 0])


def _class_counts(rows: Rows, taxonomy: Taxonomy) -> NDArray[np.int64]:
    """Pixels of each truth class that are predicted right, and all of them (2, K), outside the truth's void."""
    k = len(taxonomy)
    truth, prediction = positions(rows["truth"], taxonomy.ids), positions(rows["prediction"], taxonomy.ids)
    out = np.zeros((2, k + 1), np.int64)
    same = truth == prediction
    np.add.at(out[0], truth[same], rows["pixels"][same])
    np.add.at(out[1], truth, rows["pixels"])
    return out[:, :k]
