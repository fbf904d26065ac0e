"""Adding rows: in any order, packed or not, in little more memory than the sum takes."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeval import SegevalError, Tally
from segeval.evidence import rows
from segeval.evidence.joining import order_of, sorted_positions
from segeval.evidence.rows import Rows, fold
from segeval.evidence.sums import Sum
from segeval.evidence.tally import PackedTally, in_order, merge, merge_parts
from segeval.samples.pairs import Key

KEYS = st.one_of(st.integers(-3, 12), st.sampled_from(["1", "2", "10", "a", "Z", "é", "image 7"]))


def _number(key: Key) -> int:
    return zlib.crc32(repr(key).encode())


def _tally(keys: list[Key], seed: int, far: int = 1, each: int = 4) -> Tally:
    """Rows that depend on the key alone, in the order given."""
    columns = []
    for at, key in enumerate(keys):
        rng = np.random.default_rng([seed, _number(key)])
        group = np.unique(rng.integers(-1, 6, each))
        columns.append((np.full(len(group), at), group * far, rng.integers(0, 300, len(group))))
    image, group, count = (
        np.concatenate([np.zeros(0, np.int64), *(c[k] for c in columns)]).astype(np.int64) for k in range(3)
    )
    table = Rows(image.astype(np.int32), {"class": group}, {"pixels": count})
    digests = np.array([_number(key) for key in keys], np.uint64)
    return Tally("semantic", "a rule", tuple(keys), digests, {"pixels": table})


@given(st.lists(KEYS, unique_by=lambda k: (type(k) is str, k)), st.integers(0, 99))
def test_images_sort_by_number_and_then_by_text(keys: list[Key], seed: int) -> None:
    random.Random(seed).shuffle(keys)
    found = [keys[i] for i in sorted_positions(keys)]
    assert found == sorted(k for k in keys if not isinstance(k, str)) + sorted(k for k in keys if isinstance(k, str))
    assert order_of([*keys, *keys]).kept == sorted_positions(keys)
    assert len(order_of([*keys, *keys]).twice) == len(keys)


@given(
    st.lists(st.lists(KEYS, max_size=6, unique_by=lambda k: (type(k) is str, k)), min_size=1, max_size=5),
    st.integers(0, 99),
    st.sampled_from([1, 10**7]),
)
def test_any_order_of_parts_and_images_is_one_sum(parts: list[list[Key]], seed: int, far: int) -> None:
    tallies = [_tally(keys, 0, far) for keys in parts]
    every = [key for keys in parts for key in keys]
    distinct = list({(type(k) is str, k): k for k in every}.values())
    wanted = in_order(_tally(distinct, 0, far))
    assert [type(k) for k in wanted.keys] == [int] * sum(type(k) is int for k in distinct) + [str] * sum(
        type(k) is str for k in distinct
    )
    shuffled = tallies if len(parts) > 1 else [in_order(tallies[0])]
    random.Random(seed).shuffle(shuffled)
    whole = merge([in_order(t) for t in tallies])
    assert whole == wanted
    assert merge(shuffled) == wanted
    assert whole.duplicates == len(every) - len(distinct)
    packed = [PackedTally.of(t) for t in shuffled]
    assert all(p.unpacked() == t for p, t in zip(packed, shuffled, strict=True))
    again = merge_parts(packed)
    assert packed == []
    assert again == wanted
    for table, other in zip(again.tables.values(), wanted.tables.values(), strict=True):
        assert [c.dtype for c in table.columns().values()] == [c.dtype for c in other.columns().values()]
    folded = merge([whole.collapse(), PackedTally.of(wanted.collapse()).unpacked()])
    assert folded.tables["pixels"]["pixels"].sum() == 2 * wanted.tables["pixels"]["pixels"].sum()
    assert len(folded.tables["pixels"]) == len(wanted.collapse().tables["pixels"])


def test_one_key_with_two_contents_is_refused() -> None:
    one, other = _tally([3, "a"], 0), _tally(["a", 9], 1)
    with pytest.raises(SegevalError, match="image a: was counted twice with different content"):
        merge([one, other])
    moved = replace(one, digests=one.digests + np.uint64(1))
    with pytest.raises(SegevalError, match="image 3: was counted twice with different content"):
        merge([one, moved])


@pytest.mark.parametrize("far", [1, 10**7])
@given(st.lists(st.tuples(st.integers(-1, 5), st.integers(-1, 5), st.integers(0, 2**40)), max_size=40))
def test_folding_adds_what_agrees(far: int, found: list[tuple[int, int, int]]) -> None:
    truth, prediction, pixels = np.array(found, np.int64).reshape(-1, 3).T.copy()
    table = Rows(np.arange(len(found), dtype=np.int32), {"t": truth * far, "p": prediction}, {"pixels": pixels})
    wanted: Counter[tuple[int, int]] = Counter()
    for t, p, n in found:
        wanted[t * far, p] += n
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BLOCK", 7)  # several blocks
        sums = fold(table)
    listed = zip(sums["t"].tolist(), sums["p"].tolist(), sums["pixels"].tolist(), strict=True)
    assert list(listed) == [(t, p, wanted[t, p]) for t, p in sorted(wanted)]
    assert (sums.image == -1).all()


def _peak(work: object) -> tuple[Tally, int]:
    tracemalloc.start()
    try:
        result = work()  # type: ignore[operator]
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_sum_takes_little_more_than_its_rows(shuffled: bool) -> None:
    each, images, parts = 60, 200, 40
    order = [f"{i:06d}" for i in range(images * parts)]
    if shuffled:
        random.Random(0).shuffle(order)

    def part(k: int) -> Tally:
        image = np.repeat(np.arange(images, dtype=np.int32), each)
        group = np.tile(np.arange(each), images)
        table = Rows(image, {"truth": group % 8, "prediction": group // 8}, {"pixels": group * 997})
        keys = tuple(order[k * images : (k + 1) * images])
        return Tally("semantic", "a rule", keys, np.zeros(images, np.uint64), {"pixels": table})

    def growing() -> Tally:
        total = Sum()
        for k in range(parts):
            total.add(part(k))
        return total.total()

    whole, most = _peak(growing)
    size = sum(c.nbytes for c in whole.tables["pixels"].columns().values())
    assert size > 13_000_000
    assert most < 1.6 * size  # the sum, the packed parts, the keys
    halves = [merge([part(k) for k in range(parts // 2)]), merge([part(k) for k in range(parts // 2, parts)])]
    again, beside = _peak(lambda: merge(halves))
    assert again == whole
    assert beside < 1.5 * size  # beside the halves, which the caller holds
