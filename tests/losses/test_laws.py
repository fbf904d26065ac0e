"""Laws that hold for every loss: gradients, saturation, ignored pixels, absent classes, shapes and precisions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from segeval import losses
from segeval.losses import functional

from .cases import DENSE, IGNORED, STOPPED, batch, call, make, needed, perfect

PLANE_ONLY = {"active_boundary", "conditional_boundary", "inverse_form"}
# Losses whose smallest value is not 0, and where their pixels' places matter.
OTHER_MINIMUM = {"boundary", "region_wise", "combo", "region_mutual_information", "t_loss", "conditional_boundary"}
SPATIAL = {
    "region_mutual_information", "hausdorff_distance", "hausdorff_erosion", "active_boundary", "inverse_form",
    "conditional_boundary", "boundary_dou", "shape_aware",
}  # fmt: skip
# Their channels are not exchangeable classes: background is special, or channels are bins.
ORDERED = {"wasserstein_dice", "unified_focal", "boundary_aware", "border_cross_entropy"}


def grad_of(name: str, logits: Tensor, target: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    leaf = logits.detach().clone().requires_grad_()
    value = call(name, leaf, target, **options)
    value.backward()
    assert leaf.grad is not None
    return value.detach(), leaf.grad


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", DENSE)
def test_gradient_is_that_of_the_value(name: str, classes: int) -> None:
    logits, target = batch(classes, (4, 5), seed=1)
    target[0, 3, :2] = IGNORED
    tensors = needed(name, target, logits.shape[1])
    loss = make(name, ignore_index=IGNORED).double()
    held: dict[str, Any] = {}
    if name == "active_boundary":
        held["held_logits"] = logits.clone()
    if name == "hausdorff_distance":
        held["prediction_field"] = torch.ones_like(logits)
    if name == "conditional_boundary":
        pytest.skip("the centre is stopped: checked with the pair and class terms alone")
    assert set(held) == set() or name in STOPPED
    assert torch.autograd.gradcheck(lambda x: loss(x, target, **tensors, **held), logits.requires_grad_())


def test_gradient_of_the_conditional_boundary_loss() -> None:
    logits, target = batch(3, (4, 5), seed=1)
    features = torch.randn(2, 4, 4, 5, dtype=torch.float64, requires_grad=True)
    logits = perfect(target, 3, 0.3).requires_grad_()

    def without_pull(x: Tensor, f: Tensor) -> Tensor:
        # Far from any correct pixel the pull has no member: all argmax are wrong.
        return functional.conditional_boundary(-x, target, f)

    assert torch.autograd.gradcheck(without_pull, (logits, features))


@pytest.mark.parametrize("margin", [40.0, -40.0, 200.0, -200.0])
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("name", DENSE)
def test_saturated_logits_stay_finite(name: str, classes: int, margin: float) -> None:
    _, target = batch(max(classes, 2))
    value, grad = grad_of(name, perfect(target, classes, margin, torch.float32), target)
    assert value.isfinite()
    assert grad.isfinite().all()


@pytest.mark.parametrize("name", DENSE)
def test_all_ignored_is_zero(name: str) -> None:
    logits, target = batch()
    value, grad = grad_of(name, logits, torch.full_like(target, IGNORED))
    assert value == 0
    assert (grad == 0).all()


@pytest.mark.parametrize("name", DENSE)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), nonsense=st.sampled_from([0.0, -3.0, 1e30, math.inf, math.nan]))
def test_ignored_pixels_never_matter(name: str, seed: int, nonsense: float) -> None:
    logits, target = batch(seed=seed)
    generator = torch.Generator().manual_seed(seed)
    void = torch.rand(target.shape, generator=generator) < 0.3
    target[void] = IGNORED
    other = logits.masked_fill(void.unsqueeze(1), nonsense)
    value, grad = grad_of(name, logits, target)
    value_of_other, grad_of_other = grad_of(name, other, target)
    assert value == value_of_other
    assert torch.equal(grad, grad_of_other)
    assert (grad.movedim(1, -1)[void] == 0).all()


@pytest.mark.parametrize("name", [n for n in DENSE if n not in SPATIAL])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_order_of_pixels_does_not_matter(name: str, seed: int) -> None:
    logits, target = batch(seed=seed)
    tensors = needed(name, target, 3)
    loss = make(name)
    order = torch.randperm(42, generator=torch.Generator().manual_seed(seed))

    def shuffled(maps: Tensor) -> Tensor:
        spatial = maps.shape[-2:]
        return maps.flatten(-2)[..., order].unflatten(-1, spatial)

    if name == "border_cross_entropy":
        from segeval.losses import border_weight_map

        weight_map = torch.stack([torch.from_numpy(border_weight_map(one.numpy())) for one in target])
        first = loss(logits, target, weight_map=weight_map)
        second = loss(shuffled(logits), shuffled(target), weight_map=shuffled(weight_map))
    else:
        first = loss(logits, target, **tensors)
        second = loss(shuffled(logits), shuffled(target), **{k: shuffled(v) for k, v in tensors.items()})
    assert torch.isclose(first, second, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [n for n in DENSE if n not in ORDERED])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_order_of_classes_does_not_matter(name: str, seed: int) -> None:
    logits, target = batch(4, seed=seed)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    renamed = torch.argsort(order)[target]
    first = call(name, logits, target)
    second = call(name, logits[:, order], renamed)
    # ABL's neighbours with equal distances, and summation order, leave the last digits.
    assert torch.isclose(first, second, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("name", DENSE)
def test_no_small_step_from_perfection_lowers_the_loss(name: str, classes: int) -> None:
    _, target = batch(max(classes, 2))
    tensors = needed(name, target, classes)
    if name == "boundary_aware":
        # Perfect bins instead of perfect classes.
        channels = max(classes, 2)
        bins = tensors["distance_map"].ceil().clamp(0, channels - 1).long()
        best = perfect(bins, channels if classes > 1 else 1, 40.0)
    else:
        best = perfect(target, classes, 40.0)
    if name == "conditional_boundary":
        # Features that name the class are what perfection means here.
        hot = torch.nn.functional.one_hot(target, 3).movedim(-1, 1).double()
        tensors["features"] = hot
    loss = make(name).double()
    least = loss(best, target, **tensors)
    generator = torch.Generator().manual_seed(0)
    for size in (0.1, 1.0, 30.0):
        for _ in range(5):
            step = torch.randn(best.shape, generator=generator, dtype=torch.float64) * size
            assert loss(best + step, target, **tensors) >= least - 1e-9
    if name not in OTHER_MINIMUM or name == "conditional_boundary":
        assert abs(least) < 1e-4


@pytest.mark.parametrize("classes", [1, 3])
def test_minima_that_are_not_zero(classes: int) -> None:
    _, target = batch(max(classes, 2))
    best = perfect(target, classes, 40.0)
    for name in ("boundary", "region_wise"):
        maps = needed(name, target, classes)["distance_map"].double()
        inside = maps.clamp_max(0).sum((0, 2, 3)) / target.numel()
        assert torch.isclose(call(name, best, target), inside.mean())
    assert torch.isclose(call("combo", best, target), torch.tensor(-0.5, dtype=torch.float64))
    D = torch.tensor(target[0].numel() * classes, dtype=torch.float64)
    constant = math.lgamma(0.5) - torch.lgamma((1 + D) / 2) + D / 2 * math.log(math.pi)
    assert torch.isclose(call("t_loss", best, target), constant, rtol=1e-6)


@pytest.mark.parametrize("name", DENSE)
def test_absent_class_and_empty_truth(name: str) -> None:
    logits, target = batch()
    for labels in (torch.where(target == 2, 0, target), torch.zeros_like(target)):
        value, grad = grad_of(name, logits, labels)
        assert value.isfinite()
        assert grad.isfinite().all()
    value, grad = grad_of(name, logits[:, :1], torch.zeros_like(target))
    assert value.isfinite()
    assert grad.isfinite().all()


@pytest.mark.parametrize("name", DENSE)
def test_single_pixel_and_batch_of_one(name: str) -> None:
    logits, target = batch()
    for part in ((slice(0, 1), slice(0, 1), slice(0, 1)), (slice(0, 1), slice(None), slice(None))):
        n, y, x = part
        value, grad = grad_of(name, logits[n, :, y, x], target[n, y, x])
        assert value.isfinite()
        assert grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", DENSE)
def test_half_precision_is_computed_in_single(name: str, dtype: torch.dtype) -> None:
    logits, target = batch(dtype=torch.float32)
    logits = logits.to(dtype)
    value, grad = grad_of(name, logits, target)
    assert value.dtype == torch.float32
    assert grad.dtype == dtype
    assert value == call(name, logits.float(), target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert value == call(name, logits.float(), target)


@pytest.mark.parametrize("name", DENSE)
def test_strides_do_not_matter(name: str) -> None:
    logits, target = batch()
    value, grad = grad_of(name, logits, target)
    strided = logits.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    labels = target.transpose(1, 2).contiguous().transpose(1, 2)
    leaf = strided.detach().requires_grad_()
    assert not leaf.is_contiguous()
    other = call(name, leaf, labels)
    other.backward()
    assert leaf.grad is not None
    assert torch.isclose(value, other, rtol=1e-12)
    assert torch.allclose(grad, leaf.grad, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", [n for n in DENSE if n not in PLANE_ONLY])
def test_volumes(name: str) -> None:
    logits, target = batch(size=(3, 4, 5))
    value, grad = grad_of(name, logits, target)
    assert value.isfinite()
    assert grad.isfinite().all()
    if name not in SPATIAL | {"border_cross_entropy"} and losses.LOSSES[name].needs == ():
        flat = call(name, logits.flatten(3), target.flatten(2))
        assert torch.isclose(value, flat, rtol=1e-12)


@pytest.mark.parametrize("name", DENSE)
def test_int_types_of_labels(name: str) -> None:
    logits, target = batch()
    assert call(name, logits, target) == call(name, logits, target.to(torch.uint8))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", DENSE)
def test_cuda_agrees(name: str) -> None:
    logits, target = batch(dtype=torch.float32)
    tensors = {key: value.cuda() for key, value in needed(name, target, 3).items()}
    there = make(name, ignore_index=IGNORED).cuda()(logits.cuda(), target.cuda(), **tensors)
    assert torch.isclose(there.cpu(), call(name, logits, target), rtol=1e-4, atol=1e-6)
