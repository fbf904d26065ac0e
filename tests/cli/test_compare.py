"""`segeval compare`, `leaderboard`, and what `score` says of intervals, slices and gates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segeval.results.result import Result
from tests.cli.commands import segeval
from tests.cli.refusals import misused
from tests.given.resampled_runs import TASKS, run_of

IMAGES = 12


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """Truth and three predictions of different quality; frames of four videos."""
    root = tmp_path_factory.mktemp("compare")
    rng = np.random.default_rng(0)
    for name in ("gt", "good", "fair", "poor"):
        (root / name).mkdir()
    for i in range(IMAGES):
        truth = np.kron(rng.integers(0, 3, (6, 8)), np.ones((8, 8))).astype(np.uint8)
        Image.fromarray(truth).save(root / "gt" / f"v{i // 3}_{i}.png")
        for name, share in (("good", 0.05), ("fair", 0.2), ("poor", 0.5)):
            wrong = rng.random(truth.shape) < share
            prediction = np.where(wrong, rng.integers(0, 3, truth.shape), truth).astype(np.uint8)
            Image.fromarray(prediction).save(root / name / f"v{i // 3}_{i}.png")
    names = [f"v{i // 3}_{i}" for i in range(IMAGES)]
    (root / "groups.csv").write_text("image,video\n" + "".join(f"{n}.png,{n[:2]}\n" for n in names))
    (root / "slices.json").write_text(
        json.dumps({n: {"light": "day" if i % 2 else "night"} for i, n in enumerate(names)})
    )
    return root


def score(capsys, folders: Path, name: str, *more: str | Path):
    words = ("--task", "semantic", "--pred", folders / name, "--gt", folders / "gt", "--classes", "3")
    return segeval(capsys, "score", *words, "--quiet", *more)


@pytest.fixture(scope="module")
def runs(folders, tmp_path_factory) -> Path:
    from segeval.scoring.evaluation import score as score_folders

    out = tmp_path_factory.mktemp("runs")
    for name in ("poor", "fair", "good"):
        score_folders(folders / name, folders / "gt", task="semantic", classes=3).save(out / name)
    return out


def one_line(ran, code: int, *parts: str) -> None:
    assert ran.code == code, ran
    assert ran.err.count("\n") == 1, ran.err
    assert "Traceback" not in ran.err
    for part in parts:
        assert part in ran.err


def test_compare_prints_the_table(capsys, runs):
    ran = segeval(capsys, "compare", runs / "poor", runs / "fair", runs / "good", "--quiet")
    lines = ran.out.splitlines()
    assert ran.code == 0
    assert lines[0].split() == ["system", "mIoU", "Δ", "95%", "interval", "p"]
    assert [line.split()[:2] for line in lines[1:4]] == [["a", "poor"], ["b", "fair"], ["c", "good"]]
    assert lines[1].rstrip().endswith("–")
    assert "ᵃᵇ" in lines[3]
    assert "paired randomization test" in ran.out
    assert f"paired bootstrap over {IMAGES} images" in ran.out


def test_compare_json_is_one_object(capsys, runs):
    ran = segeval(
        capsys, "compare", runs / "poor", runs / "good", "--format", "json", "--resamples", "50", "--seed", "3"
    )
    data = json.loads(ran.out)
    assert data["systems"][1]["better_than"] == ["a"]
    assert data["interval_signature"] == "interval|method:scaled|level:0.95|resamples:50|seed:3|images:12"
    again = segeval(
        capsys,
        "compare",
        runs / "poor",
        runs / "good",
        "--format",
        "json",
        "--resamples",
        "50",
        "--seed",
        "3",
        "--workers",
        "3",
    )
    assert again.out == ran.out


@pytest.mark.parametrize("ending", ["md", "csv", "tex", "json", "txt"])
def test_compare_writes_the_form_that_the_name_asks_for(capsys, runs, tmp_path, ending):
    ran = segeval(capsys, "compare", runs / "poor", runs / "good", "--out", tmp_path / f"c.{ending}", "--quiet")
    assert ran.code == 0
    starts = {"md": "|", "csv": "metric,", "tex": r"\begin", "json": "{", "txt": "   system"}
    assert (tmp_path / f"c.{ending}").read_text(encoding="utf-8").startswith(starts[ending])


def test_compare_writes_a_report(capsys, runs, folders, tmp_path):
    pytest.importorskip("jinja2", reason="needs the extra [report]")
    words = ("--out", tmp_path / "c.html", "--slices", folders / "slices.json", "--resamples", "60", "--quiet")
    ran = segeval(capsys, "compare", runs / "poor", runs / "good", *words)
    assert ran.code == 0, ran.err
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert "poor" in page
    assert "night" in page
    ran = segeval(capsys, "compare", runs / "poor", runs / "good", "--images", folders / "gt", "--quiet")
    misused(ran, "--images has no effect without a report")


def test_compare_by_slices(capsys, runs, folders):
    words = (
        "compare",
        runs / "poor",
        runs / "good",
        "--slices",
        folders / "slices.json",
        "--resamples",
        "60",
        "--quiet",
    )
    text = segeval(capsys, *words).out
    table = text[text.index("mIoU by light") :].splitlines()
    assert table[1].split() == ["light", "images", "poor", "good", "Δ", "good"]
    assert [line.split()[:2] for line in table[2:4]] == [["day", "6"], ["night", "6"]]
    assert table[2].split()[-1].startswith("+")
    data = json.loads(segeval(capsys, *words, "--format", "json").out)
    assert set(data["slices"]) == {"poor", "good"}
    assert [s["value"] for s in data["slices"]["good"]["slices"]] == ["day", "night"]


def test_compare_refuses_in_one_line(capsys, runs, folders, tmp_path):
    one_line(segeval(capsys, "compare", runs / "poor", tmp_path / "none"), 1, "no saved run")
    one_line(segeval(capsys, "compare", runs / "poor", runs / "poor"), 1, "is given twice")
    run_of("panoptic", 1, 4).save(tmp_path / "other")
    one_line(segeval(capsys, "compare", runs / "poor", tmp_path / "other"), 1, "task")
    assert score(capsys, folders, "poor", "--absent", "zero", "--out", tmp_path / "zero").code == 0
    one_line(segeval(capsys, "compare", runs / "poor", tmp_path / "zero"), 1, "differ in absent", "--allow absent")
    ran = segeval(capsys, "compare", runs / "poor", tmp_path / "zero", "--allow", "absent", "--quiet")
    assert ran.code == 0
    assert "NOT ALIKE in absent" in ran.out
    damaged = tmp_path / "damaged"
    run_of("semantic", 1, 4).save(damaged)
    (damaged / "tally.npz").write_bytes(b"PK")
    one_line(segeval(capsys, "compare", runs / "poor", damaged), 1, "damaged tally")


def test_compare_needs_two_runs(capsys, runs):
    ran = segeval(capsys, "compare", runs / "poor")
    assert ran.code == 2
    assert "give two or more" in ran.err


def test_leaderboard_ranks_what_it_finds(capsys, runs, tmp_path):
    for task in TASKS[1:]:
        run_of(task, 1, 6).save(tmp_path / task)
    ran = segeval(capsys, "leaderboard", runs, tmp_path, "--quiet", "--resamples", "60")
    assert ran.code == 0
    order = [line.split()[1] for line in ran.out.splitlines() if line[:1].isdigit()]
    assert order == ["good", "fair", "poor", "panoptic", "instance"]
    ran = segeval(capsys, "leaderboard", runs, "--sort", "aAcc", "--format", "json", "--quiet")
    assert [e["letters"] for e in json.loads(ran.out)[0]["entries"]] == ["a", "b", "c"]
    misused(segeval(capsys, "leaderboard", runs, "--sort", "PQ"), "there is no 'PQ' in these runs")
    one_line(segeval(capsys, "leaderboard", runs / "nowhere"), 1, "no such folder")


def test_score_with_intervals(capsys, folders, tmp_path):
    plain = json.loads(score(capsys, folders, "fair", "--format", "json").out)
    assert plain["intervals"] == {}
    assert "class_intervals" not in plain
    words = ("--intervals", "--resamples", "80", "--format", "json", "--out", tmp_path / "run")
    data = json.loads(score(capsys, folders, "fair", *words).out)
    assert set(data["intervals"]) == set(data["values"])
    for name, (low, high) in data["intervals"].items():
        assert 0 <= low < data["values"][name] < high <= 1
    assert [row["id"] for row in data["class_intervals"]] == [0, 1, 2]
    assert data["signature"] == plain["signature"]
    again = Result.load(tmp_path / "run")
    assert {k: list(v) for k, v in again.intervals.items()} == data["intervals"]
    assert again.interval_signature.get("images") == str(IMAGES)
    text = again.render("text")
    assert "95% interval" in text
    assert again.render("csv").splitlines()[0].endswith("recall low,recall high")
    grouped = json.loads(score(capsys, folders, "fair", *words, "--groups", folders / "groups.csv").out)
    assert grouped["interval_signature"].endswith("|groups:4")
    assert grouped["intervals"] != data["intervals"]


def test_score_with_slices(capsys, folders, tmp_path):
    ran = score(capsys, folders, "fair", "--slices", folders / "slices.json")
    assert "light: gap" in ran.out
    data = json.loads(score(capsys, folders, "fair", "--slices", folders / "slices.json", "--format", "json").out)
    assert [(s["value"], s["images"]) for s in data["slices"]] == [("day", 6), ("night", 6)]
    assert {g["metric"] for g in data["gaps"]} == set(data["values"])
    strange = tmp_path / "strange.csv"
    strange.write_text("image,light\nunheard_of,day\n")
    one_line(score(capsys, folders, "fair", "--slices", strange), 1, "unheard_of")
    one_line(score(capsys, folders, "fair", "--slices", tmp_path / "absent.csv"), 1, "absent.csv")


def test_gates(capsys, folders, runs):
    assert score(capsys, folders, "good", "--fail-under", "mIoU=0.5", "--fail-if-worse", runs / "good").code == 0
    ran = score(capsys, folders, "poor", "--fail-under", "mIoU=0.9")
    one_line(ran, 3, "gate failed: mIoU is 0.", "under 0.9")
    assert "mIoU" in ran.out
    one_line(score(capsys, folders, "poor", "--fail-if-worse", runs / "good"), 3, "below", "interval")
    assert score(capsys, folders, "good", "--fail-if-worse", runs / "poor").code == 0
    ran = score(capsys, folders, "poor", "--fail-under", "PQ=0.5")
    assert ran.code == 2
    assert "--fail-under names no value: PQ" in ran.err
    one_line(score(capsys, folders, "poor", "--fail-if-worse", runs / "none"), 1, "no saved run")
    for wrong in ("mIoU", "mIoU=60", "=0.5", "mIoU=x"):
        assert score(capsys, folders, "poor", "--fail-under", wrong).code == 2


def test_an_undefined_value_fails_its_gate(capsys, folders, tmp_path):
    for side in ("p", "t"):
        (tmp_path / side).mkdir()
        for i in range(2):
            Image.fromarray(np.full((4, 4), 255, np.uint8)).save(tmp_path / side / f"{i}.png")
    words = ("--task", "semantic", "--pred", tmp_path / "p", "--gt", tmp_path / "t", "--classes", "3", "--quiet")
    one_line(segeval(capsys, "score", *words, "--fail-under", "mIoU=0"), 3, "mIoU is undefined")


def test_one_image_has_no_interval(capsys, tmp_path):
    for side in ("p", "t"):
        (tmp_path / side).mkdir()
        Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4) % 3).save(tmp_path / side / "only.png")
    words = ("--task", "semantic", "--pred", tmp_path / "p", "--gt", tmp_path / "t", "--classes", "3", "--quiet")
    one_line(segeval(capsys, "score", *words, "--intervals"), 1, "at least 2 images")
