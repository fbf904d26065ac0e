"""The registry and the modules: complete, callable as promised, and faithful to the functions."""

from __future__ import annotations

import inspect
import itertools

import pytest
import torch

from segeval import losses
from segeval.errors import SegevalError
from segeval.losses import functional

from .cases import DENSE, batch, call, make, needed

SURVEY = {
    "pixel": {"cross_entropy", "top_k", "focal", "distance_cross_entropy"},
    "region": {
        "dice", "log_cosh_dice", "wasserstein_dice", "jaccard", "lovasz_softmax", "tversky", "focal_tversky",
        "sensitivity_specificity", "region_mutual_information", "t_loss",
    },
    "boundary": {
        "boundary", "hausdorff_distance", "boundary_aware", "active_boundary", "inverse_form", "conditional_boundary",
        "boundary_dou", "region_wise",
    },
    "combination": {"combo", "exponential_logarithmic", "unified_focal"},
}  # fmt: skip


def test_the_survey_is_complete() -> None:
    assert sum(map(len, SURVEY.values())) == 25
    for level, names in SURVEY.items():
        for name in names:
            assert losses.LOSSES[name].level == level


def test_all_names_exist() -> None:
    for name in losses.__all__:
        assert hasattr(losses, name)
    for name in functional.__all__:
        assert inspect.getdoc(getattr(functional, name)), name


@pytest.mark.parametrize("name", DENSE)
def test_module_repeats_the_function(name: str) -> None:
    info = losses.LOSSES[name]
    assert info.cls.needs == info.needs
    assert bool(info.helper) == any(need != "features" for need in info.needs)
    logits, target = batch()
    value = call(name, logits, target)
    assert value.shape == ()
    assert value.dtype == torch.float64
    if name == "t_loss":
        return
    module = make(name, ignore_index=255)
    options = {key: getattr(module, key) for key in inspect.signature(info.cls).parameters}
    function = getattr(functional, name)
    assert torch.equal(value, function(logits, target, **{**options, **needed(name, target, 3)}))


@pytest.mark.parametrize("name", [n for n in DENSE if not losses.LOSSES[n].needs])
def test_drop_in_call(name: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 33, 40, requires_grad=True)
    target = torch.randint(0, 5, (2, 33, 40))
    target[:, :3] = 255
    value = losses.LOSSES[name].cls(ignore_index=255)(logits, target)
    value.backward()
    assert value.shape == ()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().sum() > 0


def test_every_loss_differs_from_every_other() -> None:
    logits, target = batch(seed=3, size=(9, 10))
    values = {name: float(call(name, logits, target).detach()) for name in DENSE}
    names = sorted(values, key=lambda name: values[name])
    for first, second in itertools.pairwise(names):
        assert abs(values[first] - values[second]) > 1e-6, (first, second, values[first])


def test_unknown_option_names_the_known_ones() -> None:
    with pytest.raises(TypeError, match="no option 'smoth'; it has smooth"):
        losses.DiceLoss(smoth=1)


def test_missing_map_is_named() -> None:
    logits, target = batch()
    with pytest.raises(SegevalError, match="needs distance_map"):
        losses.BoundaryLoss()(logits, target)


def test_weights_move_with_the_module() -> None:
    loss = losses.CrossEntropyLoss(weight=[1.0, 2.0, 3.0])
    assert loss.double().weight.dtype == torch.float64
    assert "weight" in repr(loss)
    assert repr(losses.DiceLoss(smooth=1.0)) == "DiceLoss()"


def test_weighted_sum_follows_its_schedule() -> None:
    logits, target = batch()
    loss = losses.WeightedSum(
        region=(losses.linear_schedule(1.0, 0.0, 4), losses.DiceLoss()), edge=(0.5, losses.BoundaryLoss())
    )
    maps = needed("boundary", target, 3)
    dice = losses.DiceLoss()(logits, target)
    edge = losses.BoundaryLoss()(logits, target, **maps)
    assert torch.isclose(loss(logits, target, **maps), dice + 0.5 * edge)
    for _ in range(3):
        loss.advance()
    assert torch.isclose(loss(logits, target, edge__distance_map=maps["distance_map"]), 0.25 * dice + 0.5 * edge)
    schedule = losses.linear_schedule(1.0, 0.0, 4)
    other = losses.WeightedSum(region=(schedule, losses.DiceLoss()), edge=(0.5, losses.BoundaryLoss()))
    other.load_state_dict(loss.state_dict())
    assert other.weights() == {"region": 0.25, "edge": 0.5}


def test_t_loss_learns_its_degrees_of_freedom() -> None:
    logits, target = batch()
    loss = losses.TLoss(size=(3, 6, 7)).double()
    loss(logits, target).backward()
    assert loss.log_nu.grad is not None
    assert loss.log_nu.grad != 0
    assert loss.log_precision.grad is not None
    assert loss.log_precision.grad.shape == (3, 6, 7)
