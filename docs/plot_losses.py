"""Draw each loss's value and gradient on a shifting disc: python docs/plot_losses.py [OUT.png].

The truth is a disc of radius 10 in the middle of 48 x 48 pixels. The prediction is a soft disc of the same size whose
centre moves from the truth's to 16 pixels beside it. The curve is the loss over the shift; the picture below it the
gradient in the logits at a shift of 6 pixels, blue where the loss wants more foreground and red where less. Full line:
the truth; dashed: the prediction.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from torch import Tensor

mpl.use("Agg")
from matplotlib import pyplot as plt

from segeval import losses

SIZE, RADIUS, SHOWN = 48, 10.0, 6
OPTIONS: dict[str, dict[str, Any]] = {"ohem": {"min_kept": 100}, "region_mutual_information": {"pooling": "none"}}


def disc(shift: float) -> Tensor:
    """Logits (1, 1, 48, 48) of a soft disc, 0 on its border, one logit a pixel, at most 4."""
    y, x = torch.meshgrid(torch.arange(SIZE) - 23.5, torch.arange(SIZE) - 23.5, indexing="ij")
    return (RADIUS - ((x - shift) ** 2 + y**2).sqrt()).clamp(-4, 4)[None, None]


def needed(name: str, target: Tensor) -> dict[str, Tensor]:
    """What the loss needs, from the truth."""
    info = losses.LOSSES[name]
    labels = target[0].numpy()
    if name == "border_cross_entropy":
        # Two halves as touching cells would be cut: ids differ left and right, a background gap between.
        ids = np.where(np.arange(SIZE) < SIZE // 2 - 1, 1, 2) * labels
        ids[:, SIZE // 2 - 1 : SIZE // 2 + 1] = 0
        return {"instance_ids": torch.from_numpy(ids)[None]}
    if not info.helper:
        return {}
    helper = getattr(losses, info.helper)
    per_class = info.helper in ("signed_distance_map", "region_wise_map")
    return {"distance_map": torch.from_numpy(helper(labels, 1) if per_class else helper(labels))[None]}


def curve(name: str, target: Tensor, shifts: np.ndarray[Any, Any]) -> tuple[list[float], Tensor]:
    """Values over the shifts and the gradient at the shown one."""
    loss = losses.LOSSES[name].cls(**OPTIONS.get(name, {}))
    tensors = needed(name, target)
    values, gradient = [], torch.zeros(SIZE, SIZE)
    for shift in shifts:
        logits = disc(float(shift)).requires_grad_()
        value = loss(logits, target, **tensors)
        values.append(float(value.detach()))
        if shift == SHOWN:
            value.backward()
            assert logits.grad is not None
            gradient = logits.grad[0, 0]
    return values, gradient


def main() -> None:
    """Draw all losses that need no features."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("images") / "losses.png"
    names = [n for n, info in losses.LOSSES.items() if info.level != "task" and "features" not in info.needs]
    target = (disc(0.0)[0] > 0).long()
    shifts = np.arange(0, 17)
    columns = 7
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(2 * rows, columns, figsize=(2.1 * columns, 3.3 * rows), layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    for place, name in enumerate(names):
        top, bottom = axes[2 * (place // columns), place % columns], axes[2 * (place // columns) + 1, place % columns]
        values, gradient = curve(name, target, shifts)
        top.set_axis_on()
        top.plot(shifts, values, color="black", linewidth=1.2)
        top.axvline(SHOWN, color="0.7", linewidth=0.8)
        top.set_title(name.replace("_", " "), fontsize=8)
        top.tick_params(labelsize=6)
        largest = float(gradient.abs().max()) or 1.0
        bottom.imshow(gradient, cmap="RdBu_r", vmin=-largest, vmax=largest)
        bottom.contour(target[0], levels=[0.5], colors="black", linewidths=0.7)
        bottom.contour(disc(SHOWN)[0, 0], levels=[0.0], colors="black", linewidths=0.7, linestyles="dashed")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
