"""Every loss as a module, in the manner of torch.nn.

A module takes the keyword options of its function at construction and the tensors at the call; the options, their
defaults and their meaning are written once, at the function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from segeval.errors import SegevalError
from segeval.losses import functional
from segeval.losses.encoding import Reduction


class Loss(nn.Module):
    """A loss function with its options set.

    Class weights and other tensors among the options become buffers and move with `.to(device)`.

    Attributes
    ----------
    function
        The function of (logits, target), from :mod:`segeval.losses.functional`.
    needs
        Names of the tensors that the call takes besides logits and target.
    """

    function: ClassVar[Callable[..., Tensor]]
    needs: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "function" in cls.__dict__:
            options = [p for p in _parameters(cls.function) if p.kind is p.KEYWORD_ONLY]
            cls.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
            cls.__doc__ = f"{cls.__doc__}\n\n    Module of :func:`segeval.losses.functional.{cls.function.__name__}`.\n"

    def __init__(self, **options: Any) -> None:
        super().__init__()
        known = {p.name: p.default for p in _parameters(self.function) if p.kind is p.KEYWORD_ONLY}
        for name in options:
            if name not in known:
                raise TypeError(f"{type(self).__name__} has no option {name!r}; it has {', '.join(known)}")
        self._names = tuple(known)
        for name, default in known.items():
            value = options.get(name, default)
            if name in ("weight", "frequencies") and value is not None:
                value = torch.as_tensor(value, dtype=torch.float32)
            if isinstance(value, Tensor):
                self.register_buffer(name, value, persistent=False)
            else:
                setattr(self, name, value)

    def forward(self, logits: Tensor, target: Tensor, **tensors: Tensor) -> Tensor:
        """The loss of logits (N, C, *spatial) against the target; `tensors` are those that the loss needs."""
        missing = [name for name in self.needs if name not in tensors]
        if missing and not (self.needs == ("instance_ids",) and "weight_map" in tensors):
            raise SegevalError(f"{type(self).__name__} needs {', '.join(missing)}", remedy="pass it by name")
        options = {name: getattr(self, name) for name in self._names if name not in tensors}
        return type(self).function(logits, target, **options, **tensors)

    def extra_repr(self) -> str:
        """Options that differ from their defaults, for printing."""
        shown = []
        for parameter in _parameters(self.function):
            value = getattr(self, parameter.name, parameter.default)
            if isinstance(value, Tensor) or (parameter.name in self._names and value != parameter.default):
                shown.append(f"{parameter.name}={value.tolist() if isinstance(value, Tensor) else value!r}")
        return ", ".join(shown)


def _parameters(function: Callable[..., Tensor]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


class CrossEntropyLoss(Loss):
    """Cross-entropy, plain or with class weights."""

    function = staticmethod(functional.cross_entropy)


class BalancedCrossEntropyLoss(Loss):
    """Cross-entropy that weighs each class by the share of the others."""

    function = staticmethod(functional.balanced_cross_entropy)


class TopKLoss(Loss):
    """Cross-entropy of the hardest share of the pixels."""

    function = staticmethod(functional.top_k)


class OHEMLoss(Loss):
    """Cross-entropy of the pixels under a probability."""

    function = staticmethod(functional.ohem)


class FocalLoss(Loss):
    """Focal loss over the softmax."""

    function = staticmethod(functional.focal)


class SigmoidFocalLoss(Loss):
    """Focal loss over independent sigmoids."""

    function = staticmethod(functional.sigmoid_focal)


class DistanceCrossEntropyLoss(Loss):
    """Cross-entropy that grows towards boundaries."""

    function = staticmethod(functional.distance_cross_entropy)
    needs = ("distance_map",)


class BorderCrossEntropyLoss(Loss):
    """U-Net's cross-entropy with heavy borders between touching instances; takes `weight_map` instead of ids too."""

    function = staticmethod(functional.border_cross_entropy)
    needs = ("instance_ids",)

    def __init__(self, **options: Any) -> None:
        if options.get("weight_map") is not None:
            raise TypeError("weight_map belongs to the images: pass it at the call")
        super().__init__(**options)


class DiceLoss(Loss):
    """Dice loss."""

    function = staticmethod(functional.dice)


class LogCoshDiceLoss(Loss):
    """Log-cosh of the Dice loss."""

    function = staticmethod(functional.log_cosh_dice)


class GeneralizedDiceLoss(Loss):
    """Dice over all classes, each weighted by its inverse squared size."""

    function = staticmethod(functional.generalized_dice)


class WassersteinDiceLoss(Loss):
    """Dice with a distance between classes."""

    function = staticmethod(functional.wasserstein_dice)


class JaccardLoss(Loss):
    """Soft IoU loss."""

    function = staticmethod(functional.jaccard)


class LovaszSoftmaxLoss(Loss):
    """Lovász-softmax."""

    function = staticmethod(functional.lovasz_softmax)


class LovaszHingeLoss(Loss):
    """Lovász hinge."""

    function = staticmethod(functional.lovasz_hinge)


class TverskyLoss(Loss):
    """Tversky loss."""

    function = staticmethod(functional.tversky)


class FocalTverskyLoss(Loss):
    """Focal Tversky loss."""

    function = staticmethod(functional.focal_tversky)


class SensitivitySpecificityLoss(Loss):
    """Squared error of the class and of the rest, each over its own size."""

    function = staticmethod(functional.sensitivity_specificity)


class RegionMutualInformationLoss(Loss):
    """Mutual information of neighbourhoods, plus binary cross-entropy."""

    function = staticmethod(functional.region_mutual_information)


class BoundaryLoss(Loss):
    """Kervadec's boundary loss."""

    function = staticmethod(functional.boundary)
    needs = ("distance_map",)


class HausdorffDistanceLoss(Loss):
    """Hausdorff loss by distance transforms."""

    function = staticmethod(functional.hausdorff_distance)


class HausdorffErosionLoss(Loss):
    """Hausdorff loss by erosion."""

    function = staticmethod(functional.hausdorff_erosion)


class BoundaryAwareLoss(Loss):
    """Cross-entropy of binned distances to the boundary."""

    function = staticmethod(functional.boundary_aware)
    needs = ("distance_map",)


class ActiveBoundaryLoss(Loss):
    """Moves the predicted boundary towards the true one."""

    function = staticmethod(functional.active_boundary)
    needs = ("distance_map",)


class ConditionalBoundaryLoss(Loss):
    """Pulls boundary features to their class, pushes them from the neighbours."""

    function = staticmethod(functional.conditional_boundary)
    needs = ("features",)


class BoundaryDoULoss(Loss):
    """Boundary difference over union."""

    function = staticmethod(functional.boundary_dou)


class RegionWiseLoss(Loss):
    """Rectified region-wise loss."""

    function = staticmethod(functional.region_wise)
    needs = ("distance_map",)


class ShapeAwareLoss(Loss):
    """Cross-entropy that grows with the distance of the contours."""

    function = staticmethod(functional.shape_aware)
    needs = ("distance_map",)


class ComboLoss(Loss):
    """Weighted binary cross-entropy minus Dice."""

    function = staticmethod(functional.combo)


class ExponentialLogarithmicLoss(Loss):
    """Powers of log Dice and cross-entropy."""

    function = staticmethod(functional.exponential_logarithmic)


class UnifiedFocalLoss(Loss):
    """Focal loss and focal Tversky under one set of parameters."""

    function = staticmethod(functional.unified_focal)


class DiceCrossEntropyLoss(Loss):
    """Dice plus cross-entropy."""

    function = staticmethod(functional.dice_cross_entropy)


class InverseFormLoss(Loss):
    """InverseForm with the shipped regressor, which is not the published one."""

    function = staticmethod(functional.inverse_form)


class TLoss(nn.Module):
    """Robust T-loss with learnable degrees of freedom: give its parameters to the optimiser too.

    Module of :func:`segeval.losses.functional.t_loss`.

    Parameters
    ----------
    nu
        Initial degrees of freedom; their logarithm is the parameter.
    size
        (C, *spatial) for one precision at each value of a map of fixed size, as in the paper; None for one in all,
        which suits images of any size. The initial precision is 1 (the paper's code starts at e, its text at 1).
    learn_precision
        Whether the precision is a parameter.
    """

    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        nu: float = 1.0,
        size: Sequence[int] | None = None,
        learn_precision: bool = True,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        if nu <= 0:
            raise SegevalError(f"nu is {nu}", remedy="degrees of freedom are above 0")
        self.log_nu = nn.Parameter(torch.tensor(nu).log())
        start = torch.zeros(()) if size is None else torch.zeros(tuple(size))
        self.log_precision = nn.Parameter(start, requires_grad=learn_precision)
        self.ignore_index = ignore_index
        self.reduction: Reduction = reduction

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of logits (N, C, *spatial) against the target."""
        return functional.t_loss(
            logits,
            target,
            nu=self.log_nu.exp(),
            log_precision=self.log_precision,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )

    def extra_repr(self) -> str:
        """The current degrees of freedom, for printing."""
        nu = float(self.log_nu.detach().exp())
        return f"nu={nu:.3g}, ignore_index={self.ignore_index}, reduction={self.reduction!r}"
