"""Images of COCO data go by their ids and by the names of their files, in tables about images and in reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from segeval.conversion import convert
from tests.cli.commands import segeval
from tests.cli.refusals import Capsys, refused
from tests.given.scenes import write_scenes

COUNT = 4
LIGHT = ("day", "night", "day", "night")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes with their truth, and results that find one class of two."""
    root = write_scenes(tmp_path_factory.mktemp("scenes"), COUNT, height=48, width=64)
    convert(root / "truth" / "instances.json", root / "results.json", to="coco-results", table={6: None})
    convert(root / "truth" / "panoptic.json", root / "panoptic.json", to="panoptic", table={6: None})
    return root


def sides(scenes: Path, task: str) -> list[str | Path]:
    pred, gt = ("results.json", "instances.json") if task == "instance" else ("panoptic.json", "panoptic.json")
    return ["--pred", scenes / pred, "--gt", scenes / "truth" / gt]


def table(path: Path, names: list[str], column: str = "light", values: Any = LIGHT) -> Path:
    path.write_text(f"image,{column}\n" + "".join(f"{n},{v}\n" for n, v in zip(names, values, strict=True)))
    return path


SPELLINGS = {
    "ids": [str(i) for i in range(COUNT)],
    "files": [f"scene_{i:04d}.png" for i in range(COUNT)],
    "stems": [f"scene_{i:04d}" for i in range(COUNT)],
    "photographs": [f"scene_{i:04d}.jpg" for i in range(COUNT)],
    "mixed": ["0", "scene_0001", "2", "scene_0003.png"],
}


@pytest.mark.parametrize("task", ["instance", "panoptic"])
def test_slices_and_groups_name_images_either_way(capsys: Capsys, tmp_path: Path, scenes: Path, task: str) -> None:
    found = {}
    for name, images in SPELLINGS.items():
        light = table(tmp_path / f"{name}.csv", images)
        video = table(tmp_path / f"{name}-video.csv", images, "video", "aabc")
        words = ["--slices", light, "--intervals", "--groups", video, "--resamples", "50", "--format", "json"]
        ran = segeval(capsys, "score", *sides(scenes, task), *words, "--quiet")
        assert ran.code == 0, ran.err
        data = json.loads(ran.out)
        found[name] = data["values"], data["intervals"], data["slices"]
    assert len(found["ids"][2]) == 2
    for name in SPELLINGS:
        assert found[name] == found["ids"], name


def test_saved_runs_know_the_names_too(capsys: Capsys, tmp_path: Path, scenes: Path) -> None:
    runs = [tmp_path / "a", tmp_path / "b"]
    for run in runs:
        assert segeval(capsys, "score", *sides(scenes, "instance"), "--out", run, "--quiet").code == 0
    seen = []
    for images in (SPELLINGS["ids"], SPELLINGS["files"]):
        light, video = table(tmp_path / "l.csv", images), table(tmp_path / "v.csv", images, "video", "aabb")
        more = ["--groups", video, "--resamples", "50", "--quiet", "--format", "json"]
        ran = segeval(capsys, "compare", *runs, "--slices", light, *more)
        assert ran.code == 0, ran.err
        board = segeval(capsys, "leaderboard", tmp_path, *more)
        assert board.code == 0, board.err
        seen.append((ran.out, board.out))
    assert seen[0] == seen[1]


def test_an_image_that_is_named_twice_or_unknown(capsys: Capsys, tmp_path: Path, scenes: Path) -> None:
    words = ["score", *sides(scenes, "instance"), "--quiet", "--slices"]
    twice = table(tmp_path / "twice.csv", ["0", "scene_0000", "2", "3"])
    refused(segeval(capsys, *words, twice), "the image 0 is named twice, as 'scene_0000' too; keep one line")
    strange = table(tmp_path / "strange.csv", ["0", "scene_0009", "2", "3"])
    refused(segeval(capsys, *words, strange), "the slices name the image 'scene_0009', which was not scored")


@pytest.mark.parametrize("task", ["instance", "panoptic"])
def test_reports_find_photographs_by_the_names_of_files(
    capsys: Capsys, tmp_path: Path, scenes: Path, task: str
) -> None:
    pytest.importorskip("jinja2", reason="needs the extra [report]")
    page = tmp_path / "r.html"
    words = ["--report", page, "--images", scenes / "images", "--quiet"]
    ran = segeval(capsys, "score", *sides(scenes, task), *words)
    assert ran.code == 0, ran.err
    text = page.read_text(encoding="utf-8")
    assert "photograph of scene_0001" in text
    assert "truth of scene_0001" in text
