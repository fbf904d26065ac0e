"""The command: its plan, its exit codes, and what it refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from segeval_baselines.suite import members

from tests.baselines.suite.toy_suite import TEXT, read, run_all, write_suite
from tests.cli.commands import segeval


def test_the_plan_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_suite(tmp_path, TEXT.replace("iterations = 4", "iterations = 4\nseconds = 600"))
    words = ("suite", path, "--out", tmp_path / "out", "--data", f"TOY={tmp_path / 'data'}", "--dry-run")
    ran = segeval(capsys, *words)
    assert ran.code == 0
    assert "11.0 min estimated" in ran.out
    assert "train to do, predict to do, score to do" in ran.out
    assert "about 48 CPU minutes" in ran.out
    assert not (tmp_path / "out").exists()


def test_one_member_runs_in_this_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = write_suite(tmp_path), tmp_path / "out"
    words = ("suite", path, "--out", out, "--data", f"TOY={tmp_path / 'data'}", "--device", "cpu")
    ran = segeval(capsys, *words, "--member", "mode")
    assert ran.code == 0
    assert "mode, seed 0: score" in ran.err
    assert [p.name for p in (out / "members").iterdir()] == ["mode"]
    assert not (out / "leaderboard.md").exists()
    again = segeval(capsys, *words, "--member", "mode")
    assert "mode, seed 0: score is up to date" in again.err
    assert segeval(capsys, *words, "--member", "mode", "--quiet").err == ""


def test_the_table_is_written_where_nothing_is_due(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = write_suite(tmp_path), tmp_path / "out"
    run_all(read(path), out)
    (out / "leaderboard.csv").unlink()
    words = (path, "--out", out, "--data", f"TOY={tmp_path / 'data'}")
    ran = segeval(capsys, "suite", *words, "--device", "cpu")
    assert ran.code == 0
    assert "0 of 6 members are due" in ran.err
    assert "what they cost" in ran.out
    rows = list(csv.DictReader((out / "leaderboard.csv").open()))
    assert {row["system"] for row in rows} == {"unet", "pspnet", "constant", "mode", "colour", "colour-position"}


def test_leaderboard_trains_a_suite_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = write_suite(tmp_path), tmp_path / "out"
    run_all(read(path), out)
    monkeypatch.setenv("TOY", str(tmp_path / "data"))
    ran = segeval(capsys, "leaderboard", "--train", path, out, "--quiet")
    assert ran.code == 0
    assert ran.err == ""
    assert "± seeds" in ran.out
    assert segeval(capsys, "leaderboard", "--train", path, out, out).code == 2


def test_what_can_not_be_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_suite(tmp_path)
    data = ("--data", f"TOY={tmp_path / 'data'}")
    for words, message in (
        (("suite", "quik", "--out", tmp_path / "o"), "there is no suite 'quik'; did you mean quick?"),
        (("suite", path, "--out", path, *data), "is a file, not a folder; give --out a folder"),
        (("suite", path, "--out", tmp_path / "o", *data, "--member", "unett"), "did you mean unet?"),
        (("suite", path, "--out", tmp_path / "o", "--data", "TOY=/nowhere"), "/nowhere"),
    ):
        ran = segeval(capsys, *words)
        assert ran.code == 1
        assert message in ran.err
        assert ran.err.count("\n") == 1
    assert segeval(capsys, "suite", path, "--out", tmp_path / "o", *data, "--jobs", "0").code == 2


def test_gpus_are_dealt_one_to_a_member(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert members._gpus("auto") == ["0", "1", "2"]
    assert members._gpus("cpu") == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert members._gpus("cuda") == ["4", "7"]
