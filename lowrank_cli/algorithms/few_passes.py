"""The truncated SVD in as few passes over the matrix as are allowed: each is worth two products, and none is lost.

The first pass sweeps the matrix, multiplies it by a wide random block, A^H (A X), and takes probes. Every further one
multiplies it by an orthonormal X: the Ritz vectors found so far and what the last product adds to each of them (a block
Lanczos method that restarts with every pass: Knyazev 2001; Wu and Simon 2000). The last one is in the precision of the
matrix and gives U = A X T and A^H U = A^H (A X) T, so the triplets follow without another. We differ in the wide blocks
in single precision, which cost no more time than reading does, in the error that comes for nothing from
|A|^2 - |A^H U|^2 where rounding allows it, and in two passes in place of three where the first one promises that they
are enough, and the second one, in the precision of the matrix, confirms it.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..certificates import probes
from ..certificates.residual import CANCELLED
from ..errors import UsageError
from ..lazy import np
from ..matrices.blocks import columns_of, gram, householder, lengths, orthonormalize, times
from ..matrices.dense import SINGLE
from ..matrices.metered import Metered
from ..matrices.tiles import scale_exactly
from ..sketches.gaussian import gaussian
from ..streams import Streams
from .assessment import Assessor, ByNorms, Measured, Probed
from .bases import tall
from .krylov import news
from .scaling import Scaled, at_scale, lowered
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
#: The same where two passes are to be enough: what three leave where they are good.
_NOTHING = 2e-5
#: Entries and their squares stay within single precision between 2^-W and 2^W.
_WINDOW = 40
#: Rounding of a product A^H w, in units of eps |A| |w|.
_NOISE = 8.0
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
    scaled, start, stored = _first(matrix, (wide, kept), streams, probed, budget)
    target = target_square(budget, scaled, math.sqrt(scaled.squares))
    last = USUAL if budget.passes is None else wanted
    done = _iterate(scaled, start, budget, target, kept, (last, wanted), streams)
    return done, scaled, target, _assessor(done, scaled, budget, target, stored, streams)


@dataclasses.dataclass(frozen=True)
class _Start:
    """What the first pass found: X, an orthonormal basis of A^H (A X) for a random X, and what that X had captured of
    the squared norm. halfway: what U^H A captures for U, a basis of A X, where another pass is going to be enough; X is
    then the most of it that a pass in double precision multiplies. None elsewhere."""

    X: numpy.ndarray
    captured: float
    halfway: float | None


def _first(
    matrix: Metered, widths: tuple[int, int], streams: Streams, probed: bool, budget: Budget
) -> tuple[Scaled, _Start, probes.StoredProbes | None]:
    """The pass that sweeps: the scaled matrix, where the next one starts, and probes."""
    (wide, kept), passes = widths, budget.passes
    upright = matrix.shape[0] >= matrix.shape[1]
    name = "normal_matmat" if upright else "adjoint_normal_matmat"
    guess = _binade(matrix)
    precise = str(matrix.dtype) not in SINGLE
    first = matrix.inner.scaled(-guess) if precise else matrix.inner.single(-guess)
    low = Metered(first, matrix.ledger, matrix.shared)
    X = orthonormalize(
        gaussian(streams, "first block", min(matrix.shape), wide, low.dtype, matrix.engine), matrix.engine
    )[0]
    asks: list[tuple[Any, ...]] = [(matrix, "sweep", False), (low, name, X, True)]
    G = probes.drawn(matrix, streams) if probed else None
    if G is not None:
        asks.append((matrix, "matmat", G))
    with np.errstate(over="ignore", invalid="ignore"):
        facts, (W, Z), *AG = matrix.together(*asks)
    matrix.shared["facts", False] = facts
    scaled = at_scale(matrix, facts)
    norm = math.sqrt(facts.squares) * math.ldexp(1.0, max(-1000, min(1000, facts.exponent - guess)))
    if abs(facts.binade - guess) > _WINDOW:
        # what was seen of it says little of its size: once more, at a scale that suits
        if passes is not None and passes <= LEAST:
            raise UsageError(
                f"entries differ so much in size that --passes {passes} is too few", hint=f"--passes {LEAST + 1}"
            )
        again, guess = lowered(scaled) or (scaled.matrix, 0)
        W, Z = tall(again).normal_matmat(X, keep=True)
        norm = math.ldexp(math.sqrt(scaled.squares), -guess)
    noise = np.full(wide, _NOISE * float(np.finfo(Z.dtype).eps) * norm)
    stored = None if G is None else probes.StoredProbes(G, scale_exactly(AG[0], -scaled.exponent))
    floor = noise * np.maximum(lengths(W, matrix.engine), 1e-9 * norm)
    own, T = np.linalg.eigh(gram(W, matrix.engine)) if facts.squares else (np.zeros(wide), np.eye(wide))
    captured, halfway = float(np.sum(np.maximum(own[::-1][: budget.rank or kept], 0.0))), None
    if passes is None and budget.rank is not None and not budget.has_tolerance and facts.squares:
        squares, C = _half_step(own, T, gram(Z, matrix.engine))
        halfway = _promised(squares, budget.rank, len(X) / wide - 1, norm * norm)
        if halfway is not None:
            C = C[:, : 2 * kept]
            Z, floor = times(Z, C, matrix.engine), noise[: C.shape[1]]
    Q = news(np.empty((X.shape[0], 0), X.dtype), Z, floor, matrix.engine)
    # on the scale of the scaled matrix, where W is not
    share = scaled.squares / (norm * norm) if norm else 0.0
    return scaled, _Start(Q, captured * share, None if halfway is None else halfway * share), stored


def _half_step(values: numpy.ndarray, T: numpy.ndarray, G: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(squares, C): the squared singular values s_i of U^H A, non-increasing, and Z C its s_i v_i, for the orthonormal
    basis U = W T values^-1/2 of W = A X, where Z = A^H W and G = Z^H Z. values and T: of W^H W."""
    held = values > 1e-8 * values.max()
    basis = T[:, held] / np.sqrt(values[held])
    squares, P = np.linalg.eigh(basis.conj().T @ G @ basis)
    return np.maximum(squares[::-1], 0.0), basis @ P[:, ::-1]


def _promised(squares: numpy.ndarray, k: int, outside: float, total: float) -> float | None:
    """What half a step after a random X captures in rank k, where another pass is going to be enough; else None.

    A random X of l columns out of n leaves out of each singular direction (n - l) / l = outside of what it holds of it,
    in the mean, and each half step the share t / s_i^2 of that, for t the largest square that finds no place.
    """
    if len(squares) <= k or not squares[-1] < 0.5 * squares[k - 1]:
        return None
    found = float(np.sum(squares[:k]))
    lost = outside * float(np.sum(squares[-1] * np.square(squares[-1] / squares[:k])))
    return found if lost <= _NOTHING * (total - found) and total - found > 1e-6 * total else None


def _binade(matrix: Metered) -> int:
    """About how large the entries are, as a power of two, by a few of the rows; 0 when those are near 1, or zero."""
    m = matrix.shape[0]
    rows = matrix.rows(np.unique(np.linspace(0, m - 1, min(m, 16)).astype(np.int64)))
    largest = float(abs(rows).max())
    exponent = math.frexp(largest)[1] if 0 < largest < math.inf else 0
    return exponent if abs(exponent) > _WINDOW // 2 else 0


def _iterate(
    scaled: Scaled,
    start: _Start,
    budget: Budget,
    target: float | None,
    kept: int,
    passes: tuple[int, int],
    streams: Streams,
) -> Reached:
    """Pass after pass: the one that is going to be the last, and all after it, in the precision of the matrix."""
    last, most = passes
    ledger, total = scaled.matrix.ledger, scaled.squares
    low = lowered(scaled)
    engine = scaled.matrix.engine
    rank = budget.rank or kept
    captured, X, halfway = [start.captured], start.X, start.halfway
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
            enough = _at_once(halfway, values, T, np.ldexp(gram(H, engine), 4 * exponent), rank, total)
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
        fresh = news(Y, Z, _NOISE * eps * norm * np.maximum(lines, eps * norm), engine)
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


def _at_once(before: float, values: numpy.ndarray, T: numpy.ndarray, G: numpy.ndarray, k: int, total: float) -> bool:
    """Whether the captured energy has converged after two passes: from what the half steps before this one, X with its
    squared Ritz values and directions T, and the one after it, with G = H^H H, have captured."""
    squares = _half_step(values, T, G)[0]
    if len(squares) <= k:
        return False
    now, after = float(np.sum(values[:k])), float(np.sum(squares[:k]))
    # the one before is known in single precision only
    sure = now - before > 64 * float(np.finfo(np.float32).eps) * total
    ratio = max(float(squares[-1] / squares[k - 1]), (after - now) / (now - before) if sure else 0.0)
    return ratio < 0.5 and (after - now) * ratio / (1 - ratio) <= _NOTHING * (total - after)


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
