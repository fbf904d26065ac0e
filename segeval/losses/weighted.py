"""A weighted sum of losses with a schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from segeval.errors import SegevalError

Weighting = float | Callable[[int], float]


def linear_schedule(start: float, end: float, steps: int) -> Callable[[int], float]:
    """A weight that goes from `start` to `end` in `steps` steps and stays there.

    Kervadec's is `linear_schedule(1, 0.01, 99)` on the region loss and its complement on the boundary loss.
    """
    if steps < 1:
        raise SegevalError(f"a schedule of {steps} steps", remedy="give at least one step")

    def weight(step: int) -> float:
        return start + (end - start) * min(step, steps) / steps

    return weight


class WeightedSum(nn.Module):
    """A weighted sum of losses, with weights that may change as training goes on.

    Parameters
    ----------
    terms
        By name, (weight, loss): the weight a number or a function of the step, such as :func:`linear_schedule`.

    Notes
    -----
    `advance()` moves to the next step, an epoch or an iteration as the schedule means it. The step is saved in the
    state. A tensor that a loss needs is passed by its name, or as `term__name` where two terms need different ones.

    Examples
    --------
    >>> loss = WeightedSum(region=(linear_schedule(1, 0.01, 99), DiceLoss()), boundary=(1.0, BoundaryLoss()))
    """

    step: Tensor

    def __init__(self, **terms: tuple[Weighting, nn.Module]) -> None:
        super().__init__()
        if not terms:
            raise SegevalError("a weighted sum without terms", remedy="give name=(weight, loss)")
        self.losses = nn.ModuleDict({name: loss for name, (_, loss) in terms.items()})
        self.weightings: dict[str, Weighting] = {name: weight for name, (weight, _) in terms.items()}
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def advance(self) -> None:
        """Go to the next step of the schedules."""
        self.step += 1

    def weights(self) -> dict[str, float]:
        """The weights of the current step."""
        step = int(self.step)
        return {name: w(step) if callable(w) else float(w) for name, w in self.weightings.items()}

    def parts(self, logits: Tensor, target: Tensor, **tensors: Tensor) -> dict[str, Tensor]:
        """The unweighted value of each term, for logging."""
        return {
            name: loss(logits, target, **_tensors_of(name, getattr(loss, "needs", ()), tensors))
            for name, loss in self.losses.items()
        }

    def forward(self, logits: Tensor, target: Tensor, **tensors: Tensor) -> Tensor:
        """The weighted sum."""
        parts = self.parts(logits, target, **tensors)
        return torch.stack([w * parts[name] for name, w in self.weights().items()]).sum()


def _tensors_of(term: str, needs: Sequence[str], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    chosen = {}
    for name in needs:
        if f"{term}__{name}" in tensors:
            chosen[name] = tensors[f"{term}__{name}"]
        elif name in tensors:
            chosen[name] = tensors[name]
    return chosen
