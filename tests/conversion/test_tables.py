"""Tables of classes: what they may say, and what they do to each kind of segmentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segeval import SegevalError, score
from segeval.conversion import convert, panoptic_to_semantic
from tests.given.datasets import dataset
from tests.given.problems import png_bytes, write_panoptic

CATEGORIES = [
    {"id": 1, "name": "car", "isthing": 1, "supercategory": "vehicle"},
    {"id": 2, "name": "bus", "isthing": 1, "supercategory": "vehicle"},
    {"id": 3, "name": "road", "isthing": 0, "supercategory": "ground"},
    {"id": 4, "name": "grass", "isthing": 0, "supercategory": "ground"},
    {"id": 5, "name": "sky", "isthing": 0, "supercategory": "sky"},
]
IDS = np.array([[10, 10, 20, 20], [30, 30, 40, 40], [50, 50, 60, 0]])
SEGMENTS = [
    {"id": 10, "category_id": 1, "iscrowd": 0},
    {"id": 20, "category_id": 2, "iscrowd": 0},
    {"id": 30, "category_id": 3, "iscrowd": 0},
    {"id": 40, "category_id": 4, "iscrowd": 0},
    {"id": 50, "category_id": 5, "iscrowd": 0},
    {"id": 60, "category_id": 1, "iscrowd": 1},
]


@pytest.fixture
def src(tmp_path: Path) -> Path:
    return write_panoptic(tmp_path / "src", [(7, IDS, SEGMENTS)], CATEGORIES)


def said(path: Path) -> tuple[Any, list[Any], list[Any]]:
    document = json.loads(path.read_text())
    (entry,) = document["annotations"]
    ids = np.array(Image.open(path.with_suffix("") / entry["file_name"])).astype(int) @ [1, 256, 65536]
    rows = [(s["id"], s["category_id"], s["iscrowd"], s["area"]) for s in entry["segments_info"]]
    return ids, rows, document["categories"]


def csv(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text)
    return path


def test_names_make_classes_of_their_own(tmp_path: Path, src: Path) -> None:
    table = csv(tmp_path, "from,to\ncar,vehicle\nbus,vehicle\n3,ground\ngrass,ground\nsky,void\n")
    ids, rows, categories = said(convert(src, tmp_path / "x.json", to="panoptic", table=table).path)
    assert ids.tolist() == [[10, 10, 20, 20], [30, 30, 30, 30], [0, 0, 60, 0]]
    # Things of one class stay apart, its stuff becomes one segment, a crowd stays a crowd.
    assert rows == [(10, 1, 0, 2), (20, 1, 0, 2), (30, 2, 0, 4), (60, 1, 1, 1)]
    assert categories == [{"id": 1, "name": "vehicle", "isthing": 1}, {"id": 2, "name": "ground", "isthing": 0}]


def test_ids_leave_the_other_classes_alone(tmp_path: Path, src: Path) -> None:
    done = convert(src, tmp_path / "x.json", to="panoptic", table={4: 3, "bus": 1, "car": 1, 3: 3})
    _, rows, categories = said(done.path)
    assert [(r[0], r[1]) for r in rows] == [(10, 1), (20, 1), (30, 3), (50, 5), (60, 1)]
    with pytest.raises(SegevalError, match="class 1 is not in the table of --map, and 2 becomes 1; add it, or map it"):
        convert(src, tmp_path / "y.json", to="panoptic", table={"bus": 1})
    assert categories == [
        {"id": 1, "name": "car", "isthing": 1},
        {"id": 3, "name": "road", "isthing": 0},
        {"id": 5, "name": "sky", "supercategory": "sky", "isthing": 0},
    ]


def test_classes_after_the_table(tmp_path: Path, src: Path) -> None:
    after = tmp_path / "after.json"
    after.write_text(json.dumps([{"id": 8, "name": "vehicle"}, {"id": 9, "name": "rest"}]))
    table = {"car": "vehicle", "bus": 8, "road": "rest", "grass": "rest", "sky": 9}
    _, rows, categories = said(convert(src, tmp_path / "x.json", to="panoptic", table=table, to_classes=after).path)
    assert [r[1] for r in rows] == [8, 8, 9, 8]
    assert [(c["id"], c["name"], c["isthing"]) for c in categories] == [(8, "vehicle", 1), (9, "rest", 0)]
    with pytest.raises(SegevalError, match="'trucks' is neither the id nor the name of a class"):
        convert(src, tmp_path / "y.json", to="panoptic", table={"car": "trucks"}, to_classes=after)


def test_a_class_of_things_and_stuff(tmp_path: Path, src: Path) -> None:
    table = {"car": 1, "road": 1, "bus": 2, "grass": 2, "sky": 3}
    with pytest.raises(SegevalError, match="nothing says which classes are things; give --classes"):
        convert(src, tmp_path / "x.json", to="panoptic", table=table)
    done = convert(src, tmp_path / "labels", to="semantic", table=table)
    wanted = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 1, 255]]
    assert np.array(Image.open(done.path / "7.png")).tolist() == wanted


def test_instances(tmp_path: Path, src: Path) -> None:
    done = convert(src, tmp_path / "x.json", to="instance", table={"bus": None})
    document = json.loads(done.path.read_text())
    assert [(a["id"], a["category_id"], a["iscrowd"], a["area"]) for a in document["annotations"]] == [
        (1, 1, 0, 2),
        (2, 1, 1, 1),
    ]
    assert [c["name"] for c in document["categories"]] == ["car"]
    again = convert(done.path, tmp_path / "y.json", to="instance", table={1: 6})
    assert [a["category_id"] for a in json.loads(again.path.read_text())["annotations"]] == [6, 6]


def test_labels(tmp_path: Path) -> None:
    """labelIds to trainIds, as Cityscapes has it: negative numbers and 255 are void."""
    (tmp_path / "a.png").write_bytes(png_bytes(np.array([[0, 7, 8], [255, 11, 7]], np.uint8)))
    table = tmp_path / "t.json"
    table.write_text('{"0": 255, "7": 0, "8": 1, "11": -1}')
    done = convert(tmp_path / "a.png", tmp_path / "out", to="labels", table=table)
    assert np.array(Image.open(done.path / "a.png")).tolist() == [[255, 0, 1], [255, 255, 0]]
    with pytest.raises(SegevalError, match="class 0 is not in the table of --map, and 7 becomes 0; add it"):
        convert(tmp_path / "a.png", tmp_path / "b", to="labels", table={7: 0, 8: 1, 11: 2})
    with pytest.raises(SegevalError, match="holds the value 11, which is void in what is written"):
        convert(tmp_path / "a.png", tmp_path / "b", to="labels", table={7: 1}, to_void=11)
    with pytest.raises(SegevalError, match="holds the class 11, which is not among the classes"):
        convert(tmp_path / "a.png", tmp_path / "b", to="labels", classes=9)


TABLES = {
    "twice.csv": ("car,1\ncar,2\n", "maps car twice; give each value one target"),
    "twice.json": ('{"car": 1, "car": 2}', "maps car twice; give each value one target"),
    "mixed.csv": ("car,vehicle\nbus,3\n", "mixes names (vehicle) and ids; give ids, or names only"),
    "unknown.csv": ("truck,1\n", "'truck' is neither the id nor the name of a class; classes are"),
    "lacking.csv": ("car,vehicle\n", "class 2 is not in the table of --map; add it, or map it to void"),
    "three.csv": ("car,1,2\n", "is no pair; give each entry a from and a to"),
    "nested.json": ('{"car": {"a": 1}}', "is no pair"),
    "empty.csv": ("from,to\n", "holds no pair of values"),
    "number.json": ("3", "holds no table"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_are_wrong(tmp_path: Path, src: Path, name: str) -> None:
    text, message = TABLES[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(SegevalError) as caught:
        convert(src, tmp_path / "x.json", to="panoptic", table=tmp_path / name)
    assert message in str(caught.value)
    assert not (tmp_path / "x.json").exists()


def test_supercategories_of_coco(tmp_path: Path) -> None:
    """27 classes out of 133: the panoptic map and its semantic map go the same way."""
    data = dataset("coco_panoptic")
    truth = data / "annotations" / "panoptic_val.json"
    known = json.loads((data / "categories.json").read_text())
    coarse = tmp_path / "coarse.json"
    coarse.write_text(json.dumps(known["coarse_classes"]))
    said: dict[str, Any] = {"table": known["to_coarse"], "to_classes": coarse}
    whole = convert(truth, tmp_path / "panoptic.json", to="panoptic", **said)
    direct = convert(data / "semantic" / "val", tmp_path / "direct", to="labels", from_void=(0,), classes=truth, **said)
    through = panoptic_to_semantic(whole.path, tmp_path / "through")
    for path in direct.path.iterdir():
        assert np.array_equal(np.array(Image.open(path)), np.array(Image.open(through.path / path.name)))
    assert score(through.path, direct.path, task="semantic", classes=coarse)["mIoU"] == 1
    entries = json.loads(whole.path.read_text())["annotations"]
    things = {c["id"] for c in known["coarse_classes"] if c["isthing"]}
    for entry in entries:
        stuff = [s["category_id"] for s in entry["segments_info"] if s["category_id"] not in things]
        assert len(set(stuff)) == len(stuff)
