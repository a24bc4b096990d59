"""Asking for a line of an array before it is needed: a hint for kernels that read rows in no order."""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

#: Entries of a sparse matrix from the one that is worked on to the one whose row is asked for.
AHEAD = 8
_LINE = 64


@intrinsic
def _fetch(typing: Any, array: Any, row: Any, column: Any) -> Any:
    """_fetch(array, row, column): the cache line that holds array[row, column] will be read soon. No result depends on
    it, and it reads nothing that is not there."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        struct = context.make_array(kind)(context, builder, arguments[0])
        place = cgutils.get_item_pointer(context, builder, kind, struct, list(arguments[1:]))
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        form = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        call = cgutils.get_or_insert_function(builder.module, form, "llvm.prefetch")
        # for reading, to be kept, data
        builder.call(call, [builder.bitcast(place, byte), word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


@numba.njit(nogil=True)
def fetch_ahead(X, indices, t, end):  # type: ignore[no-untyped-def]
    """All cache lines of the row of X that comes up ``AHEAD`` places after t, if that is before the end."""
    if t + AHEAD < end:
        for column in range(0, X.shape[1], _LINE // X.itemsize):
            _fetch(X, indices[t + AHEAD], column)
