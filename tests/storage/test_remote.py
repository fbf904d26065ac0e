"""Data elsewhere score as data here: memory, archives near and far, shards, a server that speaks S3."""

from __future__ import annotations

import gc
import importlib.util
import io
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from segeval_cli import main

from segeval import Result, SegevalError, score
from segeval.storage import mounts
from segeval.storage.archives import expand_braces
from segeval.storage.mounts import AHEAD, THREADS, Mount
from segeval.storage.remote import is_address, located
from tests.given import instance_problems
from tests.given.problems import PanopticProblem, panoptic_image, write_problem
from tests.scoring.folders import label_folders

fsspec = pytest.importorskip("fsspec")


def _data(task: str, root: Path) -> tuple[Path, Path]:
    """Prediction and truth of a task, as folders or files."""
    if task == "semantic":
        return label_folders(root, images=40)
    if task == "panoptic":
        problem = PanopticProblem([panoptic_image(np.random.default_rng(i)) for i in range(5)])
        gt, pred = write_problem(problem, root)
        return pred, gt
    gt, pred = instance_problems.write(root, *instance_problems.problem(3, {"crowd"}))
    return pred, gt


def _same(ours: Result, wanted: Result) -> None:
    assert ours.tally == wanted.tally
    assert ours.to_json() == wanted.to_json()


def _upload(files: Any, root: Path, to: str) -> None:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            files.pipe_file(f"{to}/{path.relative_to(root).as_posix()}", path.read_bytes())


@pytest.mark.parametrize("task", ["semantic", "panoptic", "instance"])
def test_memory(task: str, tmp_path: Path) -> None:
    pred, gt = _data(task, tmp_path)
    files = fsspec.filesystem("memory")
    _upload(files, tmp_path, f"/{task}")
    wanted = score(pred, gt, task=task)
    far = [f"memory://{task}/{p.relative_to(tmp_path).as_posix()}" for p in (pred, gt)]
    found = score(*far, task=task)
    _same(found, wanted)
    assert found.provenance["gt"] == far[1]
    _same(score(pred, far[1], task=task), wanted)
    if task == "panoptic":  # the folder finds its JSON
        folders = [address.removesuffix(".json") for address in far]
        _same(score(*folders, task=task), wanted)
        _same(score(*folders), wanted)
    with pytest.raises(SegevalError, match=r"nothing is there|can't be listed"):
        score("memory://nowhere/x", far[1], task=task)


def _zip(root: Path, to: Path, stored: bool = False, folder: str = "") -> Path:
    with zipfile.ZipFile(to, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*.png")):
            archive.write(path, folder + path.relative_to(root).as_posix())
    return to


def _tar(root: Path, to: Path) -> Path:
    with tarfile.open(to, "w:gz" if to.suffix in (".gz", ".tgz") else "w") as archive:
        archive.add(root, arcname=".")
    return to


def test_archives(tmp_path: Path) -> None:
    pred, gt = label_folders(tmp_path, images=40)
    wanted = score(pred, gt, task="semantic")
    files = fsspec.filesystem("memory")
    made = [
        _zip(gt, tmp_path / "a.zip"),
        _zip(gt, tmp_path / "b.zip", stored=True, folder="labels/"),
        _tar(gt, tmp_path / "c.tar"),
        _tar(gt, tmp_path / "d.tar.gz"),
        _tar(gt, tmp_path / "e.tgz"),
    ]
    for path in made:
        _same(score(pred, path, task="semantic"), wanted)
        files.pipe_file(f"/archives/{path.name}", path.read_bytes())
        _same(score(pred, f"memory://archives/{path.name}", task="semantic"), wanted)
    _same(score(pred, "zip://labels::memory://archives/b.zip", task="semantic"), wanted)
    _same(score(f"file://{pred}", gt, task="semantic"), wanted)
    _same(score(pred, made[0]), wanted)


def test_shards_as_webdataset_writes_them(tmp_path: Path) -> None:
    pred, gt = label_folders(tmp_path, images=23)
    wanted = score(pred, gt, task="semantic")
    names = sorted(p.stem for p in gt.iterdir())
    (tmp_path / "shards").mkdir()
    for number in range(3):
        with tarfile.open(tmp_path / "shards" / f"val-{number:02d}.tar", "w") as archive:
            for name in names[number::3]:
                for side, field in ((gt, "seg.png"), (pred, "pred.png")):
                    archive.add(side / f"{name}.png", arcname=f"{name}.{field}")
                archive.addfile(tarfile.TarInfo(f"{name}.json"), io.BytesIO(b""))
    shards = f"{tmp_path}/shards/val-{{00..02}}.tar"
    _same(score(f"{shards}#pred.png", f"{shards}#seg.png", task="semantic"), wanted)
    _same(score(f"{tmp_path}/shards/*.tar#pred.png", f"{shards}#seg.png", task="semantic"), wanted)
    with pytest.raises(SegevalError, match=r"holds no member NAME\.depth\.png"):
        score(f"{shards}#depth.png", f"{shards}#seg.png", task="semantic")
    (tmp_path / "shards" / "twice.tar").write_bytes((tmp_path / "shards" / "val-01.tar").read_bytes())
    with pytest.raises(SegevalError, match=r"holds i1\.seg\.png, and so does"):
        score(pred, f"{tmp_path}/shards/*.tar#seg.png", task="semantic")
    with pytest.raises(SegevalError, match="no such archive"):
        score(pred, f"{tmp_path}/shards/no-{{0..2}}.tar#seg.png", task="semantic")


def test_braces() -> None:
    assert expand_braces("a-{08..11}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert expand_braces("{x,y}{0..1}") == ["x0", "x1", "y0", "y1"]
    assert expand_braces("plain.tar") == ["plain.tar"]


def test_what_is_an_address(tmp_path: Path) -> None:
    for text in ("s3://b/x", "zip://x::s3://b/y.zip", "x-{0..3}.tar", "*.tar", "x.tar#png"):
        assert is_address(text)
    for place in ("labels", tmp_path, "a.zip", tmp_path / "b#c"):
        assert not is_address(place)


def test_damage_is_told_by_its_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pred, gt = label_folders(tmp_path, images=5)
    archive = bytearray(_zip(gt, tmp_path / "gt.zip", stored=True).read_bytes())
    archive[60] ^= 1
    (tmp_path / "gt.zip").write_bytes(archive)
    with pytest.raises(SegevalError, match=r"gt\.zip/i0\.png: is damaged in its archive"):
        score(pred, tmp_path / "gt.zip", task="semantic")
    files = fsspec.filesystem("memory")
    _upload(files, tmp_path, "/damaged")
    files.pipe_file("/damaged/pred/i3.png", b"\x89PNG no more")
    words = ["score", "--task", "semantic", "--pred", "memory://damaged/pred", "--gt", "memory://damaged/gt", "--quiet"]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert "memory://damaged/pred/i3.png" in error
    assert "segeval-mount" not in error
    (tmp_path / "text.zip").write_text("no archive")
    (tmp_path / "text.tar").write_text("no archive")
    (tmp_path / "text.tgz").write_text("no archive")
    for name in ("text.zip", "text.tar", "text.tgz"):
        with pytest.raises(SegevalError, match=f"{name}: is no"):
            score(pred, tmp_path / name, task="semantic")
    for name in ("far.zip", "far.tar", "far.tgz"):
        with pytest.raises(SegevalError, match=f"{name}: can't be read"):
            score(pred, f"memory://nowhere/{name}", task="semantic")
    evil = tmp_path / "evil.tar"
    with tarfile.open(evil, "w") as out:
        out.addfile(tarfile.TarInfo("../../outside.png"))
    with pytest.raises(SegevalError, match="which leads out of it"):
        score(pred, evil, task="semantic")
    with pytest.raises(SegevalError, match=r"can't be opened|can't be listed"):
        score("nosuch://x/y", gt, task="semantic")


def test_nothing_stays_behind(tmp_path: Path) -> None:
    pred, gt = label_folders(tmp_path, images=5)
    _zip(gt, tmp_path / "gt.zip")
    where = located(tmp_path / "gt.zip")
    assert where.path.is_dir()
    root, mount = where.path, where.mount
    del where, mount
    gc.collect()
    assert not root.exists()
    score(pred, tmp_path / "gt.zip", task="semantic")
    gc.collect()
    assert not mounts._mounts


class Latent:
    """A store that answers late, and knows how much was asked at a time and what lay on the disk."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder, self.seconds = folder, seconds
        self.now = self.most = self.reads = self.largest = 0
        self.lock = threading.Lock()
        self.root: Path | None = None

    def names(self) -> dict[str, float]:
        return {p.name: p.stat().st_mtime for p in self.folder.iterdir()}

    def read(self, name: str) -> bytes:
        with self.lock:
            self.now, self.reads = self.now + 1, self.reads + 1
            self.most = max(self.most, self.now)
            if self.root:
                self.largest = max(self.largest, sum(1 for p in self.root.iterdir() if p.stat().st_size))
        time.sleep(self.seconds)
        data = (self.folder / name).read_bytes()
        with self.lock:
            self.now -= 1
        return data


def test_reading_ahead_hides_latency_and_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from segeval.storage import remote

    pred, gt = label_folders(tmp_path, images=300)
    wanted = score(pred, gt, task="semantic", classes=4)
    store = Latent(gt, 0.02)
    mount = Mount(store, "slow://gt")
    store.root = mount.root
    there = remote.located
    monkeypatch.setattr(
        "segeval.scoring.opening.located",
        lambda place: remote.Located(mount.root, mount) if place == "slow://gt" else there(place),
    )
    found = score(pred, "slow://gt", task="semantic", classes=4, workers=2)
    assert found.tally == wanted.tally
    assert store.reads == 300  # each file once
    assert THREADS // 2 <= store.most <= THREADS  # many at a time
    assert store.largest <= 2 * (AHEAD + 1) + 2 * THREADS  # and few on the disk
    assert not any(p.stat().st_size for p in mount.root.iterdir())


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    pytest.importorskip("s3fs")
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("moto.server") is None:
        pytest.skip("needs moto's server")
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        for line in server.stderr:
            if "Running on http" in line:
                yield line.rpartition(" ")[2].strip()
                break
        else:
            pytest.fail("the server did not start")
        server.terminate()


def test_a_server_that_speaks_s3(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "any"), ("SECRET_ACCESS_KEY", "any"), ("ENDPOINT_URL", s3)):
        monkeypatch.setenv(f"AWS_{name}", value)
    files = fsspec.filesystem("s3", endpoint_url=s3, skip_instance_cache=True)
    files.mkdir("bucket")
    for task in ("semantic", "panoptic", "instance"):
        root = tmp_path / task
        root.mkdir()
        pred, gt = _data(task, root)
        _zip(root, tmp_path / f"{task}.zip")
        for path in root.rglob("*"):
            if path.is_file():
                files.pipe_file(f"bucket/{task}/{path.relative_to(root).as_posix()}", path.read_bytes())
        far = [f"s3://bucket/{task}/{p.relative_to(root).as_posix()}" for p in (pred, gt)]
        _same(score(*far, task=task), score(pred, gt, task=task))
    _tar(tmp_path / "semantic" / "gt", tmp_path / "gt.tar")
    _zip(tmp_path / "semantic" / "gt", tmp_path / "gt.zip")
    for name in ("gt.tar", "gt.zip"):
        files.pipe_file(f"bucket/{name}", (tmp_path / name).read_bytes())
        near = score(tmp_path / "semantic" / "pred", tmp_path / "semantic" / "gt", task="semantic")
        _same(score(tmp_path / "semantic" / "pred", f"s3://bucket/{name}", task="semantic"), near)
    with pytest.raises(SegevalError, match=r"s3://nobucket/x: (can't be listed|nothing is there)"):
        score("s3://nobucket/x", tmp_path / "semantic" / "gt", task="semantic")
