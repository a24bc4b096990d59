"""The first of few passes: it sweeps the matrix, multiplies it by a wide block, A^H (A X), and takes probes.

Half of what it tells comes for nothing: U^H A for U, a basis of A X, out of A^H (A X). From that follow triplets, and
how much another pass would add to them.
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
from ..matrices.blocks import gram, lengths, times
from ..matrices.dense import SINGLE
from ..matrices.metered import Metered
from ..matrices.orthonormal import news, orthonormalize
from ..matrices.tiles import scale_exactly
from ..sketches.gaussian import gaussian
from ..streams import Streams
from . import row_sample
from .bases import tall
from .row_sample import NOTHING, Sample
from .scaling import Scaled, at_scale, lowered

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine

#: Entries and their squares stay within single precision between 2^-W and 2^W.
_WINDOW = 40
#: Rounding of a product A^H w, in units of eps |A| |w|.
NOISE = 8.0
#: Eigenvalues of W^H W below this share of the largest say nothing, in single and in double precision.
_HELD = 1e-8, 1e-12


@dataclasses.dataclass(frozen=True)
class Start:
    """What the first pass found of the scaled matrix: X, an orthonormal basis of A^H (A X) for the first X, and what
    that X had captured of the squared norm.

    halfway: what U^H A captures for U, a basis of A X, where another pass is going to be enough; X is then the most of
    it that a pass in double precision multiplies. done: the first X, A X and A^H (A X), and the eigenvalues and vectors
    of (A X)^H A X, where nothing is left to another pass. stored: the probes, if any were asked for.
    """

    scaled: Scaled
    X: numpy.ndarray
    captured: float
    halfway: float | None
    done: tuple[numpy.ndarray, tuple[Any, Any], tuple[numpy.ndarray, numpy.ndarray]] | None
    stored: probes.StoredProbes | None


def begin(matrix: Metered, widths: tuple[int, int], streams: Streams, probed: bool, budget: Budget) -> Start:
    """The pass that sweeps. widths: columns of the first block, and of the vectors carried on. UsageError where the
    passes allowed are too few for entries that differ so much."""
    wide, kept = widths
    high = tall(matrix)
    name = "normal_matmat" if high is matrix else "adjoint_normal_matmat"
    plain = budget.passes is None and budget.rank is not None and not budget.has_tolerance
    sample = _sampled(matrix, budget.rank or kept, kept, streams)
    guess = sample.exponent
    at_once = plain and sample.enough and guess == 0
    lower = str(matrix.dtype) in SINGLE and not at_once
    low = Metered(matrix.inner.single(-guess) if lower else matrix.inner.scaled(-guess), matrix.ledger, matrix.shared)
    X, fresh = _block(low, min(min(matrix.shape), 2 * kept) if at_once else wide, sample, streams)
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
        _require(matrix.ledger.passes + 2, budget)
        again, guess = lowered(scaled) or (scaled.matrix, 0)
        X = X.astype(again.dtype, copy=False)
        W, Z = tall(again).normal_matmat(X, keep=True)
        norm, at_once = math.ldexp(math.sqrt(scaled.squares), -guess), False
    stored = None if G is None else probes.StoredProbes(G, scale_exactly(AG[0], -scaled.exponent))
    own, T = np.linalg.eigh(gram(W, matrix.engine)) if facts.squares else (np.zeros(X.shape[1]), np.eye(X.shape[1]))
    own, T = np.maximum(own[::-1], 0.0), T[:, ::-1]
    captured, halfway = float(np.sum(own[: budget.rank or kept])), None
    noise = np.full(X.shape[1], NOISE * float(np.finfo(Z.dtype).eps) * norm)
    floor = noise * np.maximum(lengths(W, matrix.engine), 1e-9 * norm)
    if plain and facts.squares:
        k, share = budget.rank or 0, fresh / len(X)
        squares, B = half_step(own, T, Z, matrix.engine)
        if at_once and scaled.exponent == 0 and _settled(own, squares, k, kept, share, norm * norm):
            return Start(scaled, X, captured, None, (X, (W, Z), (own, T)), stored)
        halfway = _promised(squares, k, 1 / share - 1, norm * norm)
        if halfway is not None:
            Z = np.ascontiguousarray(B[:, : 2 * kept])
            floor = noise[: Z.shape[1]]
    Q = news(np.empty((X.shape[0], 0), X.dtype), Z, floor, matrix.engine)
    # on the scale of the scaled matrix, where W is not
    share = scaled.squares / (norm * norm) if norm else 0.0
    return Start(scaled, Q, captured * share, None if halfway is None else halfway * share, None, stored)


def _block(matrix: Metered, columns: int, sample: Sample, streams: Streams) -> tuple[numpy.ndarray, int]:
    """An orthonormal first block: what the sample holds, and at least as many random columns, which are counted."""
    X = gaussian(streams, "first block", min(matrix.shape), columns, matrix.dtype, matrix.engine)
    held = 0 if sample.V is None else min(sample.V.shape[1], columns // 2)
    if sample.V is not None:
        X[:, :held] = sample.V[:, :held]
    return orthonormalize(X, matrix.engine)[0], columns - held


def _require(passes: int, budget: Budget) -> None:
    if budget.passes is not None and budget.passes < passes:
        what = f"entries differ so much in size that --passes {budget.passes} is too few"
        raise UsageError(what, hint=f"--passes {passes}")


def _sampled(matrix: Metered, rank: int, kept: int, streams: Streams) -> Sample:
    """A sample of the rows, or columns where those are fewer entries; of a sparse matrix the size of its entries."""
    if matrix.nnz is None:
        return row_sample.taken(tall(matrix), rank, kept, streams)
    m = matrix.shape[0]
    rows = matrix.rows(np.unique(np.linspace(0, m - 1, min(m, 16)).astype(np.int64)))
    return Sample(row_sample.far(row_sample.binade(rows)))


def half_step(
    values: numpy.ndarray, T: numpy.ndarray, Z: numpy.ndarray, engine: Engine
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(squares, B): the squared singular values s_i of U^H A, non-increasing, and its s_i v_i, for the orthonormal
    basis U = W T values^-1/2 of W = A X, where Z = A^H W. values, non-increasing, and T: of W^H W."""
    held = values > _HELD[int(np.finfo(Z.dtype).eps < 1e-12)] * values[0]
    Y = times(Z, T[:, held] / np.sqrt(values[held]), engine)
    squares, P = np.linalg.eigh(gram(Y, engine))
    return np.maximum(squares[::-1], 0.0), times(Y, P[:, ::-1], engine)


def _promised(squares: numpy.ndarray, k: int, outside: float, total: float) -> float | None:
    """What half a step after a random X captures in rank k, where another pass is going to be enough; else None.

    A random X of l columns out of n leaves out of each singular direction (n - l) / l = outside of what it holds of it,
    in the mean, and each half step the share t / s_i^2 of that, for t the largest square that finds no place.
    """
    if len(squares) <= k or not squares[-1] < 0.5 * squares[k - 1]:
        return None
    found = float(np.sum(squares[:k]))
    lost = outside * float(np.sum(squares[-1] * np.square(squares[-1] / squares[:k])))
    return found if lost <= NOTHING * (total - found) and total - found > CANCELLED * total else None


def _settled(values: numpy.ndarray, squares: numpy.ndarray, k: int, kept: int, share: float, total: float) -> bool:
    """Whether U^H A, with its squared singular values, leaves nothing to another pass; values: those of A X.

    share: of all directions in the random columns of X. The sample of rows may have missed a direction, those columns
    do not: one as long as s_k stands out of what finds no place, t, when share s_k^2 > t, and half a step then takes it
    up so fast that where it is going, squares^2 / values, is beyond s_k^2.
    """
    if len(squares) <= kept:
        return False
    left = total - float(np.sum(squares[:k]))
    t, least = float(squares[kept]), float(squares[k - 1])
    if not left > CANCELLED * total or not share * least >= t:
        return False
    if float(np.max(np.square(squares[k:]) / values[k : len(squares)])) >= least:
        return False
    return row_sample.remains(np.maximum(squares[:k] - values[:k], 0.0), squares, k, kept) <= NOTHING * left
