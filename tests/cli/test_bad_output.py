"""Places that can not be written to, and saved runs that are damaged."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.commands import segeval
from tests.cli.refusals import (
    GOOD,
    Capsys,
    folders,
    npz,
    refused,
)


def test_output_that_cannot_be_written_is_refused_before_scoring(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": b"never read"})
    (tmp_path / "file").write_text("mine")
    refused(segeval(capsys, *words, "--out", tmp_path / "file"), "is a file, not a folder; give --out a folder")
    refused(segeval(capsys, *words, "--out", tmp_path / "file" / "run"), "can't be written", "choose a folder")
    refused(segeval(capsys, *words, "--per-image", tmp_path / "file" / "x.csv"), "can't be written")
    assert (tmp_path / "file").read_text() == "mine"
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": b"never read"})
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    refused(segeval(capsys, *words, "--out", locked / "run"), "can't be written (permission denied)")


def test_a_failure_while_saving_still_prints_the_result(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": GOOD})
    out = tmp_path / "run"
    assert segeval(capsys, *words, "--out", out).code == 0
    before = {p.name: p.read_bytes() for p in out.iterdir()}

    move = Path.replace

    def full(self: Path, target: Any) -> Path:
        if Path(target).name in before:
            raise OSError(28, "No space left on device")
        return move(self, target)

    monkeypatch.setattr(Path, "replace", full)
    ran = segeval(capsys, *words, "--out", out)
    assert ran.code == 1
    assert "mIoU" in ran.out
    assert ran.err.startswith("segeval: ")
    assert "can't be written (no space left on device)" in ran.err
    assert {name: (out / name).read_bytes() for name in before} == before


def test_saved_runs(capsys: Capsys, tmp_path: Path) -> None:
    words = folders(tmp_path, {"a.png": GOOD}, {"a.png": GOOD})
    run = tmp_path / "run"
    segeval(capsys, *words, "--out", run)
    refused(segeval(capsys, "show", tmp_path / "nowhere"), "no saved run here; give a folder made by score --out")
    tally, result = (run / "tally.npz").read_bytes(), (run / "result.json").read_text()

    def with_(**changes: object) -> bytes:
        return json.dumps(json.loads(result) | changes).encode()

    for name, data, message in (
        ("tally.npz", tally[:-30], "tally.npz: damaged tally"),
        ("tally.npz", GOOD, "tally.npz: damaged tally"),
        ("tally.npz", npz(head=np.frombuffer(b'{"format": 99}', np.uint8)), "tally format 99 is newer"),
        ("result.json", b"{", "result.json: damaged run"),
        ("result.json", b"[]", "is not a saved run"),
        ("result.json", b'{"format": 1}', "damaged run (no 'task')"),
        (
            "result.json",
            json.dumps(json.loads(result) | {"images": float("inf")}).encode(),
            "damaged run ('images' is a float)",
        ),
        (
            "result.json",
            json.dumps(json.loads(result) | {"values": {"mIoU": []}}).encode(),
            "damaged run ('mIoU' in 'values' is a list)",
        ),
        (
            "result.json",
            json.dumps(json.loads(result) | {"per_class": [{"id": 0}]}).encode(),
            "damaged run (a class without 'id' or 'name')",
        ),
        ("result.json", b'{"format": 99}', "run format 99 is newer than this segeval reads (1); upgrade"),
        (
            "result.json",
            json.dumps(json.loads(result) | {"signature": "x|y"}).encode(),
            "signature part 'y' has no ':'",
        ),
    ):
        (run / name).write_bytes(data)
        refused(segeval(capsys, "show", run), message)
        (run / "tally.npz").write_bytes(tally)
        (run / "result.json").write_text(result)
    assert segeval(capsys, "show", run).code == 0
    edited = json.loads(result)
    edited["values"]["mIoU"] = 0.5
    (run / "result.json").write_text(json.dumps(edited))
    refused(segeval(capsys, "show", run), "mIoU is 0.5 here but 1.0 by the rows; it was edited, or")
    (run / "result.json").write_text(result)
    (run / "tally.npz").unlink()
    refused(segeval(capsys, "show", run), "tally.npz: no such file")
