"""Reports at the command: written whole, or refused before the work in one line."""

from __future__ import annotations

import sys

import pytest
from segeval_cli import main

from tests.given.demo_runs import demo_folder


def words(model="aldo"):
    folder = demo_folder()
    pred, gt = folder / model / "panoptic.json", folder / "truth" / "panoptic.json"
    return ["score", "--task", "panoptic", "--pred", str(pred), "--gt", str(gt), "--quiet"]


def test_score_and_compare_write_pages(tmp_path, capsys):
    images = ["--images", str(demo_folder() / "images")]
    for model in ("aldo", "berta"):
        page = tmp_path / f"{model}.html"
        run = ["--out", str(tmp_path / model), "--report", str(page), "--diagnose", *images]
        assert main([*words(model), *run]) == 0
        text = page.read_text("utf-8")
        assert "poor overlap" in text
        assert "segeval score --task panoptic" in text
        assert "data:image/" in text
    page = tmp_path / "both.html"
    runs = [str(tmp_path / model) for model in ("aldo", "berta")]
    assert main(["compare", *runs, "--out", str(page), "--resamples", "40", "--quiet", *images]) == 0
    assert "berta" in page.read_text("utf-8")
    assert capsys.readouterr().err == ""


def refused(capsys, more) -> str:
    assert main([*words(), *more]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_what_would_fail_after_the_work_is_refused_before_it(tmp_path, capsys, monkeypatch):
    page = str(tmp_path / "r.html")
    assert "no such folder" in refused(capsys, ["--report", page, "--images", str(tmp_path / "none")])
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert 'pip install "segeval[report]"' in refused(capsys, ["--report", page])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", ["semantic", "instance"])
def test_diagnosis_is_an_option_of_every_task(task, tmp_path, capsys):
    folder = demo_folder()
    form = {"semantic": "semantic", "instance": "instances.json"}[task]
    line = ["score", "--task", task, "--pred", str(folder / "aldo" / form), "--gt", str(folder / "truth" / form)]
    classes = ["--classes", str(folder / "truth" / "classes.json")] if task == "semantic" else []
    assert main([*line, *classes, "--quiet"]) == 0
    plain = capsys.readouterr().out
    assert main([*line, *classes, "--quiet", "--diagnose"]) == 0
    # The signature ends the printed score; diagnosis moves nothing of it.
    assert plain.splitlines()[-1] in capsys.readouterr().out
