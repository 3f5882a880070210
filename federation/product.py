"""Matrix products of the engine's small sizes, at the processor's full width.

A library of linear algebra packs its operands first, which at 128 x 64 x 64 costs as much as the
product, and which of its kernels runs is a matter of the machine's settings. Here one tile of the
result stays in registers while its terms run by; the same tile serves a transposed left side, which
is only a matter of strides. Written in LLVM's own words because numba has none for a vector.

All matrices lie row by row. numba's cache looks at the caller's file only: whoever changes a line
here touches step.py too.
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding  # type: ignore[import-untyped] # it has no types
import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

LANES = 16  # single-precision numbers that are worked on at a time; LLVM halves them where it must
FLOAT, INDEX = ir.FloatType(), ir.IntType(64)
VECTOR, LANE = ir.VectorType(FLOAT, LANES), ir.IntType(32)
FLOAT_BYTES = 4
HAS_WIDE_REGISTERS = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
FAST = ("fast",)  # a product and a sum may become one instruction


def _tile(*, rows: int, vectors: int) -> Callable[..., None]:
    """A function that computes `rows` x (LANES * `vectors`) numbers of a product."""

    @intrinsic  # type: ignore[untyped-decorator, unused-ignore]
    def tile(
        context: Any, a: Any, a_row: Any, a_term: Any, b: Any, b_row: Any, out: Any, out_row: Any,
        terms: Any,
    ) -> Any:  # fmt: skip
        where, step = types.uintp, types.intp
        return (
            types.void(where, step, step, where, step, where, step, step),
            lambda target, builder, _, given: _emit(target, builder, given, rows, vectors),
        )

    return tile  # type: ignore[no-any-return, unused-ignore]


def _emit(target: Any, builder: Any, given: Any, rows: int, vectors: int) -> Any:
    """The tile's instructions: a loop over the terms, its sums in registers, then the stores."""
    a, a_row, a_term, b, b_row, out, out_row, terms = given

    def at(base: Any, offset: Any, kind: Any) -> Any:
        place = builder.add(base, builder.mul(offset, INDEX(FLOAT_BYTES)))
        return builder.inttoptr(place, kind.as_pointer())

    def load(base: Any, offset: Any, kind: Any) -> Any:
        found = builder.load(at(base, offset, kind))
        found.align = FLOAT_BYTES
        return found

    before, loop = builder.block, builder.append_basic_block("terms")
    after = builder.append_basic_block("done")
    builder.branch(loop)
    builder.position_at_end(loop)
    term = builder.phi(INDEX)
    term.add_incoming(INDEX(0), before)
    sums = [[builder.phi(VECTOR) for _ in range(vectors)] for _ in range(rows)]
    start = builder.mul(term, b_row)
    right = [
        load(b, builder.add(start, INDEX(LANES * vector)), VECTOR) for vector in range(vectors)
    ]
    start, grown = builder.mul(term, a_term), []
    unset = ir.Constant(VECTOR, ir.Undefined)
    everywhere = ir.Constant(ir.VectorType(LANE, LANES), [0] * LANES)
    for row in range(rows):
        one = load(a, builder.add(start, builder.mul(a_row, INDEX(row))), FLOAT)
        one = builder.insert_element(unset, one, LANE(0))
        one = builder.shuffle_vector(one, unset, everywhere)
        grown.append(
            [
                builder.fadd(old, builder.fmul(one, other, flags=FAST), flags=FAST)
                for old, other in zip(sums[row], right, strict=True)
            ]
        )
    following = builder.add(term, INDEX(1))
    term.add_incoming(following, loop)
    for olds, news in zip(sums, grown, strict=True):
        for old, new in zip(olds, news, strict=True):
            old.add_incoming(ir.Constant(VECTOR, [0.0] * LANES), before)
            old.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", following, terms), loop, after)
    builder.position_at_end(after)
    for row, news in enumerate(grown):
        for vector, new in enumerate(news):
            offset = builder.add(builder.mul(out_row, INDEX(row)), INDEX(LANES * vector))
            builder.store(new, at(out, offset, VECTOR)).align = FLOAT_BYTES
    return target.get_dummy_value()


# Eight sums or more hide how long one takes; 32 registers of sixteen numbers hold two times that.
ROWS, NARROW_ROWS, VECTORS = (4, 8, 4) if HAS_WIDE_REGISTERS else (4, 4, 1)
wide = _tile(rows=ROWS, vectors=VECTORS)
narrow = _tile(rows=NARROW_ROWS, vectors=1)
ROWS_MIN = max(ROWS, NARROW_ROWS)
compiled = numba.njit(cache=True, error_model="numpy")


@compiled
def multiply(a: Any, b: Any, out: Any) -> None:
    """out = a @ b, by as many columns of `a` as `b` has rows.

    `out` has ROWS_MIN rows or more, and a multiple of LANES columns, as many as `b`.
    """
    _fill(a, a.shape[1], 1, b.shape[0], b, out)


@compiled
def multiply_transposed(a: Any, b: Any, out: Any) -> None:
    """out = a.T @ b, and `a` stays as it lies."""
    _fill(a, 1, a.shape[1], b.shape[0], b, out)


@compiled
def _fill(a: Any, a_row: Any, a_term: Any, terms: Any, b: Any, out: Any) -> None:
    rows, columns = out.shape
    left, right, place = a.ctypes.data, b.ctypes.data, out.ctypes.data
    is_wide = columns % (LANES * VECTORS) == 0
    high, broad = (ROWS, LANES * VECTORS) if is_wide else (NARROW_ROWS, LANES)
    for first in range(0, rows, high):
        row = min(first, rows - high)  # the last tile overlaps the one before: the same numbers
        mine = left + np.uint64(FLOAT_BYTES * row * a_row)
        into = place + np.uint64(FLOAT_BYTES * row * columns)
        for column in range(0, columns, broad):
            aside = np.uint64(FLOAT_BYTES * column)
            if is_wide:
                wide(mine, a_row, a_term, right + aside, columns, into + aside, columns, terms)
            else:
                narrow(mine, a_row, a_term, right + aside, columns, into + aside, columns, terms)
