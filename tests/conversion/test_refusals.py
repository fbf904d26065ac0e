"""What can't be converted is said in one line, before anything is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval import SegevalError
from segeval.conversion import Merging, convert, instances_to_semantic
from segeval.samples.mask_runs import encode_mask
from tests.given.problems import png_bytes, write_panoptic

IDS = np.array([[1, 1, 2], [3, 3, 0]])
SEGMENTS = [
    {"id": 1, "category_id": 1, "iscrowd": 0},
    {"id": 2, "category_id": 1, "iscrowd": 0},
    {"id": 3, "category_id": 2, "iscrowd": 0},
]
CATEGORIES: list[dict[str, Any]] = [{"id": 1, "name": "car", "isthing": 1}, {"id": 2, "name": "road", "isthing": 0}]


def panoptic(folder: Path, ids: Any = IDS, segments: Any = SEGMENTS, categories: Any = CATEGORIES) -> Path:
    return write_panoptic(folder, [("a", ids, segments)], categories)


def refused(message: str, *args: Any, **options: Any) -> None:
    with pytest.raises(SegevalError) as caught:
        convert(*args, **options)
    assert message in str(caught.value), str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def wide(count: int, category: int = 1) -> tuple[Any, list[Any]]:
    """A row of instances of one class."""
    ids = np.arange(1, count + 1)[None]
    return ids, [{"id": i, "category_id": category, "iscrowd": 0} for i in range(1, count + 1)]


def test_panoptic_that_disagrees_with_itself(tmp_path: Path) -> None:
    said: dict[str, Any] = {"out": tmp_path / "o", "to": "semantic"}
    refused(
        "the pixels hold the segment id 3",
        panoptic(tmp_path / "a", segments=SEGMENTS[:2]),
        tmp_path / "o",
        to="semantic",
    )
    more = [*SEGMENTS, {"id": 9, "category_id": 2, "iscrowd": 0}]
    refused(
        "lists segment 9, which has no pixel", panoptic(tmp_path / "b", segments=more), tmp_path / "o", to="semantic"
    )
    strange = [*SEGMENTS[:2], {"id": 3, "category_id": 8, "iscrowd": 0}]
    refused(
        "holds the class 8, which is not among",
        panoptic(tmp_path / "c", segments=strange),
        tmp_path / "o",
        to="semantic",
    )
    scored = [*SEGMENTS[:2], SEGMENTS[2] | {"score": "high"}]
    refused("segment 3 has the score 'high'", panoptic(tmp_path / "d", segments=scored), **said)
    assert not (tmp_path / "o").exists()


def test_things_must_be_known_where_they_matter(tmp_path: Path) -> None:
    bare = [{"id": c["id"], "name": c["name"]} for c in CATEGORIES]
    src = panoptic(tmp_path / "a", categories=bare)
    for to in ("instance", "panoptic-coded", "panoptic", "coco-results"):
        refused("nothing says which classes are things; give --classes", src, tmp_path / "o", to=to)
    assert convert(src, tmp_path / "labels", to="semantic").images == 1
    assert convert(panoptic(tmp_path / "b", categories=None), tmp_path / "more", to="semantic").images == 1


def test_classes_and_counts_that_a_form_has_no_room_for(tmp_path: Path) -> None:
    refused("more than 254 instances", panoptic(tmp_path / "a", *wide(255)), tmp_path / "o", to="panoptic-channels")
    assert convert(tmp_path / "a" / "panoptic.json", tmp_path / "p", to="panoptic-coded").images == 1
    refused("more than 999 instances", panoptic(tmp_path / "b", *wide(1001)), tmp_path / "q", to="panoptic-coded")
    large = [
        {"id": 1000, "name": "x", "isthing": 1},
        {"id": 0, "name": "y", "isthing": 1},
        {"id": 300, "name": "z", "isthing": 0},
    ]
    src = panoptic(tmp_path / "c", *wide(1, 1000), large)
    refused("class 1000 can't be written as class * 1000", src, tmp_path / "q", to="panoptic-coded", to_void=7)
    src = panoptic(tmp_path / "d", *wide(1, 0), large)
    refused("class 0 can't be written as class * 1000", src, tmp_path / "q", to="panoptic-coded", to_void=7)
    refused("class 0 can't be written in one channel", src, tmp_path / "q", to="panoptic-channels")
    src = panoptic(tmp_path / "e", *wide(1, 300), large)
    refused("class 300 can't be written in one channel", src, tmp_path / "q", to="panoptic-channels")
    refused("void is 300, and so is a class", src, tmp_path / "q", to="semantic", to_void=300)
    refused("70000 can't be void", src, tmp_path / "q", to="semantic", to_void=70000)
    crowd = [s | {"iscrowd": int(s["id"] == 1)} for s in SEGMENTS]
    one = convert(panoptic(tmp_path / "f", segments=crowd), tmp_path / "x.json", to="instance").path
    refused("holds a crowd, which a map of ids can't tell", one, tmp_path / "q", to="instance-ids")


def test_a_class_that_no_label_map_holds(tmp_path: Path) -> None:
    large = [{"id": 2**32 - 1, "name": "car", "isthing": 1}, CATEGORIES[1]]
    segments = [s | {"category_id": 2**32 - 1} if s["category_id"] == 1 else s for s in SEGMENTS]
    refused(
        "the class 4294967295 has no room",
        panoptic(tmp_path / "a", segments=segments, categories=large),
        tmp_path / "o",
        to="semantic",
    )


def test_label_maps_are_no_instances(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(png_bytes(IDS.astype(np.uint8)))
    for to in ("panoptic", "instance", "instance-ids"):
        refused("label maps tell no instances apart; give the instances", tmp_path / "in", tmp_path / "o", to=to)
    src = panoptic(tmp_path / "p")
    refused("has no use for label maps", src, tmp_path / "o", to="panoptic", semantic=tmp_path / "in")
    np.save(tmp_path / "in" / "a.npy", IDS.astype(np.int64))
    (tmp_path / "in" / "a.png").unlink()
    refused("holds int64 values: class ids, instance ids", tmp_path / "in", tmp_path / "o", to="semantic")
    refused("'pixels' is no format to write; give one of semantic", src, tmp_path / "o", to="pixels")
    refused("'pixels' is no format; give one of labels", src, tmp_path / "o", to="labels", source_form="pixels")


def test_what_has_no_effect_is_refused(tmp_path: Path) -> None:
    src = panoptic(tmp_path / "p")
    said: dict[str, Any] = {"merging": Merging(min_score=0.5)}
    refused("a score or an area of masks has no effect on coco-panoptic", src, tmp_path / "o", to="semantic", **said)
    instances = convert(src, tmp_path / "x.json", to="instance").path
    refused("--stuff has no effect on coco-instances", instances, tmp_path / "y.json", to="coco-results", stuff=True)
    said = {"to": "instance-ids", "from_void": (0,)}
    refused("--from-void has no effect on coco-instances", instances, tmp_path / "o", **said)


def results(folder: Path, **change: Any) -> tuple[Path, Path]:
    mask = np.zeros((2, 3), bool)
    mask[0] = True
    row = {"image_id": 4, "category_id": 1, "score": 0.5, "segmentation": encode_mask(mask)} | change
    folder.mkdir(exist_ok=True)
    document = {"images": [{"id": 4, "file_name": "x/im.jpg", "height": 2, "width": 3}], "annotations": []}
    (folder / "gt.json").write_text(json.dumps(document | {"categories": CATEGORIES[:1]}))
    (folder / "results.json").write_text(json.dumps([row, row]))
    return folder / "results.json", folder / "gt.json"


def test_results(tmp_path: Path) -> None:
    pred, gt = results(tmp_path)
    said: dict[str, Any] = {"to": "semantic"}
    refused(
        "results name neither sizes nor files of images; give the truth's JSON by --gt",
        pred,
        tmp_path / "o",
        to="semantic",
    )
    refused(
        "masks 1 and 2 of this image overlap in 3 pixels, the first at row 0",
        pred,
        tmp_path / "o",
        to="semantic",
        gt=gt,
    )
    done = instances_to_semantic(pred, tmp_path / "o", gt=gt)
    assert [p.relative_to(done.path).as_posix() for p in done.path.rglob("*.png")] == ["x/im.png"]
    assert [c.code for c in done.cautions] == ["no-pixel-left"]
    pred, gt = results(tmp_path / "boxes", segmentation=None, bbox=[0, 0, 1, 1])
    refused("holds a box without a mask", pred, tmp_path / "q", **said, gt=gt)
    pred, gt = results(tmp_path / "bad", segmentation={"size": [2, 3], "counts": "~~"})
    refused("instance 1 of this image has a run-length string with a character", pred, tmp_path / "q", **said, gt=gt)


def test_label_maps_below_instances(tmp_path: Path) -> None:
    pred, gt = results(tmp_path)
    below = tmp_path / "below" / "x"
    below.mkdir(parents=True)
    said: dict[str, Any] = {"gt": gt, "to": "panoptic", "semantic": tmp_path / "below", "merging": Merging("first")}
    (below / "other.png").write_bytes(png_bytes(np.zeros((2, 3), np.uint8)))
    refused("1 of 1 images have no label map", pred, tmp_path / "o", **said)
    (below / "im.png").write_bytes(png_bytes(np.zeros((3, 2), np.uint8)))
    refused("prediction is 2x3 but its truth is 3x2", pred, tmp_path / "o", **said)
    (below / "im.png").write_bytes(png_bytes(np.full((2, 3), 9, np.uint8)))
    refused("holds 9, which is no class; give --classes with things and stuff", pred, tmp_path / "o", **said)


def test_names_and_ids_of_images(tmp_path: Path) -> None:
    src = tmp_path / "in"
    src.mkdir()
    (src / "a.png").write_bytes(png_bytes(IDS.astype(np.uint16)))
    said: dict[str, Any] = {"source_form": "instance-ids"}
    refused(
        "results need the images' ids, and these names are no numbers", src, tmp_path / "o", to="coco-results", **said
    )
    assert json.loads(convert(src, tmp_path / "x.json", to="instance", **said).path.read_text())["images"][0]["id"] == 1
    _, gt = results(tmp_path)
    refused("a is no file name of an image of --gt", src, tmp_path / "o", to="coco-results", gt=gt, **said)
    document = json.loads(panoptic(tmp_path / "p").read_text())
    document["annotations"][0]["file_name"] = "../a.png"
    (tmp_path / "p" / "panoptic" / "sub").mkdir()
    (tmp_path / "p" / "panoptic.json").write_text(json.dumps(document))
    (tmp_path / "p" / "a.png").write_bytes((tmp_path / "p" / "panoptic" / "a.png").read_bytes())
    refused("leads out of its folder", tmp_path / "p" / "panoptic.json", tmp_path / "o", to="semantic")


def test_what_is_there_stays(tmp_path: Path) -> None:
    src = panoptic(tmp_path / "p")
    out = tmp_path / "out"
    convert(src, out, to="semantic")
    before = (out / "a.png").read_bytes()
    refused("out: is not empty; give --out another place, or --overwrite", src, out, to="semantic")
    convert(src, out, to="semantic", to_void=200, overwrite=True)
    assert (out / "a.png").read_bytes() != before
    convert(src, tmp_path / "x.json", to="instance")
    refused("x.json: exists already", src, tmp_path / "x.json", to="instance")
    convert(src, tmp_path / "x.json", to="instance", overwrite=True)
    # Two forms in one folder do not meet.
    convert(src, tmp_path / "all", to="instance")
    convert(src, tmp_path / "all", to="panoptic")
    assert sorted(p.name for p in (tmp_path / "all").iterdir()) == ["instances.json", "panoptic", "panoptic.json"]
    (tmp_path / "file").write_text("mine")
    refused("is a file, not a folder", src, tmp_path / "file", to="semantic", overwrite=True)


def test_nothing_that_is_read_is_written_over(tmp_path: Path) -> None:
    src = panoptic(tmp_path / "p")
    for out, to in (
        (src, "panoptic"),
        (src, "instance"),
        (tmp_path / "p", "panoptic"),
        (tmp_path / "p" / "panoptic", "semantic"),
    ):
        refused("lies in what is read; give --out another folder", src, out, to=to, overwrite=True)
    labels = convert(src, tmp_path / "labels", to="semantic").path
    refused("lies in what is read", labels, labels / "deeper", to="labels")
    refused("lies in what is read", labels, labels, to="labels", overwrite=True)


def test_an_interrupted_conversion_leaves_no_json(tmp_path: Path) -> None:
    entries = [(k, IDS, SEGMENTS) for k in range(3)]
    src = write_panoptic(tmp_path / "p", entries, CATEGORIES)
    (tmp_path / "p" / "panoptic" / "2.png").write_bytes(b"")
    refused("2.png: the file is empty", src, tmp_path / "out", to="panoptic")
    assert not (tmp_path / "out" / "panoptic.json").exists()
    assert not list(tmp_path.rglob("*.part"))
