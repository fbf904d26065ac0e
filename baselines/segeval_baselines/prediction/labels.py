"""Predicting folders: label PNGs at the images' size, which `segeval score` reads; probabilities and overlays."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.errors import SegevalError
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.files import write_atomic
from segeval_baselines.checkpoints.checkpoint import Checkpoint
from segeval_baselines.data.samples import IMAGE_EXTENSIONS, files_by_stem, read_image
from segeval_baselines.prediction.inference import WHOLE, Predictor, View

Progress = Callable[[int, int], object]

RECORD = "prediction.json"
"""What a folder of predictions says about its making; only the same prediction resumes it."""


@dataclass(frozen=True)
class Outputs:
    """What is written for each image.

    Parameters
    ----------
    folder
        ``STEM.png``: class ids, with the taxonomy's colours as palette where ids fit into 8 bits.
    probabilities
        Also ``probabilities/STEM.npz``: ``probabilities`` (classes, H, W) as float16 and the class ids.
    overlays
        Also ``overlays/STEM.png``: the image under half-transparent class colours.
    """

    folder: Path
    probabilities: bool = False
    overlays: bool = False

    def exist(self, stem: str) -> bool:
        """Whether everything was written for an image."""
        wanted = [self.folder / f"{stem}.png"]
        wanted += [self.folder / "probabilities" / f"{stem}.npz"] if self.probabilities else []
        wanted += [self.folder / "overlays" / f"{stem}.png"] if self.overlays else []
        return all(path.is_file() for path in wanted)


def predict_folder(
    checkpoint: Checkpoint,
    images: str | Path,
    outputs: Outputs,
    *,
    view: View = WHOLE,
    device: str = "cpu",
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
    view
        How images are shown to the network.
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
        For a folder without images, an unreadable one, or a folder of other predictions.
    """
    found = files_by_stem(Path(images), IMAGE_EXTENSIONS)
    if not found:
        raise SegevalError("holds no image", file=images, remedy=f"known are {', '.join(IMAGE_EXTENSIONS)}")
    claim(outputs.folder, {**checkpoint.header(), "view": asdict(view), "weights": fingerprint(checkpoint)})
    predictor = Predictor.of(checkpoint, device)
    made = 0
    for done, (stem, path) in enumerate(found.items(), 1):
        if not outputs.exist(stem):
            write(predictor, checkpoint.taxonomy, read_image(path), stem, outputs, view)
            made += 1
        if progress:
            progress(done, len(found))
    return made


def write(
    predictor: Predictor, taxonomy: Taxonomy, image: NDArray[np.uint8], stem: str, outputs: Outputs, view: View
) -> None:
    """Predict one image and write what is asked for; the label map comes last."""
    if outputs.probabilities:
        scores = predictor.scores(image, view)
        averaged = len(view.scales) > 1 or view.flip
        shares = scores if averaged else scores.softmax(0)
        labels = scores.argmax(0).cpu().numpy().astype(np.uint8)
        content = npz({"probabilities": shares.cpu().numpy().astype(np.float16), "ids": np.array(taxonomy.ids)})
        write_atomic(outputs.folder / "probabilities" / f"{stem}.npz", content)
    else:
        labels = predictor.labels(image, view)
    if outputs.overlays:
        write_atomic(
            outputs.folder / "overlays" / f"{stem}.png", png(Image.fromarray(overlay(image, labels, taxonomy)))
        )
    write_labels(outputs.folder / f"{stem}.png", labels, taxonomy)


def write_labels(path: Path, positions: NDArray[np.uint8], taxonomy: Taxonomy) -> Path:
    """Write class ids as a PNG: 8 bits with a palette, or 16 bits where ids need them."""
    ids = np.array(taxonomy.ids)[positions]
    if max(taxonomy.ids) > 255:
        return write_atomic(path, png(Image.fromarray(ids.astype(np.uint16))))
    image = Image.fromarray(ids.astype(np.uint8), mode="P")
    palette = [0] * 768
    for value, colour in zip(taxonomy.ids, taxonomy.colours, strict=True):
        palette[3 * value : 3 * value + 3] = colour
    image.putpalette(palette)
    return write_atomic(path, png(image))


def overlay(image: NDArray[np.uint8], positions: NDArray[np.uint8], taxonomy: Taxonomy) -> NDArray[np.uint8]:
    """Half image, half class colours."""
    colours = np.array(taxonomy.colours, np.uint16)[positions]
    mixed: NDArray[np.uint8] = ((image.astype(np.uint16) + colours) // 2).astype(np.uint8)
    return mixed


def claim(folder: Path, content: Mapping[str, Any], signs: Sequence[str] = ("*.png",)) -> None:
    """Note in the folder what predicts into it; files of the patterns `signs` are predictions.

    Raises
    ------
    SegevalError
        If it holds predictions of something else.
    """
    record = folder / RECORD
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    if record.is_file() and record.read_text() != text:
        raise SegevalError("holds other predictions", file=folder, remedy="give --out a fresh folder")
    if not record.is_file() and folder.is_dir() and any(path for sign in signs for path in folder.glob(sign)):
        kind = signs[0].rpartition(".")[2].upper()
        raise SegevalError(f"holds {kind} files of unknown origin", file=folder, remedy="give --out a fresh folder")
    write_atomic(record, text)


def fingerprint(checkpoint: Checkpoint) -> str:
    """A hash of the weights."""
    import hashlib

    digest = hashlib.sha256()
    for name, tensor in sorted(checkpoint.weights.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def png(image: Image.Image) -> bytes:
    """A picture as the bytes of a PNG."""
    stream = io.BytesIO()
    image.save(stream, format="png")
    return stream.getvalue()


def npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as the bytes of a compressed archive, the same for the same arrays."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()
