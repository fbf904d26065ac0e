"""Shards added in any order are the one run; overlaps and gaps are refused by name."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from segeval_cli import main

from segeval import Caution, Result, SegevalError, score
from segeval.evidence import sums as summing
from segeval.scoring.shards import Shard, keys_digest, merge_runs, partial_result
from tests.given import instance_problems
from tests.given.problems import PanopticProblem, panoptic_image, write_problem
from tests.given.small_runs import run_of_lines
from tests.scoring.folders import label_folders


@given(st.integers(1, 200), st.integers(1, 40))
def test_shards_cut_without_gap_or_overlap(images: int, of: int) -> None:
    keys = list(range(images))
    if of > images:
        with pytest.raises(SegevalError, match="can't be cut"):
            Shard(1, of).keys(keys)
        return
    cut = [Shard(i, of).keys(keys) for i in range(1, of + 1)]
    assert list(itertools.chain(*cut)) == keys
    assert max(map(len, cut)) - min(map(len, cut)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/", "-1/2", "1/0", "1.0/2"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(SegevalError, match="is no shard; give i/n, from 1/n to n/n"):
        Shard.parse(text)


def test_a_shard_reads_and_prints_as_i_of_n() -> None:
    assert Shard.parse("2/8") == Shard(2, 8)
    assert str(Shard(2, 8)) == "2/8"
    assert Shard.parse("01/1") == Shard(1, 1)


def test_neighbours_stay_together_in_a_shard() -> None:
    keys = list("abcdefghij")
    assert [Shard(i, 3).span(10) for i in (1, 2, 3)] == [(0, 3), (3, 6), (6, 10)]
    assert [Shard(i, 3).keys(keys) for i in (1, 2, 3)] == [list("abc"), list("def"), list("ghij")]
    with pytest.raises(SegevalError, match="2 images can't be cut into 3 shards; give fewer shards"):
        Shard(1, 3).keys(["a", "b"])


def test_the_digest_of_keys_knows_their_order_and_kind() -> None:
    assert keys_digest([1, 2]) == keys_digest((1, 2))
    assert len({keys_digest(keys) for keys in ([1, 2], [2, 1], ["1", "2"], ["1\x1f2"], [])}) == 5


def test_the_shards_of_three_images_by_hand(tmp_path: Path) -> None:
    lines = {"a": ([0, 1], [0, 1]), "b": ([0, 1], [1, 1]), "c": ([1, 1], [0, 1])}
    whole = run_of_lines(lines)
    assert whole.tally is not None
    folders = []
    for number in (1, 2):
        piece = Shard(number, 2)
        rows = whole.tally.take(piece.keys(list(lines)))
        part = partial_result(whole.metric, rows, piece, list(lines), [Caution("note", "read slowly")])
        assert (part.images, dict(part.values)) == (number, {})
        assert part.provenance["shard"]["spans"] == [["a", "a", 1], ["b", "c", 2]]
        folders.append(part.save(tmp_path / str(number)))
    merged = merge_runs(folders)
    assert merged["aAcc"] == whole["aAcc"] == 4 / 6
    assert [c.code for c in merged.warnings] == ["note"]
    assert merged.tally == whole.tally


def test_what_does_not_merge(tmp_path: Path) -> None:
    with pytest.raises(SegevalError, match="nothing to add; give the folders of saved runs"):
        merge_runs([])
    run = run_of_lines({"a": ([0, 1], [0, 1])})
    assert run.tally is not None
    bare = run.with_(tally=None).save(tmp_path / "bare")
    with pytest.raises(SegevalError, match=r"this run has no tally\.npz; score again with --out"):
        merge_runs([bare])
    folded = run.with_(tally=run.tally.collapse()).save(tmp_path / "folded")
    other = run_of_lines({"b": ([0, 1], [0, 1])}).save(tmp_path / "other")
    with pytest.raises(SegevalError, match="its images were folded, so overlaps can't be told; score it again without"):
        merge_runs([other, folded])


def _same(a: Result, b: Result) -> None:
    assert a.tally == b.tally
    assert json.loads(a.to_json()) == json.loads(b.to_json())


@pytest.mark.parametrize("task", ["semantic", "panoptic", "instance"])
def test_shards_in_any_order_are_the_one_run(task: str, tmp_path: Path) -> None:
    if task == "semantic":
        pred, gt = label_folders(tmp_path)
    elif task == "panoptic":
        gt, pred = write_problem(
            PanopticProblem([panoptic_image(np.random.default_rng(i)) for i in range(7)]), tmp_path
        )
    else:
        features = {"crowd", "empty_image", "tie_across", "over_100"}
        gt, pred = instance_problems.write(tmp_path, *instance_problems.problem(3, features))
    whole = score(pred, gt, task=task)
    of = min(3, whole.images)
    folders = []
    for i in range(1, of + 1):
        part = score(pred, gt, task=task, shard=f"{i}/{of}")
        assert not part.values
        assert [w.code for w in part.warnings] == ["shard"]
        folders.append(part.save(tmp_path / f"part{i}"))
    random.Random(4).shuffle(folders)
    _same(merge_runs(folders), whole)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pred, gt = label_folders(tmp_path)
    words = ["--pred", str(pred), "--gt", str(gt), "--task", "semantic", "--quiet"]
    assert main(["score", *words, "--format", "json"]) == 0
    whole = capsys.readouterr().out
    parts = [str(tmp_path / f"part{i}") for i in (1, 2, 3)]
    for i, part in enumerate(parts, 1):
        assert main(["score", *words, "--shard", f"{i}/3", "--out", part]) == 0
        assert "images" in capsys.readouterr().out
    assert main(["merge", parts[2], parts[0], parts[1], "--format", "json", "--out", str(tmp_path / "whole")]) == 0
    assert capsys.readouterr().out == whole
    assert Result.load(tmp_path / "whole").to_json() == json.dumps(json.loads(whole), indent=1)
    assert main(["show", parts[0]]) == 0
    capsys.readouterr()
    for words, message in (
        ([*parts[:2]], "4 of 11 images are missing: shard 3/3"),
        ([*parts, parts[1]], "is shard 2/3, and so is"),
        ([parts[0], str(tmp_path / "whole")], "is no shard, the others are"),
        ([str(tmp_path / "nowhere")], "no saved run here"),
    ):
        assert main(["merge", *words]) == 1
        assert message in capsys.readouterr().err
    assert main(["compare", parts[0], parts[1]]) == 1
    assert "is shard 1 of 3, no whole run; add the shards with segeval merge" in capsys.readouterr().err
    for words_of_score in (["--shard", "1/3"], ["--resume"], ["--shard", "1/3", "--out", "x", "--intervals"]):
        with pytest.raises(SystemExit):
            main(["score", *words, "--pred", str(pred), "--gt", str(gt), *words_of_score])


def test_gaps_and_overlaps_name_their_images(tmp_path: Path) -> None:
    pred, gt = label_folders(tmp_path)
    runs = [score(pred, gt, task="semantic", shard=f"{i}/4").save(tmp_path / str(i)) for i in (1, 2, 3, 4)]
    with pytest.raises(SegevalError) as caught:
        merge_runs([runs[0], runs[3]])
    assert "6 of 11 images are missing: shard 2/4, 3/4; the first holds 3 images (i10 to i3)" in str(caught.value)
    with pytest.raises(SegevalError) as caught:
        merge_runs([runs[1], *runs])
    assert "its 3 images (i10 to i3) would count twice" in str(caught.value)
    other = score(pred, gt, task="semantic", shard="1/3").save(tmp_path / "other")
    with pytest.raises(SegevalError, match="has another number of shards"):
        merge_runs([*runs, other])
    (pred / "i3.png").unlink()
    fewer = score(pred, gt, task="semantic", missing="skip", shard="2/4").save(tmp_path / "fewer")
    with pytest.raises(SegevalError, match="has another list of images"):
        merge_runs([runs[0], fewer])
    void = score(pred, gt, task="semantic", missing="skip", void=(3,), shard="2/4").save(tmp_path / "void")
    with pytest.raises(SegevalError, match="another rule"):
        merge_runs([runs[0], void])


def test_whole_runs_of_other_images_add(tmp_path: Path) -> None:
    pred, gt = label_folders(tmp_path)
    whole = score(pred, gt, task="semantic", classes=4)
    keys = sorted(p.stem for p in gt.iterdir())
    runs = []
    for number, names in enumerate((keys[:4], keys[4:])):
        for side in (pred, gt):
            folder = tmp_path / f"half{number}" / side.name
            folder.mkdir(parents=True)
            for name in names:
                (folder / f"{name}.png").write_bytes((side / f"{name}.png").read_bytes())
        half = tmp_path / f"half{number}"
        runs.append(score(half / "pred", half / "gt", task="semantic", classes=4).save(tmp_path / f"run{number}"))
    _same(merge_runs(runs), whole)
    with pytest.raises(SegevalError, match=r"4 images are in .*run0 too: i0, i1, i10 and 1 more"):
        merge_runs([runs[0], runs[1], runs[0]])


def test_collapse(tmp_path: Path) -> None:
    pred, gt = label_folders(tmp_path)
    whole = score(pred, gt, task="semantic", classes=4)
    folded = score(pred, gt, task="semantic", classes=4, collapse=True)
    assert folded.values == whole.values
    assert folded.signature == whole.signature
    assert folded.tally is not None
    assert not folded.tally.keys
    assert len(folded.tally.tables["pixels"]) <= 20
    runs = [
        score(pred, gt, task="semantic", classes=4, collapse=True, shard=f"{i}/2").save(tmp_path / str(i))
        for i in (1, 2)
    ]
    assert merge_runs(runs).values == whole.values
    with pytest.raises(SegevalError, match="an average over images needs their rows"):
        score(pred, gt, task="semantic", classes=4, collapse=True, average="image")


DRIVER = """
import sys, time
from segeval import score
from segeval.evidence import sums as summing
from segeval.scoring import evaluation
summing.PART_SECONDS, evaluation.CHUNK = 0.0, 2
pairs_of = evaluation.pairs_of
def slow(source, keys, metric):
    for key in keys:
        print(key, flush=True)
        time.sleep(0.05)
    return pairs_of(source, keys, metric)
evaluation.pairs_of = slow
pred, gt, out, resume = sys.argv[1:]
result = score(pred, gt, task="semantic", classes=4, workers=1, parts=out + "/parts", resume=resume == "yes")
result.save(out)
"""


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    pred, gt = label_folders(tmp_path, images=24)
    out = tmp_path / "run"
    words = [sys.executable, "-c", DRIVER, str(pred), str(gt), str(out)]
    with subprocess.Popen([*words, "no"], stdout=subprocess.PIPE, text=True, env=os.environ) as driver:
        assert driver.stdout is not None
        for _ in range(9):
            driver.stdout.readline()
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert not (out / "result.json").exists()
    kept = [summing.Tally.load(p) for p in sorted((out / "parts").glob("*.npz"))]
    done = {key for tally in kept for key in tally.keys}
    assert 2 <= len(done) < 24
    changed = sorted(done)[0]
    time.sleep(0.01)
    (pred / f"{changed}.png").write_bytes((pred / "i7.png").read_bytes())  # a newer prediction: counted again
    stale = {key for tally in kept if changed in tally.keys for key in tally.keys}
    again = subprocess.run([*words, "yes"], stdout=subprocess.PIPE, text=True, check=True, env=os.environ)
    assert set(again.stdout.split()) == {p.stem for p in gt.iterdir()} - done | stale
    _same(Result.load(out), score(pred, gt, task="semantic", classes=4))


def test_parts_of_another_run_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summing, "PART_SECONDS", 0.0)
    pred, gt = label_folders(tmp_path)
    parts = tmp_path / "parts"
    whole = score(pred, gt, task="semantic", classes=4, parts=parts)
    assert list(parts.glob("*.npz"))
    with pytest.raises(SegevalError, match="what was kept here is of another run"):
        score(pred, gt, task="semantic", classes=4, parts=parts, resume=True, void=(3,))
    for collapse in (False, True):
        again = score(pred, gt, task="semantic", classes=4, parts=parts, resume=True, collapse=collapse)
        assert again.values == whole.values
    (parts / "counted-000000.npz").write_bytes(b"PK")
    _same(score(pred, gt, task="semantic", classes=4, parts=parts, resume=True), whole)


def test_an_error_leaves_what_was_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pred, gt = label_folders(tmp_path, images=70)
    good = (pred / "i9.png").read_bytes()
    (pred / "i9.png").write_bytes(good[:40])
    words = ["score", "--task", "semantic", "--pred", str(pred), "--gt", str(gt), "--classes", "4", "--quiet"]
    words += ["--out", str(tmp_path / "run"), "--workers", "1"]
    assert main(words) == 1
    assert "i9.png" in capsys.readouterr().err
    assert not (tmp_path / "run" / "result.json").exists()
    assert len(list((tmp_path / "run" / "parts").glob("*.npz"))) == 1
    (pred / "i9.png").write_bytes(good)
    assert main([*words, "--resume", "--format", "json"]) == 0
    assert not (tmp_path / "run" / "parts").exists()
    assert json.loads(capsys.readouterr().out)["values"] == dict(score(pred, gt, task="semantic", classes=4).values)


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    pred, gt = label_folders(tmp_path)
    mine = tmp_path / "run" / "parts" / "000001.npz"
    mine.parent.mkdir(parents=True)
    mine.write_text("a user's own")
    words = ["score", "--task", "semantic", "--pred", str(pred), "--gt", str(gt), "--quiet"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    assert mine.read_text() == "a user's own"
    with pytest.raises(SegevalError, match="nothing says where to go on"):
        score(pred, gt, task="semantic", resume=True)
