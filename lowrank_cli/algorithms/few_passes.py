"""The truncated SVD in as few passes over the matrix as are allowed: each is worth two products, and none is lost.

The first pass sweeps the matrix, multiplies it by a wide block, A^H (A X), and takes probes; the block is random but
for what a sample of the rows tells. Every further one multiplies it by an orthonormal X: the Ritz vectors found so far
and what the last product adds to each of them (a block Lanczos method that restarts with every pass: Knyazev 2001; Wu
and Simon 2000). The last one is in the precision of the matrix and gives U = A X T and A^H U = A^H (A X) T, so the
triplets follow without another. We differ in the wide blocks in single precision, which cost no more time than reading
does, in the error that comes for nothing from |A|^2 - |A^H U|^2 where rounding allows it, and in one pass or two in
place of three where a sample, or the first pass, promises that they are enough, and what the last one computes, in the
precision of the matrix, confirms it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..certificates import probes
from ..certificates.residual import CANCELLED
from ..errors import UsageError
from ..lazy import np
from ..matrices.blocks import columns_of, gram, times
from ..matrices.metered import Metered
from ..matrices.orthonormal import householder, news, orthonormalize
from ..sketches.gaussian import gaussian
from ..streams import Streams
from .assessment import Assessor, ByNorms, Measured, Probed
from .bases import tall
from .first_pass import NOISE, Start, begin, half_step
from .row_sample import NOTHING
from .scaling import Scaled, lowered
from .tolerance import rank_for, target_square

if TYPE_CHECKING:
    import numpy

    from ..matrices.adjoint import Adjoint

#: The least that makes sense: one pass to see where the matrix is large, one to measure it there.
LEAST = 2
#: Dense matrices of more bytes than this are read in few passes without being asked: two or three where that is good
#: enough.
LARGE = 1 << 31
USUAL = 3
#: Passes at most where nobody gave a number.
MOST = 24
#: Columns of the first block, and how many Ritz vectors beyond the rank are carried on.
WIDE, SPARE = 192, 28
#: Rank that a tolerance is sought up to where no rank limits it.
REACH = 128
#: Further passes that would take less than this share off the squared error are left out.
_REMAINS = 8e-3
#: Below this ratio s_k / s_1 A^H (A X) no longer has the digits of A^H U.
_RATIO = 1e-5


def widths(shape: tuple[int, int], rank: int | None, block: int | None = None) -> tuple[int, int]:
    """Columns of the first block, and Ritz vectors carried on: half of the columns of the later ones."""
    n = min(shape)
    kept = min(n, -(-((rank or REACH) + SPARE) // 16) * 16)
    return min(n, block or max(WIDE, 2 * kept)), kept


def counted(matrix: Metered, budget: Budget) -> bool:
    """Whether passes are counted beforehand: because that was asked for, or because the matrix is large.

    Raises UsageError for an error that takes passes of its own.
    """
    if budget.passes is None:
        size = math.prod(matrix.shape) * np.dtype(matrix.dtype).itemsize
        plain = budget.rank is not None and not budget.has_tolerance and budget.norm == "fro"
        return plain and matrix.nnz is None and size >= LARGE
    if budget.norm == "spectral":
        raise UsageError(
            "the spectral error takes passes of its own, which --passes does not leave",
            hint="leave out --passes, or --norm spectral",
        )
    return True


def approach(
    matrix: Metered, budget: Budget, block: int | None, streams: Streams
) -> tuple[Reached, Scaled, float | None, Assessor | None]:
    """Triplets from at most ``budget.passes`` passes, the scaled matrix they belong to, the squared error to reach, and
    how the error is known.

    Cost in p passes with c = 2 (rank + 28) columns: 4 m n (192 + 192 (p - 2) + c) flops, all but the last pass in
    single precision. Memory: m times 192 numbers in single, or c in double precision.
    """
    wanted = budget.passes or MOST
    wide, kept = widths(matrix.shape, budget.rank, block)
    probed = budget.certify == "probes" or (budget.certify == "exact" and budget.passes is not None)
    begun = begin(matrix, (wide, kept), streams, probed, budget)
    scaled = begun.scaled
    target = target_square(budget, scaled, math.sqrt(scaled.squares))
    if begun.done is not None and budget.rank is not None:
        done = Reached(tall(scaled.matrix), *begun.done, budget.rank, scaled, spent=False)
    else:
        last = USUAL if budget.passes is None else wanted
        done = _iterate(begun, budget, target, kept, (last, wanted), streams)
    return done, scaled, target, _assessor(done, scaled, budget, target, begun.stored, streams)


def _iterate(
    begun: Start, budget: Budget, target: float | None, kept: int, passes: tuple[int, int], streams: Streams
) -> Reached:
    """Pass after pass: the one that is going to be the last, and all after it, in the precision of the matrix."""
    scaled, (last, most) = begun.scaled, passes
    ledger, total = scaled.matrix.ledger, scaled.squares
    low = lowered(scaled)
    engine = scaled.matrix.engine
    rank = budget.rank or kept
    captured, X, halfway = [begun.captured], begun.X, begun.halfway
    if target is not None and target < CANCELLED * total:
        # judged by probes, whose bound is above the error
        target *= probes.chi_square_quantile(budget.failure_probability / 16, probes.COUNT) / probes.COUNT
    final, enough = low is None or halfway is not None, False
    while True:
        final = final or enough or ledger.passes + 1 >= last
        matrix, exponent = (scaled.matrix, 0) if final or low is None else low
        high = tall(matrix)
        X = X[:, : 2 * kept] if final else X
        X = _filled(X.astype(matrix.dtype, copy=False), min(budget.rank or 1, high.shape[1]), streams, high)
        W, H = high.normal_matmat(np.ascontiguousarray(X), keep=True)
        values, T = np.linalg.eigh(gram(W, engine))
        values, T = np.ldexp(np.maximum(values[::-1], 0.0), 2 * exponent), T[:, ::-1]
        captured.append(float(np.sum(values[:rank])))
        wanted = rank if target is None else rank_for(target, max(0.0, total - float(values.sum())), values)
        if halfway is not None:
            enough = _at_once(halfway, values, half_step(values, T, H, engine)[0], rank, total)
            halfway = None
        elif target is None:
            enough = _settled(captured, 64 * float(np.finfo(X.dtype).eps) * total, total)
        else:
            enough = wanted <= len(values)
        if final and (enough or ledger.passes >= most or X.shape[1] >= high.shape[1]):
            return Reached(high, X, (W, H), (values, T), wanted, scaled, spent=budget.passes is not None)
        del W
        eps = float(np.finfo(X.dtype).eps)
        T = T[:, :kept].astype(X.dtype)
        Y, Z = times(X, T, engine), times(H, T, engine)
        norm = math.ldexp(math.sqrt(total), -exponent)
        lines = np.sqrt(np.ldexp(values[: Y.shape[1]], -2 * exponent))
        fresh = news(Y, Z, NOISE * eps * norm * np.maximum(lines, eps * norm), engine)
        X = np.hstack([Y, fresh])[:, : high.shape[1]]


def _filled(X: numpy.ndarray, k: int, streams: Streams, matrix: Metered | Adjoint) -> numpy.ndarray:
    """X, orthonormal to the precision it is in now, with random directions up to k columns."""
    X = orthonormalize(X, matrix.engine)[0] if X.shape[1] else X
    missing = k - X.shape[1]
    if missing <= 0:
        return X
    G = gaussian(streams, "krylov filling", X.shape[0], missing, X.dtype)
    return np.hstack([X, news(X, G, np.full(missing, 1e-6), matrix.engine)])


def _settled(captured: list[float], noise: float, total: float) -> bool:
    """Whether the captured energy has converged: gains fall at least geometrically, so the rest of the series is known,
    and the half step that is still to come is worth half a pass."""
    if len(captured) < 3:
        return False
    before, gain = captured[-2] - captured[-3], captured[-1] - captured[-2]
    if gain <= noise:
        return True
    ratio = gain / before if before > gain else 1.0
    return ratio < 0.5 and gain * ratio**1.5 / (1 - ratio) <= _REMAINS * (total - captured[-1])


def _at_once(before: float, values: numpy.ndarray, squares: numpy.ndarray, k: int, total: float) -> bool:
    """Whether the captured energy has converged after two passes: from what the half steps before this one, with its
    squared Ritz values, and after it, with these squares, have captured."""
    if len(squares) <= k:
        return False
    now, after = float(np.sum(values[:k])), float(np.sum(squares[:k]))
    # the one before is known in single precision only
    sure = now - before > 64 * float(np.finfo(np.float32).eps) * total
    ratio = max(float(squares[-1] / squares[k - 1]), (after - now) / (now - before) if sure else 0.0)
    return ratio < 0.5 and (after - now) * ratio / (1 - ratio) <= NOTHING * (total - after)


class Reached:
    """Triplets from X, W = A X and H = A^H W: of U^H A for U the leading left directions of W, or, where H has too few
    digits for as many as are wanted, of A X X^H. ``svd_sources.Source`` says the rest."""

    complete, kernels = False, ["few passes"]

    def __init__(
        self,
        matrix: Metered | Adjoint,
        X: numpy.ndarray,
        products: tuple[numpy.ndarray, numpy.ndarray],
        ritz: tuple[numpy.ndarray, numpy.ndarray],
        wanted: int,
        scaled: Scaled,
        spent: bool,
    ):
        self._engine = engine = matrix.engine
        (W, H), (values, T) = products, ritz
        self.spent, self.ritz = spent, values
        self.facts: dict[str, Any] = {"basis": X.shape[1], "basis_precision": np.dtype(X.dtype).name}
        keep = int(np.count_nonzero(values > _RATIO**2 * values[0])) if values[0] > 0 else 0
        root = np.sqrt(values[:keep])
        U = times(W, T[:, :keep] / root, engine)
        G = gram(U, engine)
        if keep >= min(wanted, len(values)) and np.linalg.norm(G - np.eye(keep)) < 0.5:
            C = np.linalg.inv(np.linalg.cholesky(G).conj().T)
            Q, R = orthonormalize(times(H, (T[:, :keep] / root) @ C, engine), engine)
            P, s, Th = np.linalg.svd(R)
            self.U, self.s, self.V = times(U, C @ Th.conj().T, engine, out=U), s, times(Q, P, engine, out=Q)
        else:
            Q, R = householder(W, engine)
            P, s, Th = np.linalg.svd(R)
            self.U = times(Q, P, engine)
            self.s, self.V = s, times(X, Th.conj().T, engine)
        self.total = scaled.squares
        self.beyond = max(0.0, self.total - float(np.sum(self.squares())))

    def triplets(self, k: int, keep: bool = False) -> tuple[Any, numpy.ndarray, Any]:
        U, V = (columns_of(block, 0, k, self._engine) for block in (self.U, self.V))
        return (U, self.s[:k], V) if keep else (np.asarray(U), self.s[:k], np.asarray(V))

    def squares(self) -> numpy.ndarray:
        return np.square(self.s.astype(np.float64))

    def least(self) -> numpy.ndarray:
        """Ritz values never exceed singular values; rounding allowed for."""
        return np.maximum(self.ritz - len(self.ritz) * float(np.finfo(self.s.dtype).eps) * self.total, 0.0)


def _assessor(
    done: Reached,
    scaled: Scaled,
    budget: Budget,
    target: float | None,
    stored: probes.StoredProbes | None,
    streams: Streams,
) -> Assessor | None:
    if budget.certify == "none":
        return None
    if budget.certify == "probes":
        return Probed(scaled, budget, streams, stored)
    # a tolerance may have to be judged more than once
    left = budget.passes is None or (target is None and scaled.matrix.ledger.passes < budget.passes)
    otherwise: Assessor = Measured(scaled) if left else Probed(scaled, budget, streams, stored)
    double = float(np.finfo(scaled.matrix.dtype).eps) < 1e-12
    return ByNorms(scaled, done.squares(), otherwise) if double else otherwise
