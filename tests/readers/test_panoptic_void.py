"""Which values are void in the panoptic forms."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

import segeval


def coded(folder: Path, values: np.ndarray) -> Path:
    folder.mkdir()
    Image.fromarray(values.astype(np.uint16)).save(folder / "a.png")
    return folder


def test_void_class_of_a_coded_map_hides_no_other_class(tmp_path: Path) -> None:
    values = np.array([[10, 10, 11, 11], [12, 12, 11, 11]])
    gt, pred = coded(tmp_path / "gt", values), coded(tmp_path / "pred", np.where(values == 11, 12, values))
    result = segeval.score(pred, gt, task="panoptic", void=(11,))
    assert [row["id"] for row in result.per_class] == [10, 12]
    assert [(row["tp"], row["fp"], row["fn"]) for row in result.per_class] == [(1, 0, 0), (1, 0, 0)]


def test_class_zero_counts_when_void_is_another(tmp_path: Path) -> None:
    gt = coded(tmp_path / "gt", np.array([[0, 0], [255, 1]]))
    result = segeval.score(gt, gt, task="panoptic", void=(255,))
    assert [row["id"] for row in result.per_class] == [0, 1]
    assert result["PQ"] == 1.0


def test_void_of_a_classes_file_is_a_class_and_no_segment_id(tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text(
        json.dumps({"categories": [{"id": 1, "name": "road", "isthing": 0}], "void": 255})
    )
    (tmp_path / "panoptic").mkdir()
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255  # the segment id 255
    Image.fromarray(red).save(tmp_path / "panoptic" / "a.png")
    entry = {"image_id": 1, "file_name": "a.png", "segments_info": [{"id": 255, "category_id": 1}]}
    truth = tmp_path / "panoptic.json"
    truth.write_text(json.dumps({"annotations": [entry], "categories": [{"id": 1, "name": "road", "isthing": 0}]}))
    result = segeval.score(truth, truth, classes=str(tmp_path / "classes.json"))
    assert result["PQ"] == 1.0
    assert result.signature.get("void") == "0"
    without = segeval.score(truth, truth, void=(0, 255), task="panoptic")
    assert without["PQ"] != without["PQ"]
    gt = coded(tmp_path / "gt", np.array([[1, 1], [255, 0]]))
    listed = segeval.score(gt, gt, task="panoptic", classes=str(tmp_path / "classes.json"))
    assert listed.signature.get("void") == "0,255"
    assert listed["PQ"] == 1.0
