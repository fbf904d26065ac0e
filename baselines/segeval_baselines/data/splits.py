"""The data sets by name: a new one is a line of a table here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from segeval.errors import SegevalError
from segeval_baselines.data.cityscapes import open_cityscapes
from segeval_baselines.data.coco import CocoObjects, CocoPanopticObjects
from segeval_baselines.data.folders import open_camvid, open_folder
from segeval_baselines.data.instance_maps import open_instances, open_nuclei
from segeval_baselines.data.object_labels import ObjectLabels
from segeval_baselines.data.objects import ObjectSamples
from segeval_baselines.data.samples import SPLITS, Samples, Split
from segeval_baselines.data.scenes import ObjectScenes, Scenes

T = TypeVar("T", covariant=True)


@dataclass(frozen=True)
class DataKind(Generic[T]):
    """A kind of data.

    Parameters
    ----------
    spelling
        How its spec is written.
    open
        Opens a split, given what stands behind the colon, the split, and the classes that replace its own.
    fits
        Whether that can stand behind the colon; anything can, unless it is empty.
    own_classes
        Whether its classes can't be replaced.
    """

    spelling: str
    open: Callable[[str, str, str | None], T]
    fits: Callable[[str], bool] = bool
    own_classes: bool = False


def _is_count(place: str) -> bool:
    return not place or (place.isdecimal() and int(place) > 0)


def _is_panoptic(place: str) -> bool:
    folder, _, option = place.partition(",")
    return bool(folder) and option in ("", "supercategories")


OBJECTS: dict[str, DataKind[ObjectSamples]] = {
    "coco": DataKind("coco:PATH", CocoObjects.open),
    "coco_panoptic": DataKind("coco_panoptic:PATH[,supercategories]", CocoPanopticObjects.open, _is_panoptic),
    "nuclei": DataKind("nuclei:PATH", open_nuclei),
    "instances": DataKind("instances:PATH", open_instances),
    "scenes": DataKind("scenes", ObjectScenes.open, _is_count, own_classes=True),
}

LABEL_MAPS: dict[str, DataKind[Samples]] = {
    "camvid": DataKind("camvid:PATH", open_camvid),
    "cityscapes": DataKind("cityscapes:PATH", open_cityscapes, own_classes=True),
    "folder": DataKind("folder:PATH", open_folder),
    "nuclei": DataKind("nuclei:PATH", lambda *given: ObjectLabels(open_nuclei(*given))),
    "instances": DataKind("instances:PATH", lambda *given: ObjectLabels(open_instances(*given))),
    "scenes": DataKind("scenes", Scenes.open, _is_count, own_classes=True),
}


def open_split(data: str, split: str, classes: str | None = None) -> Samples:
    """One split of a data set.

    Parameters
    ----------
    data
        ``camvid:PATH`` (folders ``train``, ``trainannot``, ... and lists ``train.txt``, ...), ``folder:PATH`` (folders
        ``images`` and ``labels``, lists ``train.txt``, ``val.txt``, ``test.txt`` of stems, ``classes.json`` or
        ``classes.txt``), ``folder:IMAGES,LABELS[,LISTS]`` for folders elsewhere, ``cityscapes:PATH`` (``leftImg8bit``
        and ``gtFine``), ``scenes[:COUNT]``, or objects as label maps: ``nuclei:PATH`` or ``instances:PATH``
        (`open_objects`).
    split
        ``train``, ``val`` or ``test``.
    classes
        Replaces the data set's own list of classes.

    Raises
    ------
    SegevalError
        If something is absent, or `classes` can't be replaced; the message says what.
    """
    return _opened(LABEL_MAPS, "data", data, split, classes)


def open_objects(data: str, split: str, classes: str | None = None) -> ObjectSamples:
    """One split of a data set with objects.

    Parameters
    ----------
    data
        ``coco:PATH`` (``annotations/instances_SPLIT*.json`` and the images), ``coco_panoptic:PATH`` (the same with
        ``panoptic_SPLIT*.json`` and PNGs), ``coco_panoptic:PATH,supercategories``, ``nuclei:PATH`` (``index.csv`` with
        id, file and split, ``images``, ``masks``), ``instances:PATH`` (``images``, ``masks`` of instance ids, lists
        ``train.txt``, ``val.txt``, ``test.txt`` of stems), or ``scenes[:COUNT]``.
    split
        ``train``, ``val`` or ``test``.
    classes
        Replaces the data set's own list of classes; ``instances`` has one class without it.

    Raises
    ------
    SegevalError
        If something is absent, or `classes` can't be replaced; the message says what.
    """
    return _opened(OBJECTS, "data with objects", data, split, classes)


OPENERS: dict[str, Callable[[str, str, str | None], Split[Any]]] = {
    "semantic": open_split,
    "instance": open_objects,
    "panoptic": open_objects,
}
"""What opens the data that a task's networks learn from."""


def _opened(table: Mapping[str, DataKind[T]], what: str, data: str, split: str, classes: str | None) -> T:
    word, _, place = data.partition(":")
    if split not in SPLITS:
        raise SegevalError(f"there is no split {split!r}", remedy=f"take {', '.join(SPLITS)}")
    kind = table.get(word)
    if kind is None or not kind.fits(place):
        *most, last = (known.spelling for known in table.values())
        raise SegevalError(f"{data!r} names no {what}", remedy=f"give {', '.join(most)} or {last}")
    if classes and kind.own_classes:
        raise SegevalError(f"the classes of {word} can't be replaced", remedy="leave --classes out")
    return kind.open(place, split, classes)
