"""Objects of COCO's own files: the instances JSON, and the panoptic JSON with its PNGs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.readers.classes import taxonomy_of_categories
from segeval.readers.coco.instances import CocoInstances
from segeval.readers.coco.panoptic import CocoPanoptic
from segeval.readers.coco.tables import read_tables
from segeval.samples.mask_runs import dense_masks
from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.json_files import integer, read_json
from segeval_baselines.data.objects import ObjectSample, listed_classes, thing_labels
from segeval_baselines.data.samples import VOID, read_image


@dataclass(frozen=True)
class Pictures:
    """Image files by key, and the image ids under which a JSON knows them."""

    files: Mapping[str, Path]
    ids: Mapping[str, Key]

    def read(self, key: str, size: tuple[int, int]) -> NDArray[np.uint8]:
        """An image, which must have the size of its annotation.

        Raises
        ------
        SegevalError
            If it can't be read, or has another size.
        """
        image = read_image(self.files[key])
        if image.shape[:2] != size:
            text = f"is {image.shape[1]}x{image.shape[0]}, its annotation {size[1]}x{size[0]} (width x height)"
            raise SegevalError(text, file=self.files[key], remedy="take the image that was annotated")
        return image


@dataclass(frozen=True)
class _Annotated:
    """One split of a COCO data set: what it is called, and the images that its JSON lists."""

    name: str
    pictures: Pictures

    def keys(self) -> Sequence[str]:
        """The images' names without extension, in the order of the JSON."""
        return list(self.pictures.files)

    def image_ids(self) -> Mapping[str, Key | None]:
        """The ids of the JSON."""
        return self.pictures.ids


@dataclass(frozen=True)
class CocoObjects(_Annotated):
    """One split of a COCO instances data set: every category is a thing."""

    truth: CocoInstances
    taxonomy: Taxonomy

    @classmethod
    def open(cls, place: str, split: str, classes: str | None = None) -> CocoObjects:
        """Read ``annotations/instances_SPLIT*.json`` and find its images.

        Raises
        ------
        SegevalError
            If the JSON or the images are absent, or the JSON is none of COCO's.
        """
        root, taxonomy = Path(place), listed_classes(classes)
        path = annotation_file(root, "instances", split)
        truth = CocoInstances(path)
        known = taxonomy or truth.taxonomy
        if strange := sorted(set(truth.taxonomy.ids) - set(known.ids)):
            raise SegevalError(f"class {strange[0]} is not among --classes", file=path, remedy=known.hint())
        things = Taxonomy(known.ids, known.names, (True,) * len(known), known.colours)
        _require_few(things, path)
        return cls(f"{root.name} {split}", _pictures(root, path, split, read_tables(path)), truth, things)

    def load(self, key: str) -> ObjectSample:
        """An image and its annotations.

        Raises
        ------
        SegevalError
            If the image or a mask can't be read.
        """
        found = self.truth.load(self.pictures.ids[key])
        rows = slice(found.low, found.high)
        label = thing_labels(self.taxonomy)
        labels = np.array([label[c] for c in found.columns.classes[rows].tolist()], np.int64)
        masks = dense_masks(found, file=self.truth.path, key=key)
        image = self.pictures.read(key, (found.height, found.width))
        return ObjectSample(image, masks, labels, found.columns.crowd[rows].astype(bool))


@dataclass(frozen=True)
class CocoPanopticObjects(_Annotated):
    """One split of a COCO panoptic data set.

    Parameters
    ----------
    name, pictures, truth, taxonomy
        What it is called, its images, its segments and its classes.
    to_class
        The class id of each category id; several categories may share one.
    """

    truth: CocoPanoptic
    taxonomy: Taxonomy
    to_class: Mapping[int, int]

    @classmethod
    def open(cls, place: str, split: str, classes: str | None = None) -> CocoPanopticObjects:
        """Read ``annotations/panoptic_SPLIT*.json``, its PNGs, and find its images.

        Of ``PATH,supercategories`` the classes are the supercategories: of ``categories.json`` beside the data where it
        lists them (``coarse_classes``, ``to_coarse``), else of the categories' ``supercategory``, things and stuff
        apart.

        Raises
        ------
        SegevalError
            If a file is absent or says something else.
        """
        folder, _, coarse = place.partition(",")
        root, taxonomy = Path(folder), listed_classes(classes)
        path = annotation_file(root, "panoptic", split)
        truth = CocoPanoptic.open(path, "truth")
        data = read_tables(path)
        found = taxonomy or taxonomy_of_categories(data.get("categories"), path)
        if found.things is None:
            raise SegevalError("does not tell things from stuff", file=path, remedy="give each category its 'isthing'")
        to_class = {i: i for i in found.ids}
        if coarse:
            found, to_class = supercategories(root, data, path)
        _require_few(found, path)
        name = f"{root.name} {split}{', supercategories' if coarse else ''}"
        return cls(name, _pictures(root, path, split, data), truth, found, to_class)

    def load(self, key: str) -> ObjectSample:
        """An image, its things, and the class of each pixel.

        Raises
        ------
        SegevalError
            If a file can't be read, or names a category that the JSON does not list.
        """
        from segeval.kernels.counting import overlap

        ident = self.pictures.ids[key]
        ids = overlap.rgb_ids(self.truth.load(ident).pixels)
        label = thing_labels(self.taxonomy)
        semantic = np.full(ids.shape, VOID, np.uint8)
        things: list[tuple[int, int, bool]] = []
        # The order of the JSON is kept: of several crowds of a class the official scorer counts the last.
        for segment in self.truth.entries[ident]["segments_info"]:
            category = segment["category_id"]
            if category not in self.to_class:
                text = f"segment {segment['id']} has the category {category}, which is not listed"
                raise SegevalError(text, file=self.truth.path, key=key, remedy=self.taxonomy.hint())
            name = self.to_class[category]
            semantic[ids == segment["id"]] = self.taxonomy.index_of(name)
            if name in label:
                things.append((segment["id"], label[name], bool(segment.get("iscrowd", 0))))
        masks = np.zeros((len(things), *ids.shape), bool)
        for mask, (segment_id, _, _) in zip(masks, things, strict=True):
            np.equal(ids, segment_id, out=mask)
        image = self.pictures.read(key, (ids.shape[0], ids.shape[1]))
        labels = np.array([k for _, k, _ in things], np.int64)
        return ObjectSample(image, masks, labels, np.array([c for _, _, c in things], bool), semantic)


def annotation_file(root: Path, what: str, split: str) -> Path:
    """``annotations/WHAT_SPLIT*.json``.

    Raises
    ------
    SegevalError
        If there is none, or more than one; the message says which splits there are.
    """
    folder = root / "annotations"
    if not folder.is_dir():
        raise SegevalError("no such folder", file=folder, remedy=f"put {what}_{split}.json there")
    found = sorted(folder.glob(f"{what}_{split}*.json"))
    if len(found) > 1:
        names = " and ".join(p.name for p in found[:2])
        raise SegevalError(f"{names} could both be the split {split}", file=folder, remedy="keep one of them there")
    if not found:
        others = [p.name for p in sorted(folder.glob(f"{what}_*.json"))]
        have = f"there is {', '.join(others)}" if others else f"put {what}_{split}.json there"
        raise SegevalError(f"holds no {what}_{split}*.json", file=folder, remedy=have)
    return found[0]


def supercategories(root: Path, data: dict[str, Any], path: Path) -> tuple[Taxonomy, dict[int, int]]:
    """The taxonomy of the supercategories, and each category's.

    Raises
    ------
    SegevalError
        If neither ``categories.json`` nor the categories tell them.
    """
    listing = root / "categories.json"
    told = read_json(listing) if listing.is_file() else {}
    if isinstance(told, dict) and {"coarse_classes", "to_coarse"} <= told.keys():
        taxonomy = taxonomy_of_categories(told["coarse_classes"], listing)
        if not isinstance(told["to_coarse"], dict) or taxonomy.things is None:
            raise SegevalError("'to_coarse' is no table, or classes lack 'isthing'", file=listing, remedy="correct it")
        table = {int(k): integer(v, f"the class of {k}", listing) for k, v in told["to_coarse"].items()}
        if strange := sorted(set(table.values()) - set(taxonomy.ids)):
            raise SegevalError(f"maps to the unknown class {strange[0]}", file=listing, remedy=taxonomy.hint())
        return taxonomy, table
    listed = data["categories"]
    if not all("supercategory" in c and "isthing" in c for c in listed):
        raise SegevalError("not every category has its supercategory", file=path, remedy=f"write {listing}")
    # Things first, each group by name.
    groups = sorted({(not c["isthing"], str(c["supercategory"])) for c in listed})
    number = {group: k for k, group in enumerate(groups, 1)}
    things = tuple(not stuff for stuff, _ in groups)
    taxonomy = Taxonomy(tuple(number.values()), tuple(name for _, name in groups), things)
    return taxonomy, {c["id"]: number[(not c["isthing"], str(c["supercategory"]))] for c in listed}


def _pictures(root: Path, path: Path, split: str, data: dict[str, Any]) -> Pictures:
    """The image files that a JSON lists, by name without extension."""
    listed = data.get("images")
    if not isinstance(listed, list) or not listed:
        raise SegevalError("lists no images", file=path, remedy="give a COCO JSON with images")
    names: dict[str, tuple[str, Key]] = {}
    for k, entry in enumerate(listed):
        if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str) or "id" not in entry:
            raise SegevalError(f"image {k} has no file_name or id", file=path, remedy="give each image both")
        if Path(entry["file_name"]).is_absolute() or ".." in Path(entry["file_name"]).parts:
            text = f"the file_name {entry['file_name']!r} leads out of its folder"
            raise SegevalError(text, file=path, remedy="give names within the images' folder")
        key = Path(entry["file_name"]).with_suffix("").as_posix()
        if key in names:
            raise SegevalError(f"two images are called {key}", file=path, remedy="give each image its own file_name")
        names[key] = entry["file_name"], entry["id"]
    folder = _image_folder(root, path, split, next(iter(names.values()))[0])
    files = {key: folder / name for key, (name, _) in names.items()}
    return Pictures(files, {key: ident for key, (_, ident) in names.items()})


def _image_folder(root: Path, path: Path, split: str, first: str) -> Path:
    suffix = path.stem.partition("_")[2]
    places = [root / "images" / suffix, root / suffix, root / "images" / split, root / split, root / "images", root]
    for place in places:
        if (place / first).is_file():
            return place
    looked = ", ".join(str(p) for p in dict.fromkeys(places))
    raise SegevalError(f"found no folder with {first}; looked in {looked}", file=path, remedy="put the images there")


def _require_few(taxonomy: Taxonomy, path: Path) -> None:
    if len(taxonomy) > VOID:
        raise SegevalError(f"{len(taxonomy)} classes are more than {VOID}", file=path, remedy="merge classes")
