"""C functions as kernels call them: by their address, without the interpreter lock.

An address is an argument, not a constant, so that compiled code can be cached: it is another in each process.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from segeval.kernels.decoding.inflate import LIBRARY

OPEN, READ, CLOSE, INFLATE, CRC32, FLAGS = range(6)
"""Places in `addresses`."""

_WORD = ir.IntType(64)
_INT = ir.IntType(32)
_LONG = types.int64


def _function(function: Callable[..., Any]) -> Callable[..., Any]:
    """numba's intrinsic, seen by type checkers as called from a kernel: without the typing context."""
    operation: Callable[..., Any] = intrinsic(function)
    return operation


def _called(builder: Any, address: Any, result: Any, kinds: list[Any], values: list[Any]) -> Any:
    """Call the function at an address; values are 64 bits wide and are cut to the kinds that it takes."""
    function = builder.inttoptr(address, ir.FunctionType(result, kinds).as_pointer())
    cut = [v if kind is _WORD else builder.trunc(v, kind) for kind, v in zip(kinds, values, strict=True)]
    return builder.call(function, cut)


@_function
def place(typingctx: Any, array: Any, index: Any) -> Any:
    """int64: the address of element `index` of a uint8 array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(cgutils.gep(builder, data, args[1]), _WORD)  # type: ignore[no-untyped-call]

    return _LONG(array, _LONG), codegen


@_function
def opened(typingctx: Any, address: Any, path: Any, flags: Any) -> Any:
    """`open(path, flags)`: a descriptor, or below 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.sext(_called(builder, args[0], _INT, [_WORD, _INT], args[1:]), _WORD)

    return _LONG(_LONG, _LONG, _LONG), codegen


@_function
def read(typingctx: Any, address: Any, descriptor: Any, to: Any, size: Any) -> Any:
    """`read(descriptor, to, size)`: bytes read, or below 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _called(builder, args[0], _WORD, [_INT, _WORD, _WORD], args[1:])

    return _LONG(_LONG, _LONG, _LONG, _LONG), codegen


@_function
def close(typingctx: Any, address: Any, descriptor: Any) -> Any:
    """`close(descriptor)`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.sext(_called(builder, args[0], _INT, [_INT], args[1:]), _WORD)

    return _LONG(_LONG, _LONG), codegen


@_function
def inflated(typingctx: Any, address: Any, handle: Any, source: Any, size: Any, to: Any, room: Any) -> Any:
    """`libdeflate_zlib_decompress` into exactly `room` bytes: 0 where that went right."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = [*args[1:], ir.Constant(_WORD, 0)]
        return builder.sext(_called(builder, args[0], _INT, [_WORD] * 6, values), _WORD)

    return _LONG(_LONG, _LONG, _LONG, _LONG, _LONG, _LONG), codegen


@_function
def crc32(typingctx: Any, address: Any, source: Any, size: Any) -> Any:
    """`libdeflate_crc32` of some bytes, as int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = [ir.Constant(_WORD, 0), *args[1:]]
        return builder.zext(_called(builder, args[0], _INT, [_INT, _WORD, _WORD], values), _WORD)

    return _LONG(_LONG, _LONG, _LONG), codegen


def _addresses() -> NDArray[np.int64] | None:
    """int64 (6): where the functions are, and the flags of `open`; None where they can't be had."""
    if LIBRARY is None or os.name != "posix":
        return None
    try:
        libc = ctypes.CDLL(None)
        functions = (libc.open, libc.read, libc.close, LIBRARY.libdeflate_zlib_decompress, LIBRARY.libdeflate_crc32)
        found = [ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions]
    except (AttributeError, OSError, TypeError):
        return None
    # Not to wait for the other end of a pipe that is called like an image.
    return np.array([*found, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC], np.int64) if all(found) else None


ADDRESSES = _addresses()
