"""Networks from files that others published: torchvision's segmentation checkpoints, ready to predict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from segeval.errors import SegevalError
from segeval.taxonomy import Colour, Taxonomy
from segeval_baselines.checkpoint import Checkpoint
from segeval_baselines.weights import IMAGENET, load_weights
from segeval_baselines.zoo import build, preset_of

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


def published_checkpoint(
    model: str, file: str | Path, *, preset: str = "full", taxonomy: Taxonomy = VOC, image_scale: float = 1.0
) -> Checkpoint:
    """A checkpoint from a published file.

    Parameters
    ----------
    model, preset
        What the file holds weights of: ``fcn_resnet50``, ``deeplabv3_resnet101``, ...
    file
        A state dictionary (``.pth`` or ``.safetensors``).
    taxonomy
        Its classes; torchvision's files have VOC's.
    image_scale
        Factor on the images; torchvision's own evaluation resizes their shorter side to 520 pixels.

    Raises
    ------
    SegevalError
        If the file's names or shapes aren't the model's, with the differences.
    """
    chosen = preset_of(model, preset)
    network = build(model, len(taxonomy), preset)
    report = load_weights(network, Path(file))
    lacking = [key for key in report.missing if not key.startswith("aux_")]
    if lacking or report.reshaped or report.unexpected:
        what = "; ".join(report.table().split("\n")[:12])
        raise SegevalError(f"isn't a {model} of {len(taxonomy)} classes: {what}", file=file, remedy="name its model")
    mean, std = IMAGENET
    recipe = replace(chosen.recipe, image_scale=image_scale)
    notes = {"weights": Path(file).name}
    return Checkpoint(model, preset, {}, taxonomy, mean, std, recipe, network.state_dict(), notes=notes)
