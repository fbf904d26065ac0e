"""`segeval convert`: what it prints, what it refuses, and that what it writes is scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.commands import segeval
from tests.given.scenes import write_scenes

Capsys = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes"), 3, height=48, width=64) / "truth"


def values(capsys: Capsys, *words: str | Path) -> dict[str, Any]:
    ran = segeval(capsys, "score", "--quiet", "--format", "json", *words)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)["values"]
    return found


def test_it_says_what_it_did(capsys: Capsys, tmp_path: Path, scenes: Path) -> None:
    out = tmp_path / "labels"
    ran = segeval(capsys, "convert", scenes / "panoptic.json", "--to", "semantic", "--out", out)
    assert ran.code == 0
    assert ran.out == f"{out}\n"
    assert ran.err.splitlines()[-1] == "segeval: 3 images from coco-panoptic to labels"
    ran = segeval(capsys, "convert", scenes / "panoptic.json", "--to", "instance", "--out", tmp_path, "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, f"{tmp_path / 'instances.json'}\n", "")


def test_every_form_of_a_scene_scores_full_marks(capsys: Capsys, tmp_path: Path, scenes: Path) -> None:
    """The truth in one form, converted to each other form, is that form's truth."""
    classes, panoptic = scenes / "classes.json", scenes / "panoptic.json"
    ways: dict[str, tuple[Path, list[str | Path], list[str | Path]]] = {
        "semantic": (panoptic, [], ["--task", "semantic", "--gt", scenes / "semantic", "--classes", classes]),
        "coco-results": (panoptic, [], ["--gt", scenes / "instances.json"]),
        "panoptic-coded": (
            panoptic,
            ["--to-void", "200"],
            ["--gt", panoptic, "--pred-format", "panoptic-coded", "--void", "0"],
        ),
    }
    for to, (src, more, scoring) in ways.items():
        ran = segeval(capsys, "convert", src, "--to", to, "--out", tmp_path / to, *more)
        assert ran.code == 0, ran.err
        if to == "panoptic-coded":
            back = ["--from", to, "--from-void", "200", "--classes", classes, "--gt", panoptic]
            ran = segeval(capsys, "convert", ran.out.strip(), "--to", "panoptic", "--out", tmp_path / "back", *back)
            assert ran.code == 0, ran.err
            scoring = ["--gt", panoptic]
        found = values(capsys, "--pred", ran.out.strip(), *scoring)
        assert {found.get("mIoU", 1), found.get("PQ", 1), found.get("AP", 1)} == {1}


def test_two_parts_of_a_prediction(capsys: Capsys, tmp_path: Path, scenes: Path) -> None:
    said = ["--classes", scenes / "classes.json", "--semantic", scenes / "semantic", "--overlap", "score"]
    src = scenes / "instances.json"
    ran = segeval(capsys, "convert", src, "--to", "panoptic", "--out", tmp_path / "x.json", *said)
    assert ran.code == 0, ran.err
    assert values(capsys, "--pred", ran.out.strip(), "--gt", scenes / "panoptic.json")["PQ"] == 1
    ran = segeval(
        capsys, "convert", src, "--to", "panoptic", "--out", tmp_path / "y.json", *said, "--stuff-area", "99999"
    )
    assert values(capsys, "--pred", ran.out.strip(), "--gt", scenes / "panoptic.json")["PQ_st"] == 0


def test_an_archive_is_read_as_a_folder(capsys: Capsys, tmp_path: Path, scenes: Path) -> None:
    import shutil

    shutil.make_archive(str(tmp_path / "labels"), "zip", scenes / "semantic")
    table = tmp_path / "table.json"
    table.write_text(json.dumps({str(i): i % 3 for i in range(10)}))
    words = ["--to", "labels", "--map", table]
    for name, src in (("a", tmp_path / "labels.zip"), ("b", scenes / "semantic")):
        ran = segeval(capsys, "convert", src, *words, "--out", tmp_path / name)
        assert ran.code == 0, ran.err
    names = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert len(names) == 3
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


USAGE = {
    "no form": (["x", "--out", "y"], "the following arguments are required: --to"),
    "unknown form": (["x", "--out", "y", "--to", "pixels"], "invalid choice: 'pixels'"),
    "stuff": (["--to", "semantic", "--stuff"], "--stuff has no meaning with --to semantic"),
    "semantic": (["--to", "instance", "--semantic", "z"], "--semantic has no meaning with --to instance"),
    "stuff area": (["--to", "panoptic", "--stuff-area", "3"], "--stuff-area needs --semantic"),
    "overlap": (["--to", "coco-results", "--overlap", "first"], "--overlap has no meaning with --to coco-results"),
    "void": (["--to", "instance", "--to-void", "0"], "--to-void has no meaning with --to instance"),
    "classes": (["--to", "semantic", "--to-classes", "3"], "--to-classes needs --map"),
    "share": (["--to", "semantic", "--most-covered", "2"], "--most-covered 2.0 is not from 0 to 1"),
    "score": (["--to", "semantic", "--min-score", "nan"], "--min-score nan is no number"),
    "area": (["--to", "panoptic", "--semantic", "z", "--stuff-area", "-1"], "--stuff-area -1 is below 0"),
    "workers": (["--to", "semantic", "--workers", "0"], "argument --workers: 0 is below 1"),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage_errors(capsys: Capsys, name: str) -> None:
    words, message = USAGE[name]
    words = words if words[0] == "x" else ["x", "--out", "y", *words]
    ran = segeval(capsys, "convert", *words)
    assert ran.code == 2
    assert message in ran.err
    assert ran.out == ""


def test_errors_are_one_line(capsys: Capsys, tmp_path: Path) -> None:
    for src, to, message in (
        (tmp_path / "nowhere", "semantic", "nowhere: no such file or folder"),
        ("", "semantic", "the path of src is empty; give a folder or a file"),
        (
            tmp_path,
            "semantic",
            "no .png, .npy, .npz, .tif, .tiff, .bmp, .gif, .webp, .jpg, .jpeg in this folder, it is empty",
        ),
    ):
        ran = segeval(capsys, "convert", src, "--to", to, "--out", tmp_path / "out")
        assert (ran.code, ran.out) == (1, "")
        (line,) = ran.err.splitlines()[-1:]
        assert message in line
    np.save(tmp_path / "x.npy", np.zeros((2, 2), np.int64))
    ran = segeval(capsys, "convert", tmp_path / "x.npy", "--to", "semantic", "--out", tmp_path / "out")
    assert ran.code == 1
    assert "say which by --from labels, --from instance-ids or --from panoptic-coded" in ran.err
