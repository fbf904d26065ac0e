"""Cityscapes as its archives unpack: ``leftImg8bit/SPLIT/CITY`` and ``gtFine/SPLIT/CITY``, 19 classes."""

from __future__ import annotations

from pathlib import Path

from segeval.errors import SegevalError
from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.data.folders import FolderPair
from segeval_baselines.data.samples import VOID

IMAGE, LABELS = "_leftImg8bit.png", "_gtFine_labelIds.png"

# Label id, name, colour and whether it is a thing, of the classes that are scored; trainId is the place in this list.
_CLASSES = (
    (7, "road", (128, 64, 128), False),
    (8, "sidewalk", (244, 35, 232), False),
    (11, "building", (70, 70, 70), False),
    (12, "wall", (102, 102, 156), False),
    (13, "fence", (190, 153, 153), False),
    (17, "pole", (153, 153, 153), False),
    (19, "traffic light", (250, 170, 30), False),
    (20, "traffic sign", (220, 220, 0), False),
    (21, "vegetation", (107, 142, 35), False),
    (22, "terrain", (152, 251, 152), False),
    (23, "sky", (70, 130, 180), False),
    (24, "person", (220, 20, 60), True),
    (25, "rider", (255, 0, 0), True),
    (26, "car", (0, 0, 142), True),
    (27, "truck", (0, 0, 70), True),
    (28, "bus", (0, 60, 100), True),
    (31, "train", (0, 80, 100), True),
    (32, "motorcycle", (0, 0, 230), True),
    (33, "bicycle", (119, 11, 32), True),
)

CITYSCAPES = Taxonomy(*(tuple(row[k] for row in _CLASSES) for k in (0, 1, 3, 2)))  # type: ignore[arg-type]
"""The classes by their label ids, which predictions for the benchmark's server have too."""

IGNORED = (*sorted(set(range(34)) - set(CITYSCAPES.ids)), VOID)
"""Label ids that are not scored; a licence plate, -1, is 255 in the files."""


def open_cityscapes(place: str, split: str, classes: str | None = None) -> FolderPair:
    """One split, its images named without ``_leftImg8bit``.

    Raises
    ------
    SegevalError
        If there are no images, an image has no labels, or for ``test``, whose labels the benchmark's server keeps.
    """
    root = Path(place)
    if split == "test":
        raise SegevalError("the test split of Cityscapes has no public labels", file=root, remedy="score val")
    folder, truth = root / "leftImg8bit" / split, root / "gtFine" / split
    images = {path.name.removesuffix(IMAGE): path for path in sorted(folder.glob(f"*/*{IMAGE}"))}
    if not images:
        raise SegevalError(f"holds no CITY/*{IMAGE}", file=folder, remedy="give the folder that holds leftImg8bit")
    labels = {key: truth / path.parent.name / f"{key}{LABELS}" for key, path in images.items()}
    for key, path in labels.items():
        if not path.is_file():
            raise SegevalError("no labels for this image", file=path, key=key, remedy="unpack gtFine beside it")
    return FolderPair(f"Cityscapes {split}", images, labels, CITYSCAPES, IGNORED)
