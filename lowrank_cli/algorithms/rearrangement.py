"""The rearrangement that turns Kronecker products into outer products, and the shapes a matrix can be cut into."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..lazy import np
from ..matrices.dense import TiledMatrix
from ..matrices.metered import Metered
from ..matrices.orthonormal import orthonormalize
from ..matrices.sparse import SparseMatrix
from ..memory import require
from ..sketches.gaussian import gaussian
from ..streams import Streams

if TYPE_CHECKING:
    import numpy

    from .scaling import Scaled

#: Shapes are tried, smallest factors first, as many as so many flops allow, but so many at least.
SEARCH_FLOPS, LEAST_SHAPES = 2_000_000_000, 6
#: Columns of the sketch that judges a shape, beyond the terms; terms it looks at when a tolerance is asked for.
_SPARE, _LOOK = 8, 8
#: Squared relative errors below this, in units of eps, are rounding, and equal.
_FLOOR = 500


@dataclasses.dataclass(frozen=True)
class Cut:
    """A of shape (m1 m2, n1 n2) as m1 x n1 blocks of m2 x n2: B is (m1, n1), C is (m2, n2)."""

    m1: int
    n1: int
    m2: int
    n2: int

    @property
    def most(self) -> int:
        """The most terms a sum may need."""
        return min(self.m1 * self.n1, self.m2 * self.n2)

    @property
    def entries(self) -> int:
        """Stored entries of a term."""
        return self.m1 * self.n1 + self.m2 * self.n2

    def words(self) -> dict[str, list[int]]:
        return {"B": [self.m1, self.n1], "C": [self.m2, self.n2]}


def given(text: str, shape: tuple[int, int]) -> Cut:
    """The cut with B of the shape spelt ``m1xn1``. Raises UsageError when it does not divide the matrix."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise UsageError(f"--shape {text!r} is no shape", hint="write rows x columns of B, such as 16x8")
    (m, n), (m1, n1) = shape, map(int, parts)
    if m % m1 or n % n1:
        raise UsageError(
            f"--shape {text}: {m1}x{n1} blocks do not divide a {m}x{n} matrix",
            hint=f"rows of B must divide {m}, columns {n}",
        )
    return Cut(m1, n1, m // m1, n // n1)


def cuts(shape: tuple[int, int], rank: int) -> list[Cut]:
    """All cuts that hold so many terms and save entries, smallest factors first, but those that say nothing new: a
    scalar times A, and columns times rows, which is what an SVD is."""
    m, n = shape
    found = []
    for m1 in _divisors(m):
        for n1 in _divisors(n):
            cut = Cut(m1, n1, m // m1, n // n1)
            outer = (cut.m2 == cut.n1 == 1) or (cut.m1 == cut.n2 == 1)
            if cut.most > 1 and not (outer and min(m, n) > 1) and rank <= cut.most:
                found.append(cut)
    saving = [cut for cut in found if rank * cut.entries < m * n]
    return sorted(saving or found, key=lambda cut: (cut.entries, cut.m1, cut.n1))


def _divisors(n: int) -> list[int]:
    small = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return sorted({*small, *(n // d for d in small)})


def rearranged(A: numpy.ndarray, cut: Cut) -> numpy.ndarray:
    """R(A) of shape (m1 n1, m2 n2), whose row (i1, j1) is block (i1, j1) of A: R(B (x) C) = vec(B) vec(C)^T.

    A C-ordered copy, so what is computed of it does not depend on how A lies. Van Loan and Pitsianis 1993.
    """
    blocks = A.reshape(cut.m1, cut.m2, cut.n1, cut.n2).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(blocks).reshape(cut.m1 * cut.n1, cut.m2 * cut.n2)


def as_matrix(scaled: Scaled, cut: Cut) -> Metered:
    """R(A) as a matrix on the ledger of A; sparse when A is. Raises ResourceError when a copy does not fit."""
    matrix: Any = scaled.matrix
    m, n = matrix.shape
    if matrix.nnz is None:
        require(2 * m * n * matrix.dtype.itemsize, "the rearranged matrix", "there is no way around its copy")
        return Metered(TiledMatrix(rearranged(matrix.whole(), cut), matrix.engine), matrix.ledger)
    from scipy.sparse import csr_array

    matrix.ledger.passes += 1
    stored = matrix.inner.array.tocoo()
    (i1, i2), (j1, j2) = (divmod(stored.coords[k].astype(np.int64), d) for k, d in ((0, cut.m2), (1, cut.n2)))
    places = (i1 * cut.n1 + j1, i2 * cut.n2 + j2)
    R = csr_array((stored.data, places), shape=(cut.m1 * cut.n1, cut.m2 * cut.n2))
    R.sort_indices()
    return Metered(SparseMatrix(R, matrix.engine), matrix.ledger)


@dataclasses.dataclass(frozen=True)
class Searched:
    """Shapes by their scores, the best first; tried of possible ones."""

    ranked: list[tuple[float, Cut]]
    possible: int

    def words(self) -> dict[str, Any]:
        """What a report says of it."""
        names = ("chosen", "runner_up")
        found = {name: {**cut.words(), "score": score} for name, (score, cut) in zip(names, self.ranked, strict=False)}
        return {**found, "tried": len(self.ranked), "possible": self.possible}


def search(scaled: Scaled, rank: int | None, target: float | None, streams: Streams) -> Searched:
    """The shape of smallest information criterion, or that meets the squared error ``target`` with fewest entries.

    Each shape is judged by a sketch of R(A) with one power step, r + 8 columns: 4 m n (r + 8) flops. The criterion is
    m n log(error^2 / m n) + log(m n) (stored entries), the BIC of Cai, Chen and Xiao (KoPA, 2022), for the terms asked
    for; with a tolerance for the fewest terms that meet it, else for 8. Shapes are tried smallest first and no more of
    them than ``SEARCH_FLOPS`` allow. Raises UsageError when no shape is left but that of an SVD.
    """
    m, n = scaled.matrix.shape
    possible = cuts((m, n), rank or 1)
    if not possible:
        raise UsageError(
            f"a {m}x{n} matrix has no Kronecker shape" + (f" for {rank} terms" if (rank or 1) > 1 else ""),
            hint="the only one may be that of an SVD: use --method svd",
        )
    copies = 2 if scaled.matrix.nnz is None else 3
    require(copies * m * n * np.dtype(scaled.matrix.dtype).itemsize, "the search for a shape", "name one with --shape")
    each = 4 * m * n * ((rank or _LOOK) + _SPARE) * (4 if scaled.matrix.dtype.kind == "c" else 1)
    tried = possible[: max(LEAST_SHAPES, SEARCH_FLOPS // each)]
    A = np.ascontiguousarray(scaled.matrix.whole())
    total = scaled.squares
    floor = _FLOOR * float(np.finfo(A.dtype).eps) * total
    ranked = []
    for cut in tried:
        looked = min(rank or _LOOK, cut.most)
        squares = _leading(rearranged(A, cut), looked, streams, scaled)
        tails = np.maximum(total - np.cumsum(squares), floor)
        meets = np.flatnonzero(tails <= max(target, floor)) if target is not None else np.empty(0, int)
        terms = int(meets[0]) + 1 if len(meets) else looked
        share = tails[terms - 1] / total if total else 1.0
        score = m * n * math.log(share) + math.log(m * n) * terms * cut.entries
        ranked.append((not len(meets), terms * cut.entries if len(meets) else score, score, cut))
        scaled.matrix.ledger.flops += 4 * m * n * min(looked + _SPARE, cut.most)
    order = sorted(ranked, key=lambda one: one[:3])
    return Searched([(score, cut) for _, _, score, cut in order], len(possible))


def _leading(R: numpy.ndarray, k: int, streams: Streams, scaled: Scaled) -> numpy.ndarray:
    """The k leading squared Ritz values of R from a sketch and one power step; exact when R has few columns or rows."""
    engine = scaled.matrix.engine
    wide = R if R.shape[0] <= R.shape[1] else np.ascontiguousarray(R.conj().T)
    p = wide.shape[0]
    l = min(k + _SPARE, p)
    if l < p:
        G = gaussian(streams, "kron shapes", p, l, R.dtype, engine)
        Q = orthonormalize(wide @ np.ascontiguousarray((G.conj().T @ wide).conj().T), engine)[0]
        wide = np.ascontiguousarray(Q.conj().T) @ wide
    squares = np.linalg.eigvalsh(wide @ np.ascontiguousarray(wide.conj().T))[::-1][:k]
    return np.maximum(squares.astype(np.float64), 0.0)
