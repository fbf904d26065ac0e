"""TIFF: the stored values, whatever the file says of how they are shown, against tifffile and against bytes by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segeval import SegevalError, score
from segeval.checking.checking import check
from segeval.conversion import convert
from segeval.readers.maps import tiff
from segeval.readers.maps.labels import read_labels
from segeval.readers.protocol import Notes
from segeval.samples.blocks import BlockedMap
from tests.given.problems import png_bytes
from tests.given.tiffs import DEFLATE, tiff_bytes

RNG = np.random.default_rng(4)
LABELS = np.kron(RNG.integers(0, 4, (5, 6)), np.ones((4, 5), int)).astype(np.uint8)[:19, :29]

KINDS = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8")


def written(tmp_path: Path, data: bytes, name: str = "a.tif") -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def cautions(path: Path, void: tuple[int, ...] = (255,)) -> dict[str, str]:
    notes = Notes()
    read_labels(path, "truth", notes)
    return {c.code: c.message for c in notes.cautions("truth", void)}


@st.composite
def files(draw: st.DrawFn) -> tuple[Any, dict[str, Any]]:
    """An array, and how tifffile is to write it."""
    kind = draw(st.sampled_from(KINDS))
    height, width, samples = draw(st.integers(1, 70)), draw(st.integers(1, 70)), draw(st.sampled_from((1, 1, 3)))
    seed = draw(st.integers(0, 2**16))
    low = 0 if kind[0] == "u" else -3
    coarse = np.random.default_rng(seed).integers(low, 100, (height // 5 + 1, width // 5 + 1, samples))
    array = np.kron(coarse, np.ones((5, 5, 1), int))[:height, :width].astype(kind)
    how: dict[str, Any] = {
        "byteorder": draw(st.sampled_from("<>")),
        "bigtiff": draw(st.booleans()),
        "compression": draw(st.sampled_from((None, "zlib", "lzma"))),
        "metadata": None,
        "photometric": "minisblack",
    }
    if samples > 1:
        how["planarconfig"] = draw(st.sampled_from(("contig", "separate")))
    if draw(st.booleans()):
        how["tile"] = (16 * draw(st.integers(1, 3)), 16 * draw(st.integers(1, 3)))
    else:
        how["rowsperstrip"] = draw(st.integers(1, height + 3))
    if how["compression"] == "zlib" and kind[0] != "f" and draw(st.booleans()):
        how["predictor"] = 2
    return array, how


@settings(deadline=None, max_examples=120)
@given(file=files(), large=st.booleans(), block=st.sampled_from((1, 300, 2**22)))
def test_what_tifffile_writes(tmp_path_factory: pytest.TempPathFactory, file: Any, large: bool, block: int) -> None:
    array, how = file
    path = tmp_path_factory.mktemp("tiff") / "a.tif"
    data = np.moveaxis(array, -1, 0) if how.get("planarconfig") == "separate" else array
    tifffile.imwrite(path, data[:, :, 0] if array.shape[2] == 1 else data, **how)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiff, "LARGE", 0 if large else 2**25)
        patch.setattr(tiff, "_BLOCK", block)
        found = tiff.read_tiff(path)
        assert isinstance(found, BlockedMap) == large
        whole = np.asarray(found)
    assert whole.dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(whole, array[:, :, 0] if array.shape[2] == 1 else array)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_deflate", "tiff_adobe_deflate", "zstd", "lzma"])
def test_what_libtiff_writes(tmp_path: Path, compression: str) -> None:
    for k, array in enumerate((LABELS, LABELS.astype(np.uint16) * 300, np.tile(LABELS, (9, 9)))):
        Image.fromarray(array).save(tmp_path / f"{k}.tif", compression=compression)
        assert np.array_equal(read_labels(tmp_path / f"{k}.tif"), array)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_fax_codings_give_stored_bits(tmp_path: Path, compression: str, photometric: int) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(LABELS > 1).save(path, compression=compression)
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags[262].overwrite(photometric)
    assert np.array_equal(read_labels(path), LABELS > 1)


def test_floats_under_their_predictor(tmp_path: Path) -> None:
    """Written by hand: differences of bytes, the bytes of a row sorted from the highest."""
    values = LABELS.astype(">f4")
    planes = values.view(np.uint8).reshape(*LABELS.shape, 4).transpose(0, 2, 1).reshape(len(LABELS), -1)
    differences = np.diff(planes, axis=1, prepend=np.zeros((len(LABELS), 1), np.uint8)).astype(np.uint8)
    data = tiff_bytes(
        differences.view("<u4").reshape(LABELS.shape), sample_format=3, compression=DEFLATE, tags={317: (3, 3)}
    )
    assert np.array_equal(read_labels(written(tmp_path, data)), LABELS)


@pytest.mark.parametrize("photometric", [0, 1, 3])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8, 12, 16, 32])
def test_every_depth_by_hand(tmp_path: Path, bits: int, photometric: int) -> None:
    kind = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
    array = (LABELS.astype(int) % 2**bits).astype(kind)
    array[0, 0] = 2**bits - 1
    map_of_colours = {320: (3, [0] * 3 * 2**bits)} if photometric == 3 and bits <= 16 else {}
    for big, compression, rows in itertools.product((False, True), (1, DEFLATE), (None, 4)):
        how: dict[str, Any] = {"compression": compression, "rows": rows, "big": big, "tags": map_of_colours}
        data = tiff_bytes(array, bits=bits, photometric=photometric, **how)
        found = read_labels(written(tmp_path, data))
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)


def test_signed_values_stay_signed(tmp_path: Path) -> None:
    for bits, kind in ((4, np.int8), (8, np.int8), (12, np.int16), (16, np.int16), (32, np.int32)):
        array = LABELS.astype(kind) - 1
        assert array.min() == -1
        found = read_labels(written(tmp_path, tiff_bytes(array, bits=bits, sample_format=2)))
        assert np.array_equal(found, array)


def test_bits_may_run_the_other_way(tmp_path: Path) -> None:
    for bits, compression in itertools.product((1, 4, 8), (1, DEFLATE)):
        array = (LABELS.astype(int) % 2**bits).astype(np.uint8)
        data = tiff_bytes(array, bits=bits, compression=compression, reverse=True)
        assert np.array_equal(read_labels(written(tmp_path, data)), array)


def test_white_for_0_is_no_reason_to_invert(tmp_path: Path) -> None:
    """The score is that of the stored values, on either side and in every task that reads maps."""
    inverted = tiff_bytes(LABELS, photometric=0)
    for side, other in (("gt", "pred"), ("pred", "gt")):
        written(tmp_path / side / "t", inverted)
        written(tmp_path / other / "t", png_bytes(LABELS), "a.png")
        pred, gt = tmp_path / "pred" / "t", tmp_path / "gt" / "t"
        for task, figure in (("semantic", "mIoU"), ("instance", "AP"), ("panoptic", "PQ")):
            assert score(pred, gt, task=task)[figure] == 1, task
        for folder in (pred, gt):
            next(folder.iterdir()).unlink()


# ---- what is not applied, and told -----------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [1, 3, 4, 6])
def test_orientation_is_told_and_not_applied(tmp_path: Path, orientation: int) -> None:
    path = written(tmp_path, tiff_bytes(LABELS, tags={274: (3, orientation)}))
    assert np.array_equal(read_labels(path), LABELS)
    told = cautions(path).get("tiff-orientation", "")
    assert told == (
        ""
        if orientation == 1
        else f"truth: the Orientation tag ({orientation}) is not applied: rows stay as stored (a.tif)"
    )


def test_overviews_and_masks_are_passed_over_and_told(tmp_path: Path) -> None:
    path = tmp_path / "cog.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(LABELS, subifds=1, tile=(16, 16))
        file.write(LABELS[::2, ::2], subfiletype=1)
        file.write(LABELS[::4, ::4], subfiletype=1)
        file.write(LABELS > 0, subfiletype=4)
    assert np.array_equal(read_labels(path), LABELS)
    told = cautions(path)
    assert "overviews" in told["tiff-overviews"]
    assert "mask of valid pixels is not applied" in told["tiff-mask"]


def test_nodata_is_offered_as_void(tmp_path: Path) -> None:
    path = written(tmp_path / "gt", tiff_bytes(LABELS, tags={42113: (2, "3 ")}))
    assert "nodata is 3" in cautions(path)["tiff-nodata"]
    assert cautions(path)["tiff-nodata"].endswith("; if it is void, give --void 3 255 (a.tif)")
    assert cautions(path, (3,)) == {}
    assert cautions(written(tmp_path, tiff_bytes(LABELS, tags={42113: (2, "nan")}))) == {}
    written(tmp_path / "pred", png_bytes(np.where(LABELS == 3, 0, LABELS)), "a.png")
    told = {w.code: w.message for w in score(tmp_path / "pred", tmp_path / "gt", task="semantic").warnings}
    assert "give --void 3 255" in told["tiff-nodata"]
    as_told = score(tmp_path / "pred", tmp_path / "gt", task="semantic", void=(3, 255))
    assert as_told["mIoU"] == 1
    assert "tiff-nodata" not in {w.code for w in as_told.warnings}


def test_absent_tiles_are_nodata_and_told(tmp_path: Path) -> None:
    array = np.zeros((32, 48), np.uint8)
    array[:16, :16] = 7
    path = tmp_path / "sparse.tif"
    tifffile.imwrite(path, array, tile=(16, 16), extratags=[(42113, "s", 0, "9", True)])
    with tifffile.TiffFile(path, mode="r+b") as file:
        page = file.pages[0]
        for tag in (324, 325):
            page.tags[tag].overwrite([page.tags[tag].value[0], *[0] * 5])
    assert np.array_equal(read_labels(path), np.where(array, array, 9))
    assert cautions(path)["tiff-sparse"] == "truth: absent tiles are read as 9 (sparse.tif)"


def test_files_of_one_kind_are_told_together(tmp_path: Path) -> None:
    for side, names in (("gt", "abc"), ("pred", "abc")):
        for name in names:
            written(tmp_path / side, tiff_bytes(LABELS, tags={274: (3, 6 if side == "gt" else 1)}), f"{name}.tif")
    result = score(tmp_path / "pred", tmp_path / "gt", task="semantic", classes=4)
    assert [w.message for w in result.warnings if w.code == "tiff-orientation"] == [
        "truth: the Orientation tag (6) is not applied: rows stay as stored (3 files, the first is a.tif)"
    ]


def test_lossy_segments_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(LABELS * 60).save(path, compression="jpeg")
    assert np.abs(read_labels(path).astype(int) - LABELS * 60).max() < 60
    assert "JPEG does not keep values exactly" in cautions(path)["lossy"]


# ---- what is refused, in one line that names the remedy --------------------------------------------------------


def stack(path: Path) -> None:
    tifffile.imwrite(path, np.stack([LABELS] * 3), metadata=None, photometric="minisblack")


def imagej_stack(path: Path) -> None:
    tifffile.imwrite(path, np.stack([LABELS] * 3), imagej=True)
    with tifffile.TiffFile(path, mode="r+b") as file:  # as ImageJ writes them: one page for all
        file.filehandle.seek(file.pages[0].offset)
        count = int.from_bytes(file.filehandle.read(2), "little" if file.byteorder == "<" else "big")
        file.filehandle.seek(file.pages[0].offset + 2 + 12 * count)
        file.filehandle.write(b"\0\0\0\0")


def behind_one_page(path: Path) -> None:
    tifffile.imwrite(path, np.stack([LABELS] * 3), photometric="minisblack", metadata={"axes": "ZYX"}, truncate=True)


def volume(path: Path) -> None:
    tifffile.imwrite(path, np.stack([LABELS] * 16), volumetric=True, tile=(16, 16, 16), photometric="minisblack")


def changed(tag: int, value: int, **how: Any) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(tiff_bytes(LABELS, **how, tags={tag: (3, value)}))


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pages": (stack, "holds 3 pages; write one page an image"),
    "ImageJ": (imagej_stack, "holds a stack of 3 images; write one page an image"),
    "truncated": (behind_one_page, "holds a stack of 3 images; write one page an image"),
    "volume": (volume, "holds a volume of 16 slices; write one page an image"),
    "complex": (lambda p: tifffile.imwrite(p, LABELS.astype(np.complex64)), "holds complex or mixed values"),
    "odd depth": (changed(258, 24), "holds values of 24 bits; save 8, 16 or 32 bits"),
    "predictor": (changed(317, 3), "has the predictor 3 over u8; save it without a predictor"),
    "predictor of bits": (
        lambda p: p.write_bytes(tiff_bytes(LABELS, bits=4, tags={317: (3, 2)})), "has a predictor over 4 bits"
    ),
    "old JPEG": (changed(259, 6), "is compressed by OJPEG; "),
    "unknown": (changed(259, 60000), "is compressed by scheme 60000; "),
    "fax of bytes": (changed(259, 4), "holds 8 bits a sample under a fax coding of 1"),
    "no strips": (changed(257, 0), "declares 29x0 pixels"),
    "more strips": (changed(278, 2), "lists 1 of 10 strips; write the file again"),
    "depths": (lambda p: p.write_bytes(tiff_bytes(LABELS, tags={277: (3, 3), 258: (3, [5, 6, 5])})),
               "holds samples of 5, 6, 5 bits; give all samples of a pixel one depth"),
    "YCbCr": (lambda p: p.write_bytes(tiff_bytes(LABELS, photometric=6, tags={530: (3, [2, 2])})),
              "holds subsampled colours (YCbCr); save class ids"),
    "JPEG colours": (
        lambda p: Image.fromarray(np.stack([LABELS] * 3, -1)).save(p, compression="jpeg"),
        "holds colours that JPEG has changed; save class ids",
    ),
    "mask only": (changed(254, 4), "holds no image at full size"),
    "cut": (lambda p: p.write_bytes(tiff_bytes(LABELS, tags={279: (4, 10**6)})),
            "can't be read as .tif (strip 0 reaches 999"),
    "damaged": (lambda p: p.write_bytes(tiff_bytes(LABELS, compression=5)),
                "can't be read as .tif (strip 0 is damaged or ends early); write the file again"),
    "short": (changed(279, 7), "can't be read as .tif (strip 0 is damaged or ends early)"),
    "loop": (lambda p: p.write_bytes(tiff_bytes(LABELS)[:4] + b"\4\0\0\0" + bytes(40)), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path: Path, name: str) -> None:
    write, message = REFUSED[name]
    path = tmp_path / "a.tif"
    write(path)
    with pytest.raises(SegevalError) as caught:
        read_labels(path)
    text = str(caught.value)
    assert message in text
    assert text.startswith(f"{path}: ")
    assert "; " in text
    assert "\n" not in text


def test_a_compression_that_needs_a_package_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "_has_codecs", lambda: False)
    path = tmp_path / "a.tif"
    changed(259, 34712)(path)
    with pytest.raises(SegevalError, match="is compressed by JPEG2000; pip install imagecodecs, or save it with"):
        read_labels(path)


def test_with_the_package_the_rest_is_read(tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs", reason="reads the compressions that are rare in label maps")
    for k, (compression, how) in enumerate(itertools.product(("jpeg2000", "lerc", "png"), ({}, {"tile": (16, 16)}))):
        path = tmp_path / f"{k}.tif"
        tifffile.imwrite(path, LABELS, compression=compression, **how)
        assert np.array_equal(read_labels(path), LABELS)


def test_the_limit_names_what_raises_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, tiff_bytes(LABELS))
    monkeypatch.setenv("SEGEVAL_MAX_PIXELS", "100")
    with pytest.raises(SegevalError) as caught:
        read_labels(path)
    assert "declares 29x19 pixels" in str(caught.value)
    assert caught.value.remedy is not None
    monkeypatch.setenv(*caught.value.remedy.rpartition(" ")[2].split("="))
    assert np.array_equal(read_labels(path), LABELS)


def test_tiles_larger_than_the_limit_are_refused(tmp_path: Path) -> None:
    data = tiff_bytes(LABELS, tags={322: (4, 2**20), 323: (4, 2**20), 324: (4, 8), 325: (4, 551)})
    with pytest.raises(SegevalError, match=r"limit 268435456.*SEGEVAL_MAX_PIXELS=1099511627776"):
        read_labels(written(tmp_path, data))


def test_damage_is_refused_or_decoded(tmp_path: Path) -> None:
    """Whatever bytes change, there is an array or one line."""
    rng = np.random.default_rng(0)
    tifffile.imwrite(tmp_path / "t.tif", LABELS, tile=(16, 16), compression="zlib", predictor=2)
    Image.fromarray(LABELS).save(tmp_path / "l.tif", compression="tiff_lzw")
    wholes = [(tmp_path / name).read_bytes() for name in ("t.tif", "l.tif")] + [tiff_bytes(LABELS, rows=3, big=True)]
    path = tmp_path / "a.tif"
    for _ in range(300):
        data = bytearray(wholes[rng.integers(3)])
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(len(data))] = rng.integers(256)
        path.write_bytes(data[: rng.integers(len(data))] if rng.integers(4) == 0 else data)
        refusal = None
        try:
            assert read_labels(path, "truth", Notes()).ndim in (2, 3)
        except SegevalError as error:
            refusal = error
        assert refusal is None or (refusal.remedy and "\n" not in str(refusal))


@pytest.mark.parametrize("task", ["semantic", "instance", "panoptic"])
def test_every_way_to_read_tells(tmp_path: Path, task: str) -> None:
    for side in ("gt", "pred"):
        written(tmp_path / side, tiff_bytes(LABELS, tags={274: (3, 6)}))
    gt, pred = tmp_path / "gt", tmp_path / "pred"
    wanted = [f"{side}: the Orientation tag (6) is not applied" for side in ("truth", "prediction")]
    found = [w.message for w in score(pred, gt, task=task).warnings if w.code == "tiff-orientation"]
    assert [message.partition(":")[0] for message in found] == ["truth", "prediction"]
    assert all(message.startswith(start) for message, start in zip(found, wanted, strict=True))
    told = [f.message for f in check(pred, gt, task=task).findings if f.code == "tiff-orientation"]
    assert told == found
    form = {"semantic": "labels", "instance": "instance-ids", "panoptic": "panoptic-coded"}[task]
    to = "coco-instances" if task == "instance" else "semantic"
    done = convert(gt, tmp_path / "out", to=to, source_form=form)
    assert [c.message.partition(":")[0] for c in done.cautions if c.code == "tiff-orientation"] == ["source"]
