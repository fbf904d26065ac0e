"""Large TIFFs are counted some rows at a time: the same score, digest and errors as of whole maps."""

from __future__ import annotations

import itertools
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from segeval import Result, SegevalError, score
from segeval.checking.checking import check
from segeval.metrics.semantic import counting
from segeval.readers.maps import tiff
from segeval.readers.maps.labels import read_map
from segeval.samples.blocks import BlockedMap, windows
from tests.given.problems import png_bytes

RNG = np.random.default_rng(12)
TRUTH = np.kron(RNG.integers(0, 5, (9, 8)), np.ones((8, 9), int))[:67, :70]
GUESS = np.where(RNG.random(TRUTH.shape) < 0.3, RNG.integers(0, 5, TRUTH.shape), TRUTH)

LAYOUTS: dict[str, dict[str, Any]] = {
    "tiles": {"tile": (16, 32)},
    "other tiles": {"tile": (48, 16), "compression": "zlib"},
    "rows": {"rowsperstrip": 1},
    "strips": {"rowsperstrip": 7, "compression": "zlib", "predictor": 2},
    "one strip": {},
}


@pytest.fixture(params=[1, 700])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "LARGE", 10)
    monkeypatch.setattr(tiff, "_BLOCK", request.param)
    monkeypatch.setattr(counting, "_MANY", 20)


def saved(folder: Path, array: Any, kind: str = "u1", how: dict[str, Any] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if how is None:
        (folder / "a.png").write_bytes(png_bytes(array.astype(kind)))
        return folder
    how = {name: value for name, value in how.items() if name != "predictor" or kind[0] != "f"}
    colours = "rgb" if array.ndim == 3 else "minisblack"
    tifffile.imwrite(folder / "a.tif", array.astype(kind), photometric=colours, **how)
    return folder


def said(result: Result) -> Any:
    return (
        str(result.values),
        str(result.per_class),
        result.signature.format(),
        result.warnings,
        result.confusion.tolist(),
    )  # type: ignore[union-attr]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("theirs", [None, *LAYOUTS])
@pytest.mark.parametrize("mine", [None, *LAYOUTS])
def test_the_same_score_from_blocks(tmp_path: Path, mine: str | None, theirs: str | None) -> None:
    png = saved(tmp_path / "p", GUESS), saved(tmp_path / "g", TRUTH)
    pred = saved(tmp_path / "pred", GUESS, how=None if theirs is None else LAYOUTS[theirs])
    gt = saved(tmp_path / "gt", TRUTH, how=None if mine is None else LAYOUTS[mine])
    for options in ({}, {"classes": 5}, {"void": (3,)}, {"map_prediction": {1: 2, 2: 1}}, {"diagnose": True}):
        assert said(score(pred, gt, task="semantic", **options)) == said(score(*png, task="semantic", **options))
    assert check(pred, gt, task="semantic") == check(*png, task="semantic")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i1", "i2", "i8", "f4", "f8"])
def test_the_digest_does_not_depend_on_the_type(tmp_path: Path, kind: str) -> None:
    for top in (4, 100, *((300,) if kind not in ("u1", "i1") else ())):
        truth = np.where(TRUTH == 4, top, TRUTH)
        truth[:30] = np.minimum(truth[:30], 3)  # the last rows alone need the wider type
        gt = saved(tmp_path / "gt", truth, kind, LAYOUTS["tiles"])
        whole = saved(tmp_path / "whole", truth, "u2")
        pred = saved(tmp_path / "pred", GUESS, kind, LAYOUTS["strips"])
        assert said(score(pred, gt, task="semantic")) == said(score(pred, whole, task="semantic"))


@pytest.mark.usefixtures("small_blocks")
def test_missing_predictions_and_sizes(tmp_path: Path) -> None:
    gt = saved(tmp_path / "gt", TRUTH, how=LAYOUTS["tiles"])
    tifffile.imwrite(gt / "b.tif", TRUTH.astype("u1"))
    pred = saved(tmp_path / "pred", GUESS, how=LAYOUTS["tiles"])
    result = score(pred, gt, task="semantic", missing="empty")
    half = score(pred, gt, task="semantic", missing="skip")
    assert result.images == 2
    assert result.confusion is not None
    assert half.confusion is not None
    assert result.confusion.sum() == 2 * half.confusion.sum()
    saved(tmp_path / "pred", GUESS[:-1], how=LAYOUTS["tiles"])
    with pytest.raises(SegevalError, match="prediction is 70x66 but its truth is 70x67"):
        score(pred, gt, task="semantic", missing="skip")
    assert score(pred, gt, task="semantic", missing="skip", resize="nearest").images == 1


@pytest.mark.usefixtures("small_blocks")
def test_errors_are_those_of_whole_maps(tmp_path: Path) -> None:
    pred, gt = tmp_path / "pred", saved(tmp_path / "gt", TRUTH, how=LAYOUTS["tiles"])
    for array, kind, message in (
        (np.where(TRUTH == 3, 9, TRUTH), "u1", "prediction holds the label 9, which is not among the classes"),
        (np.where(TRUTH == 3, -7, TRUTH), "i1", "prediction holds the label -7"),
        (TRUTH + 0.5, "f4", r"prediction holds floats \(float32\) with numbers that are not whole"),
        (np.stack([TRUTH] * 3, -1), "u1", r"prediction has shape \(67, 70, 3\)"),
    ):
        saved(pred, array, kind, {"tile": (16, 16)})
        with pytest.raises(SegevalError, match=message):
            score(pred, gt, task="semantic", classes=5)
    saved(pred, TRUTH * 0 + 0.25, "f4", {"tile": (16, 16)})
    mask = saved(tmp_path / "mask", TRUTH > 2, how=LAYOUTS["tiles"])
    assert score(pred, mask, task="semantic", classes=2)["aAcc"] == np.mean(TRUTH <= 2)


@pytest.mark.usefixtures("small_blocks")
def test_a_blocked_map_is_an_array_where_one_is_wanted(tmp_path: Path) -> None:
    found = read_map(saved(tmp_path, TRUTH, "u2", LAYOUTS["strips"]) / "a.tif")
    assert isinstance(found, BlockedMap)
    assert (found.shape, found.ndim, found.dtype) == ((67, 70), 2, np.uint16)
    assert np.array_equal(np.asarray(found), TRUTH)
    assert np.asarray(found, np.int64).dtype == np.int64


@settings(max_examples=60)
@given(
    height=st.integers(1, 40),
    mine=st.lists(st.integers(1, 9), min_size=40),
    theirs=st.lists(st.integers(1, 9), min_size=40),
)
def test_windows_are_the_same_rows_of_both(height: int, mine: list[int], theirs: list[int]) -> None:
    column = np.arange(height)[:, None]

    def blocked(steps: list[int]) -> BlockedMap:
        ends = [0, *np.cumsum(steps).tolist()]
        read = [column[a:b] for a, b in itertools.pairwise(ends) if a < height]
        return BlockedMap(column.shape, lambda: iter(read), column.dtype)

    for sides in ((blocked(mine), blocked(theirs)), (column, blocked(theirs)), (blocked(mine), column)):
        found = list(windows(*sides))
        assert all(np.array_equal(a, b) and len(a) for a, b in found)
        assert np.array_equal(np.concatenate([a for a, _ in found]), column)


def test_a_large_raster_is_not_held(tmp_path: Path) -> None:
    """36 million pixels a side; without blocks both maps alone would be 72 MB."""
    n = 6000
    for side in ("gt", "pred"):
        (tmp_path / side).mkdir()
        tiles = (np.full((256, 256), (k // 24) % 3, np.uint8) for k in range(24 * 24))
        tifffile.imwrite(
            tmp_path / side / "a.tif", tiles, shape=(n, n), dtype=np.uint8, tile=(256, 256), compression="zlib"
        )
    score(saved(tmp_path / "p", GUESS, how={}), saved(tmp_path / "g", TRUTH, how={}), task="semantic")  # compiles
    tracemalloc.start()
    result = score(tmp_path / "pred", tmp_path / "gt", task="semantic", workers=1)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result["mIoU"] == 1
    assert len(result.per_class) == 3
    assert most < 20 * 2**20


def test_other_rules_get_whole_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "LARGE", 10)
    ids = saved(tmp_path / "ids", TRUTH, how=LAYOUTS["tiles"])
    for task in ("instance", "panoptic"):
        assert score(ids, ids, task=task).images == 1


@pytest.mark.usefixtures("small_blocks")
def test_in_an_archive_the_map_is_whole_and_the_score_the_same(tmp_path: Path) -> None:
    pred, gt = saved(tmp_path / "pred", GUESS, how={}), saved(tmp_path / "gt", TRUTH, how=LAYOUTS["tiles"])
    with zipfile.ZipFile(tmp_path / "gt.zip", "w") as archive:
        archive.write(gt / "a.tif", "a.tif")
    assert said(score(pred, tmp_path / "gt.zip", task="semantic")) == said(score(pred, gt, task="semantic"))
