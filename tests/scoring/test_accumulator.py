"""The one object that changes: what it refuses leaves no trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segeval import Accumulator, SegevalError, SemanticIoU, Taxonomy

GOOD = np.array([[0, 1], [1, 1]])


def semantic() -> Accumulator:
    return Accumulator("semantic", classes=2)


def test_keys_are_text_or_whole_numbers() -> None:
    seen = semantic()
    for bad in (1.5, ("a", 1), True, b"a", float("nan")):
        with pytest.raises(SegevalError, match="is no text and no whole number"):
            seen.update(prediction=GOOD, truth=GOOD, key=bad)  # type: ignore[arg-type]
    for good in ("a", 3, np.int64(4), np.str_("b")):
        seen.update(prediction=GOOD, truth=GOOD, key=good)  # type: ignore[arg-type]
    assert seen.tally.keys == (3, 4, "a", "b")
    assert [type(key) for key in seen.tally.keys] == [int, int, str, str]


def test_a_refused_image_leaves_no_trace() -> None:
    seen = semantic()
    for key in (None, "a"):
        with pytest.raises(SegevalError):
            seen.update(prediction=GOOD[:1], truth=GOOD, key=key)
    seen.update(prediction=GOOD, truth=GOOD)
    with pytest.raises(SegevalError, match="earlier images had no key"):
        seen.update(prediction=GOOD, truth=GOOD, key="a")
    seen.update(prediction=GOOD, truth=GOOD)
    assert seen.compute().images == 2
    seen.reset()
    seen.update(prediction=GOOD, truth=GOOD, key="a")
    with pytest.raises(SegevalError, match="this image has no key"):
        seen.update(prediction=GOOD, truth=GOOD)


def test_nothing_counted() -> None:
    with pytest.raises(SegevalError, match="nothing was counted; call update first"):
        semantic().compute()


def test_merging() -> None:
    a, b = semantic(), semantic()
    a.update(prediction=GOOD, truth=GOOD, key="x")
    b.update(prediction=GOOD, truth=GOOD, key="x")
    b.update(prediction=1 - GOOD, truth=GOOD, key="y")
    a.merge(b)
    assert a.compute().images == 2
    assert a.tally.duplicates == 1
    other = semantic()
    other.update(prediction=GOOD * 0, truth=GOOD, key="x")
    with pytest.raises(SegevalError, match="image x: was counted twice with different content"):
        a.merge(other)
    with pytest.raises(SegevalError, match="different rules"):
        a.merge(Accumulator("semantic", classes=3))
    with pytest.raises(SegevalError, match="is no Accumulator"):
        a.merge(a.tally)  # type: ignore[arg-type]
    unkeyed = semantic()
    unkeyed.update(prediction=GOOD, truth=GOOD)
    with pytest.raises(SegevalError, match="images without keys can't be merged"):
        semantic().merge(unkeyed) or a.merge(unkeyed)


def test_rules_and_options() -> None:
    with pytest.raises(SegevalError, match="did you mean semantic"):
        Accumulator("semantics")
    with pytest.raises(SegevalError, match="options belong to the rule"):
        Accumulator(SemanticIoU(Taxonomy.of_count(2)), classes=2)
    with pytest.raises(SegevalError, match="'voids' is no option"):
        Accumulator("semantic", voids=(1,))
    with pytest.raises(SegevalError, match="absent='never'"):
        Accumulator("semantic", classes=2, absent="never")


PANOPTIC: dict[str, tuple[Any, str]] = {
    "no pair": (GOOD, "prediction has shape (2,), but a label map is (height, width)"),
    "one thing": (3, "prediction is no pair of ids and segments"),
    "no list": ((GOOD, {"id": 1}), "segments_info is no list"),
    "no category": ((GOOD, [{"id": 1}]), "segment 0 lacks id or category_id"),
    "text": ((GOOD, ["car"]), "segment 0 lacks id or category_id"),
    "id 0": ((GOOD, [{"id": 0, "category_id": 1}]), "segment id 0 is void; use ids from 1 to 16777215"),
    "large id": ((GOOD, [{"id": 2**24, "category_id": 1}]), "segment id 16777216 does not fit in three bytes"),
    "id twice": ((GOOD, [{"id": 1, "category_id": 1}, {"id": 1, "category_id": 2}]), "lists the segment id 1 twice"),
    "broken id": ((GOOD, [{"id": 1.5, "category_id": 1}]), "the id of segment 0 is 1.5, not a whole number"),
    "text id": ((GOOD, [{"id": "1", "category_id": 1}]), "the id of segment 0 is '1', not a whole number"),
    "huge category": ((GOOD, [{"id": 1, "category_id": 10**30}]), "segment 1 has category_id 1000"),
    "other category": ((GOOD, [{"id": 1, "category_id": 9}]), "has category 9, which is not among the classes"),
    "not listed": ((GOOD, []), "pixels hold the segment id 1, which its list of segments lacks"),
    "no pixel": ((GOOD, [{"id": 1, "category_id": 1}, {"id": 2, "category_id": 1}]), "segment 2, which has no pixel"),
    "crowd 2": ((GOOD, [{"id": 1, "category_id": 1, "iscrowd": 2}]), "segment 1 has iscrowd 2"),
    "area": ((GOOD, [{"id": 1, "category_id": 1, "area": -4}]), "segment 1 has the area -4"),
    "area text": ((GOOD, [{"id": 1, "category_id": 1, "area": "4"}]), "the area of segment 1 is '4'"),
    "size": ((GOOD[:1], [{"id": 1, "category_id": 1}]), "prediction is 2x1 but its truth is 2x2"),
    "16-bit colours": ((np.zeros((2, 2, 3), np.uint16), []), "prediction has shape (2, 2, 3)"),
}


@pytest.mark.parametrize("name", PANOPTIC)
def test_panoptic_predictions_refused(name: str) -> None:
    prediction, message = PANOPTIC[name]
    seen = Accumulator("panoptic", classes=Taxonomy((1, 2), ("a", "b"), (True, False)))
    truth = (GOOD, [{"id": 1, "category_id": 1}])
    with pytest.raises(SegevalError) as caught:
        seen.update(prediction=prediction, truth=truth, key="p")
    assert any(part in str(caught.value) for part in message.split("|")), str(caught.value)
    assert "image p" in str(caught.value)
    seen.update(prediction=truth, truth=truth, key="p")
    assert seen.compute()["PQ"] == 1.0


def test_panoptic_truth_area_is_checked_and_a_missing_one_is_not() -> None:
    seen = Accumulator("panoptic", classes=Taxonomy((1,)))
    good = [{"id": 1, "category_id": 1, "area": 3}]
    seen.update(prediction=(GOOD, good), truth=(GOOD, good), key=1)
    seen.update(prediction=(GOOD, good), truth=(GOOD, [{"id": 1, "category_id": 1, "area": None}]), key=2)
    with pytest.raises(SegevalError, match="segment 1 has the area 4 in the JSON but 3 pixels"):
        seen.update(prediction=(GOOD, good), truth=(GOOD, [{"id": 1, "category_id": 1, "area": 4}]), key=3)
    assert seen.compute()["PQ"] == 1.0


MASKS = {"masks": np.ones((1, 2, 2), bool), "labels": np.array([0]), "scores": np.array([0.5])}
LOGITS = np.zeros((2, 3, 2, 2), np.float32)
BATCH = np.zeros((2, 2, 2), np.int64)
ODD: dict[str, tuple[str, dict[str, Any], str]] = {
    "float labels": (
        "semantic",
        {"prediction": BATCH + 1.5},
        "image a: prediction holds floats (float64) with numbers",
    ),
    "float truth": ("semantic", {"truth": BATCH + 0.5}, "image a: truth holds floats (float64) with numbers that"),
    "NaN logits": ("semantic", {"prediction": LOGITS * np.nan}, "image a: the logits of 4 pixels hold NaN"),
    "NaN foreground": ("semantic", {"prediction": LOGITS[:, :1] * np.nan}, "image a: the logits of 4 pixels hold NaN"),
    "channels": ("semantic", {"prediction": LOGITS[:, :2]}, "logits have 2 channels for 3 classes"),
    "masked": ("semantic", {"prediction": np.ma.masked_equal(BATCH, 0)}, "has 4 masked entries"),
    "few keys": ("semantic", {"keys": "a"}, "2 images but 1 keys"),
    "many keys": ("semantic", {"keys": "abc"}, "2 images but 3 keys"),
    "one key": ("semantic", {"keys": 3}, "keys are 3, no list"),
    "both": ("semantic", {"key": "a"}, "2 images but 2 keys"),
    "no key": ("semantic", {"keys": ["a", None]}, "the key None is no text and no whole number"),
    "no pixels": ("semantic", {"prediction": BATCH[:, :0], "truth": BATCH[:, :0]}, "truth has no pixels"),
    "no array": ("semantic", {"prediction": None}, "1 predictions but 2 truths"),
    "five axes": (
        "semantic",
        {"prediction": LOGITS[None], "truth": BATCH[None], "keys": "a"},
        "truth has shape (2, 2, 2)",
    ),
    "rle": ("instance", {"rle": 3}, "prediction rle is a int"),
    "rle size": ("instance", {"rle": [{"size": [2], "counts": [4]}]}, "prediction mask 0 has the size [2]"),
    "rle size text": (
        "instance",
        {"rle": [{"size": "x", "counts": [4]}]},
        "the size of prediction mask 0 has dtype <U1",
    ),
    "NaN size": ("instance", {**MASKS, "size": [np.nan, 2]}, "prediction has the size [nan, 2]"),
    "negative size": ("instance", {**MASKS, "size": [-2, 2]}, "prediction has the size [-2, 2]"),
    "NaN masks": ("instance", {**MASKS, "masks": MASKS["masks"] * np.nan}, "prediction masks have shape (1, 2, 2)"),
    "NaN score": ("instance", {**MASKS, "scores": np.array([np.nan])}, "result 1 has the score nan"),
    "float labels of masks": ("instance", {**MASKS, "labels": np.array([0.0])}, "prediction labels have dtype float64"),
    "one box": ("instance", {"boxes": 3.0, "labels": [0]}, "prediction boxes have shape ()"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_input_is_told_in_one_line(name: str) -> None:
    task, data, message = ODD[name]
    seen = Accumulator(task, classes=3)
    given: dict[str, Any] = {"prediction": BATCH, "truth": BATCH, "keys": "ab", **data}
    if task == "instance":
        given = {"prediction": data, "truth": {n: v for n, v in MASKS.items() if n != "scores"}, "key": "p"}
    with pytest.raises(SegevalError) as caught:
        seen.update(**given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(seen.tally) == 0


def test_odd_input_that_is_meant() -> None:
    seen = semantic()
    for empty in ([], np.zeros((0, 4, 5), int)):
        seen.update(prediction=empty, truth=empty, keys=[])
    seen.update(prediction=np.zeros((0, 2, 4, 5)), truth=np.zeros((0, 4, 5), int), keys=[])
    assert len(seen.tally) == 0
    wide = np.arange(48).reshape(2, 4, 6) % 2
    views = wide[:, ::-1, ::2]
    seen.update(prediction=views == 1, truth=np.asfortranarray(views), keys=(k for k in ("a", "b")))
    assert seen.compute()["mIoU"] == 1.0
    assert seen.tally.keys == ("a", "b")
    for none in (0, [], {}):
        with pytest.raises(SegevalError, match=r"is no number of classes|is neither a number of classes"):
            Accumulator("semantic", classes=none)
    taxonomy = Taxonomy((1, 2), ("a", "b"), (True, False))
    side = (GOOD + 1, [{"id": 1, "category_id": 1}, {"id": 2, "category_id": 2}])
    for batch in ([side, side], (side, side), [list(side), list(side)], (np.stack([side[0]] * 2), [side[1]] * 2)):
        panoptic = Accumulator("panoptic", classes=taxonomy)
        panoptic.update(prediction=batch, truth=batch, keys="ab")
        panoptic.update(prediction=[], truth=[], keys=[])
        assert panoptic.compute().images == 2
