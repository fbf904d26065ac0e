"""Damaged files, and what the command says about bad input: one clear line, exit 1; about misuse, exit 2."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cli.commands import Ran
from tests.given.problems import png_bytes

Capsys = pytest.CaptureFixture[str]

LABELS = np.kron(np.array([[0, 1, 2], [2, 1, 0]]), np.ones((5, 7), int)).astype(np.uint8)
GOOD = png_bytes(LABELS)


def refused(ran: Ran, *parts: str) -> None:
    """Exit 1, nothing on stdout, one line on stderr, which says all of this."""
    assert ran.code == 1, ran
    assert ran.out == ""
    lines = ran.err.splitlines()
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("segeval: ")
    assert "Traceback" not in ran.err
    assert "defect" not in ran.err
    assert ";" in lines[0], f"no remedy: {lines[0]}"
    for part in parts:
        assert part in lines[0], lines[0]


def misused(ran: Ran, *parts: str) -> None:
    """Exit 2, nothing on stdout, the usage and then one line that says all of this."""
    assert ran.code == 2, ran
    assert ran.out == ""
    assert ran.err.startswith("usage: segeval ")
    line = ran.err.splitlines()[-1]
    assert ": error: " in line
    for part in parts:
        assert part in line, line


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def npy(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def tiff(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="TIFF", **options)
    return stream.getvalue()


class Bomb:
    """Leaves a file behind if it is ever unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("unpickled",)


def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


RGB16 = png_of(2, 2, 16, 2, b"".join(b"\0" + bytes(12) for _ in range(2)))


def folders(tmp_path: Path, gt: dict[str, bytes], pred: dict[str, bytes]) -> list[str | Path]:
    for side, files in (("gt", gt), ("pred", pred)):
        (tmp_path / side).mkdir()
        for name, data in files.items():
            path = tmp_path / side / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return ["score", "--task", "semantic", "--quiet", "--gt", tmp_path / "gt", "--pred", tmp_path / "pred"]
