"""Panoptic maps laid over one another, and their segments matched, many images at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.metrics.panoptic.maps import colours, overlaps, require_agreement
from segeval.samples.labels import crc_of
from segeval.samples.pairs import CountedOverlaps, Key, Pair
from segeval.samples.panoptic import Segments
from segeval.samples.taxonomy import Taxonomy, positions

Ints = NDArray[np.int64]


class Meeting(NamedTuple):
    """One image: how its two maps overlap, and the segments of both; the maps themselves are gone."""

    key: Key
    counted: CountedOverlaps
    truth: Segments
    prediction: Segments
    truth_file: str | None
    prediction_file: str | None


@dataclass(frozen=True, eq=False)
class Matching:
    """What was decided about some images.

    Parameters
    ----------
    pairs, begins
        (3, pairs): truth id, predicted id and pixels of what overlaps, and where each image's begin.
    truth, truth_begins, prediction, prediction_begins
        The tables of `kernels.segments.match`, and where each image's segments begin.
    matched
        (6, k): truth position, predicted position, intersection, union, "same class", image.
    truth_state
        (n): 1 matched, 2 missed, 3 crowd.
    """

    pairs: Ints
    begins: Ints
    truth: Ints
    truth_begins: Ints
    prediction: Ints
    prediction_begins: Ints
    matched: Ints
    truth_state: Ints

    def of_image(self, number: int) -> tuple[tuple[Ints, Ints, Ints], Ints, Ints, Ints, Ints]:
        """Overlaps, truth, prediction, truth's state and matches of one image, positions counted within it."""
        low, high = self.begins[number : number + 2]
        first, last = self.truth_begins[number : number + 2]
        begin, end = self.prediction_begins[number : number + 2]
        mine = self.matched[:, self.matched[5] == number] - np.array([[first], [begin], [0], [0], [0], [0]])
        ids, other, pixels = self.pairs[:, low:high]
        return (
            (ids, other, pixels),
            self.truth[:, first:last],
            self.prediction[:, begin:end],
            self.truth_state[first:last],
            mine,
        )


def image_of(begins: Ints) -> Ints:
    """Which image each of some rows is of, from where each image's rows begin."""
    return np.repeat(np.arange(len(begins) - 1), np.diff(begins))


def meet(pair: Pair) -> Meeting:
    """Lay the two maps of an image over one another.

    Raises
    ------
    SegevalError
        For sizes that differ.
    """
    truth, prediction = pair.truth, pair.prediction
    counted = truth.pixels
    if not isinstance(counted, CountedOverlaps):
        columns = overlaps(pair)
        counted = CountedOverlaps(truth.pixels.shape[:2], crc_of(colours(truth.pixels)), *columns)
    return Meeting(pair.key, counted, truth.segments, prediction.segments, pair.truth_file, pair.prediction_file)


def match_all(meetings: Sequence[Meeting], taxonomy: Taxonomy) -> Matching:
    """Match the segments of some images.

    Raises
    ------
    SegevalError
        For ids that are listed on one side of JSON and PNG only, areas that contradict the pixels, or unknown classes:
        the first image's where several are wrong.
    """
    from segeval.kernels.counting import segments as kernels

    begins, pairs = _columns([m.counted[2:] for m in meetings], 3)
    truth_begins, truth, stated = _table([m.truth for m in meetings], taxonomy)
    prediction_begins, prediction, _ = _table([m.prediction for m in meetings], taxonomy)
    strange = [
        int(np.searchsorted(places, np.argmax(table[1] < 0), side="right")) - 1
        for places, table in ((truth_begins, truth), (prediction_begins, prediction))
        if (table[1] < 0).any()
    ]
    if strange:
        first = min(strange)
        match_all(meetings[:first], taxonomy)
        _refuse_class(meetings[first], taxonomy)
    prediction[2:] = 0
    matched, state, unknown = kernels.match(begins, pairs, truth_begins, truth, prediction_begins, prediction)
    wrong = (truth[4] == 0) | ((stated >= 0) & (stated != truth[4]))
    if wrong.any() or (prediction[4] == 0).any() or (unknown >= 0).any():
        for i, meeting in enumerate(meetings):
            ours = truth[:, truth_begins[i] : truth_begins[i + 1]]
            theirs = prediction[:, prediction_begins[i] : prediction_begins[i + 1]]
            require_agreement(int(unknown[0, i]), ours, "truth", meeting.truth_file, meeting.key, meeting.truth.areas)
            require_agreement(int(unknown[1, i]), theirs, "prediction", meeting.prediction_file, meeting.key)
    return Matching(pairs, begins, truth, truth_begins, prediction, prediction_begins, matched, state)


def _columns(images: Sequence[Sequence[Any]], rows: int) -> tuple[Ints, Ints]:
    """Columns of some images behind one another, and where each image's begin."""
    begins = np.cumsum([0, *(len(image[0]) for image in images)], dtype=np.int64)
    out = np.empty((rows, int(begins[-1])), np.int64)
    if images:
        for k in range(rows):
            np.concatenate([image[k] for image in images], out=out[k], casting="unsafe")
    return begins, out


def _table(segments: Sequence[Segments], taxonomy: Taxonomy) -> tuple[Ints, Ints, Ints]:
    """Where each image begins, the (5, n) table that the kernel reads (a class of -1 is unknown), and stated areas."""
    begins, table = _columns([(s.ids, s.classes, s.crowd, s.last_crowd, s.areas) for s in segments], 5)
    stated = table[4].copy()
    table[4] = 0
    at = positions(table[1], taxonomy.ids)
    table[1] = np.where(at < len(taxonomy), at, -1)
    return begins, table, stated


def _refuse_class(meeting: Meeting, taxonomy: Taxonomy) -> None:
    for side, segments, file in (
        ("truth", meeting.truth, meeting.truth_file),
        ("prediction", meeting.prediction, meeting.prediction_file),
    ):
        for ident, category in zip(segments.ids.tolist(), segments.classes.tolist(), strict=True):
            if category not in taxonomy.ids:
                raise SegevalError(
                    f"the {side}'s segment {ident} has category {category}, which is not among the classes",
                    file=file,
                    key=meeting.key,
                    remedy=taxonomy.hint(),
                )
