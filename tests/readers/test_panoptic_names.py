"""Panoptic JSONs whose file names were written elsewhere, and PNGs whose channels were swapped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segeval import SegevalError, score

IDS = np.zeros((8, 9), np.int64)
IDS[2:6, 2:6], IDS[6:, 6:] = 300, 70123


def side(folder: Path, name: str, file_name: str, *, swapped: bool = False, parts: str = "") -> Path:
    """One side with one image; the PNG lies under `parts` of the folder that is named like the JSON."""
    pixels = np.stack([IDS % 256, IDS // 256 % 256, IDS // 65536], -1).astype(np.uint8)
    place = folder / name / parts
    place.mkdir(parents=True)
    Image.fromarray(pixels[..., ::-1].copy() if swapped else pixels).save(place / "im0.png")
    segments = [{"id": i, "category_id": 1, "area": int((i == IDS).sum()), "iscrowd": 0} for i in (300, 70123)]
    document = {
        "images": [{"id": 1, "file_name": "im0.jpg", "height": 8, "width": 9}],
        "annotations": [{"image_id": 1, "file_name": file_name, "segments_info": segments}],
        "categories": [{"id": 1, "name": "x", "isthing": 1}],
    }
    (folder / f"{name}.json").write_text(json.dumps(document))
    return folder / f"{name}.json"


@pytest.mark.parametrize(
    "name", ["im0.png", "pr\\im0.png", "D:\\out\\pr\\im0.png", "val2017/im0.png", "im0.jpg", "a/im0.jpg"]
)
def test_a_png_is_found_by_what_its_name_has_in_common(tmp_path: Path, name: str) -> None:
    gt, pred = side(tmp_path, "gt", "im0.png"), side(tmp_path, "pr", name)
    assert score(pred, gt, task="panoptic")["PQ"] == 1.0
    assert score(tmp_path / "pr", gt, task="panoptic")["PQ"] == 1.0  # the folder, whose JSON lies beside it


def test_a_name_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    gt, pred = side(tmp_path, "gt", "im0.png"), side(tmp_path, "pr", "other.png")
    with pytest.raises(SegevalError, match=r"found no folder with other\.png.*under the names that file_name gives"):
        score(pred, gt, task="panoptic")


def test_a_folder_in_the_name_is_followed_first(tmp_path: Path) -> None:
    gt, pred = side(tmp_path, "gt", "im0.png"), side(tmp_path, "pr", "sub\\im0.png", parts="sub")
    (tmp_path / "pr" / "im0.png").write_bytes(b"another picture")
    assert score(pred, gt, task="panoptic")["PQ"] == 1.0


@pytest.mark.parametrize("who", ["pr", "gt"])
def test_swapped_channels_are_named(tmp_path: Path, who: str) -> None:
    gt, pred = (side(tmp_path, name, "im0.png", swapped=name == who) for name in ("gt", "pr"))
    with pytest.raises(
        SegevalError, match=r"with red and blue swapped it is the id \d+, which is listed; .*cv2\.imwrite"
    ):
        score(pred, gt, task="panoptic")
