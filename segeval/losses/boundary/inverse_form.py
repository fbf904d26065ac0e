"""InverseForm: how far the predicted edges would have to be moved, as read by a small trained regressor.

The published regressor is not available; the one here was trained by
:mod:`segeval.losses.boundary.inverse_form_training`, and these are **not the published weights**.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segeval.errors import SegevalError
from segeval.losses.encoding import Encoded, Reduction, encode, full_precision, reduce_classes

WEIGHTS = Path(__file__).parents[1] / "inverse_form.npz"
TILE = 32


class TransformRegressor(nn.Module):
    """Reads the affine map between two edge tiles: (T, 2, 32, 32) to (T, 6), the offset from the identity.

    Smooth activations keep the loss differentiable everywhere.
    """

    def __init__(self, width: int = 12) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(2, width, 5, 2, 2),
            nn.Softplus(4.0),
            nn.Conv2d(width, 2 * width, 3, 2, 1),
            nn.Softplus(4.0),
            nn.Conv2d(2 * width, 2 * width, 3, 2, 1),
            nn.Softplus(4.0),
        )
        self.head = nn.Sequential(nn.Linear(2 * width * 16, 32), nn.Softplus(4.0), nn.Linear(32, 6))

    def forward(self, tiles: Tensor) -> Tensor:
        """Offsets (T, 6) of the affine matrix from the identity, in units of half a tile."""
        offsets: Tensor = self.head(self.features(tiles).flatten(1))
        return offsets


@cache
def trained_regressor() -> TransformRegressor:
    """The regressor with the shipped weights (not the published ones), frozen."""
    net = TransformRegressor()
    with np.load(WEIGHTS, allow_pickle=False) as stored:
        state = {name: torch.from_numpy(stored[name].astype(np.float32)) for name in stored.files}
    net.load_state_dict(state)
    return net.requires_grad_(False).eval()


def soft_edges(maps: Tensor) -> Tensor:
    """Edges of maps (N, C, H, W) in [0, 1]: the range of each 3 x 3 neighbourhood, largest over the classes: (N, 1,
    H, W)."""
    padded = F.pad(maps, (1, 1, 1, 1), mode="replicate")
    spread = F.max_pool2d(padded, 3, 1) + F.max_pool2d(-padded, 3, 1)
    return spread.amax(1, keepdim=True)


def _tiles(edges: Tensor) -> Tensor:
    """Cut (N, K, H, W) into tiles (N, T, K, 32, 32), padded with zeros at the lower right."""
    N, K, H, W = edges.shape
    edges = F.pad(edges, (0, -W % TILE, 0, -H % TILE))
    rows, columns = edges.shape[2] // TILE, edges.shape[3] // TILE
    cut = edges.reshape(N, K, rows, TILE, columns, TILE).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(N, rows * columns, K, TILE, TILE)


@full_precision
def inverse_form(
    logits: Tensor,
    target: Tensor,
    *,
    regressor: nn.Module | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""InverseForm, :math:`\frac1T \sum_t \|\hat\theta(b^p_t, b^y_t) - \hat\theta(b^y_t, b^y_t)\|_2` over the tiles
    with an edge.

    :math:`\hat\theta` is a frozen network that reads the transform between the predicted and the true edges of a tile
    of 32 pixels. The paper takes the distance to the identity; here the reading of two equal tiles stands in its
    place, so that a perfect prediction scores exactly 0 whatever the regressor. Edges are the 3 x 3 range of the
    class probabilities. The paper adds it with a small weight (0.3) to cross-entropy and an edge loss. Not the
    published weights.

    Parameters
    ----------
    regressor
        Network (T, 2, 32, 32) -> (T, K); by default the shipped one.
    reduction
        Over tiles: "mean" over images of the mean over their tiles with an edge, "sum", or "none" for (N,).

    References
    ----------
    Borse, Wang, Zhang, Porikli, "InverseForm: a loss function for structured boundary-aware segmentation", CVPR 2021.
    """
    encoded = encode(logits, target, ignore_index)
    if encoded.logits.dim() != 4:
        raise SegevalError(f"InverseForm got {tuple(logits.shape)}", remedy="it is defined on images (N, C, H, W)")
    net = trained_regressor() if regressor is None else regressor
    dtype = encoded.logits.dtype
    parameter = next(net.parameters(), None)
    if regressor is None and parameter is not None and (parameter.dtype, parameter.device) != (dtype, logits.device):
        # The shared network stays as it is; only this call's copy moves.
        net = TransformRegressor()
        net.load_state_dict(trained_regressor().state_dict())
        net = net.to(device=logits.device, dtype=dtype).requires_grad_(False)
    predicted, true = _edges(encoded)
    pairs = _tiles(torch.cat([predicted, true], 1))
    same = _tiles(torch.cat([true, true], 1))
    N, T = pairs.shape[:2]
    offset = net(pairs.flatten(0, 1)) - net(same.flatten(0, 1))
    distances = torch.linalg.vector_norm(offset, dim=1).reshape(N, T)
    with torch.no_grad():
        counted = pairs.flatten(2).amax(2) > 1e-3
    per_image = torch.where(counted, distances, torch.zeros_like(distances)).sum(1)
    per_image = per_image / counted.sum(1).clamp_min(1)
    some = (encoded.pixels() > 0).unsqueeze(1)
    reduced = reduce_classes(per_image.unsqueeze(1), some, reduction, per_image=True)
    return reduced.squeeze(-1) if reduction == "none" else reduced


def _edges(encoded: Encoded) -> tuple[Tensor, Tensor]:
    """Predicted and true edges (N, 1, H, W); none within a pixel of an ignored one, where the truth is not known."""
    predicted, true = soft_edges(encoded.probabilities()), soft_edges(encoded.truth())
    if encoded.valid is None:
        return predicted, true
    unknown = (~encoded.valid).unsqueeze(1).to(predicted.dtype)
    known = 1 - F.max_pool2d(unknown, 3, 1, 1)
    return predicted * known, true * known
