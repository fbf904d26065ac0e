"""`segeval demo`: what it makes and prints, and what it leaves alone."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from segeval_cli import main

from segeval.results.result import Result

MODELS = ("aldo", "berta")
TASKS = ("semantic", "panoptic", "instance")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("a folder") / "démo"
    assert main(["demo", "--out", str(out), "--images", "4", "--quiet"]) == 0
    return out


def test_every_form_lies_where_it_is_said_to(made: Path) -> None:
    assert {p.name for p in made.iterdir()} == {"demo.json", "images", "truth", *MODELS, "runs"}
    forms = {"semantic", "panoptic", "panoptic.json", "instances.json"}
    assert {p.name for p in (made / "truth").iterdir()} == forms | {"instance_ids", "classes.json"}
    for model in MODELS:
        assert {p.name for p in (made / model).iterdir()} == forms
    for folder in ("images", "truth/semantic", "truth/panoptic", "truth/instance_ids", "aldo/semantic"):
        assert sorted(p.name for p in (made / folder).iterdir()) == [f"scene_000{k}.png" for k in range(4)]
    assert not list(made.parent.glob(".*"))


def test_tables_and_commands_are_on_stdout(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Making the demo again gives the same tables, and the commands that it suggests give the same figures."""
    assert main(["demo", "--out", str(made), "--images", "4"]) == 0
    printed = capsys.readouterr()
    blocks = printed.out.split("\n\n")
    for task, block in zip(TASKS, blocks, strict=False):
        header, *rows, signature = block.splitlines()
        assert header.split()[0] == task
        assert [row.split()[0] for row in rows] == list(MODELS)
        assert "images:4" in signature
        for model, row in zip(MODELS, rows, strict=True):
            run = Result.load(made / "runs" / f"{model}-{task}")
            figures = [f"{100 * run.values[n]:.1f}" for n in header.split()[1:] if run.values[n] == run.values[n]]
            assert [cell for cell in row.split()[1:] if cell != "–"] == figures
    assert "making 4 scenes" in printed.err
    suggested = [line.strip() for line in printed.out.splitlines() if line.startswith("  segeval ")]
    assert len(suggested) == 3
    for line in suggested:
        assert main([*shlex.split(line)[1:], "--format", "json", "--quiet"]) == 0
        shown = json.loads(capsys.readouterr().out)
        model = "aldo" if "aldo" in line else "berta"
        saved = json.loads((made / "runs" / f"{model}-{shown['task']}" / "result.json").read_text())
        assert shown["values"] == saved["values"]


def test_the_seed_decides(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert main(["demo", "--out", str(other), "--images", "1", "--seed", "9", "--quiet"]) == 0
    name = Path("images") / "scene_0000.png"
    assert (other / name).read_bytes() != (made / name).read_bytes()


def test_a_smaller_demo_replaces_a_larger_one_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    assert main(["demo", "--out", str(out), "--images", "2", "--quiet"]) == 0
    (out / "notes.txt").write_text("mine")
    assert main(["demo", "--out", str(out), "--images", "1", "--quiet"]) == 0
    assert [p.name for p in (out / "images").iterdir()] == ["scene_0000.png"]
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("held", ["thesis.tex", "demo.json"])
def test_a_folder_of_something_else_is_left_alone(
    held: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / held).write_text('{"kept": true}')
    assert main(["demo", "--out", str(tmp_path), "--images", "1"]) == 1
    message = capsys.readouterr().err
    assert "holds something else than a demo, which is left untouched; give --out another folder" in message
    assert [p.name for p in tmp_path.iterdir()] == [held]
    assert (tmp_path / held).read_text() == '{"kept": true}'


def test_a_file_in_the_way_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "taken"
    path.write_text("x")
    assert main(["demo", "--out", str(path), "--images", "1"]) == 1
    assert "taken: is a file, not a folder; give --out another folder" in capsys.readouterr().err
    assert main(["demo", "--out", str(path / "below"), "--images", "1"]) == 1
    assert "can't be" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--images", "0"], ["--images", "x"], ["--seed", "-1"]])
def test_impossible_numbers_are_usage_errors(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["demo", *words])
    assert stop.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_an_interrupted_demo_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from segeval.scenes import demo

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "predict", interrupt)
    assert main(["demo", "--out", str(tmp_path / "demo"), "--images", "2", "--quiet"]) == 130
    assert list(tmp_path.iterdir()) == []
