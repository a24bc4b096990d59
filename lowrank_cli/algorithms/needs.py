"""What a run is going to hold in memory at its peak, component by component, from shapes alone; refused beforehand
where it does not fit."""

from __future__ import annotations

import dataclasses
import functools
import math
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import ResourceError
from ..matrices.grid import FAN, TILE
from ..matrices.tall import SHARE
from ..memory import amount, available_memory, resident
from . import few_passes, row_sample
from .bases import FRESH, LEAST_BLOCKS, by_gram, few_blocks, width
from .svd import SVDOptions, wants_lapack

if TYPE_CHECKING:
    from ..matrices.protocols import Matrix
    from .method import Method

#: Bytes that scipy.special and numpy.random take where they are not loaded yet: for bounds that may fail.
SCIPY = 28_000_000
#: Columns that a tolerance is likely to begin with.
_FIRST = 128


def driver(shape: tuple[int, int], dense: bool, itemsize: int, budget: Budget, options: SVDOptions) -> str:
    """What makes the triplets of a truncated SVD: "lapack", "few passes", "gram" or "block krylov"."""
    seen: Any = types.SimpleNamespace(shape=shape)
    lapack = wants_lapack(seen, budget.rank, options)
    if budget.passes is not None:
        return "lapack" if lapack and budget.passes >= 3 and not budget.has_tolerance else "few passes"
    if lapack:
        return "lapack"
    large = dense and math.prod(shape) * itemsize >= few_passes.LARGE and options == SVDOptions()
    if large and budget.rank is not None and not budget.has_tolerance and budget.norm == "fro":
        return "few passes"
    return "gram" if dense and budget.rank is not None and by_gram(shape, budget.rank) else "block krylov"


def triplets(
    made: str, shape: tuple[int, int], itemsize: int, rank: int | None, threads: int, have: int | None = None
) -> dict[str, int]:
    """Bytes by component, the matrix left out. have: what there is; tall blocks beyond a share of it go to disk."""
    m, n = max(shape), min(shape)
    k = min(n, rank or _FIRST)
    if made == "lapack":
        return {"LAPACK": itemsize * (3 * m * n + 6 * n**2), "factors": k * (m + n) * itemsize}
    if made == "few passes":
        block, kept = few_passes.widths(shape, rank)
        # a first block in single precision is as large as half as many columns in double
        tall, held = max(block * itemsize // 2, 2 * kept * itemsize), max(block, 2 * kept)
    elif made == "gram":
        block = held = min(n, k + 64)
        tall = held * itemsize
    else:
        block = width(rank) if rank else 32
        held = min(n, LEAST_BLOCKS * block + FRESH)
        tall = held * itemsize
    blocks = 2 * m * tall
    if have is not None:
        blocks = min(blocks, 3 * (have // SHARE))
    return {
        "basis": 3 * n * held * itemsize,
        "tall blocks": blocks,
        "products": max(FAN, 2 * threads) * n * block * itemsize,
        # strips of the matrix as they are read and as they are multiplied, and their sum
        **({"Gram matrix": 2 * threads * FAN * TILE * n * itemsize + 5 * n * n * 8} if made == "gram" else {}),
        **({"sample of rows": max(0, _sample(m, n, itemsize) - blocks)} if made == "few passes" else {}),
        "factors": k * (m + n) * itemsize if have is None else min(k * (m + n) * itemsize, have // SHARE),
    }


def _sample(m: int, n: int, itemsize: int) -> int:
    """Bytes of the rows looked at beforehand, and of a run of them as it is read; gone when blocks come."""
    return min(row_sample.BYTES, m // row_sample.SHARE * n * itemsize) * 3 // 2


def needs(method: Method, A: Matrix, budget: Budget, options: Any, have: int | None = None) -> dict[str, int]:
    """Bytes by component that a run is going to take beyond what the process holds now."""
    m, n = A.shape
    if method.needs is not None:
        return method.needs(A, budget, options)
    itemsize = A.dtype.itemsize
    buffers = read_buffers(A)
    found = {"read buffers": buffers} if buffers else {}
    bounded = budget.passes is not None or budget.certify == "probes" or budget.norm == "spectral"
    if bounded and "scipy.special" not in sys.modules:
        found["SciPy"] = SCIPY
    dense = A.nnz is None
    if method.whole:
        return found | {"the whole matrix": (3 if buffers else 2) * m * n * itemsize}
    how = options if isinstance(options, SVDOptions) else SVDOptions()
    made = driver(A.shape, dense, itemsize, budget, how)
    if made == "lapack" and (not dense or not method.spectrum):
        # other methods decide for themselves; what they hold at least is what they return
        return found | {"factors": min(m * n, (budget.rank or 1) * (m + n)) * itemsize}
    return found | triplets(made, A.shape, itemsize, budget.rank, A.engine.threads, have)


def read_buffers(A: Any) -> int:
    """Bytes of the buffers that a matrix which stays in its file is read into; 0 of one in memory."""
    lines = getattr(A, "lines", None)
    return lines.buffers if lines is not None else getattr(getattr(A, "source", None), "buffers", 0)


def spectrum(A: Matrix, k: int | None, block: int, have: int) -> dict[str, int]:
    """Bytes by component that k singular values take, None for all: of LAPACK, or of a Krylov basis of a few blocks and
    what is compared with the matrix in the end."""
    m, n = max(A.shape), min(A.shape)
    itemsize = A.dtype.itemsize
    found = {"read buffers": read_buffers(A)}
    seen: Any = types.SimpleNamespace(shape=A.shape)
    if k is None or wants_lapack(seen, k, SVDOptions()):
        wide = 2 * itemsize if str(A.dtype) in ("float32", "complex64") else itemsize
        return found | {"LAPACK": 2 * m * n * wide + 4 * n * n * wide}
    columns = min(n, LEAST_BLOCKS * block)
    # two tall blocks at a time beside those that are kept
    blocks = (columns + 2 * block) * m * itemsize
    if A.nnz is None:
        blocks = min(blocks, 3 * (have // SHARE))
    return found | {
        "basis": 3 * n * columns * itemsize,
        "tall blocks": blocks,
        "products": max(FAN, 2 * A.engine.threads) * n * block * itemsize,
        "vectors": 3 * min(n, k) * (m + n) * itemsize,
    }


def usual_passes(method: Method, A: Matrix, budget: Budget, options: Any) -> int | None:
    """About how many passes a truncated SVD takes; None of what is not known beforehand."""
    if not method.spectrum or budget.has_tolerance:
        return None
    how = options if isinstance(options, SVDOptions) else SVDOptions()
    made = driver(A.shape, A.nnz is None, A.dtype.itemsize, budget, how)
    if made == "few passes":
        return budget.passes or few_passes.USUAL
    krylov = LEAST_BLOCKS + (3 if few_blocks(budget.rank or 1) else 5)
    return {"lapack": 3, "gram": 5}.get(made, krylov)


def check(method: Method, A: Matrix, budget: Budget, options: Any, name: str | None) -> dict[str, int]:
    """The components of ``needs``. Raises ResourceError, which lists them, when they are more than there is."""
    have = available_memory()
    fewer = dataclasses.replace(budget, passes=few_passes.LEAST)
    also = ""
    if method.whole:
        also = "; the method works on the whole matrix in memory"
    elif method.needs is not None:
        pass
    elif budget.passes is None and method.least_passes and sum(needs(method, A, fewer, options, have).values()) <= have:
        also = f", and so would --passes {few_passes.LEAST}"
    elif budget.rank is not None and budget.rank > 1:
        also = ", or a smaller --rank"
    at = functools.partial(needs, method, A, budget, options)
    return within(at, [getattr(A, "X", A), getattr(A, "Y", A)], f"--method {method.name}", name, also)


def within(
    at: Callable[[int], dict[str, int]], matrices: Sequence[Any], what: str, where: str | None, also: str = ""
) -> dict[str, int]:
    """The components ``at`` the bytes there are. Raises ResourceError, which lists them, when together they are more,
    with the allowance that would do and what also would. matrices: what is read."""
    have = available_memory()
    found = at(have)
    need = sum(found.values())
    if need > have:
        parts = ", ".join(f"{what} {amount(size)}" for what, size in found.items() if size >= 1 << 20)
        distinct = {id(one): one for one in matrices}.values()
        # what the process itself takes differs a little from run to run
        enough = math.ceil((1.1 * _enough(at, need, distinct) + resident()) / 1e6)
        raise ResourceError(
            f"{what} needs {amount(need)} more of memory ({parts}), {amount(have)} are left",
            where=where,
            hint=f"--memory {enough}M would do{also}",
        )
    return found


def _enough(at: Callable[[int], dict[str, int]], need: int, matrices: Iterable[Any]) -> int:
    """How many bytes would do: of more some go into larger buffers, into tall blocks that stay in memory, and in the
    end into the matrix itself."""
    filed = [one for one in matrices if read_buffers(one)]
    stored = [(math.prod(one.shape) if one.nnz is None else 2 * one.nnz) * one.dtype.itemsize for one in filed]
    have = need
    while True:
        parts = at(have)
        buffers = parts.get("read buffers", 0)
        # what takes up to half of what there is, when it is opened, is loaded, and else buffers of a quarter are; that
        # was up to a half more than what is left now, before the libraries and the buffers
        read = max(buffers, sum(size if size <= 0.75 * have else have // 3 for size in stored))
        if sum(parts.values()) - buffers + read <= have:
            return have
        have += have // 32 + 1
