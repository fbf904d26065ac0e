"""Predicting a folder of images: what each task's networks find, and the files that are made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from segeval.errors import SegevalError
from segeval_baselines.checkpoints.checkpoint import Checkpoint, load_checkpoint
from segeval_baselines.group import device_of
from segeval_baselines.prediction.inference import WHOLE, Predictor, View
from segeval_baselines.prediction.instances import InstanceFiles
from segeval_baselines.prediction.labels import LabelFiles, find_labels
from segeval_baselines.prediction.object_inference import ObjectPredictor
from segeval_baselines.prediction.outputs import (
    Files,
    Outputs,
    Progress,
    claim,
    fingerprint,
    listed_images,
    read_image_ids,
    write_predictions,
)
from segeval_baselines.prediction.panoptic import PanopticFiles
from segeval_baselines.prediction.separation import SeparatingPredictor
from segeval_baselines.zoo import architecture

Device = torch.device | str

FILES: dict[str, Callable[[Outputs], Files[Any]]] = {
    "semantic": LabelFiles,
    "instance": InstanceFiles,
    "panoptic": PanopticFiles,
}
"""What is written of the predictions of a task."""


@dataclass(frozen=True)
class Ready:
    """A network that is ready to predict.

    Attributes
    ----------
    find
        Predicts one image (H, W, 3).
    network
        In eval mode.
    manner
        How it predicts, as far as that is a choice: a folder keeps it beside the checkpoint's header.
    """

    find: Callable[[NDArray[np.uint8]], Any]
    network: nn.Module
    manner: Mapping[str, Any]


def _labels(checkpoint: Checkpoint, device: Device, view: View, probabilities: bool) -> Ready:
    predictor = Predictor.of(checkpoint, device)

    def find(image: NDArray[np.uint8]) -> Any:
        return find_labels(predictor, image, view, probabilities=probabilities)

    return Ready(find, predictor.network, {"view": asdict(view)})


def _instances(checkpoint: Checkpoint, device: Device, view: View, probabilities: bool) -> Ready:
    predictor = ObjectPredictor.of(checkpoint, device)
    return Ready(predictor.instances, predictor.network, {})


def _panoptic(checkpoint: Checkpoint, device: Device, view: View, probabilities: bool) -> Ready:
    predictor = ObjectPredictor.of(checkpoint, device)
    return Ready(predictor.panoptic, predictor.network, {})


READY: dict[str, Callable[[Checkpoint, Device, View, bool], Ready]] = {
    "semantic": _labels,
    "instance": _instances,
    "panoptic": _panoptic,
}
"""What makes a checkpoint of a task ready."""


def made_ready(
    checkpoint: Checkpoint,
    device: Device = "cpu",
    *,
    method: str | None = None,
    view: View = WHOLE,
    probabilities: bool = False,
) -> Ready:
    """Make a checkpoint ready to predict.

    Parameters
    ----------
    checkpoint, device
        The network, and where it runs.
    method
        How a semantic network's regions are separated into instances (`watershed.separate`); not at all if None.
    view
        How images are shown to a semantic network.
    probabilities
        Whether label maps come with the probabilities of their classes.

    Raises
    ------
    SegevalError
        For weights that don't fit, or a `method` for a network that was not trained to separate objects.
    """
    if not method:
        return READY[architecture(checkpoint.model).task](checkpoint, device, view, probabilities)
    separating = SeparatingPredictor.of(checkpoint, device, method, view)
    manner = {"instances": method, "view": asdict(view)}
    return Ready(separating.instances, separating.predictor.network, manner)


def files_of(checkpoint: Checkpoint, outputs: Outputs, method: str | None = None) -> Files[Any]:
    """What is written of a network's predictions, or of its regions if a `method` separates them."""
    return FILES["instance" if method else architecture(checkpoint.model).task](outputs)


def misfit(
    checkpoint: Checkpoint, *, method: str | None, view: View, probabilities: bool, image_ids: bool
) -> str | None:
    """What is asked of a network that it can't do, in one line; None where everything fits."""
    if architecture(checkpoint.model).detects:
        if probabilities or method or view != WHOLE:
            options = "--probabilities, --instances, --window, --overlap, --flip and --scales"
            return f"{checkpoint.model} is a detector: {options} aren't for it"
    elif probabilities and method:
        return "--probabilities come with label maps, without --instances"
    elif image_ids and not method:
        return "--image-ids is for detectors; label maps go by their names"
    return None


def predict_folder(
    checkpoint: Checkpoint,
    images: str | Path,
    outputs: Outputs,
    *,
    method: str | None = None,
    view: View = WHOLE,
    device: Device = "cpu",
    progress: Progress | None = None,
) -> int:
    """Predict every image of a folder; images that are done already are left alone.

    Parameters
    ----------
    checkpoint
        The network.
    images
        Folder of images.
    outputs
        What is written, and where.
    method, view
        How a semantic network's regions are separated into instances, if at all (`watershed.separate`), and how images
        are shown to it.
    device
        Where it runs.
    progress
        Called with images done and images in all.

    Returns
    -------
    count
        Images predicted now.

    Raises
    ------
    SegevalError
        For a folder without images, an unreadable one, one without an id, a folder of other predictions, or a choice
        that the network doesn't know.
    """
    found = listed_images(images)
    ids = outputs.image_ids is not None
    wrong = misfit(checkpoint, method=method, view=view, probabilities=outputs.probabilities, image_ids=ids)
    if wrong:
        raise SegevalError(wrong, remedy="leave it out")
    for stem in found:
        outputs.image_id(stem)
    ready = made_ready(checkpoint, device, method=method, view=view, probabilities=outputs.probabilities)
    files = files_of(checkpoint, outputs, method)
    claim(files, {**checkpoint.header(), "weights": fingerprint(checkpoint), **ready.manner})
    return write_predictions(ready.find, found, files, checkpoint.taxonomy, progress=progress)


def predict(
    checkpoint: Checkpoint | str | Path,
    images: str | Path,
    out: str | Path,
    *,
    instances: str | None = None,
    probabilities: bool = False,
    overlays: bool = False,
    image_ids: str | Path | None = None,
    window: int | None = None,
    overlap: float = WHOLE.overlap,
    flip: bool = False,
    scales: Sequence[float] = WHOLE.scales,
    device: str = "auto",
    progress: Progress | None = None,
) -> Path:
    """Predict a folder of images with a trained network; an interrupted prediction goes on.

    Parameters
    ----------
    checkpoint
        The network, or what `segeval_baselines.load` takes: a file, the folder of a training, or a bundled network.
    images
        Folder of images.
    out
        Folder of the predictions.
    instances
        ``components`` or ``watershed``: cut the regions of a semantic network that knows borders into instances.
    probabilities, overlays
        Also write the probabilities of a label map's classes, and the images under what was predicted. They lie in
        folders beside the label maps, which then are scored with ``missing="skip"``.
    image_ids
        A COCO JSON whose image ids the files of objects carry; the images' names if None.
    window, overlap, flip, scales
        How images are shown to a semantic network: in windows of this side, which share this part; averaged with the
        mirrored image; averaged over these zooms.
    device
        ``auto``, ``cpu`` or ``cuda``.
    progress
        Called with images done and images in all.

    Returns
    -------
    path
        What `segeval.score` takes as the prediction: the folder of label maps, ``results.json`` or ``panoptic.json``.

    Raises
    ------
    SegevalError
        For a folder without images, an unreadable one, one without an id, a folder of other predictions, or a choice
        that the network doesn't know.

    Examples
    --------
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from segeval.scenes import make_scene
    >>> from segeval_baselines import predict
    >>> Path("images").mkdir()
    >>> Image.fromarray(make_scene(0).image).save("images/street.png")
    >>> predict("unet-demo", "images", "labels").name
    'labels'
    >>> predict("mask_rcnn-demo", "images", "objects").name
    'results.json'
    """
    place = device_of(device)
    trained = checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(checkpoint, place)
    view = View(window, overlap, flip, tuple(scales))
    ids = None if image_ids is None else read_image_ids(image_ids)
    outputs = Outputs(Path(out), probabilities, overlays, ids)
    predict_folder(trained, images, outputs, method=instances, view=view, device=place, progress=progress)
    return outputs.folder / files_of(trained, outputs, instances).scored
