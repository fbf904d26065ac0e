"""The one encoding: what it takes, what it refuses, and what reductions mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from segeval.errors import SegevalError
from segeval.losses import CrossEntropyLoss, DiceLoss, encode
from segeval.losses import functional as L
from segeval.losses.encoding import power, ratio

from .cases import batch


def test_binary_forms_are_one() -> None:
    logits, target = batch(2)
    forms = [target, target.bool(), target.unsqueeze(1), target.unsqueeze(1).double(), target.double(), target.int()]
    values = {float(L.dice(logits, form)) for form in forms} | {float(L.dice(logits, forms[0], ignore_index=255))}
    assert len(values) == 1


def test_masks_of_classes_are_labels() -> None:
    logits, target = batch()
    hot = torch.nn.functional.one_hot(target, 3).movedim(-1, 1)
    assert torch.isclose(L.dice(logits, hot), L.dice(logits, target))
    assert torch.isclose(L.cross_entropy(logits, hot.bool()), L.cross_entropy(logits, target))


def test_ignored_pixels_of_soft_labels() -> None:
    logits, target = batch()
    target[0, 2, 3] = 255
    hot = torch.nn.functional.one_hot(target.clamp_max(2), 3).movedim(-1, 1).double()
    hot[0, :, 2, 3] = 255
    assert torch.isclose(L.dice(logits, hot, ignore_index=255), L.dice(logits, target, ignore_index=255))


@pytest.mark.parametrize(
    ("logits", "target", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(2).long(), "logits are"),
        (torch.zeros(2, 3, 4, 4).long(), torch.zeros(2, 4, 4).long(), "logits are"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 5).long(), r"target is \(2, 4, 5\)"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4), "target is .* torch.float32"),
        (torch.zeros(2, 3, 4, 4), torch.full((2, 4, 4), 255), "label 255, outside 0..2"),
        (torch.zeros(2, 3, 4, 4), torch.full((2, 4, 4), -1), "label -1, outside 0..2"),
        (torch.zeros(2, 1, 4, 4), torch.full((2, 4, 4), 2), "label 2, outside 0..1"),
        (torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 1.5), "soft label 1.5, outside 0..1"),
        (torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), float("nan")), "soft label nan"),
    ],
)
def test_bad_input_is_told(logits: torch.Tensor, target: torch.Tensor, message: str) -> None:
    with pytest.raises(SegevalError, match=message):
        encode(logits, target)


def test_bad_options_are_told() -> None:
    logits, target = batch()
    with pytest.raises(SegevalError, match="reduction is 'avg'"):
        L.dice(logits, target, reduction="avg")  # type: ignore[arg-type]
    with pytest.raises(SegevalError, match="classes is 'some'"):
        L.dice(logits, target, classes="some")  # type: ignore[arg-type]
    with pytest.raises(SegevalError, match="classes names 3"):
        L.dice(logits, target, classes=[3])
    with pytest.raises(SegevalError, match=r"weight is \(2,\)"):
        L.cross_entropy(logits, target, weight=[1.0, 2.0])
    with pytest.raises(SegevalError, match="distance_map is"):
        L.boundary(logits, target, torch.zeros(2, 6, 7))


def test_classes_and_weights() -> None:
    logits, target = batch()
    target[target == 2] = 1
    each = L.dice(logits, target, reduction="none", classes="all")
    assert each.shape == (3,)
    assert torch.isclose(L.dice(logits, target), each[:2].mean())
    assert torch.isclose(L.dice(logits, target, classes="all"), each.mean())
    assert torch.isclose(L.dice(logits, target, classes=[2]), each[2])
    assert torch.isclose(L.dice(logits, target, weight=[1.0, 3.0, 9.0]), (each[0] + 3 * each[1]) / 4)
    assert torch.isclose(L.dice(logits, target, reduction="sum"), each[:2].sum())
    assert L.dice(logits, target, reduction="none")[2] == 0


def test_per_image_averages_images() -> None:
    logits, target = batch()
    each = [L.dice(logits[n : n + 1], target[n : n + 1]) for n in range(2)]
    assert torch.isclose(L.dice(logits, target, per_image=True), torch.stack(each).mean())
    assert L.dice(logits, target, per_image=True, reduction="none").shape == (2, 3)
    assert not torch.isclose(L.dice(logits, target), torch.stack(each).mean(), rtol=1e-6)


def test_a_missed_small_object_shows_per_image() -> None:
    # One large object found, one of five pixels missed: averaging images says it, pooling hides it.
    target = torch.zeros(2, 32, 32).long()
    target[0], target[1, 0, :5] = 1, 1
    logits = torch.full((2, 1, 32, 32), -40.0)
    logits[0] = 40
    assert abs(float(L.dice(logits, target, per_image=True)) - 5 / 12) < 1e-6
    assert float(L.dice(logits, target)) < 0.005


def test_reductions_of_pixels() -> None:
    logits, target = batch()
    target[0, 0] = 255
    loss = CrossEntropyLoss(ignore_index=255, reduction="none")(logits, target)
    assert loss.shape == target.shape
    assert (loss[0, 0] == 0).all()
    assert torch.isclose(CrossEntropyLoss(ignore_index=255)(logits, target), loss.sum() / (target != 255).sum())


def test_ratio_and_power() -> None:
    zero = torch.zeros((), requires_grad=True)
    value = ratio(zero, zero)
    value.backward()
    assert value == 1
    assert zero.grad == 0
    base = torch.tensor([0.0, 1e-8, 1e-7, 0.5], dtype=torch.float64, requires_grad=True)
    raised = power(base, 0.25)
    raised.sum().backward()
    assert raised[0] == 0
    assert base.grad is not None
    assert base.grad.isfinite().all()
    assert (raised.diff() > 0).all()
    assert raised[3].item() == 0.5**0.25
    assert (power(base, 0) == 1).all()


@pytest.mark.parametrize("ignore", [None, 255])
def test_compiles_without_graph_breaks(ignore: int | None) -> None:
    logits, target = batch(dtype=torch.float32)
    if ignore is not None:
        target[0, 0] = ignore

    def total(x: torch.Tensor) -> torch.Tensor:
        parts = [
            L.cross_entropy(x, target, ignore_index=ignore), L.focal(x, target, ignore_index=ignore),
            L.dice(x, target, ignore_index=ignore), L.tversky(x, target, ignore_index=ignore),
            L.generalized_dice(x, target, ignore_index=ignore), L.lovasz_softmax(x, target, ignore_index=ignore),
            L.unified_focal(x, target, ignore_index=ignore), L.combo(x, target, ignore_index=ignore),
            L.boundary_dou(x, target, ignore_index=ignore), L.hausdorff_erosion(x, target, ignore_index=ignore),
            L.region_mutual_information(x, target, ignore_index=ignore), L.jaccard(x, target, ignore_index=ignore),
        ]  # fmt: skip
        return torch.stack(parts)

    compiled = torch.compile(total, fullgraph=True, backend="aot_eager")
    first, second = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    expected, got = total(first), compiled(second)
    assert torch.allclose(expected, got, rtol=1e-5)
    expected.sum().backward()
    got.sum().backward()
    assert first.grad is not None
    assert second.grad is not None
    assert torch.allclose(first.grad, second.grad, rtol=1e-4, atol=1e-6)


def test_large_sums_do_not_overflow() -> None:
    logits = torch.zeros(1, 2, 512, 512, dtype=torch.float16)
    target = torch.zeros(1, 512, 512, dtype=torch.uint8)
    target[:, :256] = 1
    assert abs(float(DiceLoss(smooth=0.0)(logits, target)) - 0.5) < 1e-6
    assert np.isfinite(float(L.cross_entropy(logits, target, reduction="sum")))
