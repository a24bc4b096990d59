"""Columns that must be chosen, and columns that must not."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from ..errors import InputError, UsageError
from ..factors.base import dense
from ..kernels import pivoting
from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.metered import Metered
from ..options import flag

if TYPE_CHECKING:
    import numpy

_TOKEN = re.compile(r"([0-9]{1,19})(?::([0-9]{1,19}))?")


@dataclasses.dataclass(frozen=True, eq=False)
class Limits:
    """included: chosen first, in this order; excluded: never chosen. Indices of columns, int64, disjoint."""

    included: numpy.ndarray
    excluded: numpy.ndarray


def index_list(text: str, n: int, name: str) -> numpy.ndarray:
    """The indices that a list such as "7,10:20" names, in its order; a:b is a up to b - 1. All from 0 to n - 1.

    Raises UsageError for anything else, and for an index that comes twice.
    """
    if not isinstance(text, str):
        raise UsageError(f"{flag(name)} must be text, not {text!r}", hint="write indices from 0, such as 7,10:20")
    found: list[int] = []
    for token in text.split(","):
        match = _TOKEN.fullmatch(token.strip())
        if match is None:
            raise UsageError(
                f"{flag(name)}: {token.strip()[:40]!r} is neither an index nor a range a:b",
                hint="write indices from 0, such as 7,10:20",
            )
        first, stop = int(match[1]), int(match[2]) if match[2] else int(match[1]) + 1
        if first >= stop:
            raise UsageError(f"{flag(name)}: the range {token.strip()} is empty", hint="a:b ends before b")
        if stop > n:
            raise UsageError(f"{flag(name)}: {stop - 1} is out of range, the last index is {n - 1}")
        found += range(first, stop)
    index = np.array(found, np.int64)
    if len(np.unique(index)) < len(index):
        twice = next(i for i in found if found.count(i) > 1)
        raise UsageError(f"{flag(name)} names {twice} twice")
    return index


def read_limits(must_include: str | None, exclude: str | None, n: int, rank: int | None, most: int) -> Limits | None:
    """The limits that two lists ask for, among n columns, at most ``most`` of them independent; None without lists.

    Raises UsageError where they name the same column, include more columns than the rank has or exclude so many that
    fewer are left than it needs.
    """
    if must_include is None and exclude is None:
        return None
    none = np.zeros(0, np.int64)
    included = none if must_include is None else index_list(must_include, n, "must_include")
    excluded = none if exclude is None else index_list(exclude, n, "exclude")
    both = np.intersect1d(included, excluded)
    if len(both):
        raise UsageError(f"--must-include and --exclude both name {int(both[0])}")
    limit = most if rank is None else rank
    if len(included) > limit:
        what = f"a rank of {limit}" if rank is None else f"--rank {rank}"
        raise UsageError(f"--must-include names {len(included)}, more than {what} can hold")
    left = n - len(excluded)
    if left < (rank or 1):
        raise UsageError(f"--exclude leaves {left} of {n}, fewer than the {rank or 1} to choose")
    return Limits(included, excluded)


def require_independent(work: Metered | Adjoint, limits: Limits) -> None:
    """Raise InputError when a column that must be chosen is a combination of the others that must."""
    columns = np.ascontiguousarray(dense(work.cols(limits.included)))
    kept = pivoting.pivoted_qr(columns, columns.shape[1]).pivots
    if len(kept) < columns.shape[1]:
        lost = int(limits.included[np.setdiff1d(np.arange(columns.shape[1]), kept)[0]])
        raise InputError(
            f"{lost} of --must-include is, to rounding, a combination of the others it names",
            hint="leave it out: it adds nothing to them",
        )


def pivots_within(Y: numpy.ndarray, k: int, limits: Limits, compiled: bool) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(pivots, trail): at most k pivots of Y (l, n), the included first, the rest by pivoted QR of what they leave.

    trail (r + 1,): the Frobenius norm of the residual after 0 .. r of them, to half the digits. Cost: a pivoted QR and
    6 l n k flops.
    """
    Y = np.ascontiguousarray(Y)
    free, p = Y.copy(), len(limits.included)
    if p:
        Q = _basis(Y, limits.included)
        for _ in range(2):
            free -= Q @ (Q.conj().T @ free)
    free[:, np.concatenate([limits.included, limits.excluded])] = 0
    qr = pivoting.pivoted_qr(free, max(0, min(k, len(Y)) - p), compiled=compiled)
    # what is left of columns already spanned is rounding, which the QR of it cannot know
    squares = np.square(np.abs(Y), dtype=np.float64).sum(axis=0)
    noise = 2 * max(8.0, 0.5 * len(Y) ** 0.5) * float(np.finfo(Y.dtype).eps) * float(squares.max(initial=0.0)) ** 0.5
    sizes = np.abs(qr.R[np.arange(len(qr.pivots)), qr.pivots])
    pivots = np.concatenate([limits.included, qr.pivots[: int(np.cumprod(sizes > noise).sum())]])
    if not len(pivots):
        return pivots, np.sqrt(squares.sum(keepdims=True))
    gains = np.square(np.abs(_basis(Y, pivots).conj().T @ Y), dtype=np.float64).sum(axis=1)
    return pivots, np.sqrt(np.maximum(squares.sum() - np.append(0.0, np.cumsum(gains)), 0.0))


def _basis(Y: numpy.ndarray, index: numpy.ndarray) -> numpy.ndarray:
    return np.ascontiguousarray(np.linalg.qr(np.ascontiguousarray(Y[:, index]))[0])
