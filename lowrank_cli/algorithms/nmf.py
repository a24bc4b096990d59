"""Non-negative matrix factorization by hierarchical alternating least squares."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import ResourceError
from ..factors.nmf import NMF
from ..kernels import jit, pivoting
from ..lazy import np
from ..matrices.metered import Metered
from ..options import check, opt
from ..streams import Streams
from . import svd
from .bases import LAPACK_ENTRIES
from .conditions import require_nonnegative
from .method import Method
from .outcome import Outcome
from .refit import refit
from .scaling import Scaled, bring_to_scale, check_rank, restored
from .tolerance import check_tolerance

if TYPE_CHECKING:
    import numpy

#: Rounds over the columns of one factor for each product with the matrix, which costs far more; when it begins.
_INNER, _FIRST = 3, 100
#: An iteration that lowers the squared error by less than this share of it is the last.
_SETTLED = 1e-5
#: The highest rank tried for a tolerance alone.
_MOST = 16


@dataclasses.dataclass(frozen=True)
class NMFOptions:
    """init: from the SVD, or from the columns that all others are mixtures of."""

    init: str = opt(
        "nndsvd",
        "Where it starts (nmf): from the SVD (nndsvd), or from columns that the others are mixtures of (spa).",
        choices=("nndsvd", "spa"),
    )
    max_iterations: int = opt(200, "Most iterations.", min=1, max=100_000)

    def __post_init__(self) -> None:
        check(self)


def run(matrix: Metered, budget: Budget, options: NMFOptions, streams: Streams) -> Outcome:
    """A ~ W H with W, H >= 0 for A >= 0: columns as sums of parts, never as differences.

    HALS (Cichocki, Zdunek and Amari 2007): each column of a factor in turn the best for all others, three rounds for
    each product with A (Gillis and Glineur 2012); the error never rises, and ends at a stationary point. It is no less
    than the tail of the squared singular values. Starts from non-negative parts of the SVD (Boutsidis and Gallopoulos
    2008); or from k columns chosen by successive projection, which solves it where A is separable, every column a
    mixture of k of them (Gillis and Vavasis 2014). Parts that come out zero are left out, so the rank may be less than
    asked for. With a tolerance: ranks are tried, see ``refit``, up to 16. Cost: 4 m n k flops and two passes an
    iteration, and that of the SVD.

    Raises UsageError (rank too large), InputError (negative or complex entries, NaN, Inf), ResourceError.
    """
    m, n = matrix.shape
    check_rank(budget.rank, min(m, n), f"a {m}x{n} matrix")
    check_tolerance(budget, matrix.dtype)
    scaled = bring_to_scale(matrix)
    require_nonnegative(matrix, "nmf")

    def build(k: int) -> tuple[NMF, dict[str, Any]]:
        if options.init == "spa":
            W, H = _from_columns(scaled, k)
        else:
            W, H = _from_svd(matrix, scaled, k, streams)
        return _hals(scaled, W, H, options.max_iterations)

    done = refit(build, scaled, budget, _MOST, min(m, n), streams)
    facts = {"kernels": ["hals", f"sweep {scaled.facts.kernel}"], **done.facts}
    return Outcome(restored(done.factor, scaled.exponent), done.status, done.certificate, matrix.ledger, facts)


def _from_svd(matrix: Metered, scaled: Scaled, k: int, streams: Streams) -> tuple[numpy.ndarray, numpy.ndarray]:
    """NNDSVD: of each singular pair the positive or the negative parts of both vectors, whichever weigh more."""
    found: Any = svd.run(matrix, Budget(rank=k, certify="none"), svd.SVDOptions(), streams.within("nmf")).factor
    U, V = np.ascontiguousarray(found.U.T), np.ascontiguousarray(found.Vh)
    s = np.ldexp(found.s, -scaled.exponent)
    W, H = np.zeros_like(U), np.zeros_like(V)
    for j in range(len(s)):
        sides = [(np.maximum(sign * U[j], 0), np.maximum(sign * V[j], 0)) for sign in (1, -1)]
        lengths = [(float(np.linalg.norm(u)), float(np.linalg.norm(v))) for u, v in sides]
        (u, v), (a, b) = max(zip(sides, lengths, strict=True), key=lambda one: one[1][0] * one[1][1])
        if a * b * s[j] > 0:
            root = (float(s[j]) * a * b) ** 0.5
            W[j], H[j] = u * (root / a), v * (root / b)
    return W, H


def _from_columns(scaled: Scaled, k: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Columns by successive projection: pivots of the QR of A with columns that add up to 1; H fits A to them."""
    matrix = scaled.matrix
    m, n = matrix.shape
    if m * n > LAPACK_ENTRIES:
        raise ResourceError(f"--init spa copies the matrix, and {m}x{n} is too large", hint="use --init nndsvd")
    A = np.ascontiguousarray(matrix.whole())
    sums = A.sum(axis=0)
    use = jit.pays(pivoting.seconds_saved(m, n, k))
    chosen = pivoting.pivoted_qr(A / np.where(sums > 0, sums, 1), k, compiled=use).pivots
    if not len(chosen):
        return np.zeros((1, m), A.dtype), np.zeros((1, n), A.dtype)
    W = np.ascontiguousarray(A[:, chosen].T)
    H = np.zeros((len(chosen), n), A.dtype)
    _update(H, _against(matrix.rmatmat, W), W @ np.ascontiguousarray(W.T), _FIRST)
    return W, H


def _hals(scaled: Scaled, W: numpy.ndarray, H: numpy.ndarray, most: int) -> tuple[NMF, dict[str, Any]]:
    """Sweeps until they no longer lower the error. W (k, m), transposed so that its parts are rows; H (k, n)."""
    matrix, total = scaled.matrix, scaled.squares
    noise = 8 * float(np.finfo(matrix.dtype).eps) * total
    before, taken, settled = np.inf, 0, False
    while not settled and taken < most:
        _update(W, _against(matrix.matmat, H), H @ np.ascontiguousarray(H.T), _INNER)
        P, G = _against(matrix.rmatmat, W), W @ np.ascontiguousarray(W.T)
        _update(H, P, G, _INNER)
        mixed, own = np.vdot(P, H), np.vdot(G, H @ np.ascontiguousarray(H.T))
        left = max(0.0, total - 2 * float(mixed) + float(own))
        settled = before - left <= _SETTLED * left + noise
        before, taken = left, taken + 1
    facts: dict[str, Any] = {"iterations": taken, "settled": settled}
    if not settled:
        facts["warnings"] = [f"stopped after {taken} iterations, before the error settled; see --max-iterations"]
    return _tidied(W, H), facts


def _against(product: Any, F: numpy.ndarray) -> numpy.ndarray:
    """F A or F A^T for a factor held by rows, by the product with a block of columns."""
    return np.ascontiguousarray(product(np.ascontiguousarray(F.T)).T)


def _update(F: numpy.ndarray, P: numpy.ndarray, G: numpy.ndarray, rounds: int) -> None:
    """Rows of F in turn, each the non-negative one of least error for all others: F_j + (P_j - G_j F) / G_jj, cut at 0.

    Minimizes tr(F^T G F) / 2 - tr(P^T F) by coordinates, in place.
    """
    for _ in range(rounds):
        for j in range(len(F)):
            if G[j, j] > 0:
                np.maximum(F[j] + (P[j] - G[j] @ F) / G[j, j], 0, out=F[j])


def _tidied(W: numpy.ndarray, H: numpy.ndarray) -> NMF:
    """Parts that are not zero, the heaviest first, each column of W adding up to 1."""
    weights = np.linalg.norm(W, axis=1) * np.linalg.norm(H, axis=1)
    order = np.argsort(-weights, kind="stable")
    order = order[: max(1, int(np.count_nonzero(weights)))]
    W, H = W[order], H[order]
    sums = W.sum(axis=1, keepdims=True)
    sums[sums == 0] = 1
    return NMF(np.ascontiguousarray((W / sums).T), H * sums)


METHOD = Method(
    name="nmf",
    whole=True,
    options=NMFOptions,
    run=run,
    identity="A ~ W H, W, H >= 0, A >= 0",
    cost="4 m n k flops in two passes an iteration, and an SVD to start from",
    reference="Cichocki, Zdunek and Amari 2007; Gillis and Glineur 2012; Boutsidis and Gallopoulos 2008",
    guarantee="no iteration raises it; a stationary point, no less than the best of rank k",
    choose="parts that add up: spectra, counts, images, topics",
)
