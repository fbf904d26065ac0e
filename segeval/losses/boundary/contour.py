"""Losses that move contours or the features at them: active boundary and conditional boundary."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.errors import SegevalError
from segeval.losses.encoding import Encoded, encode, full_precision
from segeval.losses.pixel import pixel_map

# The eight neighbours of a pixel, (row, column).
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def _plane(encoded: Encoded, name: str) -> None:
    if encoded.logits.dim() != 4:
        raise SegevalError(f"{name} got {tuple(encoded.logits.shape)}", remedy="it is defined on images (N, C, H, W)")


def shifted(maps: Tensor, dy: int, dx: int, fill: float) -> Tensor:
    """The map whose pixel (y, x) holds `maps` at (y + dy, x + dx), `fill` outside the image; over the last two axes."""
    H, W = maps.shape[-2:]
    reach = max(abs(dy), abs(dx))
    padded = F.pad(maps, (reach, reach, reach, reach), value=fill)
    return padded[..., reach + dy : reach + dy + H, reach + dx : reach + dx + W]


@full_precision
def active_boundary(
    logits: Tensor,
    target: Tensor,
    distance_map: Tensor,
    *,
    theta: float = 20.0,
    share: float = 0.01,
    label_smoothing: float = 0.2,
    ignore_index: int | None = None,
    held_logits: Tensor | None = None,
) -> Tensor:
    r"""Active boundary loss, :math:`\frac1{|B|} \sum_{i \in B} \frac{\min(d_i, \theta)}{\theta}\, \mathrm{CE}(D^p_i,
    D^g_i)`.

    B are the pixels where the prediction changes most, by :math:`KL(p_i \| p_{i+\text{down}}) + KL(p_i \|
    p_{i+\text{right}})`, at most `share` of the image batch. :math:`D^g` is the neighbour nearest to the true
    boundary, :math:`D^p` the softmax over the eight neighbours of :math:`KL(p_i \| p_j)`. No gradient flows into B or
    the neighbours :math:`p_j`. The paper adds it to cross-entropy and Lovász-softmax. Exactly 0 when the predicted
    boundary is the true one, or there is none.

    Parameters
    ----------
    distance_map
        d, (N, H, W) from :func:`segeval.losses.boundary_distance_map`.
    held_logits
        Logits for the quantities without a gradient, instead of `logits`.

    References
    ----------
    Wang et al., "Active boundary loss for semantic segmentation", AAAI 2022.
    """
    encoded = encode(logits, target, ignore_index)
    _plane(encoded, "the active boundary loss")
    d = pixel_map(distance_map, encoded, "distance_map")
    held = encoded if held_logits is None else encode(held_logits, target, ignore_index)
    log_p, log_held = encoded.log_probabilities(), held.log_probabilities().detach()
    valid = torch.ones_like(d, dtype=torch.bool) if encoded.valid is None else encoded.valid
    with torch.no_grad():
        chosen = _predicted_boundary(log_held, valid, share)
        weights = (d.clamp_max(theta) / theta) * chosen
        beyond = float(2 * (d.shape[1] + d.shape[2]))
        around = torch.stack([shifted(d, dy, dx, beyond) for dy, dx in NEIGHBOURS], 1)
        goal = around.argmin(1)
    p = log_p.exp()
    entropy = (p * log_p).sum(1)
    pulls = []
    for dy, dx in NEIGHBOURS:
        inside = shifted(valid.unsqueeze(1).to(p.dtype), dy, dx, 0.0)[:, 0] * valid
        divergence = entropy - (p * shifted(log_held, dy, dx, 0.0)).sum(1)
        pulls.append(divergence * inside)
    costs = F.cross_entropy(torch.stack(pulls, 1), goal, reduction="none", label_smoothing=label_smoothing)
    return (costs * weights).sum() / chosen.sum().clamp_min(1)


def _predicted_boundary(log_p: Tensor, valid: Tensor, share: float) -> Tensor:
    """Where neighbouring predictions differ most: bool (N, H, W), at most `share` of the pixels (at least one)."""
    p = log_p.exp()
    change = torch.zeros_like(log_p[:, 0])
    for dy, dx in ((1, 0), (0, 1)):
        inside = shifted(valid.unsqueeze(1).to(p.dtype), dy, dx, 0.0)[:, 0] * valid
        change = change + inside * (p * (log_p - shifted(log_p, dy, dx, 0.0))).sum(1)
    count = max(1, int(share * change.numel()))
    # Ties with the last pixel taken would enter by position; they all enter instead.
    least = torch.topk(change.flatten(), count, sorted=True).values[-1].clamp_min(1e-5)
    return change >= least


@full_precision
def conditional_boundary(
    logits: Tensor,
    target: Tensor,
    features: Tensor,
    *,
    window: int = 5,
    centre_weight: float = 0.2,
    pair_weight: float = 2.0,
    ignore_index: int | None = None,
) -> Tensor:
    r"""Conditional boundary loss, :math:`L_{A2C} + 0.2\,L_{CE} + 2\,L_{A2PN}`, at the pixels of true boundaries.

    For a boundary pixel i with feature f and the window around it:

    - :math:`L_{A2C}`: mean squared distance of a correctly classified pixel to the mean feature of its correctly
      classified neighbours of the same class (no gradient into that mean);
    - :math:`L_{CE}`: cross-entropy of the mean logits of its neighbours of the same class, which is what the
      network's last 1x1 convolution makes of their mean feature;
    - :math:`L_{A2PN}`: mean squared difference of the cosine of f and each neighbour's feature to 1 (same class) or 0.

    The first two are averaged over the classes that have such pixels. A boundary pixel has another class in its window.

    Parameters
    ----------
    logits
        (N, C, H, W), the output of the last 1x1 convolution on `features`.
    target
        (N, H, W) labels at the resolution of the logits.
    features
        (N, F, H, W).

    References
    ----------
    Wu et al., "Conditional boundary loss for semantic segmentation", TIP 2023.
    """
    encoded = encode(logits, target, ignore_index)
    _plane(encoded, "the conditional boundary loss")
    if encoded.labels is None:
        raise SegevalError("the conditional boundary loss compares classes", remedy="give class indices")
    if features.dim() != 4 or features.shape[0] != logits.shape[0] or features.shape[2:] != logits.shape[2:]:
        raise SegevalError(f"features are {tuple(features.shape)}", remedy=f"give (N, F, {tuple(logits.shape[2:])})")
    both = encoded.two_class()
    f = features.to(both.logits.dtype)
    valid = torch.ones_like(encoded.labels, dtype=torch.bool) if encoded.valid is None else encoded.valid
    f = f.masked_fill(~valid.unsqueeze(1), 0.0)
    reach = window // 2
    offsets = [(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1) if (y, x) != (0, 0)]
    keys = encoded.labels.masked_fill(~valid, -1)
    with torch.no_grad():
        right = (both.logits.argmax(1) == encoded.labels) & valid
        others = [shifted(keys, dy, dx, -1) for dy, dx in offsets]
        edge = torch.stack([(o != keys) & (o >= 0) for o in others]).any(0) & valid
    if not torch.compiler.is_compiling() and not bool(edge.any()):
        return (both.logits.sum() + f.sum()) * 0
    same = [(o == keys) & valid for o in others]
    pull = _pull_to_centre(f, both, edge, right, same, offsets)
    centre = _centre_class(both, edge, same, offsets)
    return pull + centre_weight * centre + pair_weight * _pairs(f, edge, same, others, offsets)


def _class_mean(values: Tensor, at: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Mean of `values` over the pixels `at` of each class, then over the classes that have any."""
    w = at.to(values.dtype).flatten()
    zeros = values.new_zeros(classes)
    sums = zeros.scatter_add(0, labels.flatten(), values.flatten() * w)
    counts = zeros.scatter_add(0, labels.flatten(), w)
    return (sums / counts.clamp_min(1)).sum() / (counts > 0).sum().clamp_min(1)


def _neighbour_mean(maps: Tensor, chosen: list[Tensor], offsets: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Mean of `maps` (N, K, H, W) over the chosen neighbours, and how many there are (N, H, W)."""
    total, count = torch.zeros_like(maps), torch.zeros_like(maps[:, 0])
    for (dy, dx), pick in zip(offsets, chosen, strict=True):
        w = pick.to(maps.dtype)
        total = total + shifted(maps, dy, dx, 0.0) * w.unsqueeze(1)
        count = count + w
    return total / count.clamp_min(1).unsqueeze(1), count


def _pull_to_centre(
    f: Tensor, encoded: Encoded, edge: Tensor, right: Tensor, same: list[Tensor], offsets: list[tuple[int, int]]
) -> Tensor:
    assert encoded.labels is not None
    chosen = [s & shifted(right.to(f.dtype), dy, dx, 0.0).bool() for s, (dy, dx) in zip(same, offsets, strict=True)]
    centre, count = _neighbour_mean(f.detach(), chosen, offsets)
    distances = (f - centre).square().mean(1)
    return _class_mean(distances, edge & right & (count > 0), encoded.labels, encoded.logits.shape[1])


def _centre_class(encoded: Encoded, edge: Tensor, same: list[Tensor], offsets: list[tuple[int, int]]) -> Tensor:
    assert encoded.labels is not None
    mean_logits, count = _neighbour_mean(encoded.logits, same, offsets)
    costs = F.cross_entropy(mean_logits, encoded.labels, reduction="none")
    return _class_mean(costs, edge & (count > 0), encoded.labels, encoded.logits.shape[1])


def _pairs(f: Tensor, edge: Tensor, same: list[Tensor], others: list[Tensor], offsets: list[tuple[int, int]]) -> Tensor:
    unit = F.normalize(f, dim=1, eps=1e-6)
    total, count = f.new_zeros(()), f.new_zeros(())
    for (dy, dx), equal, other in zip(offsets, same, others, strict=True):
        cosine = (unit * shifted(unit, dy, dx, 0.0)).sum(1)
        w = (edge & (other >= 0)).to(f.dtype)
        total = total + ((cosine - equal.to(f.dtype)).square() * w).sum()
        count = count + w.sum()
    return total / count.clamp_min(1)
