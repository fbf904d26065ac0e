"""Predicting folders with a detector: what `segeval score` reads, for instances and for panoptic maps.

Each image leaves its own files, so that an interrupted prediction goes on; the JSON files that COCO's tools expect are
put together of them at the end.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.errors import SegevalError
from segeval.samples.label_images import colours_of_ids, write_png
from segeval.samples.mask_runs import runs_of_map
from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Colour, Taxonomy, distinct_colour
from segeval.storage.files import write_atomic, write_json
from segeval.storage.json_files import read_json
from segeval_baselines.checkpoints.checkpoint import Checkpoint
from segeval_baselines.data.object_truth import categories
from segeval_baselines.data.samples import IMAGE_EXTENSIONS, files_by_stem, read_image
from segeval_baselines.prediction.inference import WHOLE, View
from segeval_baselines.prediction.labels import Progress, claim, fingerprint, npz
from segeval_baselines.prediction.object_inference import Found, ObjectPredictor, PanopticFound, thing_ids
from segeval_baselines.prediction.separation import SeparatingPredictor
from segeval_baselines.zoo import architecture

DIVISOR = 1000
"""Values of instance maps are class * 1000 + instance where there are several classes."""


@dataclass(frozen=True)
class ObjectOutputs:
    """What is written.

    Parameters
    ----------
    folder
        Of instances ``detections/STEM.npz`` (rle, labels, scores, size; boxes as `detection_boxes`), ``instances/STEM``
        (maps of ids) and, over all images, ``results.json`` (masks) and ``boxes.json`` in COCO's form. Of panoptic maps
        ``panoptic/STEM.png``, ``segments/STEM.json`` and, over all images, ``panoptic.json``.
    overlays
        Also ``overlays/STEM.png``: the image under half-transparent objects with their outlines.
    image_ids
        Ids of the images by stem; the stems themselves if None.
    """

    folder: Path
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

    def exist(self, stem: str, task: str) -> bool:
        """Whether everything was written for an image."""
        wanted = {
            "instance": [self.folder / "detections" / f"{stem}.npz"],
            "panoptic": [self.folder / "panoptic" / f"{stem}.png", self.folder / "segments" / f"{stem}.json"],
        }[task]
        wanted += [self.folder / "overlays" / f"{stem}.png"] if self.overlays else []
        return all(path.is_file() for path in wanted)


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


def predict_objects(
    checkpoint: Checkpoint,
    images: str | Path,
    outputs: ObjectOutputs,
    *,
    method: str | None = None,
    view: View = WHOLE,
    device: str = "cpu",
    progress: Progress | None = None,
) -> int:
    """Predict every image of a folder; images that are done already are left alone.

    Parameters
    ----------
    checkpoint
        The detector, or a semantic network that was trained to separate objects.
    images
        Folder of images.
    outputs
        What is written, and where.
    method, view
        How a semantic network's regions are separated (`watershed.separate`), and how images are shown to it.
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
        For a folder without images, an unreadable one, one without an id, a folder of other predictions, or a semantic
        network that knows no border between objects.
    """
    task = "instance" if method else architecture(checkpoint.model).task
    found = files_by_stem(Path(images), IMAGE_EXTENSIONS)
    if not found:
        raise SegevalError("holds no image", file=images, remedy=f"known are {', '.join(IMAGE_EXTENSIONS)}")
    for stem in found:
        outputs.image_id(stem)
    signs = ("*.json", "*/*.png", "*/*.npz")
    separation = {"instances": method, "view": asdict(view)} if method else {}
    predictor: Any
    if method:
        predictor = SeparatingPredictor.of(checkpoint, device, method, view)
    else:
        predictor = ObjectPredictor.of(checkpoint, device)
    claim(outputs.folder, {**checkpoint.header(), "weights": fingerprint(checkpoint), **separation}, signs)
    made = 0
    for done, (stem, path) in enumerate(found.items(), 1):
        if not outputs.exist(stem, task):
            image = read_image(path)
            if task == "instance":
                write_instances(predictor.instances(image), checkpoint.taxonomy, image, stem, outputs)
            else:
                write_panoptic(predictor.panoptic(image), checkpoint.taxonomy, image, stem, outputs)
            made += 1
        if progress:
            progress(done, len(found))
    collect(task, outputs, list(found), checkpoint.taxonomy)
    return made


# ---- instances -----------------------------------------------------------------------------------------------


def collect(task: str, outputs: ObjectOutputs, stems: list[str], taxonomy: Taxonomy) -> None:
    """Write the JSON files over all images."""
    if task == "instance":
        collect_instances(outputs, stems)
    else:
        collect_panoptic(outputs, stems, taxonomy)


def write_instances(
    found: Found, taxonomy: Taxonomy, image: NDArray[np.uint8], stem: str, outputs: ObjectOutputs
) -> None:
    """Write the instances of one image; the NPZ comes last."""
    if outputs.overlays:
        colours = [distinct_colour(k) for k in range(len(found.labels))]
        write_png(outputs.folder / "overlays" / f"{stem}.png", outlined(image, found.top, colours))
    values = coded(found, thing_ids(taxonomy))
    if values is not None:
        write_map(outputs.folder / "instances" / stem, values)
    corners, sides = found.boxes[:, :2], found.boxes[:, 2:] - found.boxes[:, :2]
    arrays = {
        "rle": np.array(found.masks, np.str_),
        "labels": found.labels,
        "scores": found.scores,
        "size": np.array(found.size, np.int64),
        "detection_boxes": np.concatenate((corners, sides), axis=1),
    }
    write_atomic(outputs.folder / "detections" / f"{stem}.npz", npz(arrays))


def coded(found: Found, things: list[int]) -> NDArray[np.int64] | None:
    """A map of instances, the best on top: numbers from 1, or class * 1000 + number where there are several classes.

    None where that can't be written: class 0 among several, or more than 999 instances of a class.
    """
    numbers = np.zeros(len(found.labels), np.int64)
    for ident in things:
        own = found.labels == ident
        numbers[own] = np.arange(1, int(own.sum()) + 1)
    if len(things) > 1:
        if 0 in things or numbers.max(initial=0) >= DIVISOR:
            return None
        numbers += DIVISOR * found.labels
    values: NDArray[np.int64] = np.concatenate(([0], numbers))[found.top]
    return values


def write_map(path: Path, values: NDArray[np.int64]) -> Path:
    """Write a map as a 16-bit PNG, or as a 32-bit TIFF where values need it; the extension is added."""
    if int(values.max()) < 2**16:
        write_png(path.with_name(f"{path.name}.png"), values.astype(np.uint16))
        return path.with_name(f"{path.name}.png")
    stream = io.BytesIO()
    Image.fromarray(values.astype(np.int32)).save(stream, "TIFF", compression="tiff_adobe_deflate")
    return write_atomic(path.with_name(f"{path.name}.tif"), stream.getvalue())


def collect_instances(outputs: ObjectOutputs, stems: list[str]) -> None:
    """Write ``results.json`` and ``boxes.json`` of what was detected in images."""
    masks: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for stem in stems:
        with np.load(outputs.folder / "detections" / f"{stem}.npz", allow_pickle=False) as stored:
            names = ("rle", "labels", "scores", "detection_boxes")
            columns = [stored[name].tolist() for name in names]
            size = stored["size"].tolist()
        for text, label, score, box in zip(*columns, strict=True):
            entry = {"image_id": outputs.image_id(stem), "category_id": label}
            masks.append({**entry, "segmentation": {"size": size, "counts": text}, "score": score})
            boxes.append({**entry, "bbox": box, "score": score})
    write_json(outputs.folder / "results.json", masks)
    write_json(outputs.folder / "boxes.json", boxes)


# ---- panoptic maps -------------------------------------------------------------------------------------------


def write_panoptic(
    found: PanopticFound, taxonomy: Taxonomy, image: NDArray[np.uint8], stem: str, outputs: ObjectOutputs
) -> None:
    """Write the panoptic map of one image; its list of segments comes last."""
    if outputs.overlays:
        colours = [taxonomy.colours[taxonomy.index_of(s["category_id"])] for s in found.segments]
        write_png(outputs.folder / "overlays" / f"{stem}.png", outlined(image, found.ids, colours))
    write_png(outputs.folder / "panoptic" / f"{stem}.png", colours_of_ids(found.ids))
    height, width = found.ids.shape
    document = {"height": height, "width": width, "segments_info": segments_info(found)}
    write_json(outputs.folder / "segments" / f"{stem}.json", document)


def segments_info(found: PanopticFound) -> list[dict[str, Any]]:
    """The segments as COCO lists them, with area and bbox."""
    ids, runs = runs_of_map(found.ids)
    areas, boxes = runs.measure()
    classes = {segment["id"]: segment["category_id"] for segment in found.segments}
    rows = zip(ids.tolist(), areas.tolist(), boxes.tolist(), strict=True)
    return [{"id": i, "category_id": classes[i], "area": a, "bbox": b, "iscrowd": 0} for i, a, b in rows]


def collect_panoptic(outputs: ObjectOutputs, stems: list[str], taxonomy: Taxonomy) -> None:
    """Write ``panoptic.json`` of the maps of images."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for stem in stems:
        kept = read_json(outputs.folder / "segments" / f"{stem}.json")
        ident, name = outputs.image_id(stem), f"{stem}.png"
        images.append({"id": ident, "file_name": name, "height": kept["height"], "width": kept["width"]})
        annotations.append({"image_id": ident, "file_name": name, "segments_info": kept["segments_info"]})
    document = {"images": images, "annotations": annotations, "categories": categories(taxonomy)}
    write_json(outputs.folder / "panoptic.json", document)


def outlined(image: NDArray[np.uint8], ids: NDArray[Any], colours: Sequence[Colour]) -> NDArray[np.uint8]:
    """Half image, half the colour of what has the id from 1 on, with white lines where ids change."""
    table = np.array([(0, 0, 0), *colours], np.uint16)[ids]
    mixed = np.where((ids > 0)[..., None], (image.astype(np.uint16) + table) // 2, image).astype(np.uint8)
    border = np.zeros(ids.shape, bool)
    border[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    border[1:] |= ids[1:] != ids[:-1]
    mixed[border] = 255
    return mixed
