"""Names and shapes of torchvision's checkpoints, written down from its naming and not from our modules."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

Entries = Iterator[tuple[str, tuple[int, ...]]]

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def norm(name: str, channels: int) -> Entries:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def resnet(depth: int, *, fc: bool = False) -> Entries:
    yield "conv1.weight", (64, 3, 7, 7)
    yield from norm("bn1", 64)
    inputs, times = 64, 1 if depth < 50 else 4
    for layer, blocks in enumerate(BLOCKS[depth], 1):
        width = 64 * 2 ** (layer - 1)
        for block in range(blocks):
            name = f"layer{layer}.{block}"
            if times == 1:
                shapes = [(width, inputs, 3, 3), (width, width, 3, 3)]
            else:
                shapes = [(width, inputs, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)]
            for k, shape in enumerate(shapes, 1):
                yield f"{name}.conv{k}.weight", shape
                yield from norm(f"{name}.bn{k}", shape[0])
            if inputs != times * width:
                yield f"{name}.downsample.0.weight", (times * width, inputs, 1, 1)
                yield from norm(f"{name}.downsample.1", times * width)
            inputs = times * width
    if fc:
        yield "fc.weight", (1000, inputs)
        yield "fc.bias", (1000,)


def head(name: str, inputs: int, classes: int) -> Entries:
    yield f"{name}.0.weight", (inputs // 4, inputs, 3, 3)
    yield from norm(f"{name}.1", inputs // 4)
    yield f"{name}.4.weight", (classes, inputs // 4, 1, 1)
    yield f"{name}.4.bias", (classes,)


def fcn_resnet(depth: int, classes: int = 21) -> Entries:
    for name, shape in resnet(depth):
        yield f"backbone.{name}", shape
    yield from head("classifier", 2048, classes)
    yield from head("aux_classifier", 1024, classes)


def deeplabv3_resnet(depth: int, classes: int = 21) -> Entries:
    for name, shape in resnet(depth):
        yield f"backbone.{name}", shape
    for branch, kernel in enumerate((1, 3, 3, 3)):
        yield f"classifier.0.convs.{branch}.0.weight", (256, 2048, kernel, kernel)
        yield from norm(f"classifier.0.convs.{branch}.1", 256)
    yield "classifier.0.convs.4.1.weight", (256, 2048, 1, 1)
    yield from norm("classifier.0.convs.4.2", 256)
    yield "classifier.0.project.0.weight", (256, 1280, 1, 1)
    yield from norm("classifier.0.project.1", 256)
    yield "classifier.1.weight", (256, 256, 3, 3)
    yield from norm("classifier.2", 256)
    yield "classifier.4.weight", (classes, 256, 1, 1)
    yield "classifier.4.bias", (classes,)
    yield from head("aux_classifier", 1024, classes)


def frozen(entries: Entries) -> Entries:
    """Without counters of batches, as fixed normalisation has none."""
    return ((name, shape) for name, shape in entries if not name.endswith("num_batches_tracked"))


def weight_and_bias(name: str, shape: tuple[int, ...], outputs: int | None = None) -> Entries:
    yield f"{name}.weight", shape
    yield f"{name}.bias", (outputs or shape[0],)


def normalised(name: str, shape: tuple[int, ...]) -> Entries:
    yield f"{name}.0.weight", shape
    yield from norm(f"{name}.1", shape[0])


def maskrcnn_resnet50_fpn(classes: int = 91) -> Entries:
    """The first version; `old_names` gives the names that its file of 2020 has."""
    for name, shape in frozen(resnet(50)):
        yield f"backbone.body.{name}", shape
    for level, inputs in enumerate((256, 512, 1024, 2048)):
        yield from weight_and_bias(f"backbone.fpn.inner_blocks.{level}.0", (256, inputs, 1, 1))
        yield from weight_and_bias(f"backbone.fpn.layer_blocks.{level}.0", (256, 256, 3, 3))
    yield from rpn(1)
    yield from weight_and_bias("roi_heads.box_head.fc6", (1024, 256 * 7 * 7))
    yield from weight_and_bias("roi_heads.box_head.fc7", (1024, 1024))
    for number in range(4):
        yield from weight_and_bias(f"roi_heads.mask_head.{number}.0", (256, 256, 3, 3))
    yield from predictors(classes)


def maskrcnn_resnet50_fpn_v2(classes: int = 91) -> Entries:
    for name, shape in resnet(50):
        yield f"backbone.body.{name}", shape
    for level, inputs in enumerate((256, 512, 1024, 2048)):
        yield from normalised(f"backbone.fpn.inner_blocks.{level}", (256, inputs, 1, 1))
        yield from normalised(f"backbone.fpn.layer_blocks.{level}", (256, 256, 3, 3))
    yield from rpn(2)
    for number in range(4):
        yield from normalised(f"roi_heads.box_head.{number}", (256, 256, 3, 3))
        yield from normalised(f"roi_heads.mask_head.{number}", (256, 256, 3, 3))
    yield from weight_and_bias("roi_heads.box_head.5", (1024, 256 * 7 * 7))
    yield from predictors(classes)


def rpn(convolutions: int) -> Entries:
    for number in range(convolutions):
        yield from weight_and_bias(f"rpn.head.conv.{number}.0", (256, 256, 3, 3))
    yield from weight_and_bias("rpn.head.cls_logits", (3, 256, 1, 1))
    yield from weight_and_bias("rpn.head.bbox_pred", (12, 256, 1, 1))


def predictors(classes: int) -> Entries:
    yield from weight_and_bias("roi_heads.box_predictor.cls_score", (classes, 1024))
    yield from weight_and_bias("roi_heads.box_predictor.bbox_pred", (4 * classes, 1024))
    yield from weight_and_bias("roi_heads.mask_predictor.conv5_mask", (256, 256, 2, 2))
    yield from weight_and_bias("roi_heads.mask_predictor.mask_fcn_logits", (classes, 256, 1, 1))


def old_names(entries: Entries) -> Entries:
    """The names of maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth."""
    for name, shape in entries:
        for place in ("inner_blocks", "layer_blocks"):
            if f".{place}." in name:
                name = name.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
        name = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        for number in range(4):
            name = name.replace(f"mask_head.{number}.0.", f"mask_head.mask_fcn{number + 1}.")
        yield name, shape


def vgg16(*, bn: bool) -> Entries:
    inputs, place = 3, 0
    for convolutions, width in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(convolutions):
            yield f"features.{place}.weight", (width, inputs, 3, 3)
            yield f"features.{place}.bias", (width,)
            if bn:
                yield from norm(f"features.{place + 1}", width)
            inputs, place = width, place + (3 if bn else 2)
        place += 1
    for place, (outputs, entering) in zip((0, 3, 6), ((4096, 25088), (4096, 4096), (1000, 4096)), strict=True):
        yield f"classifier.{place}.weight", (outputs, entering)
        yield f"classifier.{place}.bias", (outputs,)


def filled(entries: Entries, *, device: str = "cpu") -> dict[str, Tensor]:
    """Random tensors of the shapes, in the range of trained ones."""
    state: dict[str, Tensor] = {}
    for name, shape in entries:
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1, device=device)
        elif name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            state[name] = torch.rand(shape, device=device) * 0.5 + 0.75
        elif len(shape) == 1:
            state[name] = torch.randn(shape, device=device) * 0.1
        else:
            inputs = torch.Size(shape[1:]).numel()
            state[name] = torch.randn(shape, device=device) * (2.0 / inputs) ** 0.5
    return state
