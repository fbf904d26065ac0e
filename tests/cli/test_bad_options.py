"""Files and values of options that can not be meant."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import segeval
from tests.cli.refusals import (
    GOOD,
    LABELS,
    Capsys,
    folders,
    misused,
    refused,
)
from tests.given.problems import png_bytes


def test_unsaid_binary_masks(capsys: Capsys, tmp_path: Path) -> None:
    mask = png_bytes((LABELS > 0).astype(np.uint8) * 255)
    words = folders(tmp_path, {"a.png": mask}, {"a.png": mask})
    refused(segeval(capsys, *words), "exactly the values 0 and 255", "--binary", "--void 255")
    for more in (["--binary"], ["--void", "255"]):
        assert segeval(capsys, *words, *more).code == 0


def test_all_void_image_and_void_prediction_are_said(capsys: Capsys, tmp_path: Path) -> None:
    void = png_bytes(LABELS * 0 + 255)
    words = folders(tmp_path, {"a.png": GOOD, "b.png": void}, {"a.png": void, "b.png": GOOD})
    ran = segeval(capsys, *[w for w in words if w != "--quiet"], "--format", "json")
    assert ran.code == 0
    data = json.loads(ran.out)
    told = {w["code"]: w["message"] for w in data["warnings"]}
    assert told["all-void"] == "1 images have no truth but void, the first is b"
    assert told["prediction-void"].startswith("210 of 210 scored pixels are predicted as void")
    assert all(message in ran.err for message in told.values())
    assert data["values"]["mIoU"] == 0
    words = folders(tmp_path / "all", {"a.png": void}, {"a.png": GOOD}) if (tmp_path / "all").mkdir() is None else []
    data = json.loads(segeval(capsys, *words, "--format", "json").out)
    assert data["values"]["mIoU"] is None


def test_classes_files(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": GOOD})
    cases = {
        "none.txt": (None, "no such file; give --classes a number or a file of names"),
        "empty.txt": (b"\n\n", "holds no name; write one class name a line"),
        "README.md": (b"# Title\n\nroad\n", "line 1 is no class name (markup or code): '# Title'; give a text"),
        "list.md": (b"road\n- sky\n", "line 2 is no class name (markup or code): '- sky'"),
        "prose.txt": (b"road\n\nIt is a road.\n", "line 3 is no class name (the end of a sentence or of a line of"),
        "long.txt": (b"road\n" + b"x" * 121, "line 2 is no class name (121 characters): 'xxx"),
        "tabs.tsv": (b"0\troad\n", "line 1 is no class name (control characters): '0\\troad'"),
        "bytes.txt": (b"road\n\x00\x01\n", "line 2 is no class name (control characters)"),
        "twice.txt": (b"road\nsky\n\nroad\n", "lines 1 and 4 give the same name, 'road'; give each class its own"),
        "code.py": (b"x = 1\n", "line 1 is no class name (markup or code): 'x = 1'"),
        "latin.txt": ("stra\xdfe".encode("latin-1"), "is not UTF-8 text"),
        "bad.json": (b'{"names": [1,\n  ]}', "malformed JSON at line 2, column 3"),
        "empty.json": (b"[]", "holds no list of classes"),
        "twice.json": (b'[{"id": 1}, {"id": 1}]', "class id 1 is given twice; give each class its own id"),
        "noid.json": (b'[{"name": "a"}]', "category 0 has no id"),
        "negative.json": (b'[{"id": -1}]', "class id -1 is negative; number classes from 0"),
        "huge.json": (b'[{"id": 1' + b"0" * 30 + b"}]", "is too large"),
        "half.json": (b'[{"id": 1.5}]', "the id of category 0 is 1.5, not a whole number"),
        "some.json": (b'[{"id": 0, "isthing": 1}, {"id": 1}]', "only some categories have 'isthing'"),
        "deep.json": (b"[" * 100000, "JSON"),
    }
    for name, (data, message) in cases.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        refused(segeval(capsys, *words, "--classes", tmp_path / name), name, message)
    misused(segeval(capsys, *words, "--classes", "0"), "argument --classes: 0 is no number of classes; give 1 to")
    misused(segeval(capsys, *words, "--classes", "99999999"), "99999999 is no number of classes")
    refused(segeval(capsys, *words, "--classes", tmp_path), "can't be read")


def test_map_files(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": GOOD})
    cases = {
        "none.csv": (None, "can't be read"),
        "empty.csv": (b"", "holds no pair of values; give from and to as whole numbers"),
        "words.csv": (b"from,to\n1,2\nx,3\n", "('x', '3') is no pair of values"),
        "three.csv": (b"1,2,3\n4,5,6\n", "is no pair; give each entry a from and a to"),
        "twice.csv": (b"1,2\n1,3\n", "maps 1 twice; give each value one target"),
        "large.json": (b'{"1": 9223372036854775808}', "holds the value 9223372036854775808; give classes below 2^32"),
        "two spellings.csv": (b"1,2\n01,3\n", "maps a value twice; give each value one target"),
        "twice.json": (b'{"7": 0, "8": 1, "7": 2}', "maps 7 twice; give each value one target"),
        "half.json": (b'{"7": 0.5}', "is no pair of values; give from and to as whole numbers"),
        "yes.json": (b'{"7": true}', "is no pair of values"),
        "bad.json": (b"{1: 2}", "malformed JSON at line 1, column 2"),
        "list.json": (b"3", "holds no table"),
    }
    for name, (data, message) in cases.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        refused(segeval(capsys, *words, "--map", tmp_path / name), name, message)


def test_names_of_classes_that_are_unusual_but_names(tmp_path: Path) -> None:
    from segeval.readers.classes import read_classes

    names = ["traffic light", "wall-other-merged", "door; double door", "N/A", "Straße", "R2-D2 (toy)", "90", "a" * 120]
    (tmp_path / "names.txt").write_text("\n".join(names), encoding="utf-8")
    taxonomy, void = read_classes(str(tmp_path / "names.txt"))
    assert (list(taxonomy.names), void) == (names, None)


# ---- misuse --------------------------------------------------------------------------------------------------

SEMANTIC, INSTANCE = ["--task", "semantic"], ["--task", "instance"]

MISUSED: dict[str, tuple[list[str], str]] = {
    "workers": ([*SEMANTIC, "--workers", "0"], "argument --workers: 0 is below 1"),
    "workers word": ([*SEMANTIC, "--workers", "two"], "argument --workers: invalid number value: 'two'"),
    "level": ([*SEMANTIC, "--intervals", "--level", "95"], "95.0 is no confidence level; give a number such as 0.95"),
    "resamples": ([*SEMANTIC, "--intervals", "--resamples", "0"], "0 resamples can't be drawn"),
    "few resamples": ([*SEMANTIC, "--intervals", "--resamples", "5"], "5 resamples say nothing about the outer 2.5%"),
    "seed": ([*SEMANTIC, "--intervals", "--seed", "-1"], "-1 is no seed"),
    "shard": ([*SEMANTIC, "--shard", "3/2", "--out", "o"], "argument --shard: '3/2' is no shard; give i/n"),
    "engine": ([*SEMANTIC, "--engine", "spark"], "argument --engine: 'spark' is no engine; give dask or dask://"),
    "cluster": ([*SEMANTIC, "--engine", "dask://h:1", "--workers", "2"], "a running cluster has its own workers"),
    "format": ([*SEMANTIC, "--gt-format", "coco-panoptic"], "'coco-panoptic' is no format of the semantic task; give"),
    "band": ([*SEMANTIC, "--diagnose", "--band", "0"], "a band of 0 pixels is none; give --band 1 or more"),
    "thresholds": ([*INSTANCE, "--iou-thresholds", "0.7", "0.5"], "IoU thresholds (0.7, 0.5); give ascending numbers"),
    "detections": ([*INSTANCE, "--max-dets", "0"], "max_dets (0,); give counts from 1"),
    "more detections than ranks": ([*INSTANCE, "--max-dets", "3000000000"], "give counts from 1 to 2147483647"),
    "ranges": ([*INSTANCE, "--area-ranges", "s:9:2"], "area range s:9:2; give distinct names"),
    "other task": ([*INSTANCE, "--void", "3"], "--void is no option of the instance task"),
    "collapse": ([*SEMANTIC, "--average", "image", "--collapse"], "--average image needs the rows of each image"),
    "report": ([*SEMANTIC, "--report", "x.pdf"], "x.pdf: a report is a page; end its name in .html"),
    # Options that would do nothing.
    "band alone": ([*SEMANTIC, "--band", "3"], "--band has no effect without --diagnose"),
    "groups alone": ([*SEMANTIC, "--groups", "g.csv"], "--groups has no effect without --intervals or --fail-if-worse"),
    "level alone": ([*SEMANTIC, "--level", "0.9"], "--level has no effect without --intervals or --fail-if-worse"),
    "images alone": ([*SEMANTIC, "--images", "."], "--images has no effect without a report: give its file as well"),
}


@pytest.mark.parametrize("name", MISUSED)
def test_misuse_exits_2_before_anything_is_read(capsys: Capsys, tmp_path: Path, name: str) -> None:
    words, message = MISUSED[name]
    place = ["score", "--gt", tmp_path / "never read", "--pred", tmp_path / "never read"]
    misused(segeval(capsys, *place, *words), message)


def test_misuse_of_saved_runs(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": GOOD})
    runs = [tmp_path / "one", tmp_path / "two"]
    for run in runs:
        assert segeval(capsys, *words, "--out", run).code == 0
    known = "give one of mIoU, fwIoU, aAcc, mAcc, mDice"
    for command, more, message in (
        ("compare", ["--metric", "PQ"], f"--metric: there is no 'PQ' in these runs; {known}"),
        ("compare", ["--level", "2"], "2.0 is no confidence level"),
        ("compare", ["--out", "x.pdf"], "argument --out: x.pdf: .pdf is no known form; end it in .html or .md"),
        ("compare", ["--workers", "-3"], "argument --workers: -3 is below 1"),
        ("leaderboard", ["--sort", "PQ"], f"--sort: there is no 'PQ' in these runs; {known}"),
        ("leaderboard", ["--columns", "mIoU", "AP"], "--columns: there is no 'AP' in these runs"),
        ("leaderboard", ["--seed", "-1"], "-1 is no seed"),
        ("merge", ["--groups", "g.csv"], "--groups has no effect without --intervals"),
        ("merge", ["--intervals", "--resamples", "0"], "0 resamples can't be drawn"),
    ):
        misused(segeval(capsys, command, *runs, *more), message)
    ran = segeval(capsys, *words, "--fail-under", "PQ=0.5")
    assert ran.code == 2
    assert "--fail-under names no value: PQ; give one of mIoU" in ran.err
    assert "mIoU" in ran.out  # what was scored is not lost
