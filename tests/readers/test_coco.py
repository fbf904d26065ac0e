"""What is wrong with COCO files is told in one line: the file, the record, the value and the remedy."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval.errors import SegevalError
from segeval.readers.coco.instances import CocoInstances, CocoResults
from segeval.scoring.evaluation import score
from tests.given.instance_problems import compressed, counts, rectangle

# One detection and one truth a class: the official scorer adds 2^-52 below the line.
PERFECT = 1 / (1 + 2**-52)

MASK = rectangle(10, 10, 20, 12)
TRUTH: dict[str, Any] = {
    "images": [{"id": 7, "height": 130, "width": 150}, {"id": 3, "height": 130, "width": 150}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 4, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 4, "segmentation": MASK},
        {"id": 2, "image_id": 3, "category_id": 1, "segmentation": [[10, 10, 30, 10, 30, 22, 10, 22]]},
    ],
}
for _annotation in TRUTH["annotations"]:
    _annotation.update(area=240, iscrowd=0, bbox=[10, 10, 20, 12])
RESULTS: list[dict[str, Any]] = [
    {"image_id": 7, "category_id": 4, "score": 0.9, "bbox": [10, 10, 20, 12], "segmentation": MASK},
    {"image_id": 3, "category_id": 1, "score": 0.8, "bbox": [10, 10, 20, 12], "segmentation": MASK},
]


def scored(folder: Path, truth: Any = TRUTH, results: Any = RESULTS, **options: Any) -> Any:
    """Score JSON texts or values."""
    paths = folder / "truth file.json", folder / "results.json"
    for path, content in zip(paths, (truth, results), strict=True):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return score(paths[1], paths[0], task="instance", **options)


def message(folder: Path, **data: Any) -> str:
    with pytest.raises(SegevalError) as caught:
        scored(folder, **data)
    text = str(caught.value)
    assert "\n" not in text
    return text


def changed(data: Any, change: Callable[[Any], None]) -> Any:
    fresh = copy.deepcopy(data)
    change(fresh)
    return fresh


def test_the_base_scores_one(tmp_path: Path) -> None:
    assert scored(tmp_path)["AP"] == scored(tmp_path, iou="bbox")["AP"] == PERFECT


def _set(where: str, place: int, **fields: Any) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        rows = data[where] if where else data
        rows[place].update(fields)

    return change


def _drop(where: str, place: int, name: str) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        (data[where] if where else data)[place].pop(name)

    return change


BIG = counts(np.ones((130, 150), np.uint8)) | {"size": [150, 130]}

TRUTH_CASES: list[tuple[Callable[[Any], None], tuple[str, ...]]] = [
    (_set("annotations", 1, image_id=99), ("truth file.json", "1 annotations", "(99)", "add the images")),
    (_set("annotations", 1, category_id=9), ("annotation 2", "category 9", "1 cat", "image 3")),
    (_set("annotations", 1, id=1), ("annotation id 1", "2 times", "own id")),
    (_set("images", 1, id=7), ("image id 7", "2 times")),
    (_set("categories", 1, id=1), ("category id 1", "twice")),
    (_set("categories", 1, id="dog"), ("category", "no integer id")),
    (_set("annotations", 0, area="large"), ("annotation 0", '"large"', "no number")),
    (_set("annotations", 0, area=float("nan")), ("annotation 1", "area nan", "in pixels")),
    (_set("annotations", 0, iscrowd=3), ("annotation 1", "iscrowd 3", "0 or 1")),
    (_set("annotations", 0, bbox=[1, 2, 3]), ("annotation 0", "[1, 2, 3]", "[x, y, width, height]")),
    (_set("annotations", 1, segmentation=[[10, 10, 30, 10]]), ("annotation 2", "three points", "image 3")),
    (_set("annotations", 1, segmentation=[[10, 10, 30, 10, 5, 6, 7]]), ("annotation 2", "half a point")),
    (_set("annotations", 1, segmentation=[]), ("annotation 2", "three points")),
    (_set("annotations", 1, segmentation=[10, 10, 30, 10, 5, 6]), ("annotation 1", "no list of lists")),
    (_set("annotations", 1, segmentation="mask"), ("annotation 1", '"mask"', "give polygons")),
    (_set("annotations", 0, segmentation=BIG), ("annotation 1", "150 x 130", "130 x 150", "image 7")),
    (_set("annotations", 0, segmentation={**MASK, "counts": "04"}), ("annotation 1", "does not cover 130 x 150")),
    (_set("annotations", 0, segmentation={**MASK, "counts": "~~"}), ("annotation 1", "alphabet")),
    (_drop("annotations", 0, "segmentation"), ("annotation 1", "no segmentation", "--iou bbox")),
    (_drop("annotations", 1, "category_id"), ("annotation 1", "no category_id")),
    (_drop("images", 1, "height"), ("image 3", "no usable size", "height and width")),
    (_set("images", 1, height=-5), ("image 3", "height -5")),
    (lambda d: d.pop("images"), ("truth file.json", "no list 'images'")),
    (lambda d: d["categories"].clear(), ("no categories",)),
]


@pytest.mark.parametrize(("change", "parts"), TRUTH_CASES)
def test_truth(tmp_path: Path, change: Callable[[Any], None], parts: tuple[str, ...]) -> None:
    text = message(tmp_path, truth=changed(TRUTH, change))
    for part in ("truth file.json", *parts):
        assert part in text, text


RESULT_CASES: list[tuple[Callable[[Any], None], tuple[str, ...]]] = [
    (_set("", 1, image_id=99), ("1 results", "(99)", "--missing skip")),
    (_set("", 1, image_id="3"), ("1 results", "(3)", "as the truth does")),
    (_set("", 1, category_id=9), ("result 1", "category 9", "4 dog")),
    (_set("", 1, score=float("nan")), ("result 1", "score nan", "finite")),
    (_set("", 1, score=float("inf")), ("result 1", "score inf")),
    (_set("", 1, score="high"), ("result 1", '"high"', "number")),
    (_set("", 1, score=None), ("result 1", "null", "number")),
    (_drop("", 1, "score"), ("result 1", "no score")),
    (_drop("", 1, "segmentation"), ("result 1", "no segmentation", "--iou bbox")),
    (_set("", 1, segmentation=BIG), ("result 1", "150 x 130", "130 x 150", "image 3")),
    (_set("", 1, segmentation={**MASK, "counts": MASK["counts"] + "1"}), ("result 1", "does not cover")),
    (_set("", 1, bbox=[1, 2, float("inf"), 4]), ("result 1", "bbox", "finite")),
    (_set("", 1, image_id=3.5), ("result 1", "3.5", "no integer")),
    (lambda d: d.insert(1, 5), ("result 1", "5", "list of objects")),
]


@pytest.mark.parametrize(("change", "parts"), RESULT_CASES)
def test_results(tmp_path: Path, change: Callable[[Any], None], parts: tuple[str, ...]) -> None:
    text = message(tmp_path, results=changed(RESULTS, change))
    for part in ("results.json", *parts):
        assert part in text, text


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ({"truth": '{"images": [,]}'}, ("truth file.json", "malformed JSON", "line 1, column 13")),
        ({"results": '[\n{"image_id": 7,}]'}, ("results.json", "malformed JSON", "line 2, column 16")),
        ({"results": '[{"image_id": 7'}, ("results.json", "malformed JSON")),
        ({"results": ""}, ("results.json", "is empty")),
        ({"results": TRUTH}, ("results.json", "is an instances JSON", "predictions")),
        ({"truth": RESULTS}, ("truth file.json", "is a list", "--gt")),
        ({"results": {"a": 1}}, ("results.json", "is no results JSON", '"score"')),
    ],
)
def test_files_of_another_kind(tmp_path: Path, data: dict[str, Any], parts: tuple[str, ...]) -> None:
    text = message(tmp_path, **data)
    for part in parts:
        assert part in text, text


def test_absent_and_unreadable_files(tmp_path: Path) -> None:
    scored(tmp_path)
    with pytest.raises(SegevalError, match="no such file"):
        score(tmp_path / "other.json", tmp_path / "truth file.json", task="instance")
    with pytest.raises(SegevalError, match="can't be read"):
        CocoInstances(tmp_path)


def test_folders_and_json_do_not_mix(tmp_path: Path) -> None:
    scored(tmp_path)
    with pytest.raises(SegevalError, match="must be a results JSON"):
        score(tmp_path, tmp_path / "truth file.json", task="instance")


def test_missing_area_and_crowd_are_made_up_for(tmp_path: Path) -> None:
    def change(data: Any) -> None:
        for annotation in data["annotations"]:
            del annotation["area"], annotation["iscrowd"]

    result = scored(tmp_path, truth=changed(TRUTH, change))
    assert result["AP"] == PERFECT
    assert result["APs"] == PERFECT  # 240 pixels, counted in the mask
    assert "area-computed" in {c.code for c in result.warnings}


def test_extra_results_are_left_out_on_request(tmp_path: Path) -> None:
    extra = [*RESULTS, {**RESULTS[0], "image_id": 99}]
    result = scored(tmp_path, results=extra, missing="skip")
    assert result["AP"] == PERFECT
    assert any(c.code == "prediction-extra" and "99" in c.message for c in result.warnings)


def test_an_empty_result_list_scores_zero(tmp_path: Path) -> None:
    result = scored(tmp_path, results=[])
    assert result["AP"] == 0.0
    assert "no-detections" in {c.code for c in result.warnings}


def test_equal_scores_are_told(tmp_path: Path) -> None:
    result = scored(tmp_path, results=[{**r, "score": 0.5} for r in RESULTS])
    assert "equal-scores" in {c.code for c in result.warnings}


def test_text_ids_and_hidden_kinds_of_numbers(tmp_path: Path) -> None:
    def text_ids(data: Any) -> None:
        for record in data["images"] if isinstance(data, dict) else data:
            name = "id" if isinstance(data, dict) else "image_id"
            record[name] = f"bild ü{record[name]}"
        for record in data["annotations"] if isinstance(data, dict) else ():
            record["image_id"] = f"bild ü{record['image_id']}"

    result = scored(tmp_path, truth=changed(TRUTH, text_ids), results=changed(RESULTS, text_ids))
    assert result["AP"] == PERFECT
    assert result.tally is not None
    assert result.tally.keys == ("bild ü3", "bild ü7")
    as_reals = changed(RESULTS, lambda d: [r.update(image_id=float(r["image_id"])) for r in d])
    assert scored(tmp_path, results=as_reals)["AP"] == PERFECT


def test_detections_may_be_polygons_or_counts(tmp_path: Path) -> None:
    mask = np.zeros((130, 150), np.uint8)
    mask[10:22, 10:30] = 1
    for form in ([[10, 10, 30, 10, 30, 22, 10, 22]], counts(mask), compressed(mask)):
        assert scored(tmp_path, results=[{**r, "segmentation": form} for r in RESULTS])["AP"] == PERFECT


def test_readers_give_one_image_at_a_time(tmp_path: Path) -> None:
    scored(tmp_path)
    truth = CocoInstances(tmp_path / "truth file.json")
    results = CocoResults(tmp_path / "results.json", truth)
    assert truth.keys() == results.keys() == (7, 3)
    found = truth.load(3)
    assert (found.high - found.low, found.height, found.width) == (1, 130, 150)
    assert truth.file(3).endswith("truth file.json")
    assert truth.taxonomy.names == ("cat", "dog")
