"""Who owns a pixel that several masks claim, against a plain rule pixel by pixel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeval import SegevalError
from segeval.conversion import Merging
from segeval.conversion.content import ListedSegment, Partition, Stack, keep, numbered, unite
from segeval.conversion.merging import confident, flatten, with_stuff
from segeval.samples.mask_runs import runs_of_instances
from segeval.samples.masks import as_instances

Masks = Any


def stack(masks: Masks, segments: list[ListedSegment]) -> Stack:
    found = as_instances({"masks": np.asarray(masks, bool)}, "prediction")
    return Stack(runs_of_instances(found), tuple(segments))


def problem(seed: int) -> tuple[Masks, list[ListedSegment]]:
    """Boxes that overlap often, some scores equal, some masks empty, some ids given."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 9, 2)
    count = int(rng.integers(0, 6))
    masks = np.zeros((count, height, width), bool)
    for mask in masks:
        y, x = rng.integers(0, height), rng.integers(0, width)
        mask[y : y + rng.integers(0, height + 1), x : x + rng.integers(0, width + 1)] = True
    ids = rng.integers(0, 4, count).tolist()
    scores = (rng.integers(0, 4, count) / 4).tolist()
    return masks, [ListedSegment(i, 3, False, s) for i, s in zip(ids, scores, strict=True)]


def owners(masks: Masks, order: list[int], most_covered: float) -> Any:
    """The owner's place plus one of each pixel, by the rule as it is written in the paper's code."""
    owner = np.zeros(masks.shape[1:], int)
    for i in order:
        area, taken = masks[i].sum(), (owner[masks[i]] > 0).sum()
        if area == taken or taken / area > most_covered:
            continue
        owner[masks[i] & (owner == 0)] = i + 1
    return owner


@given(st.integers(0, 2**32 - 1), st.sampled_from(["first", "score"]), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_owners(seed: int, overlap: str, most_covered: float) -> None:
    masks, segments = problem(seed)
    order = sorted(range(len(masks)), key=lambda i: -segments[i].score) if overlap == "score" else range(len(masks))
    wanted = owners(masks, list(order), most_covered)
    partition, left_out = flatten(stack(masks, segments), Merging(overlap, most_covered))
    assert left_out == len(masks) - len(partition.segments)
    named = {i + 1: s.id for i, s in enumerate(numbered(segments))}
    found = np.vectorize(lambda i: named.get(i, 0), otypes=[int])(wanted)
    assert np.array_equal(partition.ids, found)
    assert {s.id for s in partition.segments} == set(np.unique(found).tolist()) - {0}


@given(st.integers(0, 2**32 - 1))
def test_overlaps_are_refused_unless_a_rule_is_given(seed: int) -> None:
    masks, segments = problem(seed)
    if (masks.sum(axis=0) > 1).any():
        with pytest.raises(SegevalError, match=r"overlap in \d+ pixels.*--overlap first or --overlap score"):
            flatten(stack(masks, segments), Merging())
    else:
        partition, _ = flatten(stack(masks, segments), Merging())
        assert np.array_equal(partition.ids > 0, masks.any(axis=0))


def test_the_message_tells_which_and_where() -> None:
    masks = np.zeros((3, 4, 5), bool)
    masks[0, 2:, 1], masks[1, 0, 0], masks[2, 3, 1:] = True, True, True
    with pytest.raises(SegevalError, match=r"x, image 9: masks 1 and 3 .* overlap in 1 pixels, .* row 3, column 1"):
        flatten(stack(masks, [ListedSegment(0, 1)] * 3), Merging(), file="x", key=9)


def test_ids_are_kept_where_they_can_be() -> None:
    given_ids = [5, 0, 2, 2, -1, 7]
    assert [s.id for s in numbered([ListedSegment(i, 1) for i in given_ids])] == [5, 1, 2, 3, 4, 7]


def test_scores_below_the_least_are_left_out() -> None:
    masks = np.ones((3, 2, 2), bool)
    segments = [ListedSegment(0, 1, False, s) for s in (0.5, 0.49, 0.9)]
    kept = confident(stack(masks, segments), 0.5)
    assert [s.score for s in kept.instances] == [0.5, 0.9]
    assert len(kept.runs.first) == 2
    assert confident(kept, -math.inf) is kept


@given(st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_stuff_lies_below_things(seed: int, least: int) -> None:
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 8, 2)
    ids = rng.choice([0, 0, 4, 9], size).astype(np.uint32)
    things = tuple(ListedSegment(i, 3) for i in (4, 9) if (ids == i).any())
    labels = rng.choice([3, 4, 0, 255], size)  # a thing, a stuff class whose number is taken, class 0, void
    whole = with_stuff(Partition(ids, things), labels, {4, 0}, least)
    assert whole.segments[: len(things)] == things
    assert np.array_equal(np.where(ids > 0, ids, 0), np.where(ids > 0, whole.ids, 0))
    stuff = {s.category: s.id for s in whole.segments[len(things) :]}
    for category in (4, 0):
        free = (ids == 0) & (labels == category)
        assert (category in stuff) == (free.sum() >= max(least, 1))
        if category in stuff:
            assert np.array_equal(whole.ids == stuff[category], free)
    assert len({s.id for s in whole.segments}) == len(whole.segments)
    void = (ids == 0) & ~np.isin(labels, list(stuff))
    assert np.array_equal(whole.ids == 0, void)


def test_keep_and_unite() -> None:
    ids = np.array([[1, 2, 2], [3, 0, 16_777_300]], np.uint32)
    partition = Partition(
        ids, (ListedSegment(2, 5), ListedSegment(1, 5), ListedSegment(3, 6), ListedSegment(16_777_300, 5))
    )
    some = keep(partition, lambda s: s.category == 5)
    assert some.ids.tolist() == [[1, 2, 2], [0, 0, 16_777_300]]
    one = unite(some, lambda s: s.category)
    assert one.segments == (ListedSegment(2, 5),)
    assert one.ids.tolist() == [[2, 2, 2], [0, 0, 2]]
    assert unite(partition, lambda s: None) is partition


def test_unusable_rules() -> None:
    for wrong in ({"overlap": "last"}, {"most_covered": 1.5}, {"min_score": math.nan}, {"stuff_area": -1}):
        with pytest.raises(SegevalError):
            Merging(**wrong)
