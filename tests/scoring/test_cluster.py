"""A cluster of separate processes gives the bits of one thread, whoever dies on the way."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from segeval_cli import main

from segeval import SegevalError, evaluate, score
from segeval.scoring import cluster
from segeval.scoring.cluster import Cutter, DaskEngine, open_cluster
from tests.given import instance_problems
from tests.given.problems import PanopticProblem, panoptic_image, write_problem
from tests.scoring.folders import label_folders
from tests.scoring.slow import open_slowly

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills a process")


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as local:
        yield local


@pytest.fixture
def client(two_workers: Any) -> Iterator[Any]:
    with distributed.Client(two_workers) as one:
        one.wait_for_workers(2, timeout=120)
        yield one


def test_a_worker_killed_during_the_run(client: Any, tmp_path: Path) -> None:
    pred, gt = label_folders(tmp_path, images=90)
    log = tmp_path / "log"
    opener = partial(open_slowly, pred, gt, log)
    source, rule = opener()
    wanted = evaluate(source.source, rule, workers=1)
    pids = set(client.run(os.getpid).values())
    assert len(pids) == 2
    assert os.getpid() not in pids
    victim = min(pids)
    told = []

    def kill() -> None:
        while not log.exists() or log.read_text().count(f"{victim} ") < 20:  # in the middle of its second shard
            time.sleep(0.01)
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()

    class Attached:
        def tallies(self, keys: Any) -> Any:
            return DaskEngine(opener).on(client, keys)

    tally = evaluate(source, rule, engine=Attached(), progress=lambda *at: told.append(at))
    assert tally == wanted
    assert tally.duplicates == 0
    assert told[-1] == (90, 90)
    killer.join(timeout=10)
    client.wait_for_workers(2, timeout=120)
    after = set(client.run(os.getpid).values())
    assert victim not in after
    counted = [line.split() for line in log.read_text().splitlines()]
    by = {pid: sum(int(p) == pid for p, _ in counted) for pid in sorted({int(p) for p, _ in counted})}
    assert {key for _, key in counted} == set(source.keys())
    assert len(by) >= 2
    assert len(counted) > 90  # what the victim had begun was begun again
    print(f"driver {os.getpid()}, workers {sorted(pids)}, killed {victim}, then {sorted(after)}; reads by pid {by}")
    print(
        f"{len(tally)} images in the tally, {len(counted)} reads: {len(counted) - 90} were counted again after the kill"
    )


def test_what_is_on_its_way_is_bounded(client: Any, tmp_path: Path) -> None:
    pred, gt = label_folders(tmp_path, images=60)
    out = 0
    most = 0
    submit = client.submit

    def counting(*args: Any, **named: Any) -> Any:
        nonlocal out, most
        out, most = out + 1, max(most, out + 1)
        return submit(*args, **named)

    client.submit = counting
    source, _ = open_slowly(pred, gt, tmp_path / "log")
    seen = []
    for chunk, packed in DaskEngine(partial(open_slowly, pred, gt, tmp_path / "log")).on(client, list(source.keys())):
        assert set(packed.tally.keys) == set(chunk)
        seen += chunk
        out -= 1
    assert sorted(seen) == sorted(source.keys())
    # One more is sent before a tally is handed over.
    assert most <= cluster.IN_FLIGHT * 2 + 1
    assert len(seen) > most


def test_an_error_that_passes_is_tried_again(client: Any, tmp_path: Path) -> None:
    pred, gt = label_folders(tmp_path)
    opener = partial(open_slowly, pred, gt, tmp_path / "log", "i3")
    found = list(DaskEngine(opener).on(client, [f"i{i}" for i in range(11)]))
    assert sum(len(packed.tally) for _, packed in found) == 11
    assert (tmp_path / "log.flaky").exists()


def test_a_bad_image_names_itself(client: Any, two_workers: Any, tmp_path: Path) -> None:
    pred, gt = label_folders(tmp_path)
    whole = score(pred, gt, task="semantic", classes=4)
    address = "dask://" + two_workers.scheduler_address.removeprefix("tcp://")
    again = score(pred, gt, task="semantic", classes=4, engine=address)
    assert again.tally == whole.tally
    assert again.to_json() == whole.to_json()
    folded = score(pred, gt, task="semantic", classes=4, engine=address, collapse=True)
    assert whole.tally is not None
    assert folded.tally == whole.tally.collapse()
    assert folded.values == whole.values
    (pred / "i3.png").write_bytes((pred / "i3.png").read_bytes()[:50])
    with pytest.raises(SegevalError, match=r"i3\.png"):
        score(pred, gt, task="semantic", classes=4, engine=address)


def test_the_command_with_processes_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pred, gt = label_folders(tmp_path)
    words = ["score", "--pred", str(pred), "--gt", str(gt), "--task", "semantic", "--quiet", "--format", "json"]
    assert main(words) == 0
    one = capsys.readouterr().out
    assert main([*words, "--engine", "dask", "--workers", "2"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(one)


def test_every_task_gives_the_same_bits(two_workers: Any, tmp_path: Path) -> None:
    address = "dask://" + two_workers.scheduler_address.removeprefix("tcp://")
    problem = PanopticProblem([panoptic_image(np.random.default_rng(i)) for i in range(7)])
    features = {"crowd", "empty_image", "tie_across", "over_100"}
    for task, (gt, pred) in (
        ("panoptic", write_problem(problem, tmp_path)),
        ("instance", instance_problems.write(tmp_path, *instance_problems.problem(3, features))),
    ):
        one, many = score(pred, gt, task=task, workers=1), score(pred, gt, task=task, engine=address)
        assert many.tally == one.tally
        assert many.to_json() == one.to_json()


@given(st.integers(1, 3000), st.integers(1, 8), st.floats(1e-5, 20.0))
def test_shards_hold_every_image_once(images: int, slots: int, pace: float) -> None:
    cutter = Cutter(range(images), slots)  # type: ignore[arg-type]
    sizes, seen = [], []
    for shard in cutter:
        sizes.append(len(shard))
        seen += shard
        cutter.pace = pace
    assert seen == list(range(images))
    assert sizes[0] <= cluster.FIRST_IMAGES
    assert all(size <= max(1, cluster.SHARD_SECONDS / pace) for size in sizes[1:])
    assert max(sizes) <= max(images / (2 * slots), cluster.LEAST_SECONDS / pace, 1)


def test_what_is_no_engine() -> None:
    for text in ("spark", "dask://", "dask:x", ""):
        with pytest.raises(SegevalError, match=r"is no engine; give dask or dask://host:port"):
            open_cluster(text, lambda: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(SegevalError, match="has its own workers"):
        open_cluster("dask://localhost:1", lambda: None, workers=2)  # type: ignore[arg-type,return-value]
