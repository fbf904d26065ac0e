from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from segeval_baselines.ops import pyramid_roi_align, roi_align
from torch import Tensor

from segeval.errors import SegevalError
from tests.baselines.ops_reference import recorded, slow_roi_align

ONE = torch.zeros(1, dtype=torch.int64)


@pytest.mark.parametrize("sampling", [0, 1, 2, 3])
@pytest.mark.parametrize("aligned", [False, True])
def test_roi_align_and_its_gradient_are_torchvisions(sampling: int, aligned: bool) -> None:
    saved = recorded()
    x = saved["roi_x"].clone().requires_grad_()
    out = roi_align(x, saved["roi_boxes"], saved["roi_images"], (3, 2), 0.125, sampling, aligned)
    torch.testing.assert_close(out, saved[f"roi_align_{sampling}_{int(aligned)}"], atol=2e-6, rtol=1e-5)
    (out**2).sum().backward()
    torch.testing.assert_close(x.grad, saved[f"roi_align_grad_{sampling}_{int(aligned)}"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sampling", [0, 2])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("scale", [0.25, 0.5])
def test_roi_align_is_the_definition(sampling: int, aligned: bool, scale: float) -> None:
    saved = recorded()
    x, boxes, images = saved["roi_x"].double(), saved["roi_boxes"].double(), saved["roi_images"]
    out = roi_align(x, boxes, images, (2, 4), scale, sampling, aligned)
    torch.testing.assert_close(out, slow_roi_align(x, boxes, images, (2, 4), scale, sampling, aligned))


def test_beyond_one_pixel_samples_are_zero_and_within_it_they_are_clamped() -> None:
    x = torch.ones(1, 1, 4, 4)
    box = torch.tensor([[-2.0, 0.0, 0.0, 2.0]])
    # Sample points at x = -1.5 and -0.5: the first is outside, the second reads the border.
    assert roi_align(x, box, ONE, (1, 2), 1.0, 1)[0, 0].tolist() == [[0.0, 1.0]]
    # The other side counts to the map's length: 3.5 and 4 are in, 4.5 is out.
    box = torch.tensor([[3.0, 0.0, 5.0, 2.0]])
    assert roi_align(x, box, ONE, (1, 2), 1.0, 1)[0, 0].tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling", [0, 2])
def test_moving_map_and_box_by_whole_pixels_changes_nothing(aligned: bool, sampling: int) -> None:
    x = torch.randn(1, 3, 20, 20, dtype=torch.float64)
    boxes = torch.tensor([[3.25, 4.5, 9.0, 11.75], [5.0, 3.5, 6.5, 12.0]], dtype=torch.float64)
    images = torch.zeros(2, dtype=torch.int64)
    moved = torch.roll(x, (5, 3), dims=(2, 3))
    here = roi_align(x, boxes, images, (4, 4), 1.0, sampling, aligned)
    there = roi_align(moved, boxes + torch.tensor([3.0, 5.0, 3.0, 5.0]), images, (4, 4), 1.0, sampling, aligned)
    torch.testing.assert_close(here, there)
    # With two points a bin all coordinates are sums of powers of two: exact, and so is the answer.
    assert sampling == 0 or torch.equal(here, there)


def test_aligning_sees_a_tenth_of_a_pixel() -> None:
    x = torch.randn(1, 2, 16, 16)
    box = torch.tensor([[3.2, 4.1, 9.3, 10.2]])
    still, moved = (roi_align(x, b, ONE, (3, 3), 1.0, 2) for b in (box, box + 0.1))
    assert float((still - moved).abs().max()) > 0.01


def test_on_a_linear_map_aligned_regions_read_the_centres_of_bins() -> None:
    y, across = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    x = (2 * y + 3 * across)[None, None].double()
    out = roi_align(x, torch.tensor([[4.0, 2.0, 12.0, 10.0]]), ONE, (2, 2), 1.0, 2, aligned=True)
    # Pixel centres are at halves: the bin from 2 to 6 has its centre at 4, pixel coordinate 3.5.
    torch.testing.assert_close(
        out[0, 0],
        torch.tensor([[2 * 3.5 + 3 * 5.5, 2 * 3.5 + 3 * 9.5], [2 * 7.5 + 3 * 5.5, 2 * 7.5 + 3 * 9.5]]).double(),
    )


@pytest.mark.parametrize("sampling", [0, 2])
@pytest.mark.parametrize("aligned", [False, True])
def test_gradients_are_those_of_differences(sampling: int, aligned: bool) -> None:
    x = torch.randn(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[0.3, 0.7, 4.1, 3.9], [-1.6, 1.0, 7.7, 9.0], [2.0, 2.0, 2.0, 2.0]], dtype=torch.float64)
    images = torch.tensor([0, 1, 1])

    def align(x: Tensor) -> Tensor:
        return roi_align(x, boxes, images, (2, 3), 0.8, sampling, aligned)

    assert torch.autograd.gradcheck(align, (x,))


def test_pyramid_is_torchvisions() -> None:
    saved = recorded()
    maps = [saved[f"pyramid_{k}"] for k in range(3)]
    boxes = saved["pyramid_boxes"]
    images = torch.zeros(len(boxes), dtype=torch.int64)
    options: dict[str, Any] = {"canonical_size": 56, "canonical_level": 3}
    out = pyramid_roi_align(maps, boxes, images, (2, 2), (1 / 4, 1 / 8, 1 / 16), **options)
    torch.testing.assert_close(out, saved["pyramid"], atol=2e-6, rtol=1e-5)


def test_boxes_read_the_level_of_their_size() -> None:
    maps = [torch.full((2, 1, 64 // 2**k, 64 // 2**k), float(k)) for k in range(4)]
    side = torch.tensor([0.0, 1.0, 111.9, 112.0, 223.0, 224.0, 448.0, 4000.0])
    boxes = torch.stack((side * 0, side * 0, side, side), dim=1)
    images = torch.tensor([0, 1] * 4)
    out = pyramid_roi_align(maps, boxes, images, (1, 1), (1 / 4, 1 / 8, 1 / 16, 1 / 32), sampling=1)
    # Level 2 is the finest; 224 pixels read level 4. The largest box's one sample lies outside its map.
    assert out.flatten().tolist() == [0, 0, 0, 1, 1, 2, 3, 0]


@pytest.mark.parametrize("sampling", [0, 2])
def test_the_order_of_boxes_and_the_size_of_parts_do_not_matter(sampling: int, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = recorded()
    x, boxes, images = saved["roi_x"], saved["roi_boxes"], saved["roi_images"]
    whole = roi_align(x, boxes, images, (3, 2), 0.125, sampling)
    order = torch.randperm(len(boxes))
    shuffled = roi_align(x, boxes[order], images[order], (3, 2), 0.125, sampling)
    torch.testing.assert_close(shuffled, whole[order], atol=1e-6, rtol=1e-6)
    flipped = roi_align(x.flip(0), boxes, 1 - images, (3, 2), 0.125, sampling)
    torch.testing.assert_close(flipped, whole, atol=1e-6, rtol=1e-6)
    monkeypatch.setattr(importlib.import_module("segeval_baselines.ops.roi_align"), "_PLACES", 200)
    torch.testing.assert_close(roi_align(x, boxes, images, (3, 2), 0.125, sampling), whole, atol=1e-6, rtol=1e-6)


def test_no_boxes_give_no_regions_and_gradients_of_zero() -> None:
    x = torch.randn(2, 3, 5, 6, requires_grad=True)
    none = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    for out in (
        roi_align(x, *none, (7, 7), 0.5),
        pyramid_roi_align([x], *none, (7, 7), (0.5,)),
    ):
        assert out.shape == (0, 3, 7, 7)
        x.grad = None
        out.sum().backward()
        assert x.grad is not None
        assert not x.grad.any()


def test_half_precision_is_computed_in_float32() -> None:
    x = torch.randn(1, 2, 8, 8)
    box = torch.tensor([[1.0, 1.0, 6.5, 7.0]])
    out = roi_align(x.bfloat16(), box, ONE, (2, 2), 1.0, 2)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, roi_align(x.bfloat16().float(), box, ONE, (2, 2), 1.0, 2).bfloat16())


def test_shapes_that_do_not_fit_are_refused() -> None:
    x, boxes = torch.zeros(1, 2, 4, 4), torch.zeros(3, 4)
    with pytest.raises(SegevalError, match="give one for each of 3 boxes"):
        roi_align(x, boxes, ONE, (2, 2), 1.0)
    with pytest.raises(SegevalError, match="give \\(N, C, H, W\\)"):
        roi_align(x[0], boxes, ONE, (2, 2), 1.0)
    with pytest.raises(SegevalError, match="give one scale a map"):
        pyramid_roi_align([x], boxes, ONE, (2, 2), (0.5, 0.25))
