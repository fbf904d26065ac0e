"""Every loss on a 3 x 3 image whose value follows by hand from the paper's formula.

The image is binary, its truth a vertical bar of three pixels in the middle column. The prediction says 3/4 on the bar's
upper two pixels, 1/4 on its lowest, 1/4 on one pixel beside it, and 0 elsewhere, so that with P, Y, I the soft sizes
and the overlap

    I = 3/4 + 3/4 + 1/4 = 7/4,  P = I + 1/4 = 2,  Y = 3,  sum p^2 = 9/16 + 9/16 + 1/16 + 1/16 = 5/4.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segeval import losses
from segeval.losses import functional as L

TRUTH = torch.tensor([[[0, 1, 0], [0, 1, 0], [0, 1, 0]]])
P = torch.tensor([[[[0.0, 0.75, 0.0], [0.25, 0.75, 0.0], [0.0, 0.25, 0.0]]]], dtype=torch.float64)
LOGITS = torch.logit(P, eps=1e-300).clamp(-600, 600)
LN43, LN4 = math.log(4 / 3), math.log(4.0)
# Costs of the nine pixels: 3/4 on the truth costs ln 4/3, twice; 1/4 on it costs ln 4; 1/4 beside it costs ln 4/3.
CE = 2 * LN43 + LN4 + LN43


def close(value: Tensor, expected: float) -> None:
    assert value.dtype == torch.float64
    assert abs(value.item() - expected) < 1e-9, (value.item(), expected)


def test_cross_entropy() -> None:
    close(L.cross_entropy(LOGITS, TRUTH), CE / 9)
    # Weights 1 and 2: the bar's pixels count double, and so does the divisor's share: 6 + 3 * 2.
    close(L.cross_entropy(LOGITS, TRUTH, weight=[1.0, 2.0]), (2 * (2 * LN43 + LN4) + LN43) / 12)


def test_balanced_cross_entropy() -> None:
    # beta = 6/9 on the three positives, 3/9 on the negatives.
    close(L.balanced_cross_entropy(LOGITS, TRUTH), (6 / 9 * (2 * LN43 + LN4) + 3 / 9 * LN43) / 9)


def test_top_k_and_ohem() -> None:
    close(L.top_k(LOGITS, TRUTH, fraction=0.25), (LN4 + LN43) / 2)
    # Under 1/2 lies one pixel; at least three are kept.
    close(L.ohem(LOGITS, TRUTH, threshold=0.5, min_kept=1), LN4)
    close(L.ohem(LOGITS, TRUTH, threshold=0.5, min_kept=3), (LN4 + 2 * LN43) / 3)


def test_focal() -> None:
    # (1 - p_t)^2: 1/16 at 3/4, 9/16 at 1/4.
    close(L.focal(LOGITS, TRUTH), (3 * LN43 / 16 + 9 * LN4 / 16) / 9)
    positives = 2 * LN43 / 16 + 9 * LN4 / 16
    close(L.sigmoid_focal(LOGITS, TRUTH), (0.25 * positives + 0.75 * LN43 / 16) / 9)


def test_distance_cross_entropy() -> None:
    # The bar is one pixel thick: phi = 1. Both columns beside it are at distance 1: phi = 1 too.
    phi = torch.from_numpy(losses.inverted_distance_map(TRUTH[0].numpy()))
    assert (phi == 1).all()
    close(L.distance_cross_entropy(LOGITS, TRUTH, phi[None]), 2 * CE / 9)
    half = torch.where(TRUTH == 1, 0.5, 0.0)
    close(L.distance_cross_entropy(LOGITS, TRUTH, half), (1.5 * (2 * LN43 + LN4) + LN43) / 9)


def test_border_cross_entropy() -> None:
    # Two instances in the outer columns of a row: the pixel between has d1 = d2 = 1, and weighs 1 + 10 exp(-4/50).
    truth = torch.tensor([[[1, 0, 1]]])
    logits = torch.zeros(1, 1, 1, 3, dtype=torch.float64)
    ids = torch.tensor([[[7, 0, 9]]])
    w = 10 * math.exp(-4 / 50)
    assert abs(float(L.border_cross_entropy(logits, truth, ids)) - (3 + w) * math.log(2) / 3) < 1e-6
    exact = torch.tensor([[[0.0, w, 0.0]]], dtype=torch.float64)
    close(L.border_cross_entropy(logits, truth, weight_map=exact), (3 + w) * math.log(2) / 3)
    assert L.border_cross_entropy(logits, truth, ids.clamp_max(7)) == L.cross_entropy(logits, truth)


def test_dice_family() -> None:
    close(L.dice(LOGITS, TRUTH), 1 - (3.5 + 1) / (5 + 1))
    close(L.dice(LOGITS, TRUTH, smooth=0.0, squared=True), 1 - 3.5 / 4.25)
    close(L.log_cosh_dice(LOGITS, TRUTH), math.log(math.cosh(0.25)))
    # Background: V = 6, I = 9 - 2 - 3 + 7/4 = 23/4, P + Y = 7 + 6. Weights 1/36 and 1/9.
    common, total = 5.75 / 36 + 1.75 / 9, 13 / 36 + 5 / 9
    close(L.generalized_dice(LOGITS, TRUTH), 1 - 2 * common / total)


def test_wasserstein_dice() -> None:
    # W is the wrong probability: 1/4 + 1/4 + 3/4 on the bar, 1/4 beside it. T = 7/4.
    close(L.wasserstein_dice(LOGITS, TRUTH, smooth=0.0), 1 - 3.5 / (3.5 + 1.5))


def test_jaccard_and_tversky() -> None:
    close(L.jaccard(LOGITS, TRUTH, smooth=0.0), 1 - 1.75 / 3.25)
    # FP = 1/4, FN = 5/4.
    index = 1.75 / (1.75 + 0.3 * 0.25 + 0.7 * 1.25)
    close(L.tversky(LOGITS, TRUTH, smooth=0.0), 1 - index)
    close(L.focal_tversky(LOGITS, TRUTH, smooth=0.0), (1 - index) ** 0.75)


def test_lovasz() -> None:
    # Errors sorted: 3/4 (bar), then 1/4 thrice: two of the bar and one beside it. J falls from 3/3 to 2/3 at the
    # first; the tie is worth the fall to 0, whatever its order.
    close(L.lovasz_softmax(LOGITS, TRUTH), 0.75 / 3 + 0.25 * 2 / 3)
    # Hinge errors 1 - z s: 1 + ln 3 on the missed pixel; 1 - ln 3 < 0 on the others.
    close(L.lovasz_hinge(LOGITS, TRUTH), (1 + math.log(3)) / 3)


def test_sensitivity_specificity() -> None:
    # Squared errors: 1/16 + 1/16 + 9/16 on three positives, 1/16 on six negatives.
    close(L.sensitivity_specificity(LOGITS, TRUTH), 0.05 * (11 / 16) / 3 + 0.95 * (1 / 16) / 6)


def test_region_mutual_information() -> None:
    # A 1 x 1 neighbourhood has one value: M = S_yy - S_yp^2 / (S_pp + a) + a, with sums of centred products.
    a = 5e-4
    s_yy, s_yp, s_pp = 3 - 9 / 9, 1.75 - 3 * 2 / 9, 1.25 - 4 / 9
    information = 0.5 * math.log(s_yy - s_yp**2 / (s_pp + a) + a)
    close(L.region_mutual_information(LOGITS, TRUTH, radius=1, pooling="none"), 0.5 * CE / 9 + 0.5 * information)


def test_t_loss() -> None:
    # D = 9, nu = 1, squared errors 3/4: -lnG(5) + lnG(1/2) + 9/2 ln pi + 5 ln(7/4).
    expected = -math.log(24) + 0.5 * math.log(math.pi) + 4.5 * math.log(math.pi) + 5 * math.log(1.75)
    close(L.t_loss(LOGITS, TRUTH), expected)
    close(losses.TLoss()(LOGITS, TRUTH), expected)


def test_boundary() -> None:
    # phi is 0 on the bar (all of it is inner boundary) and 1 beside it.
    phi = torch.from_numpy(losses.signed_distance_map(TRUTH[0].numpy(), 1))[None]
    close(L.boundary(LOGITS, TRUTH, phi), 0.25 / 9)


def test_region_wise() -> None:
    z = torch.from_numpy(losses.region_wise_map(TRUTH[0].numpy(), 1))[None]
    close(L.region_wise(LOGITS, TRUTH, z), (-1.75 + 0.25) / 9)


def test_hausdorff_distance() -> None:
    # Predicted (p > 1/2): the bar's upper two pixels. Squared distances to the contours: at the missed pixel 1 + 1,
    # at the false one 1 + 1, at the two others inside 1 + 1.
    close(L.hausdorff_distance(LOGITS, TRUTH), 2 * (1 / 16 + 1 / 16 + 9 / 16 + 1 / 16) / 9)


def test_hausdorff_erosion() -> None:
    # Everything wrong with certainty: errors are 1 on 3 x 3. One erosion keeps 2 (5/5 - 1/2) = 1 in the centre, 2
    # (4/5 - 1/2) = 3/5 at four sides, 2 (3/5 - 1/2) = 1/5 at corners; the second, in the centre, 2 ((1 + 4 * 3/5)/5 -
    # 1/2) = 9/25, at a side 2 ((3/5 + 1 + 2/5)/5 - 1/2) < 0, at corners less.
    wrong = (1 - 2 * TRUTH.unsqueeze(1).double()) * 600
    first = 1 + 4 * 0.6 + 4 * 0.2
    close(L.hausdorff_erosion(wrong, TRUTH, erosions=2, alpha=2.0), (first + 4 * 0.36) / 9)


def test_boundary_aware() -> None:
    # Depth 1 on the bar, 0 beside it; two bins, so the two classes of depth are the classes themselves.
    d = torch.from_numpy(losses.inner_distance_map(TRUTH[0].numpy()))[None]
    assert torch.equal(d, TRUTH.float())
    close(L.boundary_aware(LOGITS, TRUTH, d), CE / 9)
    # A solid 3 x 3 block in a 5 x 5 image: depths 1 around, 2 in the centre; a network sure of bin 1 everywhere.
    block = torch.zeros(1, 5, 5, dtype=torch.int64)
    block[:, 1:4, 1:4] = 1
    depth = torch.from_numpy(losses.inner_distance_map(block[0].numpy()))[None]
    logits = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).view(1, 3, 1, 1).expand(1, 3, 5, 5)
    total = math.log(2 + math.e)
    close(L.boundary_aware(logits, block, depth), (25 * total - 8) / 25)


def test_boundary_dou() -> None:
    # All three pixels lie on the boundary: C/S = 1 and alpha = -1. (5/4 + 3 - 7/2) / (5/4 + 3).
    assert abs(float(L.boundary_dou(LOGITS, TRUTH)) - 0.75 / 4.25) < 1e-5
    # A full 3 x 3 image: eight of nine pixels touch its border; alpha = 1 - 16/9.
    full = torch.ones_like(TRUTH)
    logits = torch.zeros_like(LOGITS)
    alpha = 1 - 16 / 9
    expected = (9 / 4 + 9 - 9) / (9 / 4 + 9 - (1 + alpha) * 4.5)
    assert abs(float(L.boundary_dou(logits, full)) - expected) < 1e-5


def test_shape_aware() -> None:
    # Predicted contour (label changes to the right or below): four pixels around the upper two of the bar, all on the
    # true one's contour or beside it. True contour: columns 0 and 1, distance 0 there, 1 in column 2.
    d = torch.from_numpy(losses.boundary_distance_map(TRUTH[0].numpy()))[None]
    assert torch.equal(d[0], torch.tensor([[0.0, 0.0, 1.0]] * 3))
    close(L.shape_aware(LOGITS, TRUTH, d), CE / 9)
    # With the truth's contour elsewhere, at 2 pixels from all of the prediction's: the missed pixel costs (1 + 2) ln 4.
    close(L.shape_aware(LOGITS, TRUTH, torch.full_like(d, 2.0)), (CE + 2 * LN4) / 9)


def test_active_boundary() -> None:
    # One row, probabilities 1/2, 1/2, 3/4: the prediction changes between pixels 1 and 2, KL(1/2 || 3/4) = ln(4/3)/2.
    logits = torch.tensor([[[[0.0, 0.0, math.log(3)]]]], dtype=torch.float64)
    truth = torch.tensor([[[1, 0, 0]]])
    d = torch.from_numpy(losses.boundary_distance_map(truth[0].numpy()))[None]
    assert torch.equal(d, torch.tensor([[[0.0, 1.0, 2.0]]]))
    # Of the eight neighbours of pixel 1 only left (KL 0) and right exist; the goal is left, where the distance is 0.
    kl = 0.5 * math.log(4 / 3)
    other = math.log(7 + math.exp(kl))
    smoothed = 0.2 / 8
    cross = (1 - 0.2 + smoothed) * other + smoothed * (6 * other + (other - kl))
    close(L.active_boundary(logits, truth, d, share=0.3), cross / 20)


def test_conditional_boundary() -> None:
    # One row of two classes, features 1 and -1 with one of class 0 at 3: everything lies within the window.
    truth = torch.tensor([[[0, 0, 1]]])
    features = torch.tensor([[[[1.0, 3.0, -1.0]]]], dtype=torch.float64)
    logits = torch.cat([features, torch.zeros_like(features)], 1)
    # All are right. Class 0: each is pulled to the other, (3 - 1)^2; class 1 has no neighbour of its class.
    pull = 4.0
    centre = (math.log1p(math.exp(-3)) + math.log1p(math.exp(-1))) / 2
    # Cosines of the six ordered pairs: 1 within class 0 (goal 1), -1 across (goal 0) four times.
    pairs = 4 / 6
    close(L.conditional_boundary(logits, truth, features), pull + 0.2 * centre + 2 * pairs)


def test_inverse_form() -> None:
    class Moments(nn.Module):
        """Sum of the predicted edges less that of the true ones."""

        def forward(self, tiles: Tensor) -> Tensor:
            return (tiles[:, 0] - tiles[:, 1]).sum((1, 2)).unsqueeze(1)

    # Ranges over 3 x 3 neighbourhoods: 3/4 everywhere but in the lower right corner region. Row by row, prediction:
    # columns 0..1 see the bar, column 2 too. Rows 0 and 1 reach 3/4, row 2 sees rows 1 and 2, so 3/4 as well: 9 * 3/4.
    close(L.inverse_form(LOGITS, TRUTH, regressor=Moments()), 9 - 9 * 0.75)
    perfect = (2 * TRUTH.unsqueeze(1).double() - 1) * 600
    assert L.inverse_form(perfect, TRUTH) == 0
    assert L.inverse_form(LOGITS, TRUTH) > 0


def test_combo() -> None:
    dice = 4.5 / 6
    close(L.combo(LOGITS, TRUTH), 0.5 * 0.5 * CE / 9 - 0.5 * dice)
    # Empty truth: being sure of foreground must cost more than being sure of none.
    empty = torch.zeros_like(TRUTH)
    sure, none = (L.combo(torch.full_like(LOGITS, z), empty) for z in (4.6, -4.6))
    assert sure > none


def test_exponential_logarithmic() -> None:
    # Frequencies 6/9 and 3/9: weights sqrt(3/2) and sqrt(3).
    cross = (math.sqrt(3) * (2 * LN43**0.3 + LN4**0.3) + math.sqrt(1.5) * LN43**0.3) / 9
    close(L.exponential_logarithmic(LOGITS, TRUTH), 0.8 * (-math.log(4.5 / 6)) ** 0.3 + 0.2 * cross)


def test_unified_focal() -> None:
    # TI of the foreground: 7/4 / (7/4 + .6 * 5/4 + .4 * 1/4); of the background: 23/4 / (23/4 + .6 * 1/4 + .4 * 5/4).
    front, back = 1 - 1.75 / (1.75 + 0.75 + 0.1), 1 - 5.75 / (5.75 + 0.15 + 0.5)
    sharp = 0.6 * (2 * 0.5 * LN43 + math.sqrt(0.75) * LN4) + 0.4 * 0.5 * LN43
    symmetric = 0.5 * sharp / 9 + 0.5 * (front**0.5 + back**0.5) / 2
    close(L.unified_focal(LOGITS, TRUTH, asymmetric=False, smooth=0.0), symmetric)
    blunt = 0.6 * (2 * LN43 + LN4) + 0.4 * 0.5 * LN43
    asymmetric = 0.5 * blunt / 9 + 0.5 * (front**0.5 + back) / 2
    close(L.unified_focal(LOGITS, TRUTH, smooth=0.0), asymmetric)


def test_dice_cross_entropy() -> None:
    value = L.dice_cross_entropy(LOGITS, TRUTH, dice_weight=2.0, cross_weight=3.0, smooth=1.0)
    close(value, 2 * 0.25 + 3 * CE / 9)


@pytest.mark.parametrize("full", [False, True])
def test_maps_of_empty_and_full_images(full: bool) -> None:
    image = np.full((3, 3), int(full))
    assert (losses.signed_distance_map(image, 2) == 0).all()
    assert (losses.boundary_distance_map(image) == 0).all()
    assert (losses.inverted_distance_map(image) == 0).all()
    assert (losses.inner_distance_map(image) == 0).all()
    region = losses.region_wise_map(image, 2)
    assert (region[int(full)] == -1).all()
    assert (region[1 - int(full)] == 1).all()
    assert (losses.border_weight_map(image) == 0).all()
