"""Images counted by the chunk, against the same images read one by one."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from segeval.errors import SegevalError
from segeval.evidence.tally import Tally, merge
from segeval.kernels.counting import png_files
from segeval.kernels.decoding import c_calls
from segeval.metrics.panoptic.rule import PanopticQuality
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.readers import counted
from segeval.readers.counted import pairs_of
from segeval.readers.pairing import PairedSource
from segeval.readers.protocol import buffer
from segeval.readers.reading import Reading
from segeval.readers.sources import open_pairs
from segeval.samples.pairs import CountedOverlaps
from segeval.samples.panoptic import make_segments, segments_of_images
from segeval.samples.taxonomy import Taxonomy
from tests.readers.test_png import chunk, picture, png

pytestmark = pytest.mark.skipif(c_calls.ADDRESSES is None, reason="the C functions can't be reached here")


def folders(root: Path, pairs: list[tuple[bytes, bytes]]) -> PairedSource:
    for side in ("truth", "prediction"):
        (root / side).mkdir(exist_ok=True)
        for old in (root / side).iterdir():
            old.unlink()
    for k, pair in enumerate(pairs):
        for side, data in zip(("truth", "prediction"), pair, strict=True):
            (root / side / f"{k:02}.png").write_bytes(data)
    return open_pairs(Reading(root / "prediction", root / "truth"), "semantic")


def observed(rule: Any, source: PairedSource, *, singly: bool) -> Tally | str:
    pairs = (source.load(key) for key in source.keys()) if singly else pairs_of(source, source.keys(), rule)
    try:
        tally: Tally = rule.observe(pairs)
    except SegevalError as error:
        return str(error)
    return tally


def how_many(source: PairedSource) -> int:
    """Images that were counted by the chunk."""
    return sum(isinstance(p.truth, CountedOverlaps) for p in pairs_of(source, source.keys(), SemanticIoU()))


def grey(height: int, width: int, seed: int = 0, noise: float = 0.1) -> NDArray[np.uint8]:
    return picture("L", seed, height, width, noise)


def broken(data: bytes, how: str) -> bytes:
    """A damaged copy of a PNG."""
    at = data.index(b"IDAT")
    if how == "cut":
        return data[: len(data) // 2]
    if how == "empty":
        return b""
    if how == "checksum":
        return data[:-14] + bytes([data[-14] ^ 1]) + data[-13:]
    if how == "no end":
        return data[: data.index(b"IEND") - 4]
    if how == "no image":
        return data[: at - 4] + chunk(b"IEND", b"")
    if how == "critical":
        return data[: at - 4] + chunk(b"ABCD", b"xyz") + data[at - 4 :]
    if how == "more":
        return data + b"what follows is no matter"
    return data


DAMAGE = ("", "more", "cut", "empty", "checksum", "no end", "no image", "critical")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    images=st.lists(
        st.tuples(
            st.sampled_from(["L", "L", "P", "P4", "I;16", "RGB"]),
            st.sampled_from(["L", "L", "P", "1", "I;16"]),
            st.integers(1, 30),
            st.integers(1, 150),
            st.sampled_from([0.0, 0.05, 1.0]),
            st.booleans(),
            st.integers(1, 3),
            st.sampled_from(DAMAGE + 12 * ("",)),
            st.sampled_from([0] * 20 + [1]),
        ),
        min_size=1,
        max_size=6,
    ),
    first=st.lists(st.integers(0, 4), min_size=1, max_size=5),
)
def test_the_same_tally_or_the_same_error(images: list[tuple[Any, ...]], first: list[int], tmp_path: Path) -> None:
    pairs = []
    for seed, (kind, other, height, width, noise, interlaced, pieces, how, more) in enumerate(images):
        options: dict[str, Any] = {"filters": first, "interlaced": interlaced, "pieces": pieces}
        truth = png(picture(kind, seed, height, width, noise), kind, **options)
        prediction = png(picture(other, seed + 99, height + more, width, noise), other, extra=chunk(b"tEXt", b"a\0b"))
        pairs.append((truth, broken(prediction, how)))
    source = folders(tmp_path, pairs)
    for rule in (SemanticIoU(), SemanticIoU(resize="nearest"), SemanticIoU(diagnose=True)):
        assert observed(rule, source, singly=False) == observed(rule, source, singly=True)


Listed = list[dict[str, Any]]


def coloured(root: Path, images: list[tuple[Any, Any, Listed, Listed]], *, kind: str = "RGB") -> PairedSource:
    """Panoptic pairs: ids of both sides (H, W), and what the JSONs list."""
    for side, place in (("truth", 0), ("prediction", 1)):
        (root / side).mkdir(exist_ok=True)
        entries = []
        for k, image in enumerate(images):
            pixels = np.stack([image[place] >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)
            other = k == 0 and kind != "RGB"
            pixels = np.concatenate([pixels, pixels[..., :1]], axis=-1) if other else pixels
            (root / side / f"{k}.png").write_bytes(png(pixels, kind if other else "RGB", filters=[k % 5, 4]))
            entries.append({"image_id": k, "file_name": f"{k}.png", "segments_info": image[2 + place]})
        categories = [{"id": c, "name": str(c), "isthing": c % 2} for c in range(1, 6)]
        (root / f"{side}.json").write_text(json.dumps({"annotations": entries, "categories": categories}))
    return open_pairs(Reading(root / "prediction.json", root / "truth.json"), "panoptic")


def panoptic_image(seed: int, height: int, width: int, segments: int) -> tuple[Any, Any, Listed, Listed]:
    rng = np.random.default_rng(seed)
    maps, tables = [], []
    names = rng.choice(2**24 - 1, (2, segments), replace=False) + 1
    for ids in names:
        cells = rng.integers(0, segments, (-(-height // 4), -(-width // 6)))
        whole = np.kron(cells, np.ones((4, 6), np.int64))[:height, :width]
        whole = np.where(rng.random(whole.shape) < 0.02, rng.integers(0, segments, whole.shape), whole)
        labels = np.where(whole == 0, 0, ids[whole])
        found, areas = np.unique(labels[labels > 0], return_counts=True)
        listed: Listed = [
            {"id": int(i), "category_id": int(rng.integers(1, 6)), "iscrowd": int(rng.random() < 0.2), "area": int(a)}
            for i, a in zip(found, areas, strict=True)
        ]
        rng.shuffle(listed)  # type: ignore[arg-type]
        maps.append(labels)
        tables.append(listed)
    return maps[0], maps[1], tables[0], tables[1]


def spoilt(image: tuple[Any, Any, Listed, Listed], how: str) -> tuple[Any, Any, Listed, Listed]:
    """An image with something wrong, or only unusual, on one side."""
    truth, prediction, ours, theirs = image
    if how == "size":
        return truth, prediction[:-1], ours, theirs
    if not ours or not theirs:
        return image
    first, other = dict(ours[0]), dict(theirs[0])
    changes: dict[str, tuple[Listed, Listed]] = {
        "unlisted": (ours[1:], theirs),
        "unlisted prediction": (ours, theirs[1:]),
        "unpainted": ([*ours, {"id": 7, "category_id": 1}], theirs),
        "area": ([{**first, "area": first["area"] + 1}, *ours[1:]], theirs),
        "category": ([{**first, "category_id": 77}, *ours[1:]], theirs),
        "category of prediction": (ours, [{**other, "category_id": 77}, *theirs[1:]]),
        "twice": ([*ours, first], theirs),
        "whole floats": ([{**first, "id": float(first["id"])}, *ours[1:]], theirs),
        "no area": ([{k: v for k, v in first.items() if k != "area"}, *ours[1:]], theirs),
        "negative area": ([{**first, "area": -4}, *ours[1:]], theirs),
        "large id": (ours, [{**other, "id": 2**24}, *theirs[1:]]),
        "huge id": (ours, [{**other, "id": 2**80}, *theirs[1:]]),
        "no category": (ours, [{"id": 3}, *theirs[1:]]),
        "crowd of 2": ([{**first, "iscrowd": 2}, *ours[1:]], theirs),
        "crowd true": ([{**first, "iscrowd": True}, *ours[1:]], theirs),
    }
    return truth, prediction, *changes[how]


SPOILT = (
    "size", "unlisted", "unlisted prediction", "unpainted", "area", "category", "category of prediction", "twice",
    "whole floats", "no area", "negative area", "large id", "huge id", "no category", "crowd of 2", "crowd true",
)  # fmt: skip


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    images=st.lists(
        st.tuples(st.integers(0, 99), st.integers(2, 30), st.integers(1, 60), st.integers(1, 12)),
        min_size=1,
        max_size=5,
    ),
    wrong=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(SPOILT)), max_size=2),
    kind=st.sampled_from(["RGB", "RGB", "RGBA"]),
    diagnose=st.booleans(),
)
def test_panoptic_maps_alike(
    images: list[tuple[int, int, int, int]], wrong: list[tuple[int, str]], kind: str, diagnose: bool, tmp_path: Path
) -> None:
    made = [panoptic_image(*image) for image in images]
    for at, how in wrong:
        if at < len(made):
            made[at] = spoilt(made[at], how)
    source = coloured(tmp_path, made, kind=kind)
    rule = PanopticQuality(source.taxonomy, diagnose=diagnose)
    told = observed(rule, source, singly=False)
    assert told == observed(rule, source, singly=True)
    each = [observed(rule, replace(source, pairs={key: key}), singly=True) for key in source.keys()]
    if isinstance(told, Tally):
        assert told == merge([tally for tally in each if isinstance(tally, Tally)])
    else:
        assert told == next(error for error in each if isinstance(error, str))


@pytest.mark.parametrize("how", [*SPOILT, ""])
def test_segments_of_many_images_are_those_of_each(how: str) -> None:
    images = [panoptic_image(seed, 20, 30, 9) for seed in range(5)]
    images[2] = spoilt(images[2], how) if how not in ("", "size") else images[2]
    for side in (2, 3):
        listed = [image[side] for image in images]
        many = segments_of_images(listed)
        if many is None:
            continue
        for segments, entries in zip(many, listed, strict=True):
            alone = make_segments(entries, None, 0)
            for field in fields(alone):
                assert np.array_equal(getattr(segments, field.name), getattr(alone, field.name)), field.name
    plain = segments_of_images([image[3] for image in images]) is not None
    assert plain == (how not in ("large id", "huge id", "no category"))
    assert segments_of_images([[], []]) is not None
    assert segments_of_images([{}]) is None
    assert segments_of_images([[3]]) is None


def test_panoptic_pairs_are_counted_by_the_chunk(tmp_path: Path) -> None:
    source = coloured(tmp_path, [panoptic_image(seed, 20, 30, 5) for seed in range(4)], kind="RGBA")
    found = [p.truth.pixels for p in pairs_of(source, source.keys(), PanopticQuality(source.taxonomy))]
    assert [isinstance(p, CountedOverlaps) for p in found] == [False, True, True, True]


def test_plain_pairs_are_counted_by_the_chunk(tmp_path: Path) -> None:
    pixels = grey(40, 50)
    odd = png(picture("I;16", 1, 40, 50, 0.1), "I;16")
    source = folders(tmp_path, [(png(pixels, "L"), png(pixels, kind, pieces=3)) for kind in ("L", "P")] + [(odd, odd)])
    assert how_many(source) == 2


@pytest.mark.parametrize("damage", [d for d in DAMAGE if d not in ("", "more")])
def test_one_bad_file_among_good_ones_is_named(damage: str, tmp_path: Path) -> None:
    good = png(grey(20, 30), "L")
    source = folders(tmp_path, [(good, good)] * 3 + [(good, broken(good, damage))] + [(good, good)] * 3)
    assert how_many(folders(tmp_path, [(good, good)] * 3)) == 3
    source = folders(tmp_path, [(good, good)] * 3 + [(good, broken(good, damage))] + [(broken(good, "cut"), good)])
    told = observed(SemanticIoU(), source, singly=False)
    assert told == observed(SemanticIoU(), source, singly=True)
    assert str(told).startswith(str(tmp_path / "prediction" / "03.png"))


def test_a_label_outside_the_classes_names_its_file(tmp_path: Path) -> None:
    pixels = np.zeros((9, 9, 1), np.uint8)
    wrong = pixels.copy()
    wrong[3, 4] = 7
    source = folders(tmp_path, [(png(pixels, "L"), png(pixels, "L")), (png(pixels, "L"), png(wrong, "L"))])
    rule = SemanticIoU(Taxonomy.of_count(3))
    told = observed(rule, source, singly=False)
    assert told == observed(rule, source, singly=True)
    assert "01.png" in str(told)
    assert "label 7" in str(told)


def test_room_grows_to_the_largest_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = counted._Room()
    room.sizes = {"file": 64, "raw": 128, "truth": 128, "prediction": 256}
    monkeypatch.setattr(counted, "_Room", lambda: room)
    monkeypatch.setattr(
        counted, "buffer", lambda side, make: room if side == "counting" else buffer(f"new-{side}", make)
    )
    sizes = [(3, 4), (200, 30), (5, 6), (31, 300), (1, 1)]
    source = folders(
        tmp_path, [(png(grey(*s, k, 1.0), "L"), png(grey(*s, k + 9, 1.0), "L")) for k, s in enumerate(sizes)]
    )
    assert how_many(source) == len(sizes)
    assert observed(SemanticIoU(), source, singly=False) == observed(SemanticIoU(), source, singly=True)


def test_more_rows_than_there_is_room_for(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = []
    for k in range(5):
        for side in ("truth", "prediction"):
            (tmp_path / side).mkdir(exist_ok=True)
            noise = rng.integers(0, 255, (400, 400), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / side / f"{k}.png")
            pairs.append(noise)
    source = open_pairs(Reading(tmp_path / "prediction", tmp_path / "truth"), "semantic")
    assert how_many(source) == 5
    tally = observed(SemanticIoU(), source, singly=False)
    assert tally == observed(SemanticIoU(), source, singly=True)
    assert isinstance(tally, Tally)
    assert len(tally.tables["pixels"]) > counted._ROWS


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    good = png(grey(20, 30), "L")
    for case in ("folder", "pipe", "absent", "unreadable"):
        source = folders(tmp_path, [(good, good)] * 2)
        path = tmp_path / "prediction" / "01.png"
        path.unlink()
        if case == "folder":
            path.mkdir()
        elif case == "pipe":
            os.mkfifo(path)
        told = observed(SemanticIoU(), source, singly=False)
        assert told == observed(SemanticIoU(), source, singly=True)
        assert str(told).startswith(str(path)), case
        if path.is_dir():
            path.rmdir()


def test_a_limit_on_pixels_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = png(grey(20, 30), "L")
    source = folders(tmp_path, [(good, good)])
    monkeypatch.setenv("SEGEVAL_MAX_PIXELS", "599")
    told = observed(SemanticIoU(), source, singly=False)
    assert told == observed(SemanticIoU(), source, singly=True)
    assert "at most 599" in str(told)


@pytest.mark.parametrize("limit", ["9223372036854775807", "1" + 30 * "0"])
def test_no_limit_lets_a_size_wrap(limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGEVAL_MAX_PIXELS", limit)
    good, side = png(grey(20, 30), "L"), 2**31 - 1
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    huge = good[:8] + chunk(b"IHDR", header) + good[33:]
    assert how_many(folders(tmp_path, [(good, good)])) == 1
    source = folders(tmp_path, [(good, good), (huge, good)])
    told = observed(SemanticIoU(), source, singly=False)
    assert told == observed(SemanticIoU(), source, singly=True)
    assert str(told).startswith(str(tmp_path / "truth" / "01.png"))


def test_an_empty_idat_begins_the_data_too(tmp_path: Path) -> None:
    good = png(grey(20, 30), "L")
    apart = good[:33] + chunk(b"IDAT", b"") + chunk(b"tEXt", b"a\0b") + good[33:]
    source = folders(tmp_path, [(good, good), (apart, good)])
    told = observed(SemanticIoU(), source, singly=False)
    assert told == observed(SemanticIoU(), source, singly=True)
    assert "IDAT" in str(told)


def test_room_that_could_not_be_had_is_not_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = counted._Room()
    before = dict(room.sizes)
    room.facts[:, png_files.RAW] = room.facts[:, png_files.OUT] = 2**50

    def none_left(self: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(counted._Room, "buffers", none_left)
    assert not room.grow([str(tmp_path / "a.png"), str(tmp_path / "b.png")])
    assert room.sizes == before


def test_names_that_c_cannot_read() -> None:
    paths, begins = counted._paths(
        [("a.png", "b.PNG"), ("a\0.png", "b.png"), ("a.npy", "b.png"), ("a.png",), ("\ud800.png", "b.png")]
    )
    assert paths.tobytes() == b"a.png\0b.PNG\0" + 8 * b"\0"
    assert begins.tolist() == [0, 6, 12, 13, 14, 15, 16, 17, 18, 19, 20]
