from __future__ import annotations

import importlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segeval_baselines.ops import batched_nms, box_iou, nms
from torch import Tensor

from segeval.errors import SegevalError
from tests.baselines.ops_reference import greedy_nms, recorded

THRESHOLDS = (0.0, 0.25, 0.5, 0.6, 0.75, 1.0)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, scores and groups of few values: many tie, many overlap by exactly a threshold."""
    count = draw(st.integers(0, 30))
    rows = draw(st.lists(st.tuples(*[st.integers(0, 5), st.integers(1, 4)] * 2), min_size=count, max_size=count))
    boxes = torch.tensor([[x, y, x + w, y + h] for x, w, y, h in rows], dtype=torch.float64).view(-1, 4)
    scores = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    groups = draw(st.lists(st.integers(-1, 1), min_size=count, max_size=count))
    return boxes, torch.tensor(scores, dtype=torch.float64), torch.tensor(groups, dtype=torch.int64)


@settings(max_examples=150, deadline=None)
@given(problem=problems(), threshold=st.sampled_from(THRESHOLDS), block=st.sampled_from([1, 3, 8, 256]))
def test_suppression_is_the_slow_ones(problem: tuple[Tensor, Tensor, Tensor], threshold: float, block: int) -> None:
    boxes, scores, groups = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(importlib.import_module("segeval_baselines.ops.nms")._BLOCK, "cpu", block)
        alone = nms(boxes, scores, threshold)
        together = batched_nms(boxes, scores, groups, threshold)
    assert alone.tolist() == greedy_nms(boxes, scores, torch.zeros(len(boxes)), threshold)
    assert together.tolist() == greedy_nms(boxes, scores, groups, threshold)


@pytest.mark.parametrize("percent", [25, 30, 50, 70])
def test_suppression_is_torchvisions_under_ties(percent: int) -> None:
    saved = recorded()
    boxes, scores, groups = saved["nms_boxes"], saved["nms_scores"], saved["nms_groups"]
    assert torch.equal(nms(boxes, scores, percent / 100), saved[f"nms_{percent}"])
    assert torch.equal(batched_nms(boxes, scores, groups, percent / 100), saved[f"batched_nms_{percent}"])


def test_the_order_of_distinct_boxes_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(3)
    corner = torch.rand(700, 2, generator=generator) * 60
    boxes = torch.cat((corner, corner + 1 + torch.rand(700, 2, generator=generator) * 30), dim=1)
    scores = torch.rand(700, generator=generator)
    groups = torch.randint(0, 3, (700,), generator=generator)
    assert len(scores.unique()) == 700
    kept = batched_nms(boxes, scores, groups, 0.4)
    shuffled = torch.randperm(700, generator=generator)
    again = batched_nms(boxes[shuffled], scores[shuffled], groups[shuffled], 0.4)
    assert torch.equal(shuffled[again], kept)


def test_a_chain_as_long_as_a_block_is_settled() -> None:
    # Each box overlaps its neighbours only: kept and struck boxes alternate, which takes the most rounds.
    start = torch.arange(600.0)
    boxes = torch.stack((start * 2, torch.zeros(600), start * 2 + 3, torch.ones(600)), dim=1)
    kept = nms(boxes, torch.arange(600, 0, -1).float(), 0.1)
    assert kept.tolist() == list(range(0, 600, 2))


def test_kept_boxes_stay_apart_and_scores_fall() -> None:
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand(900, 2, generator=generator) * 40
    boxes = torch.cat((corner, corner + torch.rand(900, 2, generator=generator) * 30), dim=1)
    scores = torch.rand(900, generator=generator)
    kept = nms(boxes, scores, 0.5)
    overlaps = box_iou(boxes[kept], boxes[kept]).fill_diagonal_(0)
    assert float(overlaps.max()) <= 0.5
    assert (scores[kept].diff() <= 0).all()
    struck = torch.ones(900, dtype=torch.bool)
    struck[kept] = False
    assert (box_iou(boxes[struck], boxes[kept]) > 0.5).any(dim=1).all()


def test_nothing_identical_boxes_and_boxes_without_area() -> None:
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []
    same = torch.tensor([[0.0, 0.0, 2.0, 2.0]]).repeat(4, 1)
    assert nms(same, torch.zeros(4), 0.5).tolist() == [0]
    assert nms(same, torch.zeros(4), 1.0).tolist() == [0, 1, 2, 3]
    # Two boxes without area have no union: they overlap by nothing.
    assert nms(torch.zeros(3, 4), torch.tensor([0.1, 0.3, 0.2]), 0.0).tolist() == [1, 2, 0]
    assert nms(same.half(), torch.tensor([0.1, 0.2, 0.3, 0.4]).half(), 0.5).tolist() == [3]


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SegevalError, match="give one of each for the 3 boxes"):
        nms(torch.zeros(3, 4), torch.zeros(2), 0.5)
    with pytest.raises(SegevalError, match="give \\(N, 4\\)"):
        nms(torch.zeros(3, 5), torch.zeros(3), 0.5)
