"""A tally by hand: two images whose rows count pixels by class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval import SegevalError, Tally
from segeval.evidence.rows import Rows
from segeval.evidence.tally import PackedTally, in_order, merge
from segeval.samples.pairs import Key


def rows(*lines: tuple[int, int, int]) -> Rows:
    """Rows of image, class and pixels."""
    image, label, pixels = np.array(lines, np.int64).reshape(-1, 3).T.copy()
    return Rows(image.astype(np.int32), {"class": label}, {"pixels": pixels})


def tally(keys: tuple[Key, ...], digests: tuple[int, ...], *lines: tuple[int, int, int], **more: Any) -> Tally:
    """A tally of one table."""
    return Tally("semantic", "by hand", keys, np.array(digests, np.uint64), {"pixels": rows(*lines)}, **more)


NIGHT_AND_DAY = tally(("day", "night"), (1, 2), (0, 7, 30), (0, 8, 70), (1, 7, 100))


def lines_of(found: Tally) -> list[tuple[int, int, int]]:
    """Its rows as image, class and pixels."""
    table = found.tables["pixels"]
    return list(zip(table.image.tolist(), table["class"].tolist(), table["pixels"].tolist(), strict=True))


def test_adding_puts_the_rows_of_images_in_the_order_of_their_keys() -> None:
    dawn = tally(("dawn", 10, 9), (4, 8, 16), (0, 7, 5), (1, 7, 6), (2, 8, 1))
    both = NIGHT_AND_DAY + in_order(dawn)
    assert both.keys == (9, 10, "dawn", "day", "night")
    assert lines_of(both) == [(0, 8, 1), (1, 7, 6), (2, 7, 5), (3, 7, 30), (3, 8, 70), (4, 7, 100)]
    assert both.digests.tolist() == [16, 8, 4, 1, 2]
    assert len(both) == 5


def test_the_digest_is_a_sum_that_no_order_changes() -> None:
    assert NIGHT_AND_DAY.digest == "0000000000000003"
    assert tally(("a", "b"), (2**64 - 1, 3)).digest == "0000000000000002"
    assert NIGHT_AND_DAY.collapse().digest == NIGHT_AND_DAY.digest


def test_an_image_that_comes_twice_alike_counts_once_and_is_told() -> None:
    day = NIGHT_AND_DAY.take(["day"])
    again = NIGHT_AND_DAY + day
    assert again == NIGHT_AND_DAY
    assert not NIGHT_AND_DAY.cautions()
    assert [str(c.message) for c in again.cautions()] == [
        "1 images came twice with the same content and were counted once"
    ]


def test_taking_some_images_renumbers_their_rows() -> None:
    night = NIGHT_AND_DAY.take(["night"])
    assert (night.keys, night.digests.tolist(), lines_of(night)) == (("night",), [2], [(0, 7, 100)])
    assert NIGHT_AND_DAY.take(["night", "day", "night"]) == NIGHT_AND_DAY
    assert len(NIGHT_AND_DAY.take([])) == 0
    with pytest.raises(SegevalError, match=r"no image 'dawn' and 1 more in this run; name images that were scored"):
        NIGHT_AND_DAY.take(["day", "dawn", "dusk"])


def test_collapsing_adds_the_rows_of_all_images_and_forgets_which_they_were() -> None:
    folded = NIGHT_AND_DAY.collapse()
    assert (folded.keys, len(folded), folded.folded) == ((), 2, 2)
    assert lines_of(folded) == [(-1, 7, 130), (-1, 8, 70)]
    assert lines_of(folded + tally(("x",), (5,), (0, 8, 1))) == [(-1, 7, 130), (-1, 8, 70), (0, 8, 1)]


def test_rows_that_only_say_something_and_count_nothing_are_kept() -> None:
    table = Rows(np.zeros(2, np.int32), {"score": np.array([0.5, 0.25])}, {})
    found = replace(NIGHT_AND_DAY, tables={"detections": table})
    assert found.collapse() is found


def test_tallies_that_do_not_add_say_why() -> None:
    for other in (replace(NIGHT_AND_DAY, rule="by foot"), replace(NIGHT_AND_DAY, task="panoptic")):
        with pytest.raises(SegevalError, match=r"counted under different rules: 'by hand' and .*; score both with"):
            merge([NIGHT_AND_DAY, other])
    with pytest.raises(SegevalError, match=r"images without keys can't be merged.*; give update\(\.\.\., key=\.\.\.\)"):
        merge([NIGHT_AND_DAY, NIGHT_AND_DAY.unkeyed()])
    with pytest.raises(SegevalError, match="nothing to add; give at least one tally"):
        merge([])


def test_packing_narrows_the_columns_and_unpacking_restores_them() -> None:
    packed = PackedTally.of(NIGHT_AND_DAY)
    assert packed.tally.tables["pixels"]["pixels"].dtype == np.uint8
    assert packed.nbytes == 3 * 3  # three columns of three rows, a byte each
    assert packed.unpacked() == NIGHT_AND_DAY
    assert packed.unpacked().tables["pixels"]["pixels"].dtype == np.int64


def test_a_saved_tally_is_read_again_or_refused(tmp_path: Path) -> None:
    path = NIGHT_AND_DAY.save(tmp_path / "tally.npz")
    assert Tally.load(path) == NIGHT_AND_DAY
    with pytest.raises(SegevalError, match="no such file; give the folder of a saved run"):
        Tally.load(tmp_path / "absent.npz")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(SegevalError, match=r"damaged tally \(\w+\); score again, or copy the run once more"):
        Tally.load(path)


def test_equal_means_the_same_rows_and_nothing_else_is_equal() -> None:
    assert tally(("day",), (1,), (0, 7, 30)) != tally(("day",), (1,), (0, 7, 31))
    assert tally(("day",), (1,)) != tally(("day",), (2,))
    assert NIGHT_AND_DAY != "night and day"
