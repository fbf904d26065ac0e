"""Images with label maps: CamVid as SegNet's authors lay it out, any pair of folders, and the synthetic scenes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.errors import SegevalError
from segeval.samples.taxonomy import Taxonomy

VOID = 255
"""The value of void pixels in `Sample.labels`."""

SPLITS = ("train", "val", "test")
IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
LABEL_EXTENSIONS = (".png", ".npy", ".npz", ".tif", ".tiff")


class Sample(NamedTuple):
    """One image.

    Attributes
    ----------
    image
        (H, W, 3) uint8 RGB.
    labels
        (H, W) uint8: positions in the taxonomy, or `VOID`.
    instances
        (H, W) int32: the number of each pixel's object, 0 for none; None where the data know no objects.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    instances: NDArray[np.int32] | None = None


S = TypeVar("S", covariant=True)


class Split(Protocol[S]):
    """One split of a data set."""

    @property
    def name(self) -> str:
        """What the split is called in reports."""
        ...

    @property
    def taxonomy(self) -> Taxonomy:
        """The classes, at most 255."""
        ...

    def keys(self) -> Sequence[str]:
        """The images, in a fixed order."""
        ...

    def load(self, key: str) -> S:
        """One image with its labels, or with its objects."""
        ...


Samples = Split[Sample]
"""A split of label maps."""


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image file as (H, W, 3) RGB.

    Raises
    ------
    SegevalError
        If the file is absent or no image.
    """
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except FileNotFoundError:
        raise SegevalError("no such file", file=path, remedy="check the path") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())[:100]
        raise SegevalError(f"can't be read as an image ({reason})", file=path, remedy="write it again") from None


def listed_in(root: Path, split: str) -> list[str] | None:
    """The stems of a split's list; None where the folder has no list of any split.

    Raises
    ------
    SegevalError
        If only other splits have a list.
    """
    lists = any((root / f"{other}.txt").is_file() for other in SPLITS)
    return listed_stems(root / f"{split}.txt") if lists else None


def listed_stems(path: Path) -> list[str]:
    """The stems of a split's list, one a line.

    Raises
    ------
    SegevalError
        If there is no such file.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError:
        raise SegevalError("no such list", file=path, remedy="write one stem a line") from None
    # The lists of SegNet's authors hold a path of the image and one of the labels a line.
    names = [Path(line.split()[0]) for line in lines if line.strip()]
    return [name.stem if name.suffix.lower() in IMAGE_EXTENSIONS else name.name for name in names]


def files_by_stem(folder: Path, extensions: Sequence[str]) -> dict[str, Path]:
    """The files of a folder with one of the extensions, by stem, sorted.

    Raises
    ------
    SegevalError
        If the folder is absent or two files share a stem.
    """
    if not folder.is_dir():
        raise SegevalError("no such folder", file=folder, remedy="check the path")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in extensions and not path.name.startswith("."):
            if path.stem in found:
                raise SegevalError(f"{found[path.stem].name} and {path.name} are one key", file=folder)
            found[path.stem] = path
    return found


def same_stems(
    images: Path, maps: Path, listed: Sequence[str] | None, remedy: str
) -> tuple[dict[str, Path], dict[str, Path]]:
    """The images and the maps of the same stems in two folders, as a list has them, or all of them, sorted.

    Raises
    ------
    SegevalError
        If there is no image, or an image or a map is absent; then `remedy` says what to do.
    """
    pictures, found = files_by_stem(images, IMAGE_EXTENSIONS), files_by_stem(maps, LABEL_EXTENSIONS)
    keys = sorted(pictures) if listed is None else listed
    if not keys:
        raise SegevalError("holds no image", file=images, remedy="check the path")
    for key in keys:
        for folder, files in ((images, pictures), (maps, found)):
            if key not in files:
                raise SegevalError("no file for this image", file=folder, key=key, remedy=remedy)
    return {key: pictures[key] for key in keys}, {key: found[key] for key in keys}
