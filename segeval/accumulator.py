"""Scoring inside a loop: the only object here that changes."""

from __future__ import annotations

import operator
from typing import Any

from segeval.errors import SegevalError
from segeval.metric import Metric, check_options
from segeval.result import Result
from segeval.samples import Key, Pair, PanopticMap
from segeval.tally import Tally, merge
from segeval.tasks import rule_of
from segeval.taxonomy import Taxonomy


class Accumulator:
    """Collects the evidence of one image after another.

    Parameters
    ----------
    rule
        A rule (`SemanticIoU`, `PanopticQuality`, `InstanceAP`), or a task's name, whose rule is then made of
        `options`.
    **options
        The rule's fields; ``classes`` may be a taxonomy, a count or names.

    Examples
    --------
    >>> import numpy as np
    >>> seen = Accumulator("semantic", classes=2)
    >>> seen.update(prediction=np.array([[0, 1]]), truth=np.array([[0, 0]]), key="a")
    >>> seen.compute()["aAcc"]
    0.5
    """

    def __init__(self, rule: Metric | str, *, classes: Any = None, **options: Any) -> None:
        if isinstance(rule, str):
            taxonomy = None if classes is None else Taxonomy.of(classes)
            kind = rule_of(rule)
            check_options(kind, options)
            made: Metric = kind(taxonomy=taxonomy, **options)
        elif options or classes is not None:
            raise SegevalError("options belong to the rule", remedy="make the rule with them, or give the task's name")
        else:
            made = rule
        self.rule = made
        self._tallies: list[Tally] = []
        self._numbered = 0
        self._keyed = False

    def update(self, *, prediction: Any, truth: Any, key: Key | None = None) -> None:
        """Count one image.

        Parameters
        ----------
        prediction, truth
            Semantic: label maps (H, W) of integers. Panoptic: (ids, segments), ids (H, W) or RGB (H, W, 3), segments
            a list of ``{"id": ..., "category_id": ...}``. Numpy arrays, or torch tensors on any device.
        key
            What identifies the image. Without keys the images are numbered, and such a collection can't be merged
            with another.

        Raises
        ------
        SegevalError
            For arrays that are no label maps, sizes that differ, or keys given for some images only.
        """
        given = key is not None
        if not given and self._keyed:
            raise SegevalError("this image has no key, earlier ones had", remedy="give every image a key, or none")
        if given and self._numbered:
            raise SegevalError("earlier images had no key", key=key, remedy="give every image a key, or none")
        key = self._numbered if key is None else _checked(key)
        if self.rule.task == "panoptic":
            prediction, truth = self._panoptic(prediction, "prediction", key), self._panoptic(truth, "truth", key)
        self._tallies.append(self.rule.observe([Pair(key, truth, prediction)]))
        # Only now, so that a refused image leaves no trace.
        self._keyed, self._numbered = given, self._numbered + (not given)
        if len(self._tallies) >= 256:
            self._tallies = [self._merged()]

    def _panoptic(self, data: Any, what: str, key: Key) -> PanopticMap:
        from segeval.readers.coco_panoptic import from_arrays, without

        if not isinstance(data, PanopticMap):
            try:
                pixels, segments = data
            except (TypeError, ValueError):
                remedy = "give (ids, [{'id': ..., 'category_id': ...}])"
                raise SegevalError(f"{what} is no pair of ids and segments", key=key, remedy=remedy) from None
            data = from_arrays(pixels, segments, what, key)
        return without(data, getattr(self.rule, "void_values", (0,)))

    def _merged(self) -> Tally:
        return merge(self._tallies) if self._tallies else self.rule.observe([])

    @property
    def tally(self) -> Tally:
        """The evidence so far."""
        self._tallies = [self._merged()]
        tally = self._tallies[0]
        return tally if self._keyed or not len(tally) else tally.unkeyed()

    def merge(self, other: Accumulator) -> None:
        """Add another collection's evidence; the order doesn't matter.

        Raises
        ------
        SegevalError
            If the rules differ, images have no keys, or one key has two contents.
        """
        if not isinstance(other, Accumulator):
            raise SegevalError(f"{other!r} is no Accumulator", remedy="merge accumulators, or add tallies")
        both = merge([self.tally, other.tally])
        self._tallies, self._keyed = [both], self._keyed or other._keyed

    def compute(self) -> Result:
        """Score the evidence so far.

        Raises
        ------
        SegevalError
            If there is none.
        """
        tally = self.tally
        if not len(tally):
            raise SegevalError("nothing was counted", remedy="call update first")
        return self.rule.score(tally)

    def reset(self) -> None:
        """Forget the evidence."""
        self._tallies, self._numbered, self._keyed = [], 0, False


def _checked(key: Any) -> Key:
    """A key that can be sorted, saved and compared: text or a whole number."""
    if isinstance(key, str):
        return str(key)
    try:
        if isinstance(key, bool):
            raise TypeError
        return operator.index(key)
    except TypeError:
        raise SegevalError(f"the key {key!r} is no text and no whole number", remedy="give a str or an int") from None
