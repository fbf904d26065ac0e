"""Measured agreement of the losses with torch, MONAI and plain formulas: python benchmarks/losses_agreement.py

The largest relative difference of value and gradient over twenty random batches (2 x 4 x 12 x 14), in float64 where the
reference takes it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.losses import functional as ours

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import losses_peers as plain

Loss = Callable[[Tensor, Tensor], Tensor]


def pairs() -> list[tuple[str, str, Loss, Loss, torch.dtype]]:
    """Name, reference, our loss, theirs, and the precision of the comparison."""
    monai: Any = importlib.import_module("monai.losses")
    weight = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    double, single = torch.float64, torch.float32
    same: dict[str, Any] = {"softmax": True, "to_onehot_y": True, "smooth_nr": 1e-5, "smooth_dr": 1e-5}

    def channelled(peer: Loss) -> Loss:
        return lambda x, y: peer(x, y.unsqueeze(1))

    def with_options(loss: Callable[..., Tensor], **options: Any) -> Loss:
        return lambda x, y: loss(x, y, **options)

    distances = (1 - torch.eye(4)).numpy()
    wasserstein = monai.GeneralizedWassersteinDiceLoss(distances, weighting_mode="default")
    batch: dict[str, Any] = {"batch": True, **same}
    smooth = {"smooth": 1e-5}
    squared = monai.DiceLoss(squared_pred=True, **batch)
    tversky = monai.TverskyLoss(alpha=0.3, beta=0.7, **batch)
    focal = monai.FocalLoss(use_softmax=True, to_onehot_y=True, reduction="none")
    cross = with_options(F.cross_entropy, weight=weight)
    return [
        ("cross_entropy", "torch", ours.cross_entropy, F.cross_entropy, double),
        ("cross_entropy, weighted", "torch", with_options(ours.cross_entropy, weight=weight), cross, double),
        ("focal", "MONAI, summed over classes", ours.focal, lambda x, y: channelled(focal)(x, y).sum(1).mean(), single),
        ("dice", "MONAI", with_options(ours.dice, **smooth), channelled(monai.DiceLoss(**batch)), single),
        ("dice, squared", "MONAI", with_options(ours.dice, squared=True, **smooth), channelled(squared), single),
        ("jaccard", "plain", ours.jaccard, plain.jaccard, double),
        ("tversky", "MONAI", ours.tversky, channelled(tversky), single),
        (
            "generalized_dice",
            "MONAI",
            with_options(ours.generalized_dice, **smooth),
            channelled(monai.GeneralizedDiceLoss(**batch)),
            single,
        ),
        (
            "wasserstein_dice",
            "MONAI",
            with_options(ours.wasserstein_dice, per_image=True),
            channelled(wasserstein),
            single,
        ),
        ("dice_cross_entropy", "MONAI", ours.dice_cross_entropy, channelled(monai.DiceCELoss(**batch)), single),
        ("lovasz_softmax", "plain", ours.lovasz_softmax, plain.lovasz_softmax, double),
        ("boundary_dou", "plain", ours.boundary_dou, plain.boundary_dou, single),
        ("region_mutual_information", "plain", ours.region_mutual_information, plain.region_mutual_information, single),
    ]


def difference(first: Tensor, second: Tensor) -> float:
    """Largest difference relative to the largest value."""
    return float((first - second).abs().max() / second.abs().max().clamp_min(1e-30))


def main() -> int:
    """Print a Markdown table."""
    print("| loss | reference | precision | value | gradient |\n|---|---|---|---|---|")
    for name, reference, mine, theirs, dtype in pairs():
        worst = [0.0, 0.0]
        for seed in range(20):
            generator = torch.Generator().manual_seed(seed)
            logits = torch.randn(2, 4, 12, 14, generator=generator, dtype=dtype)
            target = torch.randint(0, 4, (2, 12, 14), generator=generator)
            results = []
            for loss in (mine, theirs):
                leaf = logits.clone().requires_grad_()
                value = loss(leaf, target)
                results.append((value.detach(), torch.autograd.grad(value, leaf)[0]))
            for slot in range(2):
                worst[slot] = max(worst[slot], difference(results[0][slot], results[1][slot]))
        print(f"| `{name}` | {reference} | {str(dtype)[6:]} | {worst[0]:.0e} | {worst[1]:.0e} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
