"""The data sets by name."""

from __future__ import annotations

from pathlib import Path

from segeval.errors import SegevalError
from segeval.readers.classes import read_classes
from segeval.samples.taxonomy import Taxonomy
from segeval_baselines.data.cityscapes import open_cityscapes
from segeval_baselines.data.coco import CocoObjects, CocoPanopticObjects
from segeval_baselines.data.folders import open_camvid, open_folder
from segeval_baselines.data.instance_maps import NUCLEI, open_instances, open_nuclei
from segeval_baselines.data.object_labels import ObjectLabels
from segeval_baselines.data.objects import ObjectSamples
from segeval_baselines.data.samples import SCENES, SPLITS, Samples
from segeval_baselines.data.scenes import ObjectScenes, Scenes


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
        If something is absent; the message says what.
    """
    kind, _, rest = data.partition(":")
    if split not in SPLITS:
        raise SegevalError(f"there is no split {split!r}", remedy=f"take {', '.join(SPLITS)}")
    if kind == "scenes" and (not rest or rest.isdigit()):
        return Scenes(split, int(rest) if rest and split == "train" else SCENES[split])
    if kind == "camvid" and rest:
        return open_camvid(Path(rest), split, classes)
    if kind == "cityscapes" and rest:
        return open_cityscapes(Path(rest), split)
    if kind == "folder" and rest:
        return open_folder(rest, split, classes)
    if kind in ("nuclei", "instances") and rest:
        return ObjectLabels(open_objects(data, split, classes))
    known = "camvid:PATH, cityscapes:PATH, folder:PATH, nuclei:PATH, instances:PATH or scenes"
    raise SegevalError(f"{data!r} names no data", remedy=f"give {known}")


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
        If something is absent; the message says what.
    """
    kind, _, rest = data.partition(":")
    if split not in SPLITS:
        raise SegevalError(f"there is no split {split!r}", remedy=f"take {', '.join(SPLITS)}")
    taxonomy = read_classes(classes)[0] if classes else None
    place, _, option = rest.partition(",")
    if kind == "scenes" and (not rest or rest.isdigit()):
        return ObjectScenes(split, int(rest) if rest and split == "train" else SCENES[split])
    if kind == "coco" and rest:
        return CocoObjects.open(Path(rest), split, taxonomy)
    if kind == "coco_panoptic" and place and option in ("", "supercategories"):
        return CocoPanopticObjects.open(Path(place), split, taxonomy, coarse=bool(option))
    if kind == "nuclei" and rest:
        return open_nuclei(Path(rest), split, taxonomy or NUCLEI)
    if kind == "instances" and rest:
        return open_instances(Path(rest), split, taxonomy or Taxonomy((0,), ("object",), (True,)))
    known = "coco:PATH, coco_panoptic:PATH[,supercategories], nuclei:PATH, instances:PATH or scenes"
    raise SegevalError(f"{data!r} names no data with objects", remedy=f"give {known}")
