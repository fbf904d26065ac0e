"""The recipe that trained the regressor of InverseForm.

`python -m segeval.losses.boundary.inverse_form_training OUT.npz` runs it. Random polygons and ellipses
are drawn on a tile, an affine map moves them, and the regressor learns to read the map
from the two edge tiles. The result is written in float16 and is not the published network.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.losses.boundary.inverse_form import TILE, TransformRegressor, soft_edges


def shapes(count: int, generator: torch.Generator) -> Tensor:
    """Soft masks (count, 1, 2 TILE, 2 TILE) of one to three ellipses or half-planes."""
    size = 2 * TILE
    axis = torch.linspace(-2, 2, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    masks = torch.zeros(count, size, size)
    for _ in range(3):
        r = torch.rand(count, 6, generator=generator)
        angle = r[:, 0] * 3.1416
        dx, dy = x - (r[:, 1, None, None] * 2 - 1), y - (r[:, 2, None, None] * 2 - 1)
        c, s = angle.cos()[:, None, None], angle.sin()[:, None, None]
        u, v = c * dx + s * dy, -s * dx + c * dy
        radius = 0.2 + r[:, 3:5, None, None]
        inside = 1 - (u / radius[:, 0]).square() - (v / radius[:, 1]).square()
        half_plane = (r[:, 5] < 0.3)[:, None, None]
        field = torch.where(half_plane, u, inside)
        masks = torch.maximum(masks, torch.sigmoid(24 * field))
    return masks.unsqueeze(1)


def pairs(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Edge tiles (count, 2, TILE, TILE), moved and still, and the offsets (count, 6) of the map between them."""
    masks = shapes(count, generator)
    scale = torch.tensor([0.15, 0.15, 0.4, 0.15, 0.15, 0.4])
    offsets = (torch.rand(count, 6, generator=generator) * 2 - 1) * scale
    offsets[: count // 8] = 0
    matrix = (torch.tensor([1.0, 0, 0, 0, 1, 0]) + offsets).view(-1, 2, 3)
    # The tile is the inner half of the drawing, so that a shift brings in real neighbours; shifts are in half tiles.
    inner = matrix.clone()
    inner[:, :, :2] *= 0.5
    inner[:, :, 2] *= 0.5
    still = torch.tensor([[0.5, 0, 0], [0, 0.5, 0]]).expand(count, 2, 3)
    grids = [F.affine_grid(list_of, [count, 1, TILE, TILE], align_corners=False) for list_of in (inner, still)]
    moved, fixed = (F.grid_sample(masks, grid, align_corners=False) for grid in grids)
    return torch.cat([soft_edges(moved), soft_edges(fixed)], 1), offsets


def train(steps: int = 12000, batch: int = 64, seed: int = 0) -> TransformRegressor:
    """Train on fresh pairs with Adam and a cosine schedule; minutes on one CPU core."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    net = TransformRegressor()
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        tiles, offsets = pairs(batch, generator)
        loss = F.mse_loss(net(tiles), offsets)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return net


def explained(net: TransformRegressor, count: int = 2048, seed: int = 1) -> float:
    """Share of the offsets' variance that the regressor explains on fresh pairs."""
    tiles, offsets = pairs(count, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return 1 - float(F.mse_loss(net(tiles), offsets) / offsets.var(unbiased=False))


def save(net: TransformRegressor, path: Path) -> None:
    """Write the weights as float16 arrays."""
    state = {name: value.numpy().astype(np.float16) for name, value in net.state_dict().items()}
    partial = path.with_name(path.name + ".part.npz")
    np.savez_compressed(partial, **state)
    partial.replace(path)


if __name__ == "__main__":
    trained = train()
    sys.stderr.write(f"explained variance on fresh pairs: {explained(trained):.3f}\n")
    save(trained, Path(sys.argv[1]))
