"""Every loss lowers itself, and those that stand alone lead free logits to the truth."""

from __future__ import annotations

import pytest
import torch

from segeval import losses

from .cases import DENSE, IGNORED, make, needed

# Meant beside another loss: alone they say too little about the inside of regions, or read bins or features.
BESIDE = {"hausdorff_erosion", "boundary_aware", "active_boundary", "inverse_form", "conditional_boundary"}


@pytest.mark.parametrize("name", DENSE)
def test_descent(name: str) -> None:
    target = torch.zeros(2, 16, 16).long()
    target[0, 3:9, 4:12], target[1, 8:, 2:9], target[:, 12:14, 11:15] = 1, 1, 2
    target[:, 0] = IGNORED
    tensors = {key: value.float() for key, value in needed(name, target, 3).items()}
    if name == "border_cross_entropy":
        tensors["instance_ids"] = tensors["instance_ids"].long()
    loss = make(name, ignore_index=IGNORED)
    logits = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    optimiser = torch.optim.Adam([logits, *loss.parameters()], 0.3)
    values = []
    for _ in range(80):
        value = loss(logits, target, **tensors)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        values.append(value.item())
    assert min(values) < values[0]
    if name in BESIDE:
        return
    known = target != IGNORED
    accuracy = (logits.argmax(1) == target)[known].float().mean()
    assert accuracy > 0.95, accuracy


def test_schedule_with_a_boundary_loss_trains() -> None:
    target = torch.zeros(1, 12, 12).long()
    target[0, 3:9, 3:9] = 1
    logits = torch.zeros(1, 1, 12, 12).requires_grad_()
    loss = losses.WeightedSum(
        region=(losses.linear_schedule(1.0, 0.01, 30), losses.DiceLoss()),
        boundary=(losses.linear_schedule(0.0, 0.99, 30), losses.BoundaryLoss()),
    )
    maps = needed("boundary", target, 1)
    optimiser = torch.optim.Adam([logits], 0.3)
    for _ in range(40):
        optimiser.zero_grad()
        loss(logits, target, **maps).backward()
        optimiser.step()
        loss.advance()
    # The inner boundary pixels have distance 0, so only Dice speaks for them.
    assert ((logits[:, 0] > 0).long() == target).float().mean() > 0.95
