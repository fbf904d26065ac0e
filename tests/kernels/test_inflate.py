"""Inflating into given memory, by libdeflate itself and by the package alone."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segeval.kernels.decoding import inflate
from segeval.kernels.decoding.inflate import Inflater, crc32

ways = pytest.mark.parametrize("library", [inflate.LIBRARY, None])


def test_libdeflate_is_reached() -> None:
    # On the platforms that are tested; elsewhere the package does the work.
    assert inflate.LIBRARY is not None


@ways
@settings(deadline=None)
@given(data=st.binary(min_size=1, max_size=3000), repeat=st.integers(1, 200), level=st.integers(0, 9))
def test_streams(library: object, data: bytes, repeat: int, level: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inflate, "LIBRARY", library)
        data *= repeat
        stream = zlib.compress(data, level)
        room = np.full(len(data) + 16, 0xA5, np.uint8)
        inflater = Inflater()
        for given_stream in (stream, memoryview(stream), stream + b"trailing"):
            room[:] = 0xA5
            assert inflater.inflate(given_stream, room[: len(data)])
            assert room[: len(data)].tobytes() == data
            assert (room[len(data) :] == 0xA5).all()
        for damaged in (stream[:-1], stream[:-1] + bytes([stream[-1] ^ 1]), b"", b"no stream"):
            assert not inflater.inflate(damaged, room[: len(data)])
        assert not inflater.inflate(stream, room[: len(data) + 1])
        if len(data) > 1:
            assert not inflater.inflate(stream, room[: len(data) - 1])
        assert (room[len(data) + 1 :] == 0xA5).all()


@ways
@pytest.mark.parametrize("size", [0, 1, 2**14, 2**14 + 1, 10**6])
def test_checksum(library: object, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "LIBRARY", library)
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    assert crc32(data) == zlib.crc32(data.tobytes())
