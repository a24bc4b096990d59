"""What a run is going to hold in memory at its peak, component by component, from shapes alone; refused beforehand
where it does not fit."""

from __future__ import annotations

import dataclasses
import math
import types
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import ResourceError
from ..matrices.tall import SHARE
from ..memory import available_memory, resident
from . import few_passes
from .bases import FRESH, LEAST_BLOCKS, by_gram, width
from .svd import SVDOptions, wants_lapack

if TYPE_CHECKING:
    from ..matrices.protocols import Matrix
    from .method import Method

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
        "products": max(4, 2 * threads) * n * block * itemsize + (n * n * 8 if made == "gram" else 0),
        "factors": k * (m + n) * itemsize if have is None else min(k * (m + n) * itemsize, have // SHARE),
    }


def needs(method: Method, A: Matrix, budget: Budget, options: Any, have: int | None = None) -> dict[str, int]:
    """Bytes by component that a run is going to take beyond what the process holds now."""
    m, n = A.shape
    itemsize = A.dtype.itemsize
    found: dict[str, int] = {}
    buffers = getattr(getattr(A, "source", None), "buffers", 0)
    if buffers:
        found["read buffers"] = buffers
    dense = A.nnz is None
    if method.whole:
        return found | {"the whole matrix": (3 if buffers else 2) * m * n * itemsize}
    how = options if isinstance(options, SVDOptions) else SVDOptions()
    made = driver(A.shape, dense, itemsize, budget, how)
    if made == "lapack" and (not dense or not method.spectrum):
        # other methods decide for themselves; what they hold at least is what they return
        return found | {"factors": min(m * n, (budget.rank or 1) * (m + n)) * itemsize}
    return found | triplets(made, A.shape, itemsize, budget.rank, A.engine.threads, have)


def usual_passes(method: Method, A: Matrix, budget: Budget, options: Any) -> int | None:
    """About how many passes a truncated SVD takes; None of what is not known beforehand."""
    if not method.spectrum or budget.has_tolerance:
        return None
    how = options if isinstance(options, SVDOptions) else SVDOptions()
    made = driver(A.shape, A.nnz is None, A.dtype.itemsize, budget, how)
    if made == "few passes":
        return budget.passes or few_passes.USUAL
    return {"lapack": 3, "gram": 5}.get(made, LEAST_BLOCKS + 5)


def check(method: Method, A: Matrix, budget: Budget, options: Any, name: str | None) -> dict[str, int]:
    """The components of ``needs``. Raises ResourceError, which lists them, when they are more than there is."""
    have = available_memory()
    found = needs(method, A, budget, options, have)
    need = sum(found.values())
    if need > have:
        parts = ", ".join(f"{what} {mebibytes(size)}" for what, size in found.items() if size >= 1 << 20)
        hint = f"--memory {math.ceil((need + resident()) / 1e6)}M would do"
        fewer = dataclasses.replace(budget, passes=few_passes.LEAST)
        if method.whole:
            hint += "; the method works on the whole matrix in memory"
        elif (
            budget.passes is None
            and method.least_passes
            and sum(needs(method, A, fewer, options, have).values()) <= have
        ):
            hint += f", and so would --passes {few_passes.LEAST}"
        elif budget.rank is not None and budget.rank > 1:
            hint += ", or a smaller --rank"
        raise ResourceError(
            f"--method {method.name} needs {mebibytes(need)} more of memory ({parts}), {mebibytes(have)} are left",
            where=name,
            hint=hint,
        )
    return found


def mebibytes(size: int) -> str:
    return f"{math.ceil(size / 2**20)} MiB"
