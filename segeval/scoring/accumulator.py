"""Scoring inside a loop: the only object here that changes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from segeval.errors import SegevalError
from segeval.evidence.tally import Tally, merge
from segeval.metrics.metric import Metric
from segeval.metrics.options import check_options
from segeval.metrics.tasks import rule_of
from segeval.results.result import Result
from segeval.samples.pairs import Key, Pair
from segeval.samples.taxonomy import Taxonomy
from segeval.scoring.batches import images_of, pair_of
from segeval.scoring.waiting import Waiting, waiting_of

# Batches on their way from a device; their tables are small, so this bounds memory and nothing else.
MOST_WAITING = 64

# Counted images that become rows together: rows of one image at a time would cost as much as a third of its counting.
MOST_COUNTED = 64


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
            made: Metric = kind(taxonomy=taxonomy, **options)  # type: ignore[call-arg]
        elif options or classes is not None:
            raise SegevalError("options belong to the rule", remedy="make the rule with them, or give the task's name")
        else:
            made = rule
        self.rule = made
        self._tallies: list[Tally] = []
        self._waiting: list[tuple[list[Key], Waiting]] = []
        self._counted: list[Pair] = []
        self._numbered = 0
        self._keyed = False

    def update(self, *, prediction: Any, truth: Any, key: Key | None = None, keys: Sequence[Key] | None = None) -> None:
        """Count one image, or a batch.

        Tensors on a CUDA device are counted there, and their counts are fetched when they have arrived: no step waits
        for the device, so what is wrong with such a batch is told by a later call, at the latest by `compute`.

        Parameters
        ----------
        prediction, truth
            Numpy arrays, or torch tensors on any device. Semantic: labels (H, W) or (N, H, W); a prediction may be
            logits (C, H, W) or (N, C, H, W), one channel a class (see
            `segeval.metrics.semantic.channels`). Panoptic: (ids, segments), ids (H, W) or RGB (H, W, 3),
            segments a list of ``{"id": ..., "category_id": ...}``; a batch is (ids (N, H, W), N such lists) or a
            list of tuples. Instance: a mapping that `segeval.samples.masks.as_instances` takes, or a list of them.
        key, keys
            What identifies the image, or each of the batch. Without keys the images are numbered, and such a
            collection can't be merged with another. An image that comes twice with the same content (a padded
            sampler's) is counted once, and a caution tells how many were.

        Raises
        ------
        SegevalError
            For arrays that are no label maps, sizes that differ, or keys given for some images only.
        """
        given = key is not None or keys is not None
        keys = _listed(keys)
        if not given and self._keyed:
            raise SegevalError("this image has no key, earlier ones had", remedy="give every image a key, or none")
        if given and self._numbered:
            named = key if key is not None else next(iter(keys or ()), None)
            raise SegevalError("earlier images had no key", key=named, remedy="give every image a key, or none")
        waiting = waiting_of(self.rule, prediction, truth, many=keys is not None)
        if waiting is not None:
            count, counts = waiting
            self._waiting.append((self._named(count, key, keys), counts))
            self._fetch(MOST_WAITING)
        else:
            names = [key] if key is not None else keys
            images = images_of(self.rule, prediction, truth, names, many=keys is not None)
            named_images = zip(images, self._named(len(images), key, keys), strict=True)
            self._observe([pair_of(self.rule, image, name) for image, name in named_images])
            count = len(images)
        # Only now, so that a refused image leaves no trace.
        self._keyed, self._numbered = given, self._numbered + count * (not given)

    def _named(self, count: int, key: Key | None, keys: Sequence[Key] | None) -> list[Key]:
        """A key for each image."""
        if keys is None and key is None:
            return [self._numbered + i for i in range(count)]
        listed = [_checked(k) for k in ([key] if keys is None else keys)]
        if len(listed) != count or (key is not None and keys is not None):
            raise SegevalError(
                f"{count} images but {len(listed)} keys", remedy="give key= for one image, keys= for a batch"
            )
        return listed

    def _observe(self, pairs: list[Pair]) -> None:
        """Count images now; those that are small once counted become rows later."""
        distinct = len({pair.key for pair in pairs}) == len(pairs)
        if distinct and self.rule.takes_counts and self.rule.reads == "semantic":
            self._counted += [self.rule.counted(pair) for pair in pairs]
            if len(self._counted) >= MOST_COUNTED:
                self._settle()
        else:
            self._add(self.rule.observe(pairs))

    def _settle(self) -> None:
        """Make rows of what was counted."""
        if self._counted:
            tally = self.rule.observe(self._counted)
            self._counted = []
            self._add(tally)

    def _add(self, tally: Tally) -> None:
        self._tallies.append(tally)
        if len(self._tallies) >= 256:
            self._tallies = [merge(self._tallies)]

    def _fetch(self, most: int) -> None:
        """Add the counts that have arrived, and wait for the oldest while more than `most` batches are on their way."""
        while self._waiting and (len(self._waiting) > most or self._waiting[0][1].ready()):
            keys, counts = self._waiting.pop(0)
            self._add(self.rule.observe(counts.pairs(keys)))

    def _merged(self) -> Tally:
        self._fetch(0)
        self._settle()
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

    def gather(self, group: Any = None) -> Accumulator:
        """The evidence of all ranks of `torch.distributed`, on each of them; this collection stays as it is.

        Images that several ranks counted alike (a padded sampler's) are counted once.

        Parameters
        ----------
        group
            A process group; the default one if None. Every rank of it has to call.

        Raises
        ------
        SegevalError
            As `merge`, on every rank.
        """
        from segeval.scoring.device.ranks import gather_tallies

        whole = Accumulator(self.rule)
        tallies = gather_tallies(self.tally, group)
        whole._tallies, whole._keyed = [merge(tallies)], any(t.keyed and len(t) > 0 for t in tallies)
        return whole

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
        self._waiting, self._counted = [], []


def _listed(keys: Any) -> Sequence[Key] | None:
    """Keys as a list, whatever they came in."""
    if keys is None:
        return None
    try:
        return list(keys)
    except TypeError:
        raise SegevalError(f"keys are {keys!r:.60}, no list", remedy="give key= for one image") from None


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
