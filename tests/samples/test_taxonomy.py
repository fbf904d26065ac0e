"""Classes from what a caller has at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segeval import SegevalError, Taxonomy


@pytest.mark.parametrize("classes", [3, np.int64(3), ["0", "1", "2"], {0: "0", 1: "1", 2: "2"}, Taxonomy((0, 1, 2))])
def test_the_same_three_classes(classes: Any) -> None:
    assert Taxonomy.of(classes) == Taxonomy.of_count(3)


def test_names_by_id() -> None:
    assert Taxonomy.of({7: "road", 11: "sky"}) == Taxonomy((7, 11), ("road", "sky"))


@pytest.mark.parametrize("classes", ["classes.txt", "road", True, 2.5, [1, 2], None, [["a"]], object()])
def test_neither_a_count_nor_names(classes: Any) -> None:
    """A text would be taken letter by letter, and ids for names."""
    with pytest.raises(SegevalError, match="is neither a number of classes nor a list of names"):
        Taxonomy.of(classes)


def test_lists_and_numpy_integers() -> None:
    listed: Any = Taxonomy(list(np.arange(2)), ["a", "b"], [True, False])  # type: ignore[arg-type]
    assert listed == Taxonomy((0, 1), ("a", "b"), (True, False))
    assert hash(listed)
    assert {type(i) for i in listed.ids} == {int}


@pytest.mark.parametrize(
    ("ids", "names", "message"),
    [
        ((0, 0), (), "class id 0 is given twice"),
        ((-1,), (), "class id -1 is negative"),
        ((2**32,), (), "class id 4294967296 is too large"),
        ((0, 1), ("a",), "2 class ids but 1 names"),
        ((0.5,), (), "give whole numbers"),
    ],
)
def test_refused(ids: Any, names: Any, message: str) -> None:
    with pytest.raises(SegevalError, match=message):
        Taxonomy(ids, names)


def test_round_trip_and_lookup() -> None:
    taxonomy = Taxonomy((7, 3), ("car", "3"), (True, False), ((1, 2, 3), (4, 5, 6)))
    assert Taxonomy.from_dict(taxonomy.to_dict()) == taxonomy
    assert taxonomy.resolve("car") == 7
    assert taxonomy.resolve("7") == 7
    assert taxonomy.resolve("3") == 3
    assert taxonomy.without([7]) == Taxonomy((3,), ("3",), (False,), ((4, 5, 6),))
    with pytest.raises(SegevalError, match="'bus' is neither the id nor the name of a class; classes are 7 car, 3"):
        taxonomy.resolve("bus")
    with pytest.raises(SegevalError, match="the classes of the saved run can't be read"):
        Taxonomy.from_dict({"ids": 3})
