"""Agreement with torch.nn.functional, MONAI, identities between losses, and published pathologies."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from segeval.losses import functional as L

from .cases import batch, perfect

EXACT = {"rtol": 1e-12, "atol": 1e-14}
seeds = st.integers(0, 10_000)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_identities(seed: int) -> None:
    logits, target = batch(seed=seed)
    assert L.focal(logits, target, gamma=0) == L.cross_entropy(logits, target)
    dice = L.dice(logits, target, smooth=1.0, reduction="none")
    half = L.tversky(logits, target, alpha=0.5, beta=0.5, smooth=0.5, reduction="none")
    assert torch.allclose(dice, half, **EXACT)
    full = L.tversky(logits, target, alpha=1.0, beta=1.0, smooth=1e-5)
    assert L.jaccard(logits, target) == full
    D = 1 - L.dice(logits, target, smooth=0.0, reduction="none")
    J = 1 - L.jaccard(logits, target, smooth=0.0, reduction="none")
    assert torch.allclose(D, 2 * J / (1 + J), **EXACT)
    assert torch.allclose(L.focal_tversky(logits, target, gamma=1.0), L.tversky(logits, target), **EXACT)
    assert torch.allclose(L.log_cosh_dice(logits, target, reduction="none"), dice.cosh().log(), **EXACT)
    assert torch.allclose(L.top_k(logits, target, fraction=1.0), L.cross_entropy(logits, target), **EXACT)
    wide = L.ohem(logits, target, threshold=0.0, min_kept=10**9)
    assert torch.allclose(wide, L.cross_entropy(logits, target), **EXACT)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_one_channel_is_two_classes(seed: int) -> None:
    logits, target = batch(2, seed=seed)
    two = torch.cat([torch.zeros_like(logits), logits], 1)
    for loss in (L.cross_entropy, L.focal, L.balanced_cross_entropy, L.top_k, L.generalized_dice, L.wasserstein_dice):
        assert torch.allclose(loss(logits, target), loss(two, target), **EXACT), loss.__name__
    assert torch.allclose(L.unified_focal(logits, target), L.unified_focal(two, target), **EXACT)
    for loss in (L.dice, L.jaccard, L.tversky, L.focal_tversky, L.log_cosh_dice, L.lovasz_softmax, L.boundary_dou,
                 L.sensitivity_specificity, L.hausdorff_distance, L.hausdorff_erosion, L.combo):  # fmt: skip
        assert torch.allclose(loss(logits, target), loss(two, target, classes=[1]), **EXACT), loss.__name__


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_lovasz_of_hard_predictions_is_jaccard(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, 4, (2, 5, 6), generator=generator)
    answer = torch.randint(0, 4, (2, 5, 6), generator=generator)
    logits = perfect(answer, 4, 1000.0)
    expected = []
    for c in target.unique():
        common = ((target == c) & (answer == c)).sum()
        union = ((target == c) | (answer == c)).sum()
        expected.append(1 - common.double() / union)
    assert torch.isclose(L.lovasz_softmax(logits, target), torch.stack(expected).mean(), rtol=1e-14)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, smoothing=st.sampled_from([0.0, 0.1]))
def test_torch_cross_entropy(seed: int, smoothing: float) -> None:
    logits, target = batch(seed=seed)
    target[0, 0] = 255
    weight = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)
    for w in (None, weight):
        ours = L.cross_entropy(logits, target, ignore_index=255, weight=w, label_smoothing=smoothing)
        peer = F.cross_entropy(logits, target, ignore_index=255, weight=w, label_smoothing=smoothing)
        assert torch.isclose(ours, peer, rtol=1e-12)
    soft = torch.softmax(logits.flip(0) * 2, 1)
    assert torch.isclose(L.cross_entropy(logits, soft), F.cross_entropy(logits, soft), rtol=1e-12)
    binary, mask = batch(2, seed=seed)
    peer = F.binary_cross_entropy_with_logits(binary[:, 0], mask.double())
    assert torch.isclose(L.cross_entropy(binary, mask), peer, rtol=1e-12)
    with_nothing = F.cross_entropy(logits, torch.full_like(target, 255), ignore_index=255)
    assert with_nothing.isnan()


def hot(target: torch.Tensor, classes: int) -> torch.Tensor:
    return F.one_hot(target, classes).movedim(-1, 1).double()


@pytest.mark.parity
@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_monai_regions(seed: int) -> None:
    monai = pytest.importorskip("monai.losses")
    logits, target = batch(seed=seed)
    onehot = hot(target, 3)
    shared = {"softmax": True, "smooth_nr": 1e-5, "smooth_dr": 1e-5}
    for per_image in (False, True):
        peer = monai.DiceLoss(batch=not per_image, **shared)(logits, onehot)
        ours = L.dice(logits, target, smooth=1e-5, per_image=per_image, classes="all")
        assert torch.isclose(ours, peer, rtol=1e-10)
    peer = monai.DiceLoss(batch=True, squared_pred=True, **shared)(logits, onehot)
    assert torch.isclose(L.dice(logits, target, smooth=1e-5, squared=True), peer, rtol=1e-10)
    # MONAI smooths 2 TP / (2 (P + Y - TP)), which is twice our fraction.
    peer = monai.DiceLoss(batch=True, jaccard=True, **shared)(logits, onehot)
    assert torch.isclose(L.jaccard(logits, target, smooth=5e-6), peer, rtol=1e-10)
    peer = monai.TverskyLoss(batch=True, alpha=0.3, beta=0.7, **shared)(logits, onehot)
    assert torch.isclose(L.tversky(logits, target, smooth=1e-5), peer, rtol=1e-10)
    peer = monai.GeneralizedDiceLoss(batch=True, w_type="square", **shared)(logits, onehot)
    assert torch.isclose(L.generalized_dice(logits, target, smooth=1e-5), peer, rtol=1e-8)
    M = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.4], [1.0, 0.4, 0.0]])
    wasserstein = monai.GeneralizedWassersteinDiceLoss(M.numpy(), weighting_mode="default", reduction="mean")
    peer = wasserstein(logits.float(), target.unsqueeze(1))
    ours = L.wasserstein_dice(logits.float(), target, distances=M, per_image=True)
    assert torch.isclose(ours, peer, rtol=1e-5)


@pytest.mark.parity
@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_monai_pixels_and_combinations(seed: int) -> None:
    monai = pytest.importorskip("monai.losses")
    logits, target = batch(seed=seed, dtype=torch.float32)
    onehot = hot(target, 3).float()
    per_class = monai.FocalLoss(use_softmax=True, gamma=2.0, reduction="none")(logits, onehot)
    assert torch.isclose(L.focal(logits, target), per_class.sum(1).mean(), rtol=1e-5)
    sigmoid = monai.FocalLoss(gamma=2.0, alpha=0.25, reduction="none")(logits, onehot)
    assert torch.isclose(L.sigmoid_focal(logits, target), sigmoid.sum(1).mean(), rtol=1e-5)
    both = monai.DiceCELoss(softmax=True, batch=True)(logits, onehot)
    assert torch.isclose(L.dice_cross_entropy(logits, target), both, rtol=1e-5)


@pytest.mark.parity
def test_monai_focal_with_ignored_pixels() -> None:
    monai = pytest.importorskip("monai.losses")
    logits, target = batch(3, dtype=torch.float32)
    target[:, 0] = 255
    peer = monai.FocalLoss(use_softmax=True, gamma=2.0, to_onehot_y=True, ignore_index=255)(logits, target.unsqueeze(1))
    assert torch.isclose(L.focal(logits, target, ignore_index=255), peer, rtol=1e-5)


@pytest.mark.parity
def test_monai_hausdorff() -> None:
    monai = pytest.importorskip("monai.losses")
    logits, target = batch(2, (9, 11), seed=4)
    peer = monai.HausdorffDTLoss(alpha=2.0, sigmoid=True)(logits.float(), target.unsqueeze(1).float())
    assert torch.isclose(L.hausdorff_distance(logits.float(), target), peer.float(), rtol=1e-5)


@pytest.mark.parity
def test_monai_unified_focal() -> None:
    from monai.losses.unified_focal_loss import AsymmetricUnifiedFocalLoss

    logits, target = batch(2)
    two = torch.cat([torch.zeros_like(logits), logits], 1)
    shared = {"num_classes": 2, "to_onehot_y": True, "gamma": 0.5, "delta": 0.7}
    # It applies no activation, whatever its documentation says, and halves the focal term by a mean over two channels.
    for weight, factor in ((0.0, 1.0), (1.0, 2.0)):
        expected = factor * AsymmetricUnifiedFocalLoss(weight=weight, **shared)(two.softmax(1), target.unsqueeze(1))
        got = L.unified_focal(logits, target, balance=weight, delta=0.7, per_image=True, smooth=1e-7)
        assert torch.isclose(got, expected, rtol=1e-5)


def test_soft_labels() -> None:
    # y = 0.7 everywhere: the product form is smallest at p = 1, the difference form at p = y.
    y = torch.full((1, 1, 4, 4), 0.7, dtype=torch.float64)
    grid = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    logits = [torch.full_like(y, math.log(p / (1 - p))) for p in grid.tolist()]
    for loss in (L.dice, L.jaccard, L.tversky):
        product = torch.stack([loss(z, y) for z in logits])
        difference = torch.stack([loss(z, y, soft_form="difference") for z in logits])
        assert product.argmin() == 18
        assert abs(float(grid[difference.argmin()]) - 0.7) < 1e-9
        assert abs(float(difference.min())) < 1e-12
        hard = torch.ones_like(y)
        assert torch.isclose(loss(logits[5], hard), loss(logits[5], hard, soft_form="difference"), rtol=1e-12)


def test_lecture_dice_of_one_missed_pixel() -> None:
    for pixels, expected in ((1, 0.5), (4, 0.8)):
        target = torch.zeros(1, 4, 4).long()
        target.view(-1)[:pixels] = 1
        value = L.dice(torch.full((1, 1, 4, 4), -400.0), target)
        assert abs(float(value) - expected) < 1e-6


def test_lovasz_slopes_keep_their_digits() -> None:
    from segeval.losses.region.lovasz import _slopes

    truth = torch.rand(1, 2_000_000, generator=torch.Generator().manual_seed(0)) < 0.3
    slopes = _slopes(truth, torch.float32).double()
    hits = truth.double().cumsum(1)
    jaccard = 1 - (hits[:, -1:] - hits) / (hits[:, -1:] + (1 - truth.double()).cumsum(1))
    exact = jaccard.diff(dim=1, prepend=torch.zeros(1, 1))
    assert torch.allclose(slopes, exact, rtol=1e-6, atol=1e-14)
    single = jaccard.float().diff(dim=1, prepend=torch.zeros(1, 1)).double()
    assert ((single - exact).abs() > 0.05 * exact).any()
