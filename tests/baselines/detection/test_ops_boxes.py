from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segeval_baselines.ops import (
    box_area,
    box_iou,
    cell_anchors,
    clip_boxes,
    decode_boxes,
    encode_boxes,
    grid_anchors,
    mask_boxes,
    paste_masks,
)
from torch import Tensor

from segeval.errors import SegevalError
from tests.baselines.ops_reference import recorded


@st.composite
def whole_boxes(draw: st.DrawFn, most: int = 6) -> Tensor:
    """Boxes with whole edges and an area, within 12 x 12."""
    edge = st.tuples(st.integers(0, 10), st.integers(1, 12)).map(lambda e: (min(e), max(e) + (e[0] == e[1])))
    pairs = draw(st.lists(st.tuples(edge, edge), min_size=1, max_size=most))
    return torch.tensor([[x[0], y[0], x[1], y[1]] for x, y in pairs], dtype=torch.float32)


def filled(boxes: Tensor, size: int = 13) -> Tensor:
    """The masks of boxes with whole edges."""
    masks = torch.zeros(len(boxes), size, size, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.long().tolist(), strict=True):
        mask[y1:y2, x1:x2] = True
    return masks


@settings(max_examples=60, deadline=None)
@given(a=whole_boxes(), b=whole_boxes())
def test_overlaps_of_whole_boxes_are_those_of_their_masks(a: Tensor, b: Tensor) -> None:
    first, second = filled(a).flatten(1).float(), filled(b).flatten(1).float()
    inter = first @ second.T
    union = first.sum(1)[:, None] + second.sum(1) - inter
    assert torch.equal(box_iou(a, b), inter / union)
    assert torch.equal(box_area(a), first.sum(1))


@settings(max_examples=60, deadline=None)
@given(boxes=whole_boxes())
def test_the_box_of_a_filled_box_is_it(boxes: Tensor) -> None:
    assert torch.equal(mask_boxes(filled(boxes)), boxes)
    assert torch.equal(mask_boxes(filled(boxes).to(torch.uint8)), boxes)


def test_boxes_of_odd_masks() -> None:
    masks = torch.zeros(3, 5, 7, dtype=torch.bool)
    masks[1, :, 0] = True
    masks[2, 1, 2] = masks[2, 3, 6] = True
    assert mask_boxes(masks).tolist() == [[0, 0, 0, 0], [0, 0, 1, 5], [2, 1, 7, 4]]
    assert mask_boxes(masks[:0]).shape == (0, 4)
    assert mask_boxes(torch.zeros(2, 0, 7)).tolist() == [[0.0] * 4] * 2
    with pytest.raises(SegevalError, match="give \\(N, H, W\\)"):
        mask_boxes(masks[0])


def test_clipping_cuts_at_the_borders() -> None:
    boxes = torch.tensor([[-3.0, -1.0, 5.0, 30.0], [8.0, 2.0, 40.0, 4.0], [50.0, 50.0, 60.0, 60.0]])
    assert clip_boxes(boxes, (20, 10)).tolist() == [[0, 0, 5, 20], [8, 2, 10, 4], [10, 20, 10, 20]]
    assert clip_boxes(boxes.view(1, 3, 4), (20, 10)).shape == (1, 3, 4)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), weights=st.sampled_from([(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)]))
def test_decoding_undoes_encoding(seed: int, weights: tuple[float, float, float, float]) -> None:
    rng = np.random.default_rng(seed)
    corner, sides = rng.uniform(-50, 50, (2, 5, 2)), rng.uniform(1, 60, (2, 5, 2))
    reference, target = torch.from_numpy(np.concatenate((corner, corner + sides), axis=2))
    again = decode_boxes(encode_boxes(reference, target, weights), reference, weights)
    torch.testing.assert_close(again, target)
    assert torch.equal(encode_boxes(target, target, weights), torch.zeros(5, 4, dtype=torch.float64))


def test_coding_is_torchvisions() -> None:
    saved = recorded()
    weights = (10.0, 10.0, 5.0, 5.0)
    reference = saved["code_reference"]
    torch.testing.assert_close(encode_boxes(reference, saved["code_target"], weights), saved["encoded"])
    decoded = decode_boxes(saved["code_deltas"], reference, weights)
    assert decoded.shape == (10, 3, 4)
    torch.testing.assert_close(decoded, saved["decoded"])
    one = decode_boxes(saved["code_deltas"][:, 4:8].contiguous(), reference, weights)
    torch.testing.assert_close(one, saved["decoded"][:, 1])


def test_a_side_grows_no_more_than_sixty_two_and_a_half_times() -> None:
    reference = torch.tensor([[0.0, 0.0, 2.0, 4.0]])
    grown = decode_boxes(torch.tensor([[0.0, 0.0, 99.0, math.log(2.0)]]), reference)
    torch.testing.assert_close(grown, torch.tensor([[1 - 62.5, -2.0, 1 + 62.5, 6.0]]))
    assert torch.isfinite(decode_boxes(torch.full((1, 4), 1e4), reference)).all()


def test_decoding_nothing_and_decoding_nonsense() -> None:
    assert decode_boxes(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0, 4)
    assert decode_boxes(torch.zeros(0, 12), torch.zeros(0, 4)).shape == (0, 3, 4)
    with pytest.raises(SegevalError, match=r"deltas are \(2, 5\); give \(2, 4K\)"):
        decode_boxes(torch.zeros(2, 5), torch.zeros(2, 4))
    with pytest.raises(SegevalError, match=r"the second boxes are \(3, 5\)"):
        box_iou(torch.zeros(2, 4), torch.zeros(3, 5))


def test_anchors_are_torchvisions() -> None:
    cells = [cell_anchors(sizes, (0.5, 1.0, 2.0)) for sizes in ((32,), (64,), (19, 50))]
    assert cells[0].tolist() == [[-23, -11, 23, 11], [-16, -16, 16, 16], [-11, -23, 11, 23]]
    levels = grid_anchors([(6, 8), (3, 4), (2, 2)], [8, 16, (24, 32)], cells)
    assert [len(v) for v in levels] == [144, 36, 24]
    assert torch.equal(torch.cat(levels), recorded()["anchors"])


def test_anchors_move_with_their_place() -> None:
    cell = cell_anchors((10.0,), (1.0,))
    (level,) = grid_anchors([(2, 3)], [(4, 5)], [cell])
    assert (level - cell)[:, :2].tolist() == [[0, 0], [5, 0], [10, 0], [0, 4], [5, 4], [10, 4]]
    with pytest.raises(SegevalError, match="give one of each a level"):
        grid_anchors([(2, 3)], [4, 8], [cell])


def test_pasting_is_torchvisions() -> None:
    saved = recorded()
    pasted = paste_masks(saved["paste_masks"], saved["paste_boxes"], (20, 26))
    assert pasted.dtype == torch.bool
    assert torch.equal(pasted, saved["pasted"])


def test_a_full_mask_fills_its_box() -> None:
    boxes = torch.tensor([[2.0, 3.0, 9.0, 8.0], [0.0, 0.0, 12.0, 10.0]])
    pasted = paste_masks(torch.ones(2, 28, 28), boxes, (10, 12))
    inner = pasted[0, 3:8, 2:9]
    assert inner.all()
    assert pasted[1].all()
    # The half pixel beyond the edges that the padding leaves is at most one pixel wide.
    assert int(pasted[0].sum()) <= 7 * 9


def test_pasting_nothing_empty_boxes_and_boxes_outside() -> None:
    assert paste_masks(torch.zeros(0, 7, 7), torch.zeros(0, 4), (4, 5)).shape == (0, 4, 5)
    away = torch.tensor([[30.0, 30.0, 40.0, 40.0], [-40.0, -40.0, -30.0, -30.0]])
    assert not paste_masks(torch.ones(2, 7, 7), away, (4, 5)).any()
    assert paste_masks(torch.ones(1, 7, 7), torch.tensor([[2.0, 1.0, 2.0, 1.0]]), (4, 5)).sum() <= 1
    with pytest.raises(SegevalError, match=r"give \(1, m, m\)"):
        paste_masks(torch.ones(2, 7, 7), torch.zeros(1, 4), (4, 5))
