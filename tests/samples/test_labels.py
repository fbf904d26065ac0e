"""What an array must be before a kernel sees it: odd ones are taken or refused, never misread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeval.errors import SegevalError
from segeval.functional import confusion_matrix, panoptic_quality
from segeval.samples.labels import as_labels, resize_nearest
from segeval.samples.taxonomy import Taxonomy

BASE = np.arange(48, dtype=np.uint8).reshape(6, 8) % 4

KINDS = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", ">u2", ">u4", ">i8", ">i2"]
LAYOUTS = {
    "C": lambda a: a,
    "Fortran": np.asfortranarray,
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "flipped": lambda a: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "strided": lambda a: np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3],
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "unaligned": lambda a: np.frombuffer(bytearray(b"x" + a.tobytes()), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    "broadcast": lambda a: np.broadcast_to(a, (1, *a.shape))[0],
    "list": lambda a: a.tolist(),
    "masked": np.ma.masked_array,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_integer_in_any_layout_counts_the_same(kind: str, layout: str) -> None:
    odd = LAYOUTS[layout](BASE.astype(kind))
    labels = as_labels(odd, "truth")
    assert labels.flags.carray
    assert labels.dtype.isnative
    assert np.array_equal(labels, BASE)
    wanted = confusion_matrix(prediction=BASE, truth=BASE[:, ::-1], classes=4)
    got = confusion_matrix(prediction=odd, truth=BASE.astype(kind)[:, ::-1], classes=4)
    assert np.array_equal(got, wanted)


def test_booleans_are_classes_0_and_1() -> None:
    mask = BASE > 1
    expected = [[24, 0, 0], [0, 24, 0]]
    assert confusion_matrix(prediction=mask, truth=mask, classes=2).tolist() == expected
    assert confusion_matrix(prediction=mask.T, truth=np.asfortranarray(mask.T), classes=2).tolist() == expected


REFUSED = {
    "floats": (BASE + 0.5, "holds floats (float64) with numbers that are not whole, not labels; save class ids as"),
    "half floats": ((BASE + 1.5).astype(np.float16), "holds floats (float16)"),
    "NaN": (np.full((2, 2), np.nan), "holds floats"),
    "complex": (BASE.astype(complex), "has dtype complex128; give an array of integers"),
    "objects": (BASE.astype(object), "has dtype object"),
    "text": (BASE.astype(str), "has dtype <U"),
    "dates": (BASE.astype("M8[s]"), "has dtype datetime64[s]"),
    "records": (np.zeros((2, 2), [("a", "u1")]), "has dtype"),
    "ragged": ([[1, 2], [3]], "is no array"),
    "None": (None, "has dtype object"),
    "negative": (BASE.astype(int) - 1, "holds the label -1, which is not among the classes; map it ("),
    "very negative": (BASE.astype(int) - 2**20, "holds the negative label -1048576; use labels from -65536 on"),
    "too large": (BASE.astype(int) + 2**32, "holds the label 4294967299; use ids up to 4294901757"),
    "too large, unsigned": (np.full((2, 2), 2**64 - 1, np.uint64), "holds the label 18446744073709551615"),
    "scalar": (np.uint8(3), "has shape (), but a label map is (height, width)"),
    "flat": (BASE.ravel(), "has shape (48,), but a label map is (height, width)"),
    "colours": (np.zeros((6, 8, 3), np.uint8), "colours are no labels: convert each colour to its class id"),
    "batch": (
        BASE[None].repeat(2, 0),
        "has shape (2, 6, 8), but a label map is (height, width); give one class id a pixel",
    ),
    "no pixels": (np.zeros((0, 8), np.uint8), "has no pixels (shape (0, 8)); remove the image"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_value_and_remedy(name: str) -> None:
    array, message = REFUSED[name]
    for side in ("truth", "prediction"):
        arrays: dict[str, Any] = {"truth": BASE, "prediction": BASE} | {side: array}
        with pytest.raises(SegevalError) as caught:
            confusion_matrix(**arrays, classes=4)
        assert message in str(caught.value)
        assert side in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [n for n in REFUSED if n not in ("colours", "negative", "very negative", "too large", "too large, unsigned")],
)
def test_refused_as_segment_ids_too(name: str) -> None:
    array, message = REFUSED[name]
    good = (np.ones((6, 8), int), [{"id": 1, "category_id": 0}])
    with pytest.raises(SegevalError) as caught:
        panoptic_quality(prediction=(array, []), truth=good, classes=Taxonomy.of_count(1))
    assert message.split(",")[0] in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 8), (6, 1), (1, 1), (8, 6), (7, 8)])
def test_nothing_broadcasts(shape: tuple[int, int]) -> None:
    with pytest.raises(SegevalError, match=f"prediction is {shape[1]}x{shape[0]} but its truth is 8x6"):
        confusion_matrix(prediction=np.zeros(shape, int), truth=BASE, classes=4)


def test_torch_tensors() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(BASE)
    wanted = confusion_matrix(prediction=BASE, truth=BASE, classes=4)
    for odd in (tensor, tensor.long(), tensor.T.contiguous().T, tensor.to(torch.int16)):
        assert np.array_equal(confusion_matrix(prediction=odd, truth=tensor, classes=4), wanted)
    for whole in (tensor.bfloat16(), tensor.float()):
        assert np.array_equal(confusion_matrix(prediction=whole, truth=tensor, classes=4), wanted)
    for bad in (tensor.bfloat16() + 0.5, tensor.float() - 0.5, tensor.to_sparse()):
        with pytest.raises(SegevalError, match="prediction"):
            confusion_matrix(prediction=bad, truth=tensor, classes=4)


@given(old=st.integers(1, 40), new=st.integers(1, 40))
def test_resize_takes_the_pixel_under_the_centre(old: int, new: int) -> None:
    from fractions import Fraction

    column = resize_nearest(np.arange(old)[:, None], new, 1)[:, 0]
    assert column.tolist() == [int(Fraction(2 * i + 1, 2) * Fraction(old, new)) for i in range(new)]
