"""What a prediction leaves in a folder, whatever its task: image by image, so that an interrupted one goes on."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.files import write_atomic
from segeval.storage.json_files import read_json
from segeval_baselines.checkpoints.checkpoint import Checkpoint
from segeval_baselines.data.samples import IMAGE_EXTENSIONS, files_by_stem, read_image

Progress = Callable[[int, int], object]
"""Called with images done and images in all."""

RECORD = "prediction.json"
"""What a folder of predictions says about its making; only the same prediction resumes it."""


@dataclass(frozen=True)
class Outputs:
    """What is written, and where; `Files` says which files that are.

    Parameters
    ----------
    folder
        Receives the predictions.
    probabilities
        Also ``probabilities/STEM.npz`` of label maps: ``probabilities`` (classes, H, W) as float16 and the class ids.
    overlays
        Also ``overlays/STEM.png``: the image under half-transparent classes, or objects with their outlines.
    image_ids
        Ids by stem, for the JSON files of objects; the stems themselves if None.
    """

    folder: Path
    probabilities: bool = False
    overlays: bool = False
    image_ids: Mapping[str, Key] | None = None

    def image_id(self, stem: str) -> Key:
        """The id under which an image stands in the JSON files.

        Raises
        ------
        SegevalError
            If the ids that were given lack it.
        """
        if self.image_ids is None:
            return stem
        if stem not in self.image_ids:
            raise SegevalError("the image ids don't list this image", key=stem, remedy="give the JSON of these images")
        return self.image_ids[stem]

    def overlay(self, stem: str) -> list[Path]:
        """The overlay of an image, if overlays are written."""
        return [self.folder / "overlays" / f"{stem}.png"] if self.overlays else []


F_contra = TypeVar("F_contra", contravariant=True)
F = TypeVar("F")


class Files(Protocol[F_contra]):
    """The files of one kind of prediction.

    Attributes
    ----------
    signs
        Patterns of files that tell a folder of predictions.
    scored
        What of the folder is scored; the folder itself if empty.
    """

    signs: ClassVar[tuple[str, ...]]
    scored: ClassVar[str]

    @property
    def outputs(self) -> Outputs:
        """What is written, and where."""
        ...

    def of_image(self, stem: str) -> list[Path]:
        """The files that are there when an image is done."""
        ...

    def write(self, found: F_contra, image: NDArray[np.uint8], stem: str, taxonomy: Taxonomy) -> None:
        """Write the prediction of one image."""
        ...

    def join(self, stems: Sequence[str], taxonomy: Taxonomy) -> None:
        """Write the files over all images."""
        ...


def listed_images(folder: str | Path) -> dict[str, Path]:
    """The images of a folder by stem.

    Raises
    ------
    SegevalError
        If there is none.
    """
    found = files_by_stem(Path(folder), IMAGE_EXTENSIONS)
    if not found:
        raise SegevalError("holds no image", file=folder, remedy=f"known are {', '.join(IMAGE_EXTENSIONS)}")
    return found


def write_predictions(
    predict: Callable[[NDArray[np.uint8]], F],
    images: Mapping[str, Path],
    files: Files[F],
    taxonomy: Taxonomy,
    *,
    again: bool = False,
    progress: Progress | None = None,
) -> int:
    """Predict images, and write what is asked for; returns how many were predicted now.

    Parameters
    ----------
    predict
        What predicts one image (H, W, 3).
    images
        Files by stem.
    files, taxonomy
        What is written, and the classes.
    again
        Also predict images that are done already, which else are left alone.
    progress
        Called after each image.

    Raises
    ------
    SegevalError
        If an image can't be read, or the folder can't be written to.
    """
    made = 0
    for done, (stem, path) in enumerate(images.items(), 1):
        if again or not all(file.is_file() for file in files.of_image(stem)):
            image = read_image(path)
            files.write(predict(image), image, stem, taxonomy)
            made += 1
        if progress:
            progress(done, len(images))
    files.join(list(images), taxonomy)
    return made


def claim(files: Files[Any], content: Mapping[str, Any]) -> None:
    """Note in a folder what predicts into it.

    Raises
    ------
    SegevalError
        If it holds predictions of something else.
    """
    folder = files.outputs.folder
    record, text = folder / RECORD, json.dumps(content, indent=1, sort_keys=True) + "\n"
    if record.is_file() and record.read_text() != text:
        raise SegevalError("holds other predictions", file=folder, remedy="give --out a fresh folder")
    if not record.is_file() and folder.is_dir() and any(path for sign in files.signs for path in folder.glob(sign)):
        kind = files.signs[0].rpartition(".")[2].upper()
        raise SegevalError(f"holds {kind} files of unknown origin", file=folder, remedy="give --out a fresh folder")
    write_atomic(record, text)


def fingerprint(checkpoint: Checkpoint) -> str:
    """A hash of the weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(checkpoint.weights.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def read_image_ids(path: str | Path) -> dict[str, Key]:
    """Image ids by stem of a COCO JSON.

    Raises
    ------
    SegevalError
        If it lists no images with file names and ids, or two of one stem.
    """
    data = read_json(Path(path))
    listed = data.get("images") if isinstance(data, dict) else None
    found: dict[str, Key] = {}
    for entry in listed if isinstance(listed, list) else []:
        name, ident = (entry.get("file_name"), entry.get("id")) if isinstance(entry, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(ident, (int, str)) or Path(name).stem in found:
            raise SegevalError(f"lists the image {entry!r:.60}", file=path, remedy="give each its file_name and id")
        found[Path(name).stem] = ident
    if not found:
        raise SegevalError("lists no images", file=path, remedy="give a COCO JSON with images")
    return found


def npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays as the bytes of a compressed archive, the same for the same arrays."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()
