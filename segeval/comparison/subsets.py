"""The score of some of a run's images, from the rows that were kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from segeval.errors import SegevalError
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.metrics.tasks import saved_rule
from segeval.results.result import Result
from segeval.samples.pairs import Key


def subset(result: Result, keys: Iterable[Key]) -> Result:
    """The run scored on some of its images, under the classes of the whole run.

    Raises
    ------
    SegevalError
        If the run keeps no rows by image, or a key is not one of its images.
    """
    tally = result.tally
    if tally is None or tally.folded:
        raise SegevalError("this run keeps no rows by image", remedy="score again with --out, without collapsing")
    rule = saved_rule(dict(result.rule))
    if isinstance(rule, SemanticIoU):
        # What was inferred from all images stays, or a part would be scored by another rule than the whole.
        rule = replace(rule, taxonomy=rule.taxonomy_of(tally), void=rule.void_values)
    part: Result = rule.score(tally.take(keys))
    return part.with_(provenance=result.provenance)
