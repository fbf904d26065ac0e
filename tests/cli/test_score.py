"""`segeval score` and `show`: the contract that scripts depend on."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval import Result
from tests.cli.commands import Ran, segeval
from tests.given.datasets import dataset
from tests.given.problems import png_bytes, write_panoptic

Capsys = pytest.CaptureFixture[str]

SEMANTIC = ["mIoU", "fwIoU", "aAcc", "mAcc", "mDice"]
PANOPTIC = [n + tail for tail in ("", "_th", "_st") for n in ("PQ", "SQ", "RQ")]
FORMATS = ("text", "json", "markdown", "csv", "latex")

TRUTH = np.array([[0, 0, 1, 1], [0, 0, 1, 255], [2, 2, 2, 2]], np.uint8)
GUESS = np.array([[0, 0, 1, 0], [0, 1, 1, 1], [2, 2, 2, 255]], np.uint8)


def folder(path: Path, **images: Any) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        (path / f"{name}.png").write_bytes(png_bytes(np.asarray(image, np.uint8)))
    return path


@pytest.fixture
def words(tmp_path: Path) -> list[str | Path]:
    gt = folder(tmp_path / "gt", a=TRUTH, b=TRUTH[:2])
    pred = folder(tmp_path / "pred", a=GUESS, b=TRUTH[:2])
    return ["score", "--task", "semantic", "--gt", gt, "--pred", pred]


def values(ran: Ran) -> Any:
    assert ran.code == 0, ran.err
    return json.loads(ran.out)["values"]


def iou_of(ran: Ran) -> list[Any]:
    assert ran.code == 0, ran.err
    return [row["IoU"] for row in json.loads(ran.out)["per_class"]]


def test_json_of_semantic(capsys: Capsys, words: list[str | Path]) -> None:
    ran = segeval(capsys, *words, "--format", "json", "--classes", "4")
    data = json.loads(ran.out)
    assert list(data) == ["task", "signature", "images", "warnings", "values", "intervals", "per_class"]
    assert (data["task"], data["images"], data["intervals"]) == ("semantic", 2, {})
    assert list(data["values"]) == SEMANTIC
    assert all({"code", "message"} == set(w) for w in data["warnings"])
    assert [row["id"] for row in data["per_class"]] == [0, 1, 2, 3]
    assert {"id", "name", "IoU", "Acc", "Dice", "precision", "recall"} <= set(data["per_class"][0])
    assert data["per_class"][3]["IoU"] is None
    assert data["per_class"][0]["IoU"] == 7 / 9
    assert data["signature"].startswith("mIoU|classes:4#")
    assert all(v is None or 0 <= v <= 1 for v in data["values"].values())


def test_json_of_panoptic(capsys: Capsys, tmp_path: Path) -> None:
    segments = [{"id": 1, "category_id": 5}]
    categories = [{"id": 5, "name": "car", "isthing": 1}, {"id": 6, "name": "sky", "isthing": 0}]
    gt = write_panoptic(tmp_path / "gt", [(1, np.ones((2, 2), int), segments)], categories)
    ran = segeval(capsys, "score", "--gt", gt, "--pred", gt, "--format", "json")
    data = json.loads(ran.out)
    assert list(data) == ["task", "signature", "images", "warnings", "values", "intervals", "per_class"]
    assert list(data["values"]) == PANOPTIC
    assert {"id", "name", "PQ", "SQ", "RQ", "tp", "fp", "fn"} <= set(data["per_class"][0])
    assert data["values"]["PQ"] == 1
    assert data["values"]["PQ_st"] is None
    assert data["per_class"][1]["PQ"] is None
    text = segeval(capsys, "score", "--gt", gt, "--pred", gt).out
    assert "PQ     SQ     RQ  classes" in text
    assert "stuff       –      –      –        0" in text


@pytest.mark.parametrize("form", FORMATS)
def test_show_prints_what_score_printed(capsys: Capsys, words: list[str | Path], tmp_path: Path, form: str) -> None:
    scored = segeval(capsys, *words, "--out", tmp_path / "run", "--format", form)
    shown = segeval(capsys, "show", tmp_path / "run", "--format", form)
    assert scored.code == shown.code == 0
    assert scored.out == shown.out
    assert scored.out.strip()
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"result.json", "tally.npz"}


def test_forms(capsys: Capsys, words: list[str | Path]) -> None:
    text = segeval(capsys, *words).out.splitlines()
    assert text[0].split() == ["id", "class", "IoU", "Acc", "Dice", "precision", "recall"]
    assert text[-1].startswith("mIoU|classes:3#")
    markdown = segeval(capsys, *words, "--format", "markdown").out
    assert "| mIoU | fwIoU | aAcc | mAcc | mDice |" in markdown
    latex = segeval(capsys, *words, "--format", "latex").out
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    rows = list(csv.DictReader(io.StringIO(segeval(capsys, *words, "--format", "csv").out)))
    assert [row["name"] for row in rows] == ["all", "0", "1", "2"]
    assert float(rows[0]["mIoU"]) == values(segeval(capsys, *words, "--format", "json"))["mIoU"]


def test_quiet_and_cautions(capsys: Capsys, words: list[str | Path]) -> None:
    ran = segeval(capsys, *words)
    assert "no classes given: took the 3 found in the truth (0, 1, 2)" in ran.err
    assert "predicted as void: counted as missed" in ran.err
    quiet = segeval(capsys, *words, "--quiet")
    assert quiet.err == ""
    assert quiet.out == ran.out


def test_workers_change_nothing(capsys: Capsys, words: list[str | Path]) -> None:
    outs = {segeval(capsys, *words, "--workers", str(n), "--format", "json").out for n in (1, 2, 3)}
    assert len(outs) == 1


def test_per_image(capsys: Capsys, words: list[str | Path], tmp_path: Path) -> None:
    path = tmp_path / "tables" / "images.csv"
    assert segeval(capsys, *words, "--per-image", path).code == 0
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [row["image"] for row in rows] == ["a", "b"]  # worst first
    assert set(rows[0]) == {"image", *SEMANTIC, "IoU 0", "IoU 1", "IoU 2"}
    # a: 3 of 5, 2 of 4, 3 of 4
    assert float(rows[0]["mIoU"]) == pytest.approx((3 / 5 + 2 / 4 + 3 / 4) / 3, abs=1e-15)
    assert float(rows[1]["mIoU"]) == 1.0
    assert rows[1]["IoU 2"] == ""


def test_per_image_of_panoptic(capsys: Capsys, tmp_path: Path) -> None:
    segments = [{"id": 1, "category_id": 5}]
    categories = [{"id": 5, "name": "car", "isthing": 1}]
    ids = np.ones((4, 4), int)
    half = np.where(np.arange(16).reshape(4, 4) < 8, 1, 0)
    most = np.where(np.arange(16).reshape(4, 4) < 12, 1, 0)
    gt = write_panoptic(tmp_path / "gt", [(k, ids, segments) for k in (10, 9, 100)], categories)
    pred = write_panoptic(tmp_path / "pred", [(10, ids, segments), (9, most, segments), (100, half, segments)], None)
    path = tmp_path / "images.csv"
    assert segeval(capsys, "score", "--gt", gt, "--pred", pred, "--per-image", path).code == 0
    rows = [(row["image"], float(row["PQ"]), row["fn"]) for row in csv.DictReader(io.StringIO(path.read_text()))]
    assert rows == [("100", 0.0, "1"), ("9", 0.75, "0"), ("10", 1.0, "0")]


def test_missing(capsys: Capsys, words: list[str | Path], tmp_path: Path) -> None:
    whole = iou_of(segeval(capsys, *words, "--format", "json"))
    assert whole == [7 / 9, 5 / 7, 3 / 4]
    (tmp_path / "pred" / "b.png").unlink()
    folder(tmp_path / "pred", z=GUESS)
    assert segeval(capsys, *words).code == 1
    skipped = segeval(capsys, *words, "--missing", "skip", "--format", "json")
    assert iou_of(skipped) == [3 / 5, 2 / 4, 3 / 4]
    data = json.loads(skipped.out)
    assert data["images"] == 1
    assert {"prediction-missing", "prediction-extra"} <= {w["code"] for w in data["warnings"]}
    empty = segeval(capsys, *words, "--missing", "empty", "--format", "json")
    assert json.loads(empty.out)["images"] == 2
    assert iou_of(empty) == [3 / 9, 2 / 7, 3 / 4]


def test_void(capsys: Capsys, words: list[str | Path]) -> None:
    assert iou_of(segeval(capsys, *words, "--format", "json", "--void", "255", "2")) == [7 / 9, 5 / 7]
    ran = segeval(capsys, *words, "--format", "json", "--void", "none")
    assert [row["id"] for row in json.loads(ran.out)["per_class"]] == [0, 1, 2, 255]
    assert "void:none" in json.loads(ran.out)["signature"]
    ran = segeval(capsys, *words, "--format", "json", "--void", "255", "2")
    assert "void:2,255" in json.loads(ran.out)["signature"]


def test_exclude(capsys: Capsys, words: list[str | Path], tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("road\ncar\nsky\n")
    ran = segeval(capsys, *words, "--format", "json", "--classes", names, "--exclude", "sky", "0")
    assert values(ran)["mIoU"] == 5 / 7
    assert iou_of(ran) == [7 / 9, 5 / 7, 3 / 4]
    assert "exclude:0,2" in json.loads(ran.out)["signature"]
    again = segeval(capsys, *words, "--format", "json", "--classes", names, "--exclude", "road", "2")
    assert json.loads(again.out)["signature"] == json.loads(ran.out)["signature"]


def test_options_of_instances(capsys: Capsys, tmp_path: Path) -> None:
    square = {"bbox": [2, 2, 20, 10], "category_id": 1, "image_id": 1}
    truth = {
        "images": [{"id": 1, "height": 40, "width": 40}],
        "annotations": [square | {"id": 1, "area": 200, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "car"}],
    }
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    (tmp_path / "pred.json").write_text(json.dumps([square | {"score": 0.5}]))
    words = ["score", "--gt", tmp_path / "gt.json", "--pred", tmp_path / "pred.json", "--iou", "bbox"]
    changed = ["--area-ranges", "tiny:0:100", "rest:100:1e10", "--max-dets", "5", "1", "--iou-thresholds", "0.5", "0.9"]
    ran = segeval(capsys, *words, "--format", "json", *changed)
    known = dict.fromkeys(("AP", "AP50", "APrest", "AR1", "AR5", "ARrest"), 1)
    unknown = dict.fromkeys(("AP75", "APtiny", "ARtiny"))
    assert values(ran) == pytest.approx(known | unknown, abs=1e-15)
    assert "|thresholds:0.5,0.9|areas:tiny=0-100,rest=100-1e+10|max-dets:1,5|" in json.loads(ran.out)["signature"]
    for wrong in (["--area-ranges", "0:100"], ["--max-dets", "1.5"], ["--iou-thresholds", "half"]):
        ran = segeval(capsys, *words, *wrong)
        assert ran.code == 2
        assert f"argument {wrong[0]}: invalid" in ran.err


def test_a_run_among_its_data_is_refused(capsys: Capsys, words: list[str | Path], tmp_path: Path) -> None:
    for out in (tmp_path / "pred", tmp_path / "gt" / "run"):
        ran = segeval(capsys, *words, "--out", out)
        assert ran.code == 1
        assert "lies in the folder of --" in ran.err
    assert segeval(capsys, *words, "--out", tmp_path / "pred-run").code == 0


def test_absent_and_average(capsys: Capsys, words: list[str | Path]) -> None:
    assert values(segeval(capsys, *words, "--format", "json", "--classes", "4"))["mIoU"] == pytest.approx(
        (7 / 9 + 5 / 7 + 3 / 4) / 3, abs=1e-15
    )
    zero = segeval(capsys, *words, "--format", "json", "--classes", "4", "--absent", "zero")
    assert values(zero)["mIoU"] == pytest.approx((7 / 9 + 5 / 7 + 3 / 4) / 4, abs=1e-15)
    image = segeval(capsys, *words, "--format", "json", "--average", "image")
    assert values(image)["mIoU"] == pytest.approx(((3 / 5 + 2 / 4 + 3 / 4) / 3 + 1) / 2, abs=1e-15)
    assert "average:image" in json.loads(image.out)["signature"]


def test_map(capsys: Capsys, words: list[str | Path], tmp_path: Path) -> None:
    wanted = iou_of(segeval(capsys, *words, "--format", "json"))
    table = {0: 7, 1: 8, 2: 11}
    other = np.vectorize(lambda v: table.get(v, v))
    folder(tmp_path / "pred", a=other(GUESS), b=other(TRUTH[:2]))
    (tmp_path / "map.json").write_text(json.dumps({str(v): k for k, v in table.items()}))
    (tmp_path / "map.csv").write_text("id,train id\n" + "".join(f"{v},{k}\n" for k, v in table.items()))
    for name in ("map.json", "map.csv"):
        ran = segeval(capsys, *words, "--format", "json", "--map-pred", tmp_path / name)
        assert iou_of(ran) == wanted
        assert "map-pred:7>0,8>1,11>2" in json.loads(ran.out)["signature"]
        assert iou_of(segeval(capsys, *words, "--format", "json", "--map", tmp_path / name)) == wanted


def test_reduce_zero_label(capsys: Capsys, words: list[str | Path], tmp_path: Path) -> None:
    wanted = iou_of(segeval(capsys, *words, "--format", "json"))
    moved = np.where(TRUTH == 255, 0, TRUTH + 1)
    folder(tmp_path / "gt", a=moved, b=moved[:2])
    ran = segeval(capsys, *words, "--format", "json", "--reduce-zero-label")
    assert iou_of(ran) == wanted
    assert [row["id"] for row in json.loads(ran.out)["per_class"]] == [0, 1, 2]


def test_binary(capsys: Capsys, tmp_path: Path) -> None:
    truth, guess = (TRUTH == 1).astype(int), (GUESS == 1).astype(int)
    outs = set()
    for k, (a, b) in enumerate(((1, 1), (1, 255), (255, 1), (255, 255))):
        gt, pred = folder(tmp_path / f"gt{k}", m=truth * a), folder(tmp_path / f"pred{k}", m=guess * b)
        ran = segeval(capsys, "score", "--task", "semantic", "--gt", gt, "--pred", pred, "--binary", "--format", "json")
        data = json.loads(ran.out)
        assert [row["name"] for row in data["per_class"]] == ["background", "foreground"]
        outs.add(json.dumps([data["values"], data["per_class"]]))
    assert len(outs) == 1


def test_resize(capsys: Capsys, words: list[str | Path], tmp_path: Path) -> None:
    wanted = iou_of(segeval(capsys, *words, "--format", "json"))
    large = np.kron(GUESS, np.ones((3, 3), int))
    folder(tmp_path / "pred", a=large)
    assert segeval(capsys, *words).code == 1
    ran = segeval(capsys, *words, "--format", "json", "--resize", "nearest")
    assert iou_of(ran) == wanted
    assert "resize:nearest" in json.loads(ran.out)["signature"]


def test_a_saved_run_is_complete(capsys: Capsys, words: list[str | Path], tmp_path: Path) -> None:
    segeval(capsys, *words, "--out", tmp_path / "run", "--classes", "4")
    result = Result.load(tmp_path / "run")
    assert result.provenance["pred"] == str((tmp_path / "pred").resolve())
    assert result.provenance["command"].startswith("segeval score --task semantic --gt ")
    assert result.provenance["options"]["missing"] == "error"
    assert result.tally is not None
    assert result.tally.keys == ("a", "b")
    assert math.isnan(result.per_class[3]["IoU"])
    assert result.confusion is not None
    assert result.confusion.sum() == 18


def test_camvid_and_coco_in_every_form(capsys: Capsys) -> None:
    camvid, coco = dataset("camvid"), dataset("coco_panoptic")
    labels = camvid / "valannot"
    semantic = ("score", "--gt", labels, "--pred", labels, "--classes", camvid / "classes.json")
    panoptic = ("score", "--gt", coco / "panoptic" / "val", "--pred", coco / "panoptic" / "val")
    for form in FORMATS:
        ran = segeval(capsys, *semantic, "--format", form, "--quiet")
        assert ran.code == 0
        assert "100.0" in ran.out or "1.0" in ran.out
    for form in ("text", "json"):
        ran = segeval(capsys, *panoptic, "--format", form, "--quiet")
        assert ran.code == 0
        assert ("all     100.0  100.0  100.0      124" in ran.out) == (form == "text")
        assert ('"PQ_st": 1.0' in ran.out) == (form == "json")
