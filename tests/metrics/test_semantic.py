"""The semantic rule's own choices: binary masks, maps, void."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segeval import Accumulator, Result, SegevalError, SemanticIoU, Taxonomy
from segeval.functional import confusion_matrix, iou


def scored(truth: Any, prediction: Any, **options: Any) -> Result:
    seen = Accumulator("semantic", **options)
    seen.update(prediction=np.array([prediction]), truth=np.array([truth]), key="a")
    return seen.compute()


def test_truth_of_0_and_255_is_refused_until_255_is_said() -> None:
    truth = [0, 255, 255, 0]
    for score in (
        lambda: scored(truth, truth),
        lambda: iou(prediction=[truth], truth=[truth], classes=2),
        lambda: confusion_matrix(prediction=[truth], truth=[truth], classes=2),
    ):
        with pytest.raises(SegevalError, match=r"exactly the values 0 and 255.*--binary.*--void 255"):
            score()
    assert [row["IoU"] for row in scored(truth, [0, 255, 0, 0], binary=True).per_class] == [2 / 3, 1 / 2]
    assert scored(truth, [0, 1, 1, 0], classes=2, void=(255,))["aAcc"] == 1.0
    assert iou(prediction=[truth], truth=[truth], classes=2, void=[255])[0] == 1.0


def test_binary_with_an_explicit_void_keeps_it_void() -> None:
    result = scored([0, 1, 255, 255], [0, 1, 0, 1], binary=True, void=(255,))
    assert result["mIoU"] == 1.0
    result = scored([0, 1, 128, 128], [0, 255, 0, 255], binary=True, void=(128,))
    assert result["mIoU"] == 1.0


@pytest.mark.parametrize("side", ["truth", "prediction"])
def test_binary_refuses_1_and_255_in_one_mask(side: str) -> None:
    maps = {"truth": [0, 1, 1], "prediction": [0, 1, 1]} | {side: [0, 1, 255]}
    with pytest.raises(SegevalError, match=f"image a: {side} holds both 1 and 255.*--void 255"):
        scored(maps["truth"], maps["prediction"], binary=True)


def test_maps_come_before_reduce_zero_label() -> None:
    # 7 and 8 stand for 1 and 2 of a set whose 0 is void.
    result = scored([0, 7, 8], [1, 0, 1], map_truth=((7, 1), (8, 2)), reduce_zero_label=True, classes=2)
    assert result.confusion is not None
    assert result.confusion.tolist() == [[1, 0, 0], [0, 1, 0]]


def test_maps_do_not_cascade() -> None:
    result = scored([0, 1], [1, 0], map_prediction=((0, 1), (1, 0)), classes=2)
    assert result["mIoU"] == 1.0


def test_a_void_class_is_no_class() -> None:
    result = scored([0, 1, 2], [1, 1, 2], classes=3, void=(0,), absent="zero")
    assert [row["id"] for row in result.per_class] == [1, 2]
    assert result["mIoU"] == 1.0


def test_255_among_the_classes_must_be_said() -> None:
    with pytest.raises(SegevalError, match=r"255 is among the classes.*--void none"):
        SemanticIoU(Taxonomy.of_count(300))
    assert len(SemanticIoU(Taxonomy.of_count(300), void=()).taxonomy or ()) == 300
    assert len(SemanticIoU(Taxonomy.of_count(300), void=(255,)).taxonomy or ()) == 299


def test_prediction_outside_the_classes() -> None:
    with pytest.raises(SegevalError, match=r"image a: prediction holds the label 7.*classes are 0, 1"):
        scored([0, 1], [7, 1], classes=2)
    result = scored([0, 1], [7, 1])  # classes inferred: a miss, and no false positive
    assert [row["IoU"] for row in result.per_class] == [0.0, 1.0]
    assert "prediction-outside" in {w.code for w in result.warnings}
    result = scored([0, 1], [255, 1], classes=2)
    assert [row["IoU"] for row in result.per_class] == [0.0, 1.0]
    assert "prediction-void" in {w.code for w in result.warnings}


def test_excluded_classes_leave_the_means_only() -> None:
    result = scored([0, 0, 1, 2], [0, 1, 1, 0], classes=("a", "b", "c"), exclude=("c",))
    whole = scored([0, 0, 1, 2], [0, 1, 1, 0], classes=("a", "b", "c"))
    assert result["mIoU"] == (whole.per_class[0]["IoU"] + whole.per_class[1]["IoU"]) / 2
    assert result["aAcc"] == whole["aAcc"]
    with pytest.raises(SegevalError, match="'d' is neither the id nor the name of a class"):
        scored([0], [0], classes=("a",), exclude=("d",))


@pytest.mark.parametrize("void", [255, [255], np.array([255]), (np.uint8(255),)])
def test_options_in_a_callers_own_types(void: Any) -> None:
    rule = SemanticIoU(Taxonomy.of_count(2), void=void, exclude="10", map_truth={7: 0})  # type: ignore[arg-type]
    assert rule == SemanticIoU(Taxonomy.of_count(2), void=(255,), exclude=("10",), map_truth=((7, 0),))
    assert rule.exclude == ("10",)  # and not the classes 1 and 0


def test_options_of_no_number() -> None:
    for options in ({"void": ("x",)}, {"void": 1.5}, {"map_truth": ((1, "a"),)}):
        with pytest.raises(SegevalError, match="holds no whole number"):
            SemanticIoU(Taxonomy.of_count(2), **options)  # type: ignore[arg-type]


def test_classes_of_one_name_keep_a_column_each() -> None:
    seen = Accumulator("semantic", classes=("screen", "sky", "screen"))
    seen.update(prediction=np.array([[0, 1, 2]]), truth=np.array([[0, 1, 1]]), key="a")
    row = seen.rule.per_image(seen.tally)[0]
    assert [row[f"IoU {name}"] for name in ("0 screen", "sky", "2 screen")] == [1.0, 0.5, 0.0]
