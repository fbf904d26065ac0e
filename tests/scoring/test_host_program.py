"""A library in somebody's process leaves that process as it was."""

from __future__ import annotations

import gc
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest

from segeval import SegevalError, score
from segeval.readers.reading import Reading
from segeval.scoring.evaluation import evaluate
from segeval.scoring.opening import open_data
from tests.cli.commands import segeval
from tests.cli.refusals import Capsys


def _folders(root: Path, images: int = 3) -> tuple[Path, Path]:
    for side in ("pred", "gt"):
        (root / side).mkdir(parents=True)
        for k in range(images):
            np.save(root / side / f"{k}.npy", np.full((4, 5), k % 2, np.uint8))
    return root / "pred", root / "gt"


@pytest.mark.parametrize("on", [True, False])
def test_scoring_never_touches_the_collector(tmp_path: Path, on: bool) -> None:
    pred, gt = _folders(tmp_path)
    seen: list[bool] = []
    was = gc.isenabled()
    (gc.enable if on else gc.disable)()
    try:
        more = {"classes": 2, "progress": lambda done, of: seen.append(gc.isenabled())}
        for workers in (1, 2):
            thread = threading.Thread(
                target=score, args=(pred, gt), kwargs={"task": "semantic", "workers": workers, **more}
            )
            thread.start()
            thread.join()
        assert seen == [on] * len(seen)
        assert seen
        assert gc.isenabled() is on
    finally:
        (gc.enable if was else gc.disable)()


@pytest.mark.parametrize("on", [True, False])
def test_the_command_leaves_the_collector_as_it_was(capsys: Capsys, tmp_path: Path, on: bool) -> None:
    pred, gt = _folders(tmp_path)
    was = gc.isenabled()
    (gc.enable if on else gc.disable)()
    try:
        for path in (pred, tmp_path / "absent"):
            segeval(capsys, "score", "--task", "semantic", "--pred", path, "--gt", gt, "--quiet")
            assert gc.isenabled() is on
    finally:
        (gc.enable if was else gc.disable)()


def test_an_open_source_speaks_of_its_addresses(tmp_path: Path) -> None:
    """Also where no call of the library is under way but the source's own."""
    pred, gt = _folders(tmp_path)
    (gt / "1.npy").write_bytes(b"no array")
    np.save(gt / "2.npy", np.full((4, 5), 9, np.uint8))
    with zipfile.ZipFile(tmp_path / "gt.zip", "w") as archive:
        for file in sorted(gt.iterdir()):
            archive.write(file, file.name)
    reading, options = Reading.among(pred, tmp_path / "gt.zip", {"classes": 2})
    source, rule = open_data(reading, "semantic", options)
    assert source.load("0").truth_file == f"{tmp_path}/gt.zip/0.npy"
    assert source.load("0").prediction_file == f"{pred}/0.npy"
    for key, said in (("1", "can't be read as .npy"), ("2", "label 9")):
        for work in (lambda k=key: rule.observe([source.load(k)]), lambda k=key: evaluate(source, rule, keys=[k])):
            with pytest.raises(SegevalError, match=said) as caught:
                work()
            assert str(caught.value).startswith(f"{tmp_path}/gt.zip/{key}.npy: ")


def test_errors_of_two_runs_speak_of_their_own_addresses(tmp_path: Path) -> None:
    """Each thread's archive has its own name in its own error, and a run beside them keeps its paths."""
    pred, gt = _folders(tmp_path)
    np.save(gt / "1.npy", np.zeros((4, 4), np.uint8))
    packed = {}
    for name in ("one", "two"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for file in sorted(gt.iterdir()):
                archive.write(file, file.name)
        packed[name] = tmp_path / f"{name}.zip"
    said: dict[str, str] = {}

    def run(name: str, truth: Path) -> None:
        for _ in range(5):
            with pytest.raises(SegevalError) as caught:
                score(truth, pred, task="semantic", classes=2)
            said[name] = str(caught.value)

    threads = [threading.Thread(target=run, args=item) for item in (*packed.items(), ("plain", gt))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, path in packed.items():
        assert said[name].startswith(f"{path}/1.npy: prediction is 4x4")
    assert said["plain"].startswith(f"{gt}/1.npy: prediction is 4x4")
