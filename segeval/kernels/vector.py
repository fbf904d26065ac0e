"""Operations on 64 neighbouring bytes, for the kernels that read label maps.

Label maps are long runs of one value. Whether 64 bytes equal 64 others is one or two instructions of any processor
of today, but numba has no word for it: these are written for LLVM directly, which lowers them to what the machine
has. None checks bounds: a kernel must own `[i, i + 64)` of every array that it passes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WIDTH = 64
"""Bytes that one operation covers."""

_BYTE = ir.IntType(8)
_BYTES = ir.VectorType(_BYTE, WIDTH)
_SHORT = ir.VectorType(_BYTE, 16)
_INDEX = types.int64


def _operation(function: Callable[..., Any]) -> Callable[..., Any]:
    """numba's intrinsic, seen by type checkers as called from a kernel: without the typing context."""
    operation: Callable[..., Any] = intrinsic(function)
    return operation


def _at(context: Any, builder: Any, array_type: Any, array: Any, index: Any, llvm: Any) -> Any:
    """The address of element `index` of a uint8 array, as a pointer to `llvm`."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(cgutils.gep(builder, data, index), llvm.as_pointer())  # type: ignore[no-untyped-call]


def _lanes(builder: Any, source: Any, other: Any, lanes: list[int]) -> Any:
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
    return builder.shuffle_vector(source, other, mask)


@_operation
def differs(typingctx: Any, a: Any, i: Any, b: Any, j: Any) -> Any:
    """uint64 whose bit k tells `a[i + k] != b[j + k]`, for 64 bytes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left = builder.load(_at(context, builder, signature.args[0], args[0], args[1], _BYTES), align=1)
        right = builder.load(_at(context, builder, signature.args[2], args[2], args[3], _BYTES), align=1)
        return builder.bitcast(builder.icmp_unsigned("!=", left, right), ir.IntType(64))

    return types.uint64(a, _INDEX, b, _INDEX), codegen


@_operation
def nonzero(typingctx: Any, a: Any, i: Any) -> Any:
    """uint64 whose bit k tells `a[i + k] != 0`, for 64 bytes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        here = builder.load(_at(context, builder, signature.args[0], args[0], args[1], _BYTES), align=1)
        return builder.bitcast(builder.icmp_unsigned("!=", here, ir.Constant(_BYTES, None)), ir.IntType(64))

    return types.uint64(a, _INDEX), codegen


@_operation
def copy(typingctx: Any, to: Any, i: Any, source: Any, j: Any) -> Any:
    """`to[i:i + 64] = source[j:j + 64]`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        there = builder.load(_at(context, builder, signature.args[2], args[2], args[3], _BYTES), align=1)
        builder.store(there, _at(context, builder, signature.args[0], args[0], args[1], _BYTES), align=1)
        return context.get_dummy_value()

    return types.void(to, _INDEX, source, _INDEX), codegen


@_operation
def add(typingctx: Any, to: Any, i: Any, a: Any, j: Any, b: Any, k: Any) -> Any:
    """`to[i:i + 64] = a[j:j + 64] + b[k:k + 64]`, modulo 256."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left = builder.load(_at(context, builder, signature.args[2], args[2], args[3], _BYTES), align=1)
        right = builder.load(_at(context, builder, signature.args[4], args[4], args[5], _BYTES), align=1)
        builder.store(
            builder.add(left, right), _at(context, builder, signature.args[0], args[0], args[1], _BYTES), align=1
        )
        return context.get_dummy_value()

    return types.void(to, _INDEX, a, _INDEX, b, _INDEX), codegen


@_operation
def trailing_zeros(typingctx: Any, bits: Any) -> Any:
    """int64: the position of the lowest set bit; 64 if there is none."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@_operation
def population(typingctx: Any, bits: Any) -> Any:
    """int64: the number of set bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), codegen


@_operation
def load32(typingctx: Any, a: Any, i: Any) -> Any:
    """uint32: the bytes `a[i:i + 4]`, the first the lowest."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_at(context, builder, signature.args[0], args[0], args[1], ir.IntType(32)), align=1)

    return types.uint32(a, _INDEX), codegen


def filler(step: int) -> Callable[..., Any]:
    """`fill(a, i, pixel)` sets `a[i:i + 64]` to repetitions of the low `step` bytes of a uint32."""

    @_operation
    def fill(typingctx: Any, a: Any, i: Any, pixel: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            quad = builder.bitcast(args[2], ir.VectorType(_BYTE, 4))
            filled = _lanes(builder, quad, quad, [k % step for k in range(WIDTH)])
            builder.store(filled, _at(context, builder, signature.args[0], args[0], args[1], _BYTES), align=1)
            return context.get_dummy_value()

        return types.void(a, _INDEX, types.uint32), codegen

    return fill


def summer(step: int) -> Callable[..., Any]:
    """`accumulate(to, i, source, j, n)`: running sums over `step` interleaved channels, modulo 256.

    `to[i + k] = source[j + k] + (to[i + k - step] if k >= step else 0)` for k below n rounded up to 16. Sixteen bytes
    are summed in a register by doubling, so that only the carry of the last pixel chains from block to block.
    """

    @_operation
    def accumulate(typingctx: Any, to: Any, i: Any, source: Any, j: Any, n: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            count = builder.ashr(builder.add(args[4], ir.Constant(args[4].type, 15)), ir.Constant(args[4].type, 4))
            zero = ir.Constant(_SHORT, None)
            carry = cgutils.alloca_once_value(builder, zero)  # type: ignore[no-untyped-call]
            with cgutils.for_range(builder, count) as loop:
                offset = builder.shl(loop.index, ir.Constant(loop.index.type, 4))
                here = builder.add(args[3], offset)
                block = builder.load(_at(context, builder, signature.args[2], args[2], here, _SHORT), align=1)
                shift = step
                while shift < 16:
                    block = builder.add(block, _lanes(builder, zero, block, list(range(16 - shift, 32 - shift))))
                    shift *= 2
                block = builder.add(block, builder.load(carry))
                there = builder.add(args[1], offset)
                builder.store(block, _at(context, builder, signature.args[0], args[0], there, _SHORT), align=1)
                builder.store(_lanes(builder, block, block, [16 - step + k % step for k in range(16)]), carry)
            return context.get_dummy_value()

        return types.void(to, _INDEX, source, _INDEX, _INDEX), codegen

    return accumulate
