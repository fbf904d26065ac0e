"""Networks written out step by step from a state dictionary, in the order of the papers: what forward must equal."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]


def norm(x: Tensor, s: State, name: str) -> Tensor:
    shape = (1, -1, 1, 1)
    mean, var = s[f"{name}.running_mean"].view(shape), s[f"{name}.running_var"].view(shape)
    return (x - mean) / torch.sqrt(var + 1e-5) * s[f"{name}.weight"].view(shape) + s[f"{name}.bias"].view(shape)


def atrous(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """A same-padded convolution whose kernel has holes, spelled out: a dense kernel with zeros between the taps."""
    outputs, inputs, size, _ = weight.shape
    spread = dilation * (size - 1) + 1
    dense = weight.new_zeros(outputs, inputs, spread, spread)
    dense[..., ::dilation, ::dilation] = weight
    return F.conv2d(x, dense, stride=stride, padding=spread // 2)


def bottleneck(x: Tensor, s: State, name: str, stride: int, dilation: int) -> Tensor:
    y = norm(F.conv2d(x, s[f"{name}.conv1.weight"]), s, f"{name}.bn1").relu()
    y = norm(atrous(y, s[f"{name}.conv2.weight"], stride, dilation), s, f"{name}.bn2").relu()
    y = norm(F.conv2d(y, s[f"{name}.conv3.weight"]), s, f"{name}.bn3")
    if f"{name}.downsample.0.weight" in s:
        x = norm(F.conv2d(x, s[f"{name}.downsample.0.weight"], stride=stride), s, f"{name}.downsample.1")
    return (x + y).relu()


def resnet_stride8(x: Tensor, s: State) -> tuple[Tensor, Tensor]:
    """Layers 3 and 4 of a ResNet-50 or -101 at stride 8: strides 1 2 1 1; dilations 1, 1, then 1 2 2..., then 2 4 4."""
    x = norm(F.conv2d(x, s["backbone.conv1.weight"], stride=2, padding=3), s, "backbone.bn1").relu()
    x = F.max_pool2d(x, 3, 2, 1)
    plan = {1: (1, 1, 1), 2: (2, 1, 1), 3: (1, 1, 2), 4: (1, 2, 4)}
    maps = {}
    for layer, (stride, first, later) in plan.items():
        block = 0
        while f"backbone.layer{layer}.{block}.conv1.weight" in s:
            name = f"backbone.layer{layer}.{block}"
            x = bottleneck(x, s, name, stride if block == 0 else 1, first if block == 0 else later)
            block += 1
        maps[layer] = x
    return maps[3], maps[4]


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def fcn_head(x: Tensor, s: State, name: str) -> Tensor:
    y = norm(F.conv2d(x, s[f"{name}.0.weight"], padding=1), s, f"{name}.1").relu()
    return F.conv2d(y, s[f"{name}.4.weight"], s[f"{name}.4.bias"])


def fcn_resnet(x: Tensor, s: State) -> Tensor:
    _, four = resnet_stride8(x, s)
    return upsample(fcn_head(four, s, "classifier"), (x.shape[-2], x.shape[-1]))


def deeplabv3_resnet(x: Tensor, s: State) -> Tensor:
    _, four = resnet_stride8(x, s)
    name = "classifier.0.convs"
    maps = [norm(F.conv2d(four, s[f"{name}.0.0.weight"]), s, f"{name}.0.1").relu()]
    for branch, rate in ((1, 12), (2, 24), (3, 36)):
        maps.append(norm(atrous(four, s[f"{name}.{branch}.0.weight"], 1, rate), s, f"{name}.{branch}.1").relu())
    pooled = four.mean(dim=(2, 3), keepdim=True)
    pooled = norm(F.conv2d(pooled, s[f"{name}.4.1.weight"]), s, f"{name}.4.2").relu()
    maps.append(pooled.expand_as(maps[0]))
    y = norm(F.conv2d(torch.cat(maps, 1), s["classifier.0.project.0.weight"]), s, "classifier.0.project.1").relu()
    y = norm(F.conv2d(y, s["classifier.1.weight"], padding=1), s, "classifier.2").relu()
    y = F.conv2d(y, s["classifier.4.weight"], s["classifier.4.bias"])
    return upsample(y, (x.shape[-2], x.shape[-1]))
