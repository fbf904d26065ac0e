"""Masks that were blurred: told as what they are, and cut at a threshold."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segeval import Accumulator, SegevalError, SemanticIoU, score
from segeval.checking.checking import check
from segeval.metrics.options import rule_from_dict, rule_to_dict
from tests.cli.commands import segeval
from tests.cli.refusals import Capsys, misused, refused
from tests.given.problems import png_bytes

RNG = np.random.default_rng(3)
MASKS = [np.kron(RNG.integers(0, 2, (6, 7)), np.ones((9, 9), int)).astype(np.uint8) for _ in range(3)]
GUESSES = [np.roll(mask, 3, 1) for mask in MASKS]


def as_jpeg(mask: Any, quality: int = 75) -> Any:
    stream = io.BytesIO()
    Image.fromarray(mask * 255).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream))


def resized(mask: Any) -> Any:
    size = mask.shape[::-1]
    small = Image.fromarray(mask * 255).resize((size[0] * 2, size[1] * 2), Image.Resampling.BICUBIC)
    return np.array(small.resize(size, Image.Resampling.BILINEAR))


def saved(folder: Path, maps: list[Any], extension: str = ".png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, array in enumerate(maps):
        if extension == ".png":
            (folder / f"{k}.png").write_bytes(png_bytes(array))
        elif extension == ".npy":
            np.save(folder / f"{k}.npy", array)
        else:
            Image.fromarray(array).save(folder / f"{k}{extension}")
    return folder


def by_hand(truths: list[Any], predictions: list[Any]) -> float:
    t, p = (np.concatenate([np.ravel(a) for a in side]) for side in (truths, predictions))
    return float(np.mean([((t == c) & (p == c)).sum() / ((t == c) | (p == c)).sum() for c in (0, 1)]))


@pytest.mark.parametrize("blur", [as_jpeg, lambda m: as_jpeg(m, 30), resized])
def test_what_is_no_set_of_classes_is_told_with_a_remedy_that_works(tmp_path: Path, blur: Any) -> None:
    truths, predictions = [blur(m) for m in MASKS], [blur(m) for m in GUESSES]
    gt, pred = saved(tmp_path / "gt", truths), saved(tmp_path / "pred", predictions)
    cut = by_hand([a >= 128 for a in truths], [a >= 128 for a in predictions])
    for options in ({}, {"binary": True}):
        with pytest.raises(SegevalError) as caught:
            score(pred, gt, task="semantic", **options)
        text = str(caught.value)
        assert "compressed as JPEG, resized or given soft borders" in text
        assert "give --binary --threshold 128" in text
        assert any("--threshold 128" in f.message for f in check(pred, gt, task="semantic", **options).findings)
    result = score(pred, gt, task="semantic", binary=True, threshold=128)
    assert result["mIoU"] == cut
    assert "|binary:>=128|" in result.signature.format()


def test_a_prediction_that_was_blurred_is_told(tmp_path: Path) -> None:
    gt, pred = saved(tmp_path / "gt", MASKS), saved(tmp_path / "pred", [as_jpeg(m) for m in GUESSES])
    told = {w.code: w.message for w in score(pred, gt, task="semantic").warnings}
    assert "give --binary --threshold 128" in told["prediction-soft"]
    with pytest.raises(SegevalError, match=r"nor are \d+ more, as a mask does that was compressed as JPEG"):
        score(pred, gt, task="semantic", classes=2)


def test_a_photograph_is_no_truth(tmp_path: Path) -> None:
    noise = RNG.integers(0, 256, (60, 60)).astype(np.uint8)
    gt = saved(tmp_path / "gt", [noise])
    with pytest.raises(SegevalError, match="of the 256 values of a byte, as a photograph or a map of probabilities"):
        score(gt, gt, task="semantic")
    assert score(gt, gt, task="semantic", classes=256, void=())["mIoU"] == 1


@pytest.mark.parametrize(
    "values",
    [
        range(19),
        [*range(19), 255],
        [*range(150), 255],
        [*range(34), 255],
        range(0, 256, 12),
        [0, 127, 255],
        [0, 50, 100, 150, 200, 250],
        [0, 0, 0, 0, 0, 0, *range(1, 200)],
        [*range(20), *range(236, 255)],
    ],
)
def test_class_ids_are_no_blurred_mask(tmp_path: Path, values: Any) -> None:
    array = RNG.choice(np.array(values, np.uint8), (80, 90))
    array.ravel()[: len(values)] = values
    gt = saved(tmp_path / "gt", [array])
    if list(values) == [*range(20), *range(236, 255)]:
        with pytest.raises(SegevalError, match="mostly near 0 and 254"):
            score(gt, gt, task="semantic")
        assert score(gt, gt, task="semantic", classes=list(map(str, range(255)))).images == 1
        return
    assert "truth-soft" not in {w.code for w in score(gt, gt, task="semantic").warnings}


def test_jpeg_files_are_read_cut_and_told(tmp_path: Path) -> None:
    gt, pred = saved(tmp_path / "gt", MASKS), tmp_path / "pred"
    saved(pred, [m * 255 for m in GUESSES], ".jpg")
    result = score(pred, gt, task="semantic", binary=True, threshold=1)
    assert result["mIoU"] < by_hand(MASKS, GUESSES)  # every speck of JPEG's noise is foreground
    told = {w.code: w.message for w in result.warnings}
    assert told["lossy"] == "prediction: JPEG does not keep values exactly (3 files, the first is 0.jpg)"
    gt = saved(tmp_path / "gt255", [m * 255 for m in MASKS])
    assert score(pred, gt, task="semantic", binary=True, threshold=128)["mIoU"] == by_hand(MASKS, GUESSES)


# ---- the threshold ---------------------------------------------------------------------------------------------


def test_a_value_of_the_threshold_is_foreground() -> None:
    truth = np.array([[127, 128, 129, 0]], np.uint8)
    for threshold, expected in ((128, [0, 1, 1, 0]), (127.5, [0, 1, 1, 0]), (129, [0, 0, 1, 0]), (1, [1, 1, 1, 0])):
        seen = Accumulator(SemanticIoU(binary=True, threshold=threshold))
        seen.update(prediction=np.array([expected], np.uint8) * 200, truth=truth)
        assert seen.compute()["aAcc"] == 1
        assert SemanticIoU(binary=True, threshold=threshold).class_of(128, "truth") == expected[1]


def test_void_is_said_of_stored_values() -> None:
    truth = np.array([[255, 255, 200, 3]], np.uint8)
    rule = SemanticIoU(binary=True, threshold=128, void=(255,))
    seen = Accumulator(rule)
    seen.update(prediction=np.array([[0, 0, 255, 0]], np.uint8), truth=truth)
    result = seen.compute()
    assert [row["pixels"] for row in result.per_class] == [1, 1]
    assert SemanticIoU(binary=True, threshold=2, void=(1,)).class_of(7, "truth") == 1
    assert rule.class_of(255, "truth") is None


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floats_are_cut_at_the_same_threshold(tmp_path: Path, kind: Any) -> None:
    gt = saved(tmp_path / "gt", MASKS)
    probable = [(g * 0.6 + 0.2).astype(kind) for g in GUESSES]
    pred = saved(tmp_path / "pred", probable, ".npy")
    assert score(pred, gt, task="semantic", binary=True, threshold=0.5)["mIoU"] == by_hand(MASKS, GUESSES)
    assert score(pred, gt, task="semantic", binary=True, threshold=0.9)["mIoU"] == by_hand(
        MASKS, [g * 0 for g in GUESSES]
    )
    with pytest.raises(
        SegevalError, match=r"holds numbers from 0\.2 to 0\.8, and the threshold is 128; give --threshold 0\.5"
    ):
        score(pred, gt, task="semantic", binary=True, threshold=128)
    one_channel = saved(tmp_path / "channel", [p[None] for p in probable], ".npy")
    assert score(one_channel, gt, task="semantic", binary=True, threshold=0.5)["mIoU"] == by_hand(MASKS, GUESSES)
    two = saved(tmp_path / "two", [np.stack([1 - p, p]) for p in probable], ".npy")
    with pytest.raises(SegevalError, match="has 2 channels, and a threshold cuts one"):
        score(two, gt, task="semantic", binary=True, threshold=0.5)
    undefined = saved(tmp_path / "nan", [np.where(p > 0.5, np.nan, p) for p in probable], ".npy")
    with pytest.raises(SegevalError, match="holds NaN, which no threshold cuts"):
        score(undefined, gt, task="semantic", binary=True, threshold=0.5)


def test_a_threshold_that_cannot_work_is_refused() -> None:
    for threshold, message in (
        (0, "divides nothing"),
        (-1, "divides nothing"),
        (float("inf"), "divides nothing"),
        (float("nan"), "divides nothing"),
        ("x", "holds no number"),
    ):
        with pytest.raises(SegevalError, match=message):
            SemanticIoU(binary=True, threshold=threshold)
    with pytest.raises(SegevalError, match="a threshold is for binary masks; give --binary too"):
        SemanticIoU(threshold=128)


def test_the_rule_is_kept(tmp_path: Path, capsys: Capsys) -> None:
    for threshold in (128, 127.5):
        rule = SemanticIoU(binary=True, threshold=threshold)
        assert rule_from_dict(SemanticIoU, rule_to_dict(rule)) == rule
    gt, pred = saved(tmp_path / "gt", [as_jpeg(m) for m in MASKS]), saved(tmp_path / "pred", [m * 255 for m in GUESSES])
    words = ["--task", "semantic", "--gt", gt, "--pred", pred, "--quiet"]
    ran = segeval(capsys, "score", *words, "--binary", "--threshold", "128", "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert "binary:>=128" in ran.out
    assert segeval(capsys, "show", tmp_path / "run").out == ran.out
    misused(segeval(capsys, "score", *words, "--threshold", "128"), "--threshold has no effect without --binary")
    misused(segeval(capsys, "score", *words, "--binary", "--threshold", "0"), "divides nothing")
    misused(segeval(capsys, "score", *words, "--binary", "--threshold", "x"), "invalid float value: 'x'")
    refused(segeval(capsys, "score", *words, "--binary"), "0.png: truth holds", "give --binary --threshold 128")
    ran = segeval(capsys, "score", "--help")
    assert "a value of T or more is foreground, a smaller one" in " ".join(ran.out.split())
