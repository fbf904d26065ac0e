"""segeval: the referee for image segmentation.

The names below load on first use, so that ``import segeval`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segeval.errors import Caution, SegevalError
from segeval.version import __version__

if TYPE_CHECKING:
    from segeval.accumulator import Accumulator
    from segeval.comparison import compare
    from segeval.evaluation import evaluate, score
    from segeval.panoptic import PanopticQuality
    from segeval.ranking import rank_runs
    from segeval.resampling import Interval
    from segeval.result import Result
    from segeval.runs import load_run
    from segeval.semantic import SemanticIoU
    from segeval.signature import Signature
    from segeval.slices import slice_result
    from segeval.statistics import with_intervals
    from segeval.tally import Tally
    from segeval.taxonomy import Taxonomy

_HOMES = {
    "Accumulator": "accumulator",
    "Interval": "resampling",
    "PanopticQuality": "panoptic",
    "Result": "result",
    "SemanticIoU": "semantic",
    "Signature": "signature",
    "Tally": "tally",
    "Taxonomy": "taxonomy",
    "compare": "comparison",
    "evaluate": "evaluation",
    "load_run": "runs",
    "rank_runs": "ranking",
    "score": "evaluation",
    "slice_result": "slices",
    "with_intervals": "statistics",
}

__all__ = [
    "Accumulator",
    "Caution",
    "Interval",
    "PanopticQuality",
    "Result",
    "SegevalError",
    "SemanticIoU",
    "Signature",
    "Tally",
    "Taxonomy",
    "__version__",
    "compare",
    "evaluate",
    "load_run",
    "rank_runs",
    "score",
    "slice_result",
    "with_intervals",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"segeval.{_HOMES[name]}"), name)
    if name in ("functional", "losses"):
        import importlib

        return importlib.import_module(f"segeval.{name}")
    raise AttributeError(f"module 'segeval' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
