"""Steps are done once, and again exactly where their inputs or their results have changed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from segeval_baselines.suite import runs
from segeval_baselines.suite.ledger import Ledger, Step, StepRecord
from segeval_baselines.suite.members import failure_of, run_member, runs_of
from segeval_baselines.suite.plan import plan_of
from segeval_baselines.suite.reading import read_suite

from segeval.errors import SegevalError
from tests.baselines.suite.toy_suite import TEXT, read, run_all, table, write_suite

REFERENCES = ("constant", "mode", "colour", "colour-position")


@pytest.fixture
def done(tmp_path: Path) -> tuple[Path, Path]:
    """A suite that has run, and its folder."""
    path, root = write_suite(tmp_path), tmp_path / "out"
    run_all(read(path), root)
    return path, root


def test_everything_is_done_once(tmp_path: Path) -> None:
    path, root = write_suite(tmp_path), tmp_path / "out"
    suite = read(path)
    assert all(p.due and set(p.steps.values()) == {"to do"} for p in plan_of(suite, root))
    assert not root.exists()  # planning makes nothing
    said = run_all(suite, root)
    networks = [
        f"{m} seed {s}: {step}" for m in ("unet", "pspnet") for s in (0, 1) for step in ("train", "predict", "score")
    ]
    assert said == networks + [f"{r} seed 0: {step}" for r in REFERENCES for step in ("predict", "score")]
    first = table(root)
    assert [row[3] for row in first[1:]].count("unet") == 2
    assert not any(p.due for p in plan_of(suite, root))
    assert run_all(suite, root) == []
    assert table(root) == first
    for name in ("md", "tex", "html"):
        assert "unet" in (root / f"leaderboard.{name}").read_text()


def test_another_folder_gives_the_same_table(done: tuple[Path, Path], tmp_path: Path) -> None:
    path, root = done
    run_all(read(path), tmp_path / "again")
    assert table(tmp_path / "again") == table(root)


def test_only_the_member_whose_checkpoint_is_gone_runs_again(done: tuple[Path, Path]) -> None:
    path, root = done
    before = table(root)
    (root / "members" / "pspnet" / "seed1" / "training" / "best.pt").unlink()
    plans = [p for p in plan_of(read(path), root) if p.due]
    assert [(p.member.name, p.seed, p.measured) for p in plans] == [("pspnet", 1, True)]
    # The same seed gives the same weights, so that what they predict stands.
    assert run_all(read(path), root) == ["pspnet seed 1: train"]
    assert table(root) == before


def test_only_the_member_whose_recipe_changed_runs_again(done: tuple[Path, Path]) -> None:
    path, root = done
    before = table(root)
    write_suite(path.parent, TEXT.replace("rate = 0.002", "rate = 0.004"))
    steps = [f"pspnet seed {s}: {step}" for s in (0, 1) for step in ("train", "predict", "score")]
    assert run_all(read(path), root) == steps
    changed = [a[3] for a, b in zip(sorted(before), sorted(table(root)), strict=True) if a[:3] == b[:3] and a != b]
    assert set(changed) <= {"pspnet"}


def test_predictions_and_scores_that_are_gone_are_made_again(done: tuple[Path, Path]) -> None:
    path, root = done
    before = table(root)
    (root / "members" / "unet" / "seed0" / "predictions" / "test1.png").unlink()
    (root / "members" / "mode" / "seed0" / "score" / "result.json").unlink()
    assert run_all(read(path), root) == ["unet seed 0: predict", "mode seed 0: score"]
    assert table(root) == before


def test_other_data_run_everything_again(done: tuple[Path, Path]) -> None:
    path, root = done
    image = path.parent / "data" / "labels" / "test0.png"
    os.utime(image, ns=(1, 1))  # the truth of a scored image: nothing is trained anew
    said = run_all(read(path), root)
    assert not [text for text in said if "train" in text]
    assert len([text for text in said if text.endswith("score")]) == 8
    os.utime(path.parent / "data" / "images" / "train0.png", ns=(1, 1))
    assert len([text for text in run_all(read(path), root) if text.endswith("train")]) == 4


def test_moving_the_data_changes_nothing(done: tuple[Path, Path]) -> None:
    path, root = done
    (path.parent / "data").rename(path.parent / "elsewhere")
    suite = read_suite(path, [f"TOY={path.parent / 'elsewhere'}"])
    assert not any(p.due for p in plan_of(suite, root))


def test_another_version_does_all_again(done: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path, root = done
    monkeypatch.setattr("segeval_baselines.suite.ledger.__version__", "9.9.9")
    assert all(p.due for p in plan_of(read(path), root))
    assert not any(p.due for p in plan_of(replace(read(path), any_version=True), root))


def test_hashes_never_change() -> None:
    # What was trained for hours is made anew where these do.
    step = Step(
        "train", {"model": "unet", "rate": 0.003, "options": {"width": 4}, "crop": (1, 2)}, bool, lambda _: ("", {})
    )
    assert step.digest == "38184d4abcfd52216b536446"


def test_a_recipe_enters_by_what_differs_from_the_defaults(tmp_path: Path) -> None:
    suite = read(write_suite(tmp_path))
    inputs = runs_of(suite, suite.member("pspnet"), tmp_path)[0]._training_inputs()
    # So that a field which a later version adds changes no hash.
    assert inputs["recipe"] == {"batch": 2, "rate": 0.002, "image_scale": 0.5}
    assert set(inputs) == {
        *("model", "preset", "options", "recipe", "iterations", "seed", "validations"),
        *("data", "validation data"),
    }


def test_a_damaged_record_is_no_record(done: tuple[Path, Path]) -> None:
    path, root = done
    (root / "members" / "unet" / "seed0" / "steps.json").write_text('{"format": 1, "st')
    assert [p.member.name for p in plan_of(read(path), root) if p.due] == ["unet"]


def test_interrupted_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, root = write_suite(tmp_path), tmp_path / "out"
    suite = read(path)
    real, resumed = runs.run_job, []

    def stops(job, out, *, resume=False, **more):  # type: ignore[no-untyped-def]
        resumed.append(resume)
        made = real(job, out, resume=resume, **more)
        if len(resumed) == 1:
            raise KeyboardInterrupt
        return made

    monkeypatch.setattr(runs, "run_job", stops)
    with pytest.raises(KeyboardInterrupt):
        run_member(suite, suite.member("unet"), root, device="cpu", say=lambda _: None)
    assert plan_of(suite, root)[0].steps["train"] == "goes on"
    run_all(suite, root)
    assert resumed[:2] == [False, True]
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run_all(suite, tmp_path / "whole")
    assert table(root) == table(tmp_path / "whole")


def test_a_member_that_fails_is_a_row_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, root = write_suite(tmp_path), tmp_path / "out"
    suite = read(path)
    real = runs.run_job

    def fails(job, out, **more):  # type: ignore[no-untyped-def]
        if job.model == "unet" and job.seed == 1:
            raise SegevalError("the loss is nan at step 3")
        return real(job, out, **more)

    monkeypatch.setattr(runs, "run_job", fails)
    with pytest.raises(SegevalError, match="the loss is nan"):
        run_member(suite, suite.member("unet"), root, device="cpu", say=lambda _: None)
    assert failure_of(root / "members" / "unet") == "seed 1: the loss is nan at step 3"
    suite_of_others = [m for m in suite.members if m.name != "unet"]
    for member in suite_of_others:
        run_member(suite, member, root, device="cpu", say=lambda _: None)
    from segeval_baselines.suite.board import text, write_board

    found = write_board(suite, root)
    assert "unet failed: seed 1: the loss is nan at step 3" in text(suite, found)
    assert [row.member.name for row in found[0].rows][-1] == "unet"
    monkeypatch.setattr(runs, "run_job", real)
    assert next(t for t in run_all(suite, root) if t.startswith("unet")) == "unet seed 1: train goes on"
    assert failure_of(root / "members" / "unet") is None


def test_a_record_names_what_it_cost(done: tuple[Path, Path]) -> None:
    path, root = done
    suite = read(path)
    run = runs_of(suite, suite.member("unet"), root)[0]
    record = Ledger(run.folder).read()["train"]
    assert isinstance(record, StepRecord)
    assert record.costs["iterations"] == 4
    assert record.costs["cpu_seconds"] >= record.costs["seconds"] > 0
    assert record.costs["device"]
    assert record.costs["threads"] == 1
