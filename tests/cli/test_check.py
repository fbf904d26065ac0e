"""`segeval check`: one test a cause, reading the cause; and it exits 0 exactly when score would."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.commands import Ran, segeval
from tests.given.datasets import dataset
from tests.given.problems import colours, png_bytes, write_panoptic

Capsys = pytest.CaptureFixture[str]

TRUTH = np.kron(np.array([[0, 1, 2], [2, 1, 0], [3, 3, 1]]), np.ones((4, 4), int)).astype(np.uint8)


def folder(path: Path, **images: Any) -> Path:
    """Label maps by name, as PNGs; bytes are written as they are."""
    path.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        data = image if isinstance(image, bytes) else png_bytes(np.asarray(image))
        (path / f"{name}.png").write_bytes(data)
    return path


def both(capsys: Capsys, *words: str | Path) -> Ran:
    """Check; and see that score agrees on whether the data can be scored."""
    checked = segeval(capsys, "check", *words)
    scored = segeval(capsys, "score", "--quiet", *words)
    assert checked.code == scored.code, (checked, scored)
    assert "defect" not in checked.err + scored.err
    if scored.code == 1:
        # What score says is among what check says.
        message = scored.err.strip().removeprefix("segeval: ")
        assert message.split(";")[0] in checked.out, (message, checked.out)
    return checked


def semantic(capsys: Capsys, tmp_path: Path, truth: Any, prediction: Any, *words: str) -> Ran:
    gt, pred = folder(tmp_path / "gt", a=truth), folder(tmp_path / "pred", a=prediction)
    return both(capsys, "--task", "semantic", "--gt", gt, "--pred", pred, *words)


# ---- semantic ------------------------------------------------------------------------------------------------


def test_nothing_to_complain(capsys: Capsys, tmp_path: Path) -> None:
    with_void = TRUTH.copy()
    with_void[0] = 255
    ran = semantic(capsys, tmp_path, with_void, TRUTH, "--classes", "4")
    assert ran.code == 0
    assert ran.out.startswith("semantic: 1 images to score; score would run")
    assert "warnings" not in ran.out
    assert "sizes of the truth (width x height): 12x12 (1)" in ran.out
    assert "the truth holds 5 values: 0, 1, 2, 3, 255" in ran.out
    assert "the prediction holds 4 values: 0, 1, 2, 3" in ran.out
    assert "8.33 % of the truth's 144 pixels are void" in ran.out


TABLE = np.array([7, 8, 11, 12] + [0] * 252, np.uint8)

CAUSES: dict[str, tuple[Any, Any, list[str], str]] = {
    "disjoint": (TRUTH, TRUTH + 10, [], "share no class: every IoU will be 0"),
    "shifted down": (
        TRUTH + 1,
        TRUTH,
        [],
        "are mostly the truth's minus one; give --reduce-zero-label",
    ),
    "shifted up": (TRUTH, TRUTH + 1, [], "predicted labels are mostly the truth's plus one; subtract 1"),
    "train ids": (
        TABLE[TRUTH],
        TRUTH,
        [],
        "truth holds Cityscapes label ids, the prediction train ids",
    ),
    "label ids": (
        TRUTH,
        TABLE[TRUTH],
        [],
        "prediction holds Cityscapes label ids, the truth train ids",
    ),
    "void prediction": (TRUTH, TRUTH * 0 + 255, ["--classes", "4"], "the prediction is void wherever the truth is not"),
    "constant": (TRUTH, TRUTH * 0 + 1, [], "the prediction is class 1 everywhere, the truth has 4 classes"),
    "mask": (TRUTH % 2, TRUTH % 2 * 255, ["--classes", "2"], "255 is void unless said otherwise; give --binary"),
    "void truth": (
        TRUTH * 0 + 255,
        TRUTH,
        ["--classes", "4"],
        "the truth is void everywhere (values 255): every",
    ),
    "void truth, inferred": (TRUTH * 0 + 255, TRUTH, [], "the truth is void everywhere"),
    "never predicted": (TRUTH, TRUTH % 3, [], "1 classes are never predicted: their IoU will be 0: 3"),
    "predicted only": (TRUTH % 3, TRUTH, ["--classes", "4"], "1 classes are predicted but not in the truth: their IoU"),
    "absent": (TRUTH, TRUTH, ["--classes", "5"], "1 classes are in neither truth nor prediction"),
    "never right": (TRUTH % 2, 1 - TRUTH % 2, ["--classes", "2"], "no pixel is predicted right: every IoU will be 0"),
    "outside the truth": (TRUTH, np.where(TRUTH == 3, 9, TRUTH), [], "predicted as no class of the truth"),
    "inferred": (TRUTH, TRUTH, [], "no classes given: took the 4 found in the truth (0, 1, 2, 3)"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_semantic_causes(capsys: Capsys, tmp_path: Path, name: str) -> None:
    truth, prediction, words, cause = CAUSES[name]
    ran = semantic(capsys, tmp_path, truth.astype(np.uint8), prediction.astype(np.uint8), *words)
    assert ran.code == 0
    assert cause in ran.out


REFUSED: dict[str, tuple[Any, Any, list[str], str]] = {
    "unsaid binary": (TRUTH % 2 * 255, TRUTH % 2 * 255, [], "exactly the values 0 and 255"),
    "label outside": (TRUTH, TRUTH, ["--classes", "3"], "truth holds the label 3, which is not among the classes"),
    "prediction outside": (TRUTH % 3, TRUTH, ["--classes", "3"], "prediction holds the label 3"),
    "size": (TRUTH, TRUTH[:3], [], "prediction is 12x3 but its truth is 12x12"),
    "one row": (TRUTH, TRUTH[:1], [], "prediction is 12x1 but its truth is 12x12"),
    "colours": (TRUTH, colours(TRUTH), [], "colours are no labels"),
    "no image": (TRUTH, b"not an image", [], "not a PNG"),
    "excluded": (TRUTH, TRUTH, ["--exclude", "car"], "'car' is neither the id nor the name of a class"),
    "no class file": (TRUTH, TRUTH, ["--classes", "nowhere.txt"], "no such file"),
    "255 among the classes": (TRUTH, TRUTH, ["--classes", "256"], "255 is among the classes"),
    "map": (TRUTH, TRUTH, ["--map", "nowhere.csv"], "can't be read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_score_refuses(capsys: Capsys, tmp_path: Path, name: str) -> None:
    truth, prediction, words, message = REFUSED[name]
    ran = semantic(capsys, tmp_path, truth, prediction, *words)
    assert ran.code == 1
    assert "errors: score would stop" in ran.out
    assert message in ran.out


def test_all_bad_images_and_the_rest_is_still_looked_at(capsys: Capsys, tmp_path: Path) -> None:
    names = [f"image{k:02d}" for k in range(70)]
    gt = folder(tmp_path / "gt", **dict.fromkeys(names, TRUTH))
    pred = folder(tmp_path / "pred", **dict.fromkeys(names, TRUTH + 1))
    for k in range(0, 70, 5):
        (pred / f"image{k:02d}.png").write_bytes(png_bytes(TRUTH[: 3 + k % 2]))
    (pred / "image33.png").write_bytes(b"")
    (pred / "image69.png").write_bytes((pred / "image69.png").read_bytes()[:-20])
    ran = both(capsys, "--task", "semantic", "--gt", gt, "--pred", pred, "--workers", "2")
    assert ran.code == 1
    assert "image00.png: prediction is 12x3" in ran.out
    assert "(14 images in all; also " in ran.out
    assert "image05.png" in ran.out
    assert "image33.png: the file is empty" in ran.out
    assert "image69.png: the PNG is truncated" in ran.out
    assert "mostly the truth's plus one" in ran.out


def test_missing_and_extra_files(capsys: Capsys, tmp_path: Path) -> None:
    gt = folder(tmp_path / "gt", a=TRUTH, b=TRUTH, c=TRUTH)
    pred = folder(tmp_path / "pred", a=TRUTH, x=TRUTH * 0 + 1)
    words = ("--task", "semantic", "--gt", gt, "--pred", pred)
    ran = both(capsys, *words)
    assert ran.code == 1
    assert "2 of 3 images have no prediction: b, c" in ran.out
    assert "1 predictions have no truth: x" in ran.out
    assert "semantic: 1 images to score" in ran.out
    for policy, images in (("skip", 1), ("empty", 3)):
        ran = both(capsys, *words, "--missing", policy)
        assert ran.code == 0
        assert f"semantic: {images} images to score" in ran.out
        assert "2 of 3 images have no prediction: b, c" in ran.out
        assert "1 predictions have no truth: x (ignored)" in ran.out


def test_two_files_for_one_image(capsys: Capsys, tmp_path: Path) -> None:
    gt, pred = folder(tmp_path / "gt", a=TRUTH), folder(tmp_path / "pred", a=TRUTH)
    np.save(pred / "a.npy", TRUTH)
    ran = both(capsys, "--task", "semantic", "--gt", gt, "--pred", pred)
    assert ran.code == 1
    assert "two files for one image: a.npy and a.png" in ran.out


def test_no_task(capsys: Capsys, tmp_path: Path) -> None:
    gt = folder(tmp_path / "gt", a=TRUTH.astype(np.uint16))
    ran = both(capsys, "--gt", gt, "--pred", gt)
    assert ran.code == 1
    assert "--task semantic, --task instance or --task panoptic" in ran.out
    ran = both(capsys, "--gt", tmp_path / "absent", "--pred", gt)
    assert ran.code == 1
    assert "no such file or folder" in ran.out


def test_usage(capsys: Capsys, tmp_path: Path) -> None:
    gt = folder(tmp_path / "gt", a=TRUTH)
    for words in (["--task", "semantic", "--iou", "bbox"], ["--task", "semantic", "--void", "x"]):
        ran = both(capsys, "--gt", gt, "--pred", gt, *words)
        assert ran.code == 2
        assert not ran.out


def test_json(capsys: Capsys, tmp_path: Path) -> None:
    ran = semantic(capsys, tmp_path, TRUTH, TRUTH + 10, "--format", "json")
    data = json.loads(ran.out)
    assert set(data) == {"task", "images", "fine", "findings"}
    assert (data["task"], data["images"], data["fine"]) == ("semantic", 1, True)
    assert {"level", "code", "message"} == set(data["findings"][0])
    codes = {f["code"] for f in data["findings"]}
    assert {"labels-disjoint", "sizes", "truth-values", "classes-inferred"} <= codes
    levels = [f["level"] for f in data["findings"]]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)


def test_no_scores(capsys: Capsys, tmp_path: Path) -> None:
    ran = semantic(capsys, tmp_path, TRUTH, TRUTH)
    assert "mIoU" not in ran.out


# ---- panoptic ------------------------------------------------------------------------------------------------

IDS = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 3, 0]])
SEGMENTS = [{"id": 1, "category_id": 5}, {"id": 2, "category_id": 7}, {"id": 3, "category_id": 9}]
CATEGORIES = [{"id": i, "name": f"c{i}", "isthing": int(i < 8)} for i in (4, 5, 6, 7, 8, 9, 10)]


def renamed(change: Callable[[int], int]) -> list[dict[str, int]]:
    return [s | {"category_id": change(s["category_id"])} for s in SEGMENTS]


PANOPTIC: dict[str, tuple[Any, Any, str]] = {
    "fine": (IDS, SEGMENTS, "the truth holds 3 segments of 3 classes"),
    "void": (IDS * 0, [], "the prediction holds ids of 0 (void) only: everything in the truth is missed"),
    "shifted up": (IDS, renamed(lambda c: c + 1), "the truth's category plus one; subtract 1 from the predicted"),
    "shifted down": (IDS, renamed(lambda c: c - 1), "the truth's category minus one; add 1 to the predicted"),
    "disjoint": (IDS, renamed(lambda c: {5: 10, 7: 4, 9: 8}[c]), "share no category: PQ will be 0"),
    "confused": (IDS, renamed(lambda c: {5: 7, 7: 9, 9: 5}[c]), "segments match in shape, but never in category"),
    "flipped": (np.where(IDS == 1, 2, np.where(IDS == 2, 1, 0)), SEGMENTS[:2], "never in category"),
    "no match": (
        np.array([[1, 2] * 2] * 3),
        [SEGMENTS[0], SEGMENTS[1]],
        "no segment overlaps another by more than",
    ),
    "missed": (np.where(IDS == 3, 0, IDS), SEGMENTS[:2], "1 classes are never predicted: their PQ will be 0: 9 c9"),
    "invented": (
        np.where(IDS == 3, np.array([3, 3, 4, 0]), IDS),
        [*SEGMENTS, {"id": 4, "category_id": 10}],
        "1 classes are predicted but not in the truth: their PQ will be 0, and counts: 10 c10",
    ),
}


@pytest.mark.parametrize("name", PANOPTIC)
def test_panoptic_causes(capsys: Capsys, tmp_path: Path, name: str) -> None:
    ids, segments, cause = PANOPTIC[name]
    gt = write_panoptic(tmp_path / "gt", [("a", IDS, SEGMENTS)], CATEGORIES)
    pred = write_panoptic(tmp_path / "pred", [("a", ids, segments)], None)
    ran = both(capsys, "--gt", gt, "--pred", pred)
    assert ran.code == 0
    assert cause in ran.out
    assert ("warnings" in ran.out) == (name != "fine")


def test_panoptic_truths_that_leave_figures_undefined(capsys: Capsys, tmp_path: Path) -> None:
    crowds = [s | {"iscrowd": 1} for s in SEGMENTS]
    gt = write_panoptic(tmp_path / "gt", [("a", IDS, crowds)], CATEGORIES)
    pred = write_panoptic(tmp_path / "pred", [("a", IDS, SEGMENTS)], None)
    ran = both(capsys, "--gt", gt, "--pred", pred)
    assert "the truth has no segment but crowds and void" in ran.out
    stuff = [c | {"isthing": 0} for c in CATEGORIES]
    gt = write_panoptic(tmp_path / "stuff", [("a", IDS, SEGMENTS)], stuff)
    assert "no class of things occurs: PQ_th will be undefined" in both(capsys, "--gt", gt, "--pred", pred).out
    things = [c | {"isthing": 1} for c in CATEGORIES]
    gt = write_panoptic(tmp_path / "things", [("a", IDS, SEGMENTS)], things)
    assert "no class of stuff occurs: PQ_st will be undefined" in both(capsys, "--gt", gt, "--pred", pred).out
    several = [s | {"category_id": 5, "iscrowd": 1} for s in SEGMENTS]
    gt = write_panoptic(tmp_path / "several", [("a", IDS, several)], CATEGORIES)
    assert "only the last counts" in both(capsys, "--gt", gt, "--pred", pred).out


PANOPTIC_REFUSED: dict[str, tuple[Any, Any, str]] = {
    "not listed": (IDS, SEGMENTS[:2], "the prediction's pixels hold the segment id 3"),
    "no pixel": (np.where(IDS == 3, 0, IDS), SEGMENTS, "the prediction lists segment 3, which has no pixel"),
    "category": (IDS, renamed(lambda c: c + 90), "has category 95, which is not among the classes"),
    "twice": (IDS, [*SEGMENTS, SEGMENTS[0]], "lists the segment id 1 twice"),
    "size": (IDS[:2], SEGMENTS[:2], "prediction is 4x2 but its truth is 4x3"),
}


@pytest.mark.parametrize("name", PANOPTIC_REFUSED)
def test_panoptic_refused(capsys: Capsys, tmp_path: Path, name: str) -> None:
    ids, segments, message = PANOPTIC_REFUSED[name]
    gt = write_panoptic(tmp_path / "gt", [(k, IDS, SEGMENTS) for k in "abc"], CATEGORIES)
    entries = [("a", ids, segments), ("b", IDS, SEGMENTS), ("c", ids, segments)]
    pred = write_panoptic(tmp_path / "pred", entries, None)
    ran = both(capsys, "--gt", gt, "--pred", pred)
    assert ran.code == 1
    assert message in ran.out
    assert "(2 images in all; also " in ran.out


def test_panoptic_missing_entries(capsys: Capsys, tmp_path: Path) -> None:
    gt = write_panoptic(tmp_path / "gt", [(k, IDS, SEGMENTS) for k in "ab"], CATEGORIES)
    pred = write_panoptic(tmp_path / "pred", [(k, IDS, SEGMENTS) for k in "bc"], None)
    ran = both(capsys, "--gt", gt, "--pred", pred)
    assert ran.code == 1
    assert "1 of 2 images have no prediction: a" in ran.out
    assert "1 predictions have no truth: c" in ran.out
    (gt.parent / "panoptic" / "a.png").unlink()
    assert both(capsys, "--gt", gt, "--pred", pred, "--missing", "empty").code == 1


# ---- instance ------------------------------------------------------------------------------------------------


def instances(tmp_path: Path, results: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> tuple[Path, Path]:
    images = [{"id": i, "height": 60, "width": 80} for i in (1, 2)]
    categories = [{"id": i, "name": f"c{i}"} for i in (1, 2, 3)]
    whole = [{"id": k + 1, "iscrowd": 0, **a} for k, a in enumerate(annotations)]
    gt, pred = tmp_path / "gt.json", tmp_path / "pred.json"
    gt.write_text(json.dumps({"images": images, "annotations": whole, "categories": categories}))
    pred.write_text(json.dumps(results))
    return gt, pred


def boxes(*numbers: list[float], image: int = 1, category: int = 1, **more: Any) -> list[dict[str, Any]]:
    fixed = {"image_id": image, "category_id": category, **more}
    return [fixed | {"bbox": list(b), "area": b[2] * b[3], "score": 0.5 + k / 10} for k, b in enumerate(numbers)]


MINE = boxes([10, 10, 20, 30], [40, 20, 30, 20])

INSTANCE: dict[str, tuple[Any, Any, str]] = {
    "fine": (MINE, MINE, "the truth holds 2 instances of 1 classes"),
    "normalised": (boxes([0.1, 0.1, 0.3, 0.5], [0.5, 0.3, 0.4, 0.3]), MINE, "they look normalised"),
    "corners": (boxes([10, 10, 30, 40], [40, 20, 70, 40]), MINE, "they look like [x1, y1, x2, y2]"),
    "classes": (boxes([10, 10, 20, 30], category=2), MINE, "share no category: AP will be 0"),
    "missed": (MINE, MINE + boxes([0, 0, 5, 5], category=3), "1 classes are never predicted: their AP will be 0: 3"),
    "nothing": ([], MINE, "nothing is predicted: every AP will be 0"),
    "no truth": (MINE, [], "every AP will be undefined"),
    "equal scores": (boxes([10, 10, 20, 30]) + boxes([40, 20, 30, 20]), MINE, "all scores are 0.5"),
    "id 0": (MINE, [MINE[0] | {"id": 0}], "annotation id 0 is an id like any other here"),
}


@pytest.mark.parametrize("name", INSTANCE)
def test_instance_causes(capsys: Capsys, tmp_path: Path, name: str) -> None:
    results, annotations, cause = INSTANCE[name]
    gt, pred = instances(tmp_path, results, annotations)
    ran = both(capsys, "--gt", gt, "--pred", pred, "--iou", "bbox")
    assert ran.code == 0
    assert cause in ran.out


INSTANCE_REFUSED: dict[str, tuple[Any, str]] = {
    "image": (boxes([1, 1, 5, 5], image=9), "results are of images that the truth does not list (9)"),
    "category": (boxes([1, 1, 5, 5], category=9), "has the category 9"),
    "score": ([{"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}], "has no score"),
}


@pytest.mark.parametrize("name", INSTANCE_REFUSED)
def test_instance_refused(capsys: Capsys, tmp_path: Path, name: str) -> None:
    results, message = INSTANCE_REFUSED[name]
    gt, pred = instances(tmp_path, results, MINE)
    ran = both(capsys, "--gt", gt, "--pred", pred, "--iou", "bbox")
    assert ran.code == 1
    assert message in ran.out


# ---- real data -----------------------------------------------------------------------------------------------


def test_real_data(capsys: Capsys) -> None:
    camvid, coco = dataset("camvid"), dataset("coco_panoptic")
    words = ("--gt", camvid / "valannot", "--pred", camvid / "valannot")
    assert both(capsys, *words, "--classes", camvid / "classes.json").code == 0
    assert both(capsys, *words, "--classes", "11").code == 1
    assert both(capsys, "--gt", coco / "panoptic" / "val", "--pred", coco / "panoptic" / "val").code == 0
    assert both(capsys, "--gt", coco / "panoptic" / "val", "--pred", coco / "panoptic" / "train").code == 1


def test_sides_in_formats_that_do_not_meet(capsys: Capsys, tmp_path: Path) -> None:
    gt = folder(tmp_path / "gt", a=TRUTH)
    Image.fromarray(colours(TRUTH.astype(int) * 70000)).save(tmp_path / "rgb.png")
    for words in (
        ("--task", "panoptic", "--gt", gt, "--pred", tmp_path / "rgb.png"),
        ("--task", "instance", "--gt", gt, "--pred", tmp_path / "pred.json"),
    ):
        assert both(capsys, *words).code == 1
    assert both(capsys, "--task", "semantic", "--gt", gt, "--pred", gt, "--gt-format", "coco-panoptic").code == 2
