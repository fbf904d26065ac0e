"""LZW and PackBits against encoders written from TIFF 6.0."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segeval.kernels.decoding.lzw import unpack_lzw, unpack_packbits


def lzw(data: bytes) -> bytes:
    """TIFF 6.0, page 60: codes of 9 to 12 bits from the highest bit on, wider one code early."""
    codes: list[tuple[int, int]] = [(256, 9)]
    table = {bytes([k]): k for k in range(256)}
    free, width, text = 258, 9, b""
    for k in range(len(data)):
        longer = text + data[k : k + 1]
        if longer in table:
            text = longer
            continue
        codes.append((table[text], width))
        table[longer] = free
        free += 1
        width = 9 + (free > 511) + (free > 1023) + (free > 2047)
        if free == 4094:
            codes.append((256, width))
            table = {bytes([k]): k for k in range(256)}
            free, width = 258, 9
        text = data[k : k + 1]
    if text:
        codes.append((table[text], width))
        free += 1
        width = 9 + (free > 511) + (free > 1023) + (free > 2047)
    codes.append((257, width))
    bits = "".join(f"{code:0{width}b}" for code, width in codes)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[k : k + 8], 2) for k in range(0, len(bits), 8))


def packbits(data: bytes) -> bytes:
    packed, at = b"", 0
    while at < len(data):
        run = 1
        while run < 128 and data[at : at + 1] * (run + 1) == data[at : at + run + 1]:
            run += 1
        if run > 1:
            packed += bytes([257 - run]) + data[at : at + 1]
        else:
            packed += b"\x00" + data[at : at + 1]
        at += run
    return packed


def as_array(data: bytes) -> np.ndarray:
    return np.frombuffer(bytearray(data), np.uint8)


CONTENT = st.one_of(
    st.binary(max_size=3000),
    st.builds(lambda k, n: bytes([k]) * n, st.integers(0, 255), st.integers(0, 20_000)),
    st.builds(lambda seed, n, k: np.random.default_rng(seed).integers(0, k, n, np.uint8).tobytes(),
              st.integers(0, 9), st.integers(0, 20_000), st.integers(1, 255)),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(data=CONTENT)
def test_what_was_packed_comes_back(data: bytes) -> None:
    for pack, unpack in ((lzw, unpack_lzw), (packbits, unpack_packbits)):
        packed = as_array(pack(data))
        out = np.full(len(data), 7, np.uint8)
        assert unpack(packed, out)
        assert out.tobytes() == data
        # A part is given where that is all that is wanted, and more is not there.
        half = np.zeros(len(data) // 2, np.uint8)
        assert unpack(packed, half)
        assert half.tobytes() == data[: len(data) // 2]
        assert not unpack(packed, np.zeros(len(data) + 1, np.uint8))


@settings(deadline=None, max_examples=200)
@given(data=st.binary(max_size=200), size=st.integers(0, 500))
def test_anything_else_is_refused_or_decoded(data: bytes, size: int) -> None:
    for unpack in (unpack_lzw, unpack_packbits):
        room = np.full(size + 16, 0xA5, np.uint8)
        unpack(as_array(data), room[:size])
        assert (room[size:] == 0xA5).all()
