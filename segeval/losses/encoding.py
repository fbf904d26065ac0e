"""The one encoding of logits and targets that every loss starts from.

Binary, multi-class, soft-label and ignore logic exists here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Literal, ParamSpec

import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.errors import SegevalError

Reduction = Literal["mean", "sum", "none"]
Classes = Literal["present", "all"] | Sequence[int]

P = ParamSpec("P")


@dataclass(frozen=True)
class Encoded:
    """Logits and truth in canonical form.

    Attributes
    ----------
    logits
        (N, C, *spatial), float32 or float64; 0 at ignored pixels, so that what a network says there can reach
        neither the value nor the gradient. C = 1 is the binary case: the logit of the foreground.
    labels
        (N, *spatial) int64 class indices, 0 at ignored pixels; None when the truth is soft.
    soft
        (N, C, *spatial) soft labels, 0 at ignored pixels; None when the truth is a class index.
    valid
        (N, *spatial) bool, or None when every pixel counts.
    """

    logits: Tensor
    labels: Tensor | None
    soft: Tensor | None
    valid: Tensor | None

    @property
    def binary(self) -> bool:
        """Whether there is one channel, read by a sigmoid."""
        return self.logits.shape[1] == 1

    def mask(self) -> Tensor:
        """Ones at the pixels that count, (N, *spatial), in the dtype of the logits."""
        if self.valid is None:
            shape = self.logits[:, 0].shape
            return torch.ones((), dtype=self.logits.dtype, device=self.logits.device).expand(shape)
        return self.valid.to(self.logits.dtype)

    def pixels(self) -> Tensor:
        """Number of pixels that count in each image, (N,), in the dtype of the logits."""
        if self.valid is None:
            per_image = self.logits[0, 0].numel()
            return self.logits.new_full((self.logits.shape[0],), float(per_image))
        return self.valid.flatten(1).sum(1).to(self.logits.dtype)

    def truth(self) -> Tensor:
        """The truth as maps, (N, C, *spatial), in the dtype of the logits; 0 at ignored pixels."""
        if self.soft is not None:
            return self.soft
        assert self.labels is not None
        if self.binary:
            return self.labels.unsqueeze(1).to(self.logits.dtype)
        maps = torch.zeros_like(self.logits, memory_format=torch.contiguous_format)
        ones = self.mask() if self.valid is not None else self.logits.new_ones(()).expand_as(self.labels)
        return maps.scatter(1, self.labels.unsqueeze(1), ones.unsqueeze(1))

    def probabilities(self) -> Tensor:
        """Softmax over the channels, or the sigmoid of a single channel; 0 at ignored pixels."""
        p = torch.sigmoid(self.logits) if self.binary else torch.softmax(self.logits, 1)
        return p if self.valid is None else p * self.mask().unsqueeze(1)

    def log_probabilities(self) -> Tensor:
        """Log-softmax over the channels; a single channel is read as two classes with logits (0, z)."""
        return F.log_softmax(self.two_class().logits, 1)

    def two_class(self) -> Encoded:
        """The binary case as two softmax classes, background first; otherwise the same object."""
        if not self.binary:
            return self
        logits = torch.cat([torch.zeros_like(self.logits), self.logits], 1)
        soft = self.soft
        if soft is not None:
            soft = torch.cat([self.mask().unsqueeze(1) - soft, soft], 1)
        return Encoded(logits, self.labels, soft, self.valid)


def encode(logits: Tensor, target: Tensor, ignore_index: int | None = None) -> Encoded:
    """Bring logits and target into the canonical form.

    Parameters
    ----------
    logits
        (N, C, *spatial) raw scores; C = 1 is the binary case. Half precision is raised to float32.
    target
        One of: class indices (N, *spatial), integer; a binary mask (N, *spatial) or (N, 1, *spatial), integer or
        bool, for C = 1; masks or soft labels (N, C, *spatial), float or integer, in [0, 1].
    ignore_index
        Value that marks pixels to leave out. In a target with channels a pixel is left out when any of its channels
        holds the value.

    Raises
    ------
    SegevalError
        If shapes do not fit or a value is no class.
    """
    if logits.dim() < 3 or not logits.is_floating_point():
        raise SegevalError(
            f"logits are {tuple(logits.shape)} {logits.dtype}",
            remedy="give floating-point scores (N, C, *spatial), with C = 1 for a binary problem",
        )
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    N, C, *spatial = logits.shape
    plain, channelled = (N, *spatial), (N, C, *spatial)
    if tuple(target.shape) == channelled and C == 1:
        target = target.squeeze(1)
    elif tuple(target.shape) not in (plain, channelled):
        raise SegevalError(
            f"target is {tuple(target.shape)} and logits are {channelled}",
            remedy=f"give class indices {plain} or soft labels {channelled}; resize logits or labels first",
        )
    indices = tuple(target.shape) == plain and not target.is_floating_point()
    if tuple(target.shape) == plain and not indices and C > 1:
        raise SegevalError(
            f"target is {plain} {target.dtype}", remedy=f"give integer class indices, or soft labels {channelled}"
        )
    soft = None if indices else target.reshape(channelled)
    valid = _valid(target if soft is None else soft, ignore_index, channels=soft is not None)
    if valid is not None:
        logits = logits.masked_fill(~valid.unsqueeze(1), 0.0)
    if soft is not None:
        soft = soft.to(logits.dtype)
        soft = soft if valid is None else soft.masked_fill(~valid.unsqueeze(1), 0.0)
        _check_range(soft, 1, "soft label", ignore_index)
        return Encoded(logits, None, soft, valid)
    labels = target.long()
    labels = labels if valid is None else labels.masked_fill(~valid, 0)
    _check_range(labels, max(C, 2) - 1, "label", ignore_index)
    return Encoded(logits, labels, None, valid)


def _valid(target: Tensor, ignore_index: int | None, *, channels: bool) -> Tensor | None:
    if ignore_index is None or target.dtype == torch.bool:
        return None
    valid = target != ignore_index
    if channels:
        valid = valid.all(1)
    # A batch without ignored pixels takes the cheaper path; a compiled graph cannot ask, and keeps the mask.
    if not torch.compiler.is_compiling() and bool(valid.all()):
        return None
    return valid


def _check_range(values: Tensor, largest: int, what: str, ignore_index: int | None) -> None:
    if torch.compiler.is_compiling() or values.numel() == 0:
        return
    low, high = torch.aminmax(values.detach())
    wrong = high if high.item() > largest or high.isnan() else low
    if not 0 <= wrong.item() <= largest:
        raise SegevalError(
            f"the target holds the {what} {wrong.item()}, outside 0..{largest}",
            remedy=f"set ignore_index (now {ignore_index}) or correct the labels",
        )


def full_precision(loss: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Keep autocast from lowering the precision inside a loss."""

    @wraps(loss)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        logits = args[0] if args else kwargs.get("logits")
        if not isinstance(logits, Tensor):
            raise SegevalError(f"logits are {type(logits).__name__}", remedy="give a tensor (N, C, *spatial)")
        with torch.autocast(device_type=logits.device.type, enabled=False):
            return loss(*args, **kwargs)

    return wrapped


def reduce_pixels(values: Tensor, encoded: Encoded, reduction: Reduction, normaliser: Tensor | None = None) -> Tensor:
    """Reduce per-pixel values (N, *spatial); `mean` divides by the pixels that count, or by `normaliser`."""
    if encoded.valid is not None:
        values = values * encoded.mask()
    if reduction == "none":
        return values
    if reduction == "sum":
        return values.sum()
    if reduction != "mean":
        raise SegevalError(f"reduction is {reduction!r}", remedy='use "mean", "sum" or "none"')
    total = encoded.pixels().sum() if normaliser is None else normaliser
    # Nothing counts, or all weights are 0: the sum is 0 too, and so is the mean.
    return values.sum() / torch.where(total > 0, total, torch.ones_like(total))


def counted_classes(truth: Tensor, pixels: Tensor, classes: Classes, binary: bool) -> Tensor:
    """Which classes count, bool (G, C), from truth sizes (G, C) and valid pixels (G,) of each group."""
    some = (pixels > 0).unsqueeze(1)
    if isinstance(classes, str):
        if classes not in ("present", "all"):
            raise SegevalError(f"classes is {classes!r}", remedy='use "present", "all" or a list of class indices')
        # The one channel of a binary problem always counts: without it an empty truth would teach nothing.
        if classes == "all" or binary:
            return some.expand_as(truth)
        return (truth > 0) & some
    chosen = torch.zeros(truth.shape[1], dtype=torch.bool, device=truth.device)
    for index in classes:
        if not 0 <= index < truth.shape[1]:
            raise SegevalError(f"classes names {index}", remedy=f"class indices are 0..{truth.shape[1] - 1}")
        chosen[index] = True
    return chosen & some


def reduce_classes(
    values: Tensor,
    counted: Tensor,
    reduction: Reduction,
    *,
    weight: Tensor | Sequence[float] | None = None,
    per_image: bool = False,
) -> Tensor:
    """Reduce values (G, C) of groups and classes.

    `mean` is the weighted mean over the counted classes of a group, then the mean over the groups in which a class
    counts; `sum` adds weighted values; `none` returns (N, C) for `per_image`, else (C,), 0 where a class does not
    count.
    """
    w = counted.to(values.dtype)
    if weight is not None:
        w = w * class_weights(weight, values)
    values = torch.where(counted, values, torch.zeros_like(values))
    if reduction == "none":
        return values if per_image else values.squeeze(0)
    if reduction == "sum":
        return (values * w).sum()
    if reduction != "mean":
        raise SegevalError(f"reduction is {reduction!r}", remedy='use "mean", "sum" or "none"')
    total = w.sum(1)
    means = (values * w).sum(1) / torch.where(total > 0, total, torch.ones_like(total))
    return means.sum() / (total > 0).sum().clamp_min(1)


def class_weights(weight: Tensor | Sequence[float], like: Tensor, classes: int | None = None) -> Tensor:
    """Class weights (C,) as a tensor in the dtype and on the device of `like`, whose dimension 1 is the class."""
    w = torch.as_tensor(weight, dtype=like.dtype, device=like.device)
    expected = like.shape[1] if classes is None else classes
    if w.shape != (expected,):
        raise SegevalError(f"weight is {tuple(w.shape)}", remedy=f"give one weight for each of {expected} classes")
    return w


def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """numerator / denominator, and 1 where the denominator is 0: two empty sets agree."""
    empty = denominator.abs() < 1e-12
    one = torch.ones_like(denominator)
    return torch.where(empty, one, numerator) / torch.where(empty, one, denominator)


def power(base: Tensor, exponent: float) -> Tensor:
    """base ** exponent for base >= 0, with a finite slope at 0.

    An exponent in (0, 1) has an infinite derivative at 0, which is where a perfect prediction lies; below 1e-7 the
    power is continued by the line through the origin.
    """
    if exponent == 1:
        return base
    if exponent == 0:
        return torch.ones_like(base)
    if exponent > 1:
        return base.pow(exponent)
    edge = 1e-7
    return torch.where(base > edge, base.clamp_min(edge).pow(exponent), base * edge ** (exponent - 1))
