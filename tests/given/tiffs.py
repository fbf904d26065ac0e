"""TIFFs written byte by byte, so that no library has a say in what they hold."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

DEFLATE, PACKBITS = 8, 32773


def packed(array: Any, bits: int) -> bytes:
    """Rows of values of some bits, from the highest bit on, each row on a byte of its own."""
    rows = []
    for row in np.asarray(array).reshape(len(array), -1).tolist():
        text = "".join(f"{value % 2**bits:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(bytes(int(text[k : k + 8], 2) for k in range(0, len(text), 8)))
    return b"".join(rows)


def tiff_bytes(
    array: Any,
    *,
    bits: int | None = None,
    photometric: int = 1,
    compression: int = 1,
    sample_format: int | None = None,
    big: bool = False,
    rows: int | None = None,
    tags: dict[int, tuple[int, Any]] | None = None,
    reverse: bool = False,
) -> bytes:
    """A TIFF of one page in strips.

    Parameters
    ----------
    array
        (H, W), in the type that is stored where `bits` are not given.
    bits, photometric, compression, sample_format
        As the tags have them; Deflate and no compression are written.
    big
        Whether the bytes run from the highest.
    rows
        Rows of a strip; all of them if None.
    tags
        More of them, or others: type (2 text, 3 short, 4 long) and value; None leaves a tag out.
    reverse
        Whether the bits of a byte are written from the lowest on (FillOrder 2).
    """
    end = ">" if big else "<"
    height, width = array.shape[:2]
    rows = rows or height
    bits = bits or array.dtype.itemsize * 8
    strips = []
    for first in range(0, height, rows):
        part = array[first : first + rows]
        raw = packed(part, bits) if bits % 8 else part.astype(part.dtype.newbyteorder(end)).tobytes()
        raw = zlib.compress(raw) if compression == DEFLATE else raw
        strips.append(bytes(int(f"{byte:08b}"[::-1], 2) for byte in raw) if reverse else raw)
    body, offsets = b"", []
    for strip in strips:
        offsets.append(8 + len(body))
        body += strip + b"\0" * (len(strip) % 2)
    entries: dict[int, tuple[int, Any]] = {
        **{256: (4, width), 257: (4, height), 258: (3, bits), 259: (3, compression), 262: (3, photometric)},
        **{273: (4, offsets), 277: (3, 1), 278: (4, rows), 279: (4, [len(s) for s in strips])},
        **({339: (3, sample_format)} if sample_format else {}),
        **({266: (3, 2)} if reverse else {}),
        **(tags or {}),
    }
    listed = sorted((tag, *entry) for tag, entry in entries.items() if entry is not None)
    at = 8 + len(body)
    beyond = at + 2 + 12 * len(listed) + 4
    directory, values = struct.pack(end + "H", len(listed)), b""
    for tag, kind, value in listed:
        data = value.encode() + b"\0" if kind == 2 else b""
        several = [value] if isinstance(value, int) else value
        data = data or struct.pack(f"{end}{len(several)}{'H' if kind == 3 else 'I'}", *several)
        count = len(data) // {2: 1, 3: 2, 4: 4}[kind]
        if len(data) > 4:
            field = struct.pack(end + "I", beyond + len(values))
            values += data + b"\0" * (len(data) % 2)
        else:
            field = data.ljust(4, b"\0")
        directory += struct.pack(end + "HHI", tag, kind, count) + field
    head = (b"MM" if big else b"II") + struct.pack(end + "HI", 42, at)
    return head + body + directory + struct.pack(end + "I", 0) + values
