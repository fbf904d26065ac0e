"""What a stored value means: negative labels, 255, whole floats, one-hot channels, probabilities and logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from segeval import Accumulator, SegevalError, functional, score
from segeval.samples.labels import LARGEST_LABEL, as_labels, meant, stored
from tests.cli.commands import segeval
from tests.cli.refusals import Capsys

TRUTH = np.array([[0, 0, 1, 2], [1, 1, 2, 2], [0, 1, 2, 0]])
GUESS = np.array([[0, 1, 1, 2], [1, 1, 2, 0], [0, 1, 2, 0]])


def miou(prediction: Any, truth: Any, **options: Any) -> float:
    seen = Accumulator("semantic", **options)
    seen.update(prediction=prediction, truth=truth)
    return seen.compute()["mIoU"]


def saved(folder: Path, **sides: Any) -> tuple[Path, Path]:
    for name, array in sides.items():
        (folder / name).mkdir(parents=True)
        np.save(folder / name / "a.npy", array)
    return folder / "pred", folder / "gt"


WANTED = miou(GUESS, TRUTH, classes=3)


@pytest.mark.parametrize("void", [-1, -100, 65535, 255, 2**31])
def test_any_value_can_be_void_on_both_sides(tmp_path: Path, void: int) -> None:
    truth, guess = TRUTH.copy(), GUESS.copy()
    truth[0, :2], guess[2, 3] = void, void
    by_hand = miou(np.where(guess == void, 255, guess), np.where(truth == void, 255, truth), classes=3)
    assert miou(guess, truth, classes=3, void=void) == by_hand
    pred, gt = saved(tmp_path, pred=guess, gt=truth)
    assert score(pred, gt, task="semantic", classes=3, void=(void,))["mIoU"] == by_hand
    figures = functional.iou(prediction=guess, truth=truth, classes=3, void=void)
    assert np.nanmean(figures) == by_hand


def test_a_negative_label_is_void_by_a_word_or_refused(capsys: Capsys, tmp_path: Path) -> None:
    truth = TRUTH.copy()
    truth[0, :2] = -1
    pred, gt = saved(tmp_path, pred=GUESS, gt=truth)
    words = ["score", "--task", "semantic", "--pred", pred, "--gt", gt, "--quiet", "--format", "json"]
    wanted = miou(GUESS, np.where(truth < 0, 255, truth), classes=3)
    for classes in ([], ["--classes", "3"]):
        ran = segeval(capsys, *words, *classes)
        assert ran.code == 1
        assert "truth holds the label -1" in ran.err
        assert "--void (255 -1)" in ran.err  # and this remedy works:
        ran = segeval(capsys, *words, *classes, "--void", "255", "-1")
        assert json.loads(ran.out)["values"]["mIoU"] == wanted
        (tmp_path / "map.csv").write_text("from,to\n-1,255\n")
        ran = segeval(capsys, *words, *classes, "--map-gt", tmp_path / "map.csv")
        assert json.loads(ran.out)["values"]["mIoU"] == wanted
    convert = ["convert", gt, "--from", "labels", "--to", "labels", "--out"]
    ran = segeval(capsys, *convert, tmp_path / "bad")
    assert ran.code == 1
    assert "holds the negative label -1; map it (--map FILE), or give --from-void -1 if it is void" in ran.err
    for k, more in enumerate((["--map", tmp_path / "map.csv"], ["--from-void", "-1"])):
        assert segeval(capsys, *convert, tmp_path / f"good{k}", *more).code == 0
        ran = segeval(capsys, *words[:3], "--pred", pred, "--gt", tmp_path / f"good{k}", *words[7:], "--classes", "3")
        assert json.loads(ran.out)["values"]["mIoU"] == wanted


@given(st.integers(-(2**16), LARGEST_LABEL))
def test_a_stored_label_comes_back(label: int) -> None:
    array = as_labels(np.array([[label, 0]]), "truth", signed=True)
    assert int(array[0, 0]) == stored(label)
    assert meant(int(array[0, 0])) == label


def test_the_largest_labels_are_refused_alike_on_both_sides() -> None:
    for label in (LARGEST_LABEL + 1, 2**32 - 1):
        for side in ("truth", "prediction"):
            arrays = {"truth": TRUTH, "prediction": TRUTH} | {side: np.where(TRUTH == 2, label, TRUTH)}
            with pytest.raises(SegevalError, match=f"{side} holds the label {label}; use ids up to {LARGEST_LABEL}"):
                functional.iou(**arrays, classes=3, void=label)


def test_two_valued_truth_of_many_classes_is_no_mask(tmp_path: Path) -> None:
    truth = np.where(TRUTH == 2, 255, 0).astype(np.uint8)
    pred, gt = saved(tmp_path, pred=np.zeros_like(truth), gt=truth)
    for classes in (None, 2):
        with pytest.raises(SegevalError, match="give --binary if 255 is the foreground"):
            score(pred, gt, task="semantic", classes=classes)
    assert score(pred, gt, task="semantic", classes=3).per_class[0]["IoU"] == 1.0


def test_what_255_was_taken_for_is_told(tmp_path: Path) -> None:
    mask = (TRUTH == 2).astype(np.uint8)
    pred, gt = saved(tmp_path, pred=mask * 255, gt=mask)
    said = {w.code: w.message for w in score(pred, gt, task="semantic").warnings}
    assert "give --binary if 255 is the foreground" in said["prediction-mask-255"]
    assert score(pred, gt, task="semantic", binary=True)["mIoU"] == 1.0
    pred, gt = saved(tmp_path / "b", pred=GUESS, gt=np.where(TRUTH == 2, 255, TRUTH))
    result = score(pred, gt, task="semantic", classes=3)
    said = {w.code: w.message for w in result.warnings}
    assert said["void-by-default"].startswith("4 of 12 pixels of the truth are 255, void by default, and left out")
    for void in ((255,), ()):
        classes = 256 if void == () else 3
        said = {w.code for w in score(pred, gt, task="semantic", classes=classes, void=void).warnings}
        assert "void-by-default" not in said


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("side", ["pred", "gt"])
def test_whole_floats_are_labels(tmp_path: Path, kind: Any, side: str) -> None:
    sides = {"pred": GUESS, "gt": TRUTH}
    pred, gt = saved(tmp_path, **{**sides, side: sides[side].astype(kind)})
    assert score(pred, gt, task="semantic", classes=3)["mIoU"] == WANTED


ONE_HOT = np.eye(3, dtype=np.uint8)[GUESS]
SHAPES = {
    "(1, H, W)": GUESS[None],
    "(H, W, 1)": GUESS[..., None],
    "one-hot (C, H, W)": ONE_HOT.transpose(2, 0, 1),
    "one-hot (H, W, C)": ONE_HOT,
    "logits (C, H, W)": ONE_HOT.transpose(2, 0, 1) * 4.5 - 1.25,
    "softmax (H, W, C)": ONE_HOT * 0.5 + 0.125,
}


@pytest.mark.parametrize("name", SHAPES)
def test_one_rule_for_channels_in_files_and_loops(tmp_path: Path, name: str) -> None:
    pred, gt = saved(tmp_path, pred=SHAPES[name], gt=TRUTH)
    assert score(pred, gt, task="semantic", classes=3)["mIoU"] == WANTED
    assert miou(SHAPES[name], TRUTH, classes=3) == WANTED
    seen = Accumulator("semantic", classes=3)
    seen.update(prediction=np.stack([SHAPES[name]] * 2), truth=np.stack([TRUTH] * 2), keys="ab")
    assert seen.compute()["mIoU"] == WANTED


@pytest.mark.parametrize("name", ["(1, H, W)", "(H, W, 1)", "one-hot (C, H, W)", "one-hot (H, W, C)"])
def test_truth_may_have_channels_too(name: str) -> None:
    wanted = miou(TRUTH, GUESS, classes=3)
    assert miou(TRUTH, SHAPES[name], classes=3) == wanted
    seen = Accumulator("semantic", classes=3)
    seen.update(prediction=np.stack([TRUTH] * 2), truth=np.stack([SHAPES[name]] * 2))
    assert seen.compute()["mIoU"] == wanted


def test_colours_are_no_one_hot_channels() -> None:
    colours = np.zeros((*TRUTH.shape, 3), np.uint8)
    for pixel in (0, 1, 128, 255):
        colours[0, 0] = pixel
        with pytest.raises(SegevalError, match="colours are no labels"):
            miou(colours, TRUTH, classes=3)


MASK = (TRUTH == 2).astype(int)
HIT = (GUESS == 2).astype(int)
FOREGROUND = miou(HIT, MASK, classes=2)


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_one_channel_is_cut_by_what_it_holds(axis: int, library: str) -> None:
    torch = pytest.importorskip("torch")
    for low, high, told in ((0.1, 0.9, True), (-3.5, 2.5, False), (0.0, 1.0, False)):
        plane = np.expand_dims(np.where(HIT, high, low), axis)
        data = torch.from_numpy(plane) if library == "torch" else plane
        seen = Accumulator("semantic", classes=2)
        seen.update(prediction=data, truth=MASK)
        result = seen.compute()
        assert result["mIoU"] == FOREGROUND
        assert ("probabilities" in {w.code for w in result.warnings}) == told


def test_probabilities_in_files(tmp_path: Path) -> None:
    pred, gt = saved(tmp_path, pred=np.where(HIT, 0.75, 0.25), gt=MASK)
    result = score(pred, gt, task="semantic", classes=2)
    assert result["mIoU"] == FOREGROUND
    assert "cut at 0.5" in next(w.message for w in result.warnings if w.code == "probabilities")
    with pytest.raises(SegevalError, match=r"a\.npy.*one channel of floats for 5 classes"):
        score(pred, gt, task="semantic", classes=5)
    np.save(pred / "a.npy", np.where(HIT, 3.5, -2.5))
    with pytest.raises(
        SegevalError, match=r"a\.npy.*numbers that are not whole, not labels; save class ids as integers"
    ):
        score(pred, gt, task="semantic", classes=2)


def test_probabilities_beside_logits_are_refused() -> None:
    seen = Accumulator("semantic", classes=2)
    seen.update(prediction=np.where(HIT, 0.75, 0.25)[None], truth=MASK, key="a")
    seen.update(prediction=np.where(HIT, 3.5, -2.5)[None], truth=MASK, key="b")
    with pytest.raises(SegevalError, match="it is unknown where to cut; give class ids, or a sigmoid's outputs"):
        seen.compute()


@pytest.mark.parametrize("width", [3, 4, 5])
def test_a_batch_of_narrow_maps_is_a_batch(width: int) -> None:
    maps = np.zeros((5, 4, width), np.int64)
    maps[:, :, 2:] = 1
    seen = Accumulator("semantic", classes=2)
    seen.update(prediction=maps, truth=maps)
    assert seen.compute().images == 5


def test_bits_and_bytes_are_one_truth(tmp_path: Path) -> None:
    for name, image in (("gt", MASK.astype(bool)), ("pred", (HIT * 255).astype(np.uint8))):
        (tmp_path / name).mkdir()
        Image.fromarray(image).save(tmp_path / name / "a.png")
    assert score(tmp_path / "pred", tmp_path / "gt", task="semantic", binary=True)["mIoU"] == FOREGROUND


def test_minus_one_is_no_segment() -> None:
    listed = [{"id": 1, "category_id": 0}, {"id": 2, "category_id": 1}]
    truth = (np.array([[0, 0, 1], [2, 2, 1]]), listed)
    for nothing in (0, -1):
        seen = Accumulator("panoptic", classes=2)
        seen.update(prediction=(np.array([[nothing, nothing, 1], [2, 2, 1]]), listed), truth=truth)
        assert seen.compute()["PQ"] == 1.0
    with pytest.raises(SegevalError, match="holds the negative label -2"):
        seen.update(prediction=(np.array([[-2, 0, 1], [2, 2, 1]]), listed), truth=truth)
    named = [{"id": 1, "label_id": 0, "score": 0.9}, listed[1]]
    with pytest.raises(SegevalError, match="segment 0 has label_id and no category_id; write category_id"):
        seen.update(prediction=(truth[0], named), truth=truth)
