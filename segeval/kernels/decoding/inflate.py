"""Inflating zlib streams into memory that is used again, and checksums.

The package `deflate` gives libdeflate's speed but returns new memory from every call, and new pages cost more than
inflating a label map. Its extension module holds libdeflate's own functions, whose C interface is stable; where they
can be reached they are called directly, and elsewhere the package's.
"""

from __future__ import annotations

import ctypes
import zlib
from typing import Any

import deflate
import numpy as np
from numpy.typing import NDArray


def _library() -> ctypes.CDLL | None:
    """libdeflate, if the package `deflate` shows it; calls release the interpreter lock."""
    try:
        library = ctypes.CDLL(getattr(deflate, "_deflate", deflate).__file__)
        library.libdeflate_alloc_decompressor.restype = ctypes.c_void_p
        library.libdeflate_alloc_decompressor.argtypes = []
        library.libdeflate_free_decompressor.restype = None
        library.libdeflate_free_decompressor.argtypes = [ctypes.c_void_p]
        library.libdeflate_zlib_decompress.restype = ctypes.c_int
        library.libdeflate_zlib_decompress.argtypes = [
            ctypes.c_void_p,  # the decompressor
            ctypes.c_void_p, ctypes.c_size_t,  # compressed
            ctypes.c_void_p, ctypes.c_size_t,  # inflated
            ctypes.c_void_p,  # where to tell the inflated size; none: it must be the whole output
        ]  # fmt: skip
        library.libdeflate_crc32.restype = ctypes.c_uint32
        library.libdeflate_crc32.argtypes = [ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t]
    except (AttributeError, OSError, TypeError):
        return None
    return library


LIBRARY = _library()
_SMALL = 2**14


class Inflater:
    """A decompressor, for one thread at a time; `handle` is its address, None where libdeflate can't be reached."""

    __slots__ = ("_library", "handle")

    def __init__(self) -> None:
        self._library = LIBRARY
        self.handle = None if LIBRARY is None else LIBRARY.libdeflate_alloc_decompressor()

    def __del__(self) -> None:
        if self.handle is not None and self._library is not None:
            self._library.libdeflate_free_decompressor(self.handle)

    def inflate(self, compressed: bytes | memoryview, out: NDArray[np.uint8]) -> bool:
        """Inflate a zlib stream, checksum included.

        Parameters
        ----------
        compressed
            The stream; bytes after its end are ignored.
        out
            Contiguous uint8 of exactly the size that the stream should have, at least one byte.

        Returns
        -------
        right
            False if the stream is damaged, truncated, or of another size.
        """
        if self.handle is not None and self._library is not None:
            source = np.frombuffer(compressed, np.uint8)
            status: int = self._library.libdeflate_zlib_decompress(
                self.handle, _address(source), source.size, _address(out), out.size, None
            )
            return status == 0
        try:
            # The package takes sizes of 32 bits.
            large = out.size >= 2**32
            inflated = np.frombuffer(
                zlib.decompress(compressed) if large else deflate.zlib_decompress(compressed, out.size), np.uint8
            )
        except (deflate.DeflateError, zlib.error):
            return False
        if inflated.size != out.size:
            return False
        out[:] = inflated
        return True


def crc32(array: NDArray[Any], before: int = 0) -> int:
    """The CRC-32 of the bytes of a C-contiguous array; other threads run meanwhile where libdeflate can be reached.

    `before` is that of the bytes before, if there are any.
    """
    data = array.reshape(-1).view(np.uint8)
    if LIBRARY is not None and data.size > _SMALL:
        return int(LIBRARY.libdeflate_crc32(before, _address(data), data.size))
    return int(deflate.crc32(data, before))


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
