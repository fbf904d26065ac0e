"""Images with label maps: CamVid as SegNet's authors lay it out, any pair of folders, and the synthetic scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.errors import SegevalError
from segeval.readers.classes import read_classes
from segeval.readers.maps.labels import read_labels
from segeval.samples.taxonomy import Taxonomy

VOID = 255
"""The value of void pixels in `Sample.labels`."""

SPLITS = ("train", "val", "test")
IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
LABEL_EXTENSIONS = (".png", ".npy", ".npz", ".tif", ".tiff")
SCENES = {"train": 400, "val": 50, "test": 100}

_CAMVID = (
    ("Sky", (128, 128, 128)),
    ("Building", (128, 0, 0)),
    ("Pole", (192, 192, 128)),
    ("Road", (128, 64, 128)),
    ("Pavement", (60, 40, 222)),
    ("Tree", (128, 128, 0)),
    ("SignSymbol", (192, 128, 128)),
    ("Fence", (64, 64, 128)),
    ("Car", (64, 0, 128)),
    ("Pedestrian", (64, 64, 0)),
    ("Bicyclist", (0, 128, 192)),
)


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


class Samples(Protocol):
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

    def load(self, key: str) -> Sample:
        """One image with its labels."""
        ...


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


@dataclass(frozen=True)
class FolderPair:
    """Images and label maps of the same stems in two folders.

    Parameters
    ----------
    name
        For reports.
    images, labels
        File by key.
    taxonomy
        The classes; any other value must be in `void`.
    void
        Values that are no class.
    """

    name: str
    images: Mapping[str, Path]
    labels: Mapping[str, Path]
    taxonomy: Taxonomy
    void: tuple[int, ...] = (VOID,)

    def keys(self) -> Sequence[str]:
        """The stems, sorted or as the split's list has them."""
        return list(self.images)

    def load(self, key: str) -> Sample:
        """Read one pair; values become positions.

        Raises
        ------
        SegevalError
            For an unreadable file, a value that is no class, or sizes that differ.
        """
        image, values = read_image(self.images[key]), np.array(read_labels(self.labels[key]))
        if values.shape != image.shape[:2]:
            shapes = f"the labels have shape {values.shape}, the image {image.shape[:2]}"
            raise SegevalError(shapes, file=self.labels[key], remedy="give single-channel labels of the image's size")
        return Sample(image, self._positions(values, key))

    def _positions(self, values: NDArray[Any], key: str) -> NDArray[np.uint8]:
        positions = np.full(values.shape, VOID, np.uint8)
        known = np.isin(values, self.void)
        for position, value in enumerate(self.taxonomy.ids):
            here = values == value
            positions[here] = position
            known |= here
        if not known.all():
            raise SegevalError(
                f"value {values[~known].flat[0]} is no class", file=self.labels[key], remedy=self.taxonomy.hint()
            )
        return positions


@dataclass(frozen=True)
class Scenes:
    """The demo's synthetic street scenes: endless, made from a seed.

    Parameters
    ----------
    split
        Decides the seed, so that no scene is in two splits.
    count
        How many.
    """

    split: str
    count: int

    @property
    def name(self) -> str:
        """For reports."""
        return f"scenes {self.split}"

    @property
    def taxonomy(self) -> Taxonomy:
        """The scenes' classes."""
        from segeval.scenes import CLASSES

        return CLASSES

    def keys(self) -> Sequence[str]:
        """Numbers, as text."""
        return [f"{k:04d}" for k in range(self.count)]

    def load(self, key: str) -> Sample:
        """Draw a scene."""
        from segeval.scenes import make_scene

        scene = make_scene(int(key), seed=1000 + SPLITS.index(self.split))
        positions = np.full(scene.labels.shape, VOID, np.uint8)
        for position, value in enumerate(self.taxonomy.ids):
            positions[scene.labels == value] = position
        return Sample(scene.image, positions)


def open_split(data: str, split: str, classes: str | None = None) -> Samples:
    """One split of a data set.

    Parameters
    ----------
    data
        ``camvid:PATH`` (folders ``train``, ``trainannot``, ... and lists ``train.txt``, ...), ``folder:PATH`` (folders
        ``images`` and ``labels``, lists ``train.txt``, ``val.txt``, ``test.txt`` of stems, ``classes.json`` or
        ``classes.txt``), ``folder:IMAGES,LABELS[,LISTS]`` for folders elsewhere, ``cityscapes:PATH`` (``leftImg8bit``
        and ``gtFine``), ``scenes[:COUNT]``, or objects as label maps: ``nuclei:PATH`` or ``instances:PATH``
        (`object_datasets.open_objects`).
    split
        ``train``, ``val`` or ``test``.
    classes
        Replaces the data set's own list of classes.

    Raises
    ------
    SegevalError
        If something is absent; the message says what.
    """
    kind, _, rest = data.partition(":")
    if split not in SPLITS:
        raise SegevalError(f"there is no split {split!r}", remedy=f"take {', '.join(SPLITS)}")
    if kind == "scenes" and (not rest or rest.isdigit()):
        return Scenes(split, int(rest) if rest and split == "train" else SCENES[split])
    if kind == "camvid" and rest:
        return _camvid(Path(rest), split, classes)
    if kind == "cityscapes" and rest:
        from segeval_baselines.data.cityscapes import open_cityscapes

        return open_cityscapes(Path(rest), split)
    if kind == "folder" and rest:
        return _folder(rest, split, classes)
    if kind in ("nuclei", "instances") and rest:
        from segeval_baselines.data.instance_maps import open_objects
        from segeval_baselines.data.object_labels import ObjectLabels

        return ObjectLabels(open_objects(data, split, classes))
    known = "camvid:PATH, cityscapes:PATH, folder:PATH, nuclei:PATH, instances:PATH or scenes"
    raise SegevalError(f"{data!r} names no data", remedy=f"give {known}")


def _camvid(root: Path, split: str, classes: str | None) -> FolderPair:
    names = root / "classes.json"
    if classes or names.is_file():
        taxonomy, void = read_classes(classes or str(names))
    else:
        taxonomy, void = (
            Taxonomy(tuple(range(11)), tuple(n for n, _ in _CAMVID), None, tuple(c for _, c in _CAMVID)),
            None,
        )
    listed = listed_stems(root / f"{split}.txt")
    return _pair(f"CamVid {split}", root / split, root / f"{split}annot", listed, taxonomy, void or (11, VOID))


def _folder(places: str, split: str, classes: str | None) -> FolderPair:
    parts = [Path(p) for p in places.split(",")]
    root = parts[0] if len(parts) == 1 else parts[-1]
    images, labels = (root / "images", root / "labels") if len(parts) == 1 else parts[:2]
    found = [p for p in (root / "classes.json", root / "classes.txt", labels / "classes.json") if p.is_file()]
    if not (classes or found):
        raise SegevalError("the classes are unknown", file=root, remedy="give --classes, or write classes.txt there")
    taxonomy, void = read_classes(classes or str(found[0]))
    listing = root / f"{split}.txt"
    listed = listed_stems(listing) if listing.is_file() else None
    if listed is None and any((root / f"{other}.txt").is_file() for other in SPLITS):
        raise SegevalError("no such list", file=listing, remedy="write one stem a line")
    return _pair(f"{images.parent.name or images.name} {split}", images, labels, listed, taxonomy, void or (VOID,))


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


def _pair(
    name: str, images: Path, labels: Path, listed: list[str] | None, taxonomy: Taxonomy, void: tuple[int, ...]
) -> FolderPair:
    if len(taxonomy) > VOID:
        raise SegevalError(f"{len(taxonomy)} classes are more than 255", remedy="merge classes")
    pictures, maps = files_by_stem(images, IMAGE_EXTENSIONS), files_by_stem(labels, LABEL_EXTENSIONS)
    keys = sorted(pictures) if listed is None else listed
    if not keys:
        raise SegevalError("holds no image", file=images, remedy="check the path")
    for key in keys:
        for folder, found in ((images, pictures), (labels, maps)):
            if key not in found:
                raise SegevalError("no file for this image", file=folder, key=key, remedy="add it, or shorten the list")
    return FolderPair(name, {k: pictures[k] for k in keys}, {k: maps[k] for k in keys}, taxonomy, void)


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
