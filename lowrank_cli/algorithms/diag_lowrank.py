"""A square matrix as a diagonal plus a matrix of low rank, by alternating between the two."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..factors.diag_lowrank import DiagonalPlusLowRank
from ..lazy import np
from ..matrices.blocks import times
from ..matrices.metered import Metered
from ..matrices.orthonormal import orthonormalize
from ..options import check, opt
from ..sketches.gaussian import gaussian
from ..streams import Streams
from .conditions import look_at_square, require_square
from .method import Method
from .outcome import Outcome
from .refit import refit
from .scaling import Scaled, bring_to_scale, check_rank, restored
from .svd_sources import signed
from .tolerance import check_tolerance

if TYPE_CHECKING:
    import numpy

#: Columns of the block beyond the rank, and as a share of it.
_SPARE, _SPARE_SHARE = 8, 0.5
#: A sweep that lowers the squared error by less than this share of it is the last.
_SETTLED = 1e-5
#: The highest rank tried for a tolerance alone.
_MOST = 64


@dataclasses.dataclass(frozen=True)
class DiagLowRankOptions:
    """max_iterations: sweeps, of two products each."""

    max_iterations: int = opt(200, "Most iterations.", min=1, max=100_000)

    def __post_init__(self) -> None:
        check(self)


def run(matrix: Metered, budget: Budget, options: DiagLowRankOptions, streams: Streams) -> Outcome:
    """A ~ diag(d) + U diag(s) Vh for a square A: d and the low-rank part in turn, each the best for the other.

    Starting from d = diag(A), so that no large diagonal entry is taken for a direction, each sweep lets a block of
    k + max(8, k/2) vectors make one step of subspace iteration on A - diag(d), takes the best matrix of rank k in the
    space it reached, and then the diagonal of what is left: the error never rises. A stationary point is not always the
    least error there is, and d and the rest are unique only where the low-rank part is far from diagonal. With a
    tolerance: ranks are tried, see ``refit``, up to 64. Cost: 4 n^2 (k + max(8, k/2)) flops and two passes a sweep.

    Raises UsageError (not square, rank too large), InputError (NaN, Inf).
    """
    n = matrix.shape[0]
    require_square(matrix, "diag-lowrank")
    check_rank(budget.rank, n, f"a {n}x{n} matrix")
    check_tolerance(budget, matrix.dtype)
    scaled = bring_to_scale(matrix)
    diagonal = _diagonal(scaled.matrix)
    hermitian, off = look_at_square(scaled.matrix)

    def build(k: int) -> tuple[DiagonalPlusLowRank, dict[str, Any]]:
        return _alternate(scaled, diagonal, off, k, hermitian, options.max_iterations, streams)

    done = refit(build, scaled, budget, _MOST, n, streams)
    facts = {
        "kernels": ["subspace sweeps", f"sweep {scaled.facts.kernel}"],
        **done.facts,
        "diagonal_relative": math.sqrt(off / scaled.squares) if off else 0.0,
        "hermitian": hermitian,
    }
    return Outcome(restored(done.factor, scaled.exponent), done.status, done.certificate, matrix.ledger, facts)


def _diagonal(matrix: Metered) -> numpy.ndarray:
    """The diagonal, from the blocks along it: no pass."""
    n, step = matrix.shape[0], 512
    parts = [slice(start, min(n, start + step)) for start in range(0, n, step)]
    return np.concatenate([matrix.block(part, part).diagonal() for part in parts])


def _alternate(
    scaled: Scaled, diagonal: numpy.ndarray, off: float, k: int, hermitian: bool, most: int, streams: Streams
) -> tuple[DiagonalPlusLowRank, dict[str, Any]]:
    """Sweeps until they no longer lower the error; off: squared norm of what is off the diagonal."""
    matrix, n = scaled.matrix, len(diagonal)
    engine = matrix.engine
    l = min(n, k + max(_SPARE, round(_SPARE_SHARE * k)))
    V = gaussian(streams, "diag-lowrank", n, l, matrix.dtype, engine)
    d = diagonal.copy()
    noise = 8 * float(np.finfo(matrix.dtype).eps) * off
    trail: list[float] = []
    settled = False
    while not settled and len(trail) < most:
        Q = orthonormalize(matrix.matmat(V) - d[:, None] * V, engine)[0]
        Z = matrix.rmatmat(Q) - d.conj()[:, None] * Q
        P, R = orthonormalize(Z, engine)
        T, s, Wh = np.linalg.svd(R.conj().T)
        U, V = times(Q, T, engine), times(P, Wh.conj().T, engine)
        left = off + _square(diagonal - d) - float(np.sum(np.square(s[:k].astype(np.float64))))
        before, d = d, diagonal - _inner(U[:, :k] * s[:k], V[:, :k])
        moved = _square(d - before)
        trail.append(max(0.0, left - moved))
        if len(trail) > 1:
            fell = trail[-2] - trail[-1]
            settled = fell <= _SETTLED * trail[-1] + noise and moved <= _SETTLED * trail[-1] + noise**2
    if hermitian:
        # the best Hermitian matrix in the space of Q: what the sweeps tend to, and exactly Hermitian
        M = Z.conj().T @ Q
        values, vectors = np.linalg.eigh(0.5 * (M + M.conj().T))
        chosen = np.argsort(-np.abs(values), kind="stable")[:k]
        s, U = np.abs(values[chosen]), times(Q, np.ascontiguousarray(vectors[:, chosen]), engine)
        V = U * np.where(values[chosen] < 0, -1, 1).astype(U.dtype)
        d = (diagonal - _inner(U * s, V)).real.astype(matrix.dtype)
    low = signed(U[:, :k], s[:k].astype(matrix.dtype.type(0).real.dtype), V[:, :k], engine)
    facts: dict[str, Any] = {"iterations": len(trail), "settled": settled}
    if not settled:
        facts["warnings"] = [f"stopped after {len(trail)} sweeps, before the error settled; see --max-iterations"]
    return DiagonalPlusLowRank(d=d, U=low.U, s=low.s, Vh=low.Vh), facts


def _inner(L: numpy.ndarray, V: numpy.ndarray) -> numpy.ndarray:
    """The diagonal of L V^H."""
    return np.sum(L * V.conj(), axis=1)


def _square(x: numpy.ndarray) -> float:
    return float(np.sum(np.square(np.abs(x).astype(np.float64))))


METHOD = Method(
    name="diag-lowrank",
    options=DiagLowRankOptions,
    run=run,
    identity="A ~ diag(d) + U diag(s) Vh, A square",
    cost="4 n^2 (k + max(8, k/2)) flops in two passes a sweep",
    reference="principal factor analysis; Saunderson, Chandrasekaran, Parrilo and Willsky 2012",
    guarantee="no sweep raises it; a stationary point, at most that of the diagonal alone",
    choose="covariances and Hessians: own variances and a few common factors",
)
