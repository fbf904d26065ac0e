"""segeval: the referee for image segmentation.

Promised are the classes and functions listed here, and these modules:

- `segeval.functional`: plain functions on arrays
- `segeval.losses`: losses to train with (needs torch)
- `segeval.adapters`: faces that other scorers' users know
- `segeval.conversion`: from one form of segmentations to another
- `segeval.report`: pages about runs (needs the extra ``segeval[report]``)
- `segeval.metrics.metric`: the class `Metric`, from which a metric of another package derives

The other modules may change with any version. Everything loads on first use, so that ``import segeval`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from segeval.errors import Caution, SegevalError
from segeval.version import __version__

if TYPE_CHECKING:
    from segeval.comparison.comparing import compare
    from segeval.comparison.ranking import rank_runs
    from segeval.comparison.runs import load_run
    from segeval.comparison.slices import slice_result
    from segeval.evidence.tally import Tally
    from segeval.metrics.instance.rule import InstanceAP
    from segeval.metrics.panoptic.rule import PanopticQuality
    from segeval.metrics.semantic.rule import SemanticIoU
    from segeval.results.result import Result
    from segeval.results.signature import Signature
    from segeval.samples.taxonomy import Taxonomy
    from segeval.scoring.accumulator import Accumulator
    from segeval.scoring.evaluation import evaluate, score
    from segeval.statistics.intervals import with_intervals
    from segeval.statistics.resampling import Interval

_HOMES = {
    "Accumulator": "scoring.accumulator",
    "InstanceAP": "metrics.instance.rule",
    "Interval": "statistics.resampling",
    "PanopticQuality": "metrics.panoptic.rule",
    "Result": "results.result",
    "SemanticIoU": "metrics.semantic.rule",
    "Signature": "results.signature",
    "Tally": "evidence.tally",
    "Taxonomy": "samples.taxonomy",
    "compare": "comparison.comparing",
    "evaluate": "scoring.evaluation",
    "load_run": "comparison.runs",
    "rank_runs": "comparison.ranking",
    "score": "scoring.evaluation",
    "slice_result": "comparison.slices",
    "with_intervals": "statistics.intervals",
}

# Promised modules that are attributes too. They are not in `__all__`: `from segeval import *` needs no extra.
_MODULES = ("adapters", "conversion", "functional", "losses", "report")

__all__ = [
    "Accumulator",
    "Caution",
    "InstanceAP",
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
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(f"segeval.{_HOMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"segeval.{name}")
    raise AttributeError(f"module 'segeval' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
