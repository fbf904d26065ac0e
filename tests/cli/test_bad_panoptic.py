"""Panoptic maps that disagree with their JSON, and JSON files that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.commands import segeval
from tests.cli.refusals import (
    RGB16,
    Capsys,
    damaged,
    refused,
)
from tests.given.problems import colours, png_bytes, write_panoptic

IDS = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 3, 0]])
SEGMENTS: list[dict[str, Any]] = [
    {"id": 1, "category_id": 5, "area": 4, "iscrowd": 0},
    {"id": 2, "category_id": 7, "area": 4, "iscrowd": 0},
    {"id": 3, "category_id": 9, "area": 3, "iscrowd": 0},
]
CATEGORIES = [{"id": i, "name": f"c{i}", "isthing": int(i < 8)} for i in (5, 7, 9)]


def changed(k: int, **values: Any) -> list[dict[str, Any]]:
    return [s | values if i == k else s for i, s in enumerate(SEGMENTS)]


def lacking(k: int, name: str) -> list[dict[str, Any]]:
    return [{n: v for n, v in s.items() if i != k or n != name} for i, s in enumerate(SEGMENTS)]


PANOPTIC: dict[str, tuple[Any, Any, str]] = {
    "PNG id absent from JSON": (
        IDS,
        SEGMENTS[:2],
        "pixels hold the segment id 3, which its list of segments lacks; list",
    ),
    "JSON id absent from PNG": (IDS % 3, SEGMENTS, "lists segment 3, which has no pixel; take it out of segments_info"),
    "unknown category": (IDS, changed(1, category_id=6), "segment 2 has category 6, which is not among the classes;"),
    "no category": (IDS, lacking(0, "category_id"), "segment 0 lacks id or category_id"),
    "no id": (IDS, lacking(0, "id"), "segment 0 lacks id or category_id; give each segment both"),
    "id twice": (IDS, [*SEGMENTS, SEGMENTS[0]], "lists the segment id 1 twice; give each segment its own id"),
    "id 0": (IDS, changed(0, id=0), "segment id 0 is void; use ids from 1"),
    "id as text": (IDS, changed(0, id="1"), "the id of segment 0 is '1', not a whole number"),
    "large id": (IDS, changed(0, id=2**24), "does not fit in three bytes"),
    "huge category": (IDS, changed(0, category_id=10**40), "segment 1 has category_id 10000"),
    "area as text": (IDS, changed(0, area="4"), "the area of segment 1 is '4', not a whole number"),
    "negative area": (IDS, changed(0, area=-4), "segment 1 has the area -4; correct or remove it"),
    "crowd": (IDS, changed(0, iscrowd="yes"), "segment 1 has iscrowd 'yes'; write 0 or 1"),
    "no list": (IDS, {"1": {}}, "segments_info is no list"),
    "no objects": (IDS, [1, 2], "segment 0 lacks id or category_id"),
    "size": (IDS[:2], SEGMENTS[:2], "is 4x"),
    "one row": (IDS[:1], SEGMENTS[:2], "is 4x"),
}


def panoptic(tmp_path: Path) -> tuple[list[str | Path], Path, Path]:
    entries = [(k, IDS, SEGMENTS) for k in (1, 2)]
    gt = write_panoptic(tmp_path / "gt", entries, CATEGORIES)
    pred = write_panoptic(tmp_path / "pred", entries, None)
    return ["score", "--quiet", "--gt", gt, "--pred", pred], gt, pred


@pytest.mark.parametrize("side", ["gt", "pred"])
@pytest.mark.parametrize("name", PANOPTIC)
def test_panoptic(capsys: Capsys, tmp_path: Path, name: str, side: str) -> None:
    ids, segments, message = PANOPTIC[name]
    words, _, _ = panoptic(tmp_path)
    categories = CATEGORIES if side == "gt" else None
    data = list(segments) if isinstance(segments, list) else segments
    path = write_panoptic(tmp_path / side, [(1, IDS, SEGMENTS), (2, ids, [])], categories)
    document = json.loads(path.read_text())
    document["annotations"][1]["segments_info"] = data
    path.write_text(json.dumps(document))
    ran = segeval(capsys, *words)
    refused(ran, message)
    assert "2" in ran.err  # the image
    assert str(tmp_path) in ran.err


def test_contradicting_area_of_truth(capsys: Capsys, tmp_path: Path) -> None:
    words, _, _ = panoptic(tmp_path)
    write_panoptic(tmp_path / "gt", [(1, IDS, SEGMENTS), (2, IDS, changed(0, area=10))], CATEGORIES)
    refused(
        segeval(capsys, *words), "2.png: segment 1 has the area 10 in the JSON but 4 pixels; correct or remove 'area'"
    )


def test_absent_area_and_crowd_are_computed_and_0(capsys: Capsys, tmp_path: Path) -> None:
    words, _, _ = panoptic(tmp_path)
    wanted = segeval(capsys, *words, "--format", "json").out
    bare = [{"id": s["id"], "category_id": s["category_id"]} for s in SEGMENTS]
    write_panoptic(tmp_path / "gt", [(k, IDS, bare) for k in (1, 2)], CATEGORIES)
    assert segeval(capsys, *words, "--format", "json").out == wanted


JSONS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "malformed": (lambda d: b'{"annotations": [\n {"image_id": 1,, }]}', "malformed JSON at line 2, column 17"),
    "cut": (lambda d: json.dumps(d).encode()[:-40], "malformed JSON at line 1, column"),
    "empty": (lambda d: b"", "malformed JSON at line 1, column 1"),
    "no text": (lambda d: b'{"a": "\xff"}', "is not UTF-8 text (byte 7)"),
    "a list": (lambda d: [d], "has no list 'annotations'; give a COCO panoptic JSON"),
    "no annotations": (lambda d: {"categories": []}, "annotations"),
    "no image id": (lambda d: d | {"annotations": [{"file_name": "1.png", "segments_info": []}]}, "annotation 0 lacks"),
    "id twice": (lambda d: d | {"annotations": d["annotations"] + d["annotations"][:1]}, "lists the image 1 twice"),
    "id no number": (
        lambda d: d | {"annotations": [d["annotations"][0] | {"image_id": [1]}]},
        "the image_id of annotation 0 is [1], not a whole number",
    ),
}


@pytest.mark.parametrize("side", ["gt", "pred"])
@pytest.mark.parametrize("name", JSONS)
def test_panoptic_jsons(capsys: Capsys, tmp_path: Path, name: str, side: str) -> None:
    change, message = JSONS[name]
    words, gt, pred = panoptic(tmp_path)
    path = gt if side == "gt" else pred
    new = change(json.loads(path.read_text()))
    path.write_bytes(new if isinstance(new, bytes) else json.dumps(new).encode())
    refused(segeval(capsys, *words, "--task", "panoptic"), path.name, message)


def test_panoptic_json_of_truth(capsys: Capsys, tmp_path: Path) -> None:
    words, gt, _ = panoptic(tmp_path)
    data = json.loads(gt.read_text())
    for change, message in (
        ({"categories": None}, "has no 'categories'"),
        ({"categories": [{"id": 5}, {"id": 5}]}, "class id 5 is given twice"),
        ({"categories": [{"name": "x"}]}, "category 0 has no id"),
        ({"annotations": []}, "annotations"),
    ):
        gt.write_text(json.dumps(data | change))
        refused(segeval(capsys, *words, "--task", "panoptic"), message)
    del data["categories"]
    gt.write_text(json.dumps(data))
    refused(segeval(capsys, *words), "has no 'categories'; add them, or give --classes FILE")


PNGS = {
    "grey": (png_bytes(IDS.astype(np.uint8)), "a panoptic PNG holds 8-bit RGB colours, this one has mode L"),
    "16-bit grey": (png_bytes(IDS.astype(np.uint16)), "this one has mode I;16"),
    "16-bit colours": (RGB16, "this one has 16-bit colours; write id = R + 256 G + 65536 B"),
    "truncated": (png_bytes(colours(IDS))[:-14], "the PNG is truncated"),
    "checksum": (damaged(png_bytes(colours(IDS)), 45), "checksum"),
    "nothing": (b"", "the file is empty"),
}


@pytest.mark.parametrize("side", ["gt", "pred"])
@pytest.mark.parametrize("name", PNGS)
def test_panoptic_pngs(capsys: Capsys, tmp_path: Path, name: str, side: str) -> None:
    data, message = PNGS[name]
    words, _, _ = panoptic(tmp_path)
    (tmp_path / side / "panoptic" / "2.png").write_bytes(data)
    refused(segeval(capsys, *words), "2.png", message)


def test_panoptic_files_and_entries_that_are_not_there(capsys: Capsys, tmp_path: Path) -> None:
    words, gt, _ = panoptic(tmp_path)
    (tmp_path / "pred" / "panoptic" / "2.png").unlink()
    refused(segeval(capsys, *words), "2.png: cannot be read: No such file", "check the path")
    (tmp_path / "pred" / "panoptic" / "1.png").unlink()
    refused(segeval(capsys, *words), "panoptic.json: found no folder with 1.png; looked in", "put the PNGs into")
    write_panoptic(tmp_path / "pred", [(2, IDS, SEGMENTS), (3, IDS, SEGMENTS)], None)
    refused(segeval(capsys, *words), "1 of 2 images have no prediction")
    write_panoptic(tmp_path / "pred", [(k, IDS, SEGMENTS) for k in (1, 2, 3)], None)
    refused(segeval(capsys, *words), "1 predictions have no truth: 3; remove them, or give --missing skip")
    write_panoptic(tmp_path / "pred", [(k, IDS, SEGMENTS) for k in ("1", "2")], None)
    refused(segeval(capsys, *words), "no image has both a truth and a prediction")
    assert gt.exists()


def test_colours_without_a_json(capsys: Capsys, tmp_path: Path) -> None:
    for side in ("gt", "pred"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "a.png").write_bytes(png_bytes(colours(IDS * 70000)))
    words = ["score", "--quiet", "--task", "panoptic", "--gt", tmp_path / "gt", "--pred", tmp_path / "pred"]
    refused(segeval(capsys, *words), "a.png: is a colour PNG without a panoptic JSON", "--gt-format")
    refused(segeval(capsys, *words, "--gt-format", "panoptic-channels"), "a.png")
