"""Task losses by hand: each term and its normaliser."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from segeval.errors import SegevalError
from segeval.losses import MaskRCNNLoss, PanopticLoss
from segeval.losses import functional as L

LN2 = math.log(2)


def test_class_term_counts_background() -> None:
    logits = torch.zeros(4, 3)
    assert math.isclose(float(L.region_class(logits, torch.tensor([0, 0, 1, 2]))), math.log(3), rel_tol=1e-6)
    none = L.region_class(torch.zeros(0, 3, requires_grad=True), torch.zeros(0).long())
    none.backward()
    assert none == 0


def test_box_term_divides_by_all_regions() -> None:
    deltas = torch.zeros(4, 8, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 2])
    targets = torch.tensor([[9.0] * 4, [9.0] * 4, [0.5, 0, 0, 0], [3.0, 0, 0, 0]])
    # beta 1: 0.5^2 / 2 and 3 - 1/2, over four regions, background's targets unread.
    value = L.region_box(deltas, labels, targets)
    value.backward()
    assert math.isclose(float(value), (0.125 + 2.5) / 4)
    assert deltas.grad is not None
    expected = torch.zeros(4, 8)
    expected[2, 0], expected[3, 4] = -0.5 / 4, -1 / 4
    assert torch.equal(deltas.grad, expected)
    assert math.isclose(float(L.region_box(torch.zeros(4, 4), labels, targets)), 2.625 / 4)


def test_box_term_without_positives() -> None:
    deltas = torch.zeros(2, 8, requires_grad=True)
    value = L.region_box(deltas, torch.zeros(2).long(), torch.ones(2, 4))
    value.backward()
    assert value == 0
    assert (deltas.grad == 0).all()


@pytest.mark.parametrize("beta", [0.0, 1 / 9, 1.0])
def test_smooth_l1_is_torch(beta: float) -> None:
    x = torch.linspace(-2, 2, 41)
    assert torch.allclose(L.smooth_l1(x, beta), F.smooth_l1_loss(x, torch.zeros(41), beta=beta, reduction="none"))


def test_mask_term_reads_the_true_class_only() -> None:
    logits = torch.zeros(2, 3, 4, 4)
    logits[0, 1] = 50.0
    logits.requires_grad_()
    masks = torch.zeros(2, 4, 4)
    masks[0] = 1
    value = L.region_mask(logits, torch.tensor([2, 3]), masks)
    value.backward()
    # The first is right (class 2, channel 1); the second undecided.
    assert math.isclose(float(value), LN2 / 2, rel_tol=1e-6)
    assert logits.grad is not None
    assert (logits.grad[1, :2] == 0).all()
    assert torch.allclose(logits.grad[1, 2], torch.full((4, 4), 0.5 / 32))
    none = L.region_mask(logits[:0], torch.zeros(0).long(), masks[:0])
    assert none == 0
    assert none.requires_grad


def test_rpn_terms_count_sampled_anchors() -> None:
    labels = torch.tensor([1, 0, -1, -1])
    scores = torch.tensor([0.0, 0.0, 100.0, float("inf")], requires_grad=True)
    value = L.rpn_objectness(scores, labels)
    assert math.isclose(float(value), LN2, rel_tol=1e-6)
    deltas = torch.zeros(4, 4)
    targets = torch.tensor([[1.0, 0, 0, 0], [7.0] * 4, [7.0] * 4, [7.0] * 4])
    # beta 1/9: 1 - 1/18, over two sampled anchors.
    assert math.isclose(float(L.rpn_box(deltas, labels, targets)), (1 - 1 / 18) / 2, rel_tol=1e-6)
    nothing = torch.full((4,), -1)
    assert L.rpn_objectness(scores[:3], nothing[:3]) == 0
    assert L.rpn_box(deltas, nothing, targets) == 0


def inputs() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "class_logits": torch.randn(4, 3), "labels": torch.tensor([0, 0, 1, 2]),
        "box_deltas": torch.randn(4, 8), "box_targets": torch.randn(4, 4),
        "mask_logits": torch.randn(2, 2, 28, 28), "mask_labels": torch.tensor([1, 2]),
        "mask_targets": torch.randint(0, 2, (2, 28, 28)).float(),
    }  # fmt: skip


def test_totals() -> None:
    anchors = {
        "objectness": torch.randn(5), "anchor_labels": torch.tensor([1, 0, 0, -1, 1]),
        "anchor_deltas": torch.randn(5, 4), "anchor_targets": torch.randn(5, 4),
    }  # fmt: skip
    terms = MaskRCNNLoss()(**inputs(), **anchors)
    assert set(terms) == {"class", "box", "mask", "objectness", "rpn_box", "total"}
    assert torch.isclose(terms["total"], sum(terms[k] for k in terms if k != "total"))
    assert set(MaskRCNNLoss()(**inputs())) == {"class", "box", "mask", "total"}
    semantic = torch.tensor(2.0)
    expected = 3 * (terms["class"] + terms["box"] + terms["mask"]) + 0.25 * 2 + terms["objectness"] + terms["rpn_box"]
    assert torch.isclose(PanopticLoss(instance_weight=3.0, semantic_weight=0.25)(terms, semantic), expected)
    with pytest.raises(SegevalError, match="all four"):
        MaskRCNNLoss()(**inputs(), objectness=anchors["objectness"])
    with pytest.raises(SegevalError, match="class_logits has 4 rows for 3"):
        L.region_class(torch.zeros(4, 3), torch.zeros(3).long())


def test_half_precision() -> None:
    halves = {k: v.half() if v.is_floating_point() else v for k, v in inputs().items()}
    assert all(value.dtype == torch.float32 for value in MaskRCNNLoss()(**halves).values())
