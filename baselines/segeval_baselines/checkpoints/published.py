"""Networks from files that others published: torchvision's segmentation networks and Mask R-CNN, ready to predict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from segeval.errors import SegevalError
from segeval.samples.taxonomy import Colour, Taxonomy
from segeval_baselines.checkpoints.checkpoint import Checkpoint
from segeval_baselines.checkpoints.weights import IMAGENET, load_weights
from segeval_baselines.zoo import architecture, build, preset_of

_VOC_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def voc_colour(index: int) -> Colour:
    """The colour of a class in VOC's palette: the bits of its number, dealt to red, green and blue from the top."""
    colour = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            colour[channel] |= (index >> (3 * place + channel) & 1) << (7 - place)
    red, green, blue = colour
    return red, green, blue


VOC = Taxonomy(tuple(range(21)), _VOC_NAMES, None, tuple(voc_colour(k) for k in range(21)))
"""The 21 classes of PASCAL VOC, background included."""


_COCO_NAMES = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow"),
    *("elephant", "bear", "zebra", "giraffe", "", "backpack", "umbrella", "", "", "handbag", "tie", "suitcase"),
    *("frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard"),
    *("surfboard", "tennis racket", "bottle", "", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana"),
    *("apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch"),
    *("potted plant", "bed", "", "dining table", "", "", "toilet", "", "tv", "laptop", "mouse", "remote", "keyboard"),
    *("cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "", "book", "clock", "vase", "scissors"),
    *("teddy bear", "hair drier", "toothbrush"),
)

COCO = Taxonomy(
    tuple(range(1, 91)), tuple(name or f"unused {k}" for k, name in enumerate(_COCO_NAMES, 1)), (True,) * 90
)
"""COCO's category ids from 1 to 90 as torchvision's detectors have them: 80 classes, and ten ids without one."""

COCO_UNUSED = tuple(k for k, name in enumerate(_COCO_NAMES, 1) if not name)
"""The ten."""

CLASSES: dict[str, tuple[Taxonomy, dict[str, list[int]]]] = {
    "semantic": (VOC, {}),
    "instance": (COCO, {"unused": list(COCO_UNUSED)}),
}
"""The classes of torchvision's files by task, and the options that a network of theirs has."""


def published_checkpoint(
    model: str, file: str | Path, *, preset: str = "full", taxonomy: Taxonomy | None = None, image_scale: float = 1.0
) -> Checkpoint:
    """A checkpoint from a published file.

    Parameters
    ----------
    model, preset
        What the file holds weights of: ``fcn_resnet50``, ``deeplabv3_resnet101``, ``mask_rcnn`` (``full``, or
        ``full-v2`` for torchvision's second version), ...
    file
        A state dictionary (``.pth`` or ``.safetensors``).
    taxonomy
        Its classes; those of torchvision's files if None: VOC's, or COCO's for a detector.
    image_scale
        Factor on the images of a semantic network; torchvision's own evaluation resizes their shorter side to 520
        pixels. A detector's are resized as its preset says, to 800.

    Raises
    ------
    SegevalError
        If the file's names or shapes aren't the model's, with the differences.
    """
    chosen = preset_of(model, preset)
    task, options = architecture(model).task, dict[str, list[int]]()
    if taxonomy is None:
        if task not in CLASSES:
            raise SegevalError(f"the classes of {model}'s weights are unknown", file=file, remedy="give --classes")
        taxonomy, options = CLASSES[task]
    network = build(model, taxonomy, preset, options)
    report = load_weights(network, Path(file))
    lacking = [key for key in report.missing if not key.startswith("aux_")]
    if lacking or report.reshaped or report.unexpected:
        what = "; ".join(report.table().split("\n")[:12])
        raise SegevalError(f"isn't a {model} of {len(taxonomy)} classes: {what}", file=file, remedy="name its model")
    mean, std = IMAGENET
    recipe = replace(chosen.recipe, image_scale=image_scale)
    notes = {"weights": Path(file).name}
    return Checkpoint(model, preset, options, taxonomy, mean, std, recipe, network.state_dict(), notes=notes)
