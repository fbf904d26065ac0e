"""The one pass over the bytes and the standard library read the same columns, however the JSON is written."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segeval.errors import SegevalError
from segeval.kernels.decoding import json_tokens
from segeval.readers.coco.records import HIGH, KIND, LOW, Records, records_of
from segeval.readers.coco.scanning import Mapped, read_instances, read_results, scan_records


def assert_same(a: Records, b: Records) -> None:
    assert np.array_equal(a.present, b.present)
    assert np.array_equal(a.reals, b.reals)
    assert np.array_equal(np.signbit(a.reals), np.signbit(b.reals))
    assert np.array_equal(a.rings, b.rings)
    assert np.array_equal(a.numbers, b.numbers)
    assert a.texts == b.texts
    mine, theirs = a.integers[:11].copy(), b.integers[:11].copy()
    for row in np.flatnonzero(mine[KIND] == 3).tolist():
        spans = (r.text[n[LOW, row] : n[HIGH, row] + 1].tobytes() for r, n in ((a, mine), (b, theirs)))
        assert len(set(spans)) == 1
        mine[[LOW, HIGH], row] = theirs[[LOW, HIGH], row] = 0
    assert np.array_equal(mine, theirs)


def number_texts() -> st.SearchStrategy[str]:
    reals = st.floats(allow_nan=False, allow_infinity=False)
    bits = st.integers(0, 2**64 - 1).map(lambda b: struct.unpack("d", struct.pack("Q", b))[0])
    return st.one_of(
        st.integers(-(10**20), 10**20).map(str),
        reals.map(repr),
        bits.filter(lambda v: v == v and abs(v) != float("inf")).map(repr),
        st.floats(0, 1).map(lambda v: f"{v:.3f}"),
        st.tuples(st.integers(0, 10**9), st.integers(0, 10**12)).map(lambda t: f"{t[0]}.{t[1]:013d}"),
        st.tuples(st.integers(0, 10**19), st.integers(-80, 80), st.sampled_from("eE"), st.sampled_from(["", "+"])).map(
            lambda t: f"{t[0]}{t[2]}{t[3] if t[1] >= 0 else ''}{t[1]}"
        ),
        st.integers(2**52, 2**53 - 1).map(lambda m: f"{2 * m + 1}.0"),  # halfway between two doubles
        st.sampled_from(["-0", "-0.0", "0e5", "0.0000000000000000000001", "1E400", "9007199254740993"]),
    )


@settings(max_examples=3000, deadline=None)
@given(number_texts())
def test_numbers_round_as_the_standard_library(text: str) -> None:
    buffer = np.frombuffer(bytearray(text.encode() + b"]"), np.uint8)
    integer, whole, real, place = json_tokens.number(buffer, 0)
    if place < 0:  # left to the standard library
        assert len(text.lstrip("-")) > 17 or "e" in text.lower()
        return
    value = json.loads(text)
    assert place == len(text)
    assert whole == isinstance(value, int)
    assert struct.pack("d", real) == struct.pack("d", float(value))
    assert not whole or integer == value


@pytest.mark.parametrize("text", ["01", "1.", ".5", "1e", "+1", "-", "--1", "1e+", "0x1", "NaN", "Infinity"])
def test_what_is_no_json_number_is_a_surprise(text: str) -> None:
    buffer = np.frombuffer(bytearray(text.encode() + b"]"), np.uint8)
    place = json_tokens.number(buffer, 0)[3]
    assert place < 0 or place < len(text)


plain = st.floats(-1e6, 1e6).map(lambda v: round(v, 3))
rings = st.lists(st.lists(st.one_of(plain, st.integers(-9, 999)), max_size=9), max_size=4)
alphabet = st.text("".join(chr(c) for c in range(48, 112)), max_size=80)
size = st.tuples(st.integers(0, 2000), st.integers(0, 2000)).map(list)
segmentation = st.one_of(
    rings,
    st.fixed_dictionaries({"size": size, "counts": st.one_of(alphabet, st.lists(st.integers(0, 10**6), max_size=50))}),
)
anything = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=9)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)),
    max_leaves=8,
)
known: dict[str, st.SearchStrategy[Any]] = {
    "image_id": st.one_of(st.integers(-9, 2**40), st.just(7.0), st.text(max_size=5)),
    "category_id": st.integers(0, 99),
    "id": st.one_of(st.integers(0, 2**40), st.text(max_size=4)),
    "iscrowd": st.one_of(st.integers(0, 1), st.booleans()),
    "width": st.integers(1, 5000),
    "height": st.integers(1, 5000),
    "score": st.one_of(st.floats(0, 1), plain, st.integers(0, 1)),
    "area": st.one_of(plain, st.integers(0, 10**6)),
    "bbox": st.one_of(st.lists(plain, min_size=4, max_size=4), st.just([])),
    "segmentation": segmentation,
}
usual = {
    "image_id": st.integers(0, 2**40),
    "id": st.integers(0, 2**40),
    "iscrowd": st.integers(0, 1),
    "score": st.one_of(st.just(0.0), st.floats(1e-200, 1), plain),
    "bbox": st.lists(plain, min_size=4, max_size=4),
}


@st.composite
def records(draw: st.DrawFn, simple: bool) -> list[dict[str, Any]]:
    fields = known | usual if simple else known
    found = []
    for _ in range(draw(st.integers(0, 6))):
        record = {name: draw(fields[name]) for name in draw(st.lists(st.sampled_from(sorted(fields)), unique=True))}
        record |= draw(st.dictionaries(st.text(max_size=6).filter(lambda k: k not in known), anything, max_size=2))
        keys = draw(st.permutations(list(record)))
        found.append({k: record[k] for k in keys})
    return found


def written(value: Any, rng: random.Random) -> str:
    """JSON with white space anywhere, escapes and number formats as any writer might choose."""
    space = lambda: rng.choice(["", "", "", " ", "\n", "\t", "\r\n  "])  # noqa: E731
    if isinstance(value, dict):
        inner = ",".join(
            f"{space()}{written(k, rng)}{space()}:{space()}{written(v, rng)}{space()}" for k, v in value.items()
        )
        return "{" + (inner or space()) + "}"
    if isinstance(value, list):
        return "[" + (",".join(f"{space()}{written(v, rng)}{space()}" for v in value) or space()) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=rng.random() < 0.5)
    if isinstance(value, float) and value == round(value, 3) and rng.random() < 0.3:
        return f"{value:.{rng.randint(3, 6)}f}"
    return json.dumps(value)


@settings(max_examples=400, deadline=None)
@given(st.booleans().flatmap(lambda s: records(simple=s)), st.integers(0, 2**32), st.booleans())
def test_both_ways_read_the_same_columns(tmp_path_factory: Any, data: list[Any], seed: int, masks: bool) -> None:
    path = tmp_path_factory.mktemp("json") / "records.json"
    text = written(data, random.Random(seed)) + random.Random(seed).choice(["", "\n", "  "])
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    slow = outcome(lambda: records_of(json.loads(text), path, "result", masks))
    fast = outcome(lambda: read_results(path, masks))
    if isinstance(slow, str) or isinstance(fast, str):
        assert slow == fast
    else:
        assert_same(fast, slow)


def outcome(read: Callable[[], Records]) -> Records | str:
    """What was read, or the message."""
    try:
        return read()
    except SegevalError as error:
        return str(error)


@settings(max_examples=200, deadline=None)
@given(records(simple=True), st.integers(0, 2**32))
def test_usual_files_take_the_fast_way(tmp_path_factory: Any, data: list[Any], seed: int) -> None:
    usual_only = [{k: v for k, v in r.items() if k in known} for r in data]
    path = tmp_path_factory.mktemp("json") / "records.json"
    path.write_text(written(usual_only, random.Random(seed)))
    scanned = scan_records(Mapped(path), 0, True)
    assert scanned is not None
    assert_same(scanned[0], records_of(usual_only, path, "result", True))


@settings(max_examples=100, deadline=None)
@given(records(simple=True), records(simple=True), st.integers(0, 2**32))
def test_tables_of_an_instances_file(tmp_path_factory: Any, images: Any, annotations: Any, seed: int) -> None:
    path = tmp_path_factory.mktemp("json") / "truth.json"
    data = {
        "info": {"a": [1, {"b": None}]},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "é"}],
    }
    rng = random.Random(seed)
    keys = rng.sample(list(data), len(data))
    path.write_bytes(written({k: data[k] for k in keys}, rng).encode("utf-8", "surrogatepass"))
    found = read_instances(path, True)
    assert found.categories == data["categories"]
    assert_same(found.images, records_of(images, path, "image", False))
    assert_same(found.annotations, records_of(annotations, path, "annotation", True))


@settings(max_examples=300, deadline=None)
@given(records(simple=True), st.integers(0, 2**32), st.data())
def test_damaged_files_never_pass(tmp_path_factory: Any, data: list[Any], seed: int, draw: st.DataObject) -> None:
    """Whatever the standard library refuses is refused, with the place; no damage crashes the scanner."""
    path = tmp_path_factory.mktemp("json") / "records.json"
    text = bytearray(written([{"image_id": 3, "score": 0.5}, *data], random.Random(seed)).encode())
    for _ in range(draw.draw(st.integers(1, 3))):
        place = draw.draw(st.integers(0, len(text) - 1))
        if draw.draw(st.booleans()):
            text[place] = draw.draw(st.sampled_from(list(b'{}[]",:0-e.\\ntf \x00\xff')))
        else:
            del text[place:]
        text = text or bytearray(b"x")
    path.write_bytes(text)
    try:
        expected = json.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        with pytest.raises(SegevalError, match=r"malformed JSON|UTF-8"):
            read_results(path, True)
        return
    try:
        slow = records_of(expected, path, "result", True) if isinstance(expected, list) else None
    except SegevalError:
        slow = None
    if slow is None:
        with pytest.raises(SegevalError):
            read_results(path, True)
    else:
        assert_same(read_results(path, True), slow)


def test_columns_grow_with_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    data = [
        {"image_id": i, "segmentation": [rng.uniform(0, 9, 2 * n + 6).round(2).tolist() for n in range(i % 40)]}
        for i in range(4000)
    ]
    data.append({"image_id": 1, "segmentation": [[1.0] * 6 for _ in range(5000)]})
    path = tmp_path / "records.json"
    path.write_text(json.dumps(data))
    scanned = scan_records(Mapped(path), 0, True)
    assert scanned is not None
    assert_same(scanned[0], records_of(data, path, "result", True))
