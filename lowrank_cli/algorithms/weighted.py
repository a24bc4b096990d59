"""Activation-aware approximation: the error that counts is the one that inputs of a given distribution see."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import memory
from ..budget import Budget
from ..certificates.certificate import Certificate
from ..certificates.residual import relative, residual
from ..errors import NumericalError, UsageError
from ..factors.base import Pair
from ..factors.qb import QB
from ..lazy import np
from ..matrices.adjoint import adjoint_of
from ..matrices.dense import TiledMatrix
from ..matrices.facts import ldexp
from ..matrices.metered import Metered
from ..matrices.tiles import scale_exactly
from ..options import check
from ..streams import Streams
from . import svd
from .assessment import assessor
from .method import Method
from .outcome import Outcome, Status
from .scaling import bring_to_scale, check_rank
from .tolerance import check_tolerance
from .weights import Root, root

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True)
class WeightedOptions:
    """Nothing is left to choose."""

    def __post_init__(self) -> None:
        check(self)


def run(
    matrix: Metered, budget: Budget, options: WeightedOptions, streams: Streams, given: Mapping[str, Metered]
) -> Outcome:
    """A ~ Q B that minimizes |(A - Q B) X^T|_F, the rows of X (N x n) being the vectors that A is to be applied to; or,
    with H = X^T conj(X), n x n, in place of X, tr (A - Q B) H (A - Q B)^H.

    For any S with S S^H = H: Q = the leading left singular vectors of A S, B = Q^H A, at the least error there is, the
    tail of the singular values of A S. For H = S S^H, S its Cholesky factor, that is [A S]_k S^-1 (Wang et al. 2024)
    without the inverse, so H may be singular. X is taken through its QR, S = R^T, so that no digit is lost to its Gram
    matrix. ``--rtol`` and ``--atol`` speak of the weighted error, in ``method_facts.weighted``, measured; the
    certificate says what the plain error |A - Q B| is. The rank is less than asked for when A S has no more.

    Cost: 2 N n^2 flops for X, 2 m n min(N, n) for A S, an SVD of A S as by ``svd``, 2 m n k for B, in 6 passes, two of
    them over X, one for the plain error. Raises UsageError (shapes do not fit; H not symmetric or not positive
    semidefinite; spectral norm or probes), InputError (NaN, Inf), NumericalError (overflow), ResourceError.
    """
    ((kind, weights),) = given.items()
    m, n = matrix.shape
    if budget.certify == "probes" or budget.norm != "fro":
        raise UsageError(
            "--method weighted measures its errors exactly, in the Frobenius norm",
            hint="drop --norm and --certify, or use --certify none",
        )
    check_rank(budget.rank, min(m, n), f"a {m}x{n} matrix")
    check_tolerance(budget, matrix.dtype)
    S = root(kind, weights, matrix.shape)
    scaled = bring_to_scale(matrix)
    need = 3 * m * S.S.shape[1] * S.S.itemsize
    memory.require(need, f"the {m}x{S.S.shape[1]} product with the weights", "give fewer rows of data, or a part of A")
    AS = Metered(TiledMatrix(scaled.matrix.matmat(S.S), matrix.engine))
    exponent = scaled.exponent + S.exponent
    found = svd.run(AS, _on_products(budget, AS.shape, exponent), svd.SVDOptions(), streams)
    U, s = found.factor.arrays()["U"], found.factor.arrays()["s"]
    floor = max(AS.shape) * float(np.finfo(s.dtype).eps) * float(s[0])
    k = max(1, int(np.count_nonzero(s > floor)))
    # complex data ask for complex factors of a real matrix
    dtype = np.result_type(matrix.dtype, np.complex64) if S.S.dtype.kind == "c" else matrix.dtype
    Q = np.ascontiguousarray(U[:, :k]).astype(dtype)
    B = adjoint_of(scaled.matrix.rmatmat(Q)).astype(dtype, copy=False)
    told, status = _weighted_error(AS, Q, B, S, found, budget, exponent)
    assess = assessor(scaled, budget, streams)
    plain = Certificate(matrix_norm=scaled.facts.norm) if assess is None else assess(QB(Q, B), None).certificate
    matrix.ledger.flops += AS.ledger.flops
    with np.errstate(over="ignore"):
        B = scale_exactly(B, scaled.exponent)
    if not np.all(np.isfinite(B)):
        raise NumericalError(f"an entry of B overflows {B.dtype}", hint="scale the matrix down")
    kernels = [*S.kernels, *found.facts["kernels"]]
    return Outcome(QB(Q, B), status, plain, matrix.ledger, {"kernels": kernels, "weights": kind, "weighted": told})


def _on_products(budget: Budget, shape: tuple[int, int], exponent: int) -> Budget:
    """The budget for A S 2**-exponent, which may have fewer columns than A."""
    rank = None if budget.rank is None else min(budget.rank, *shape)
    atol = budget.atol
    if atol is not None:
        atol = min(max(ldexp(atol, -exponent), sys.float_info.min), sys.float_info.max)
    return dataclasses.replace(budget, rank=rank, atol=atol)


def _weighted_error(
    AS: Metered, Q: numpy.ndarray, B: numpy.ndarray, S: Root, found: Outcome, budget: Budget, exponent: int
) -> tuple[dict[str, Any], Status]:
    """|(A - Q B) S|, measured, with the least there is for this rank enclosed; and whether it is what was asked for."""
    none = {
        "relative": None,
        "absolute": None,
        "optimal_lower": None,
        "optimal_upper": None,
        "failure_probability": None,
    }
    if budget.certify == "none":
        return none, found.status
    norm = AS.sweep()
    error = residual(AS, Pair(Q, np.ascontiguousarray(B).astype(AS.dtype) @ S.S))
    share, absolute = relative(error, norm), ldexp(error.norm, exponent)
    lower = found.certificate.optimal_lower
    told = {
        "relative": share,
        "absolute": absolute,
        "optimal_lower": None if lower is None else min(lower, share),
        "optimal_upper": share,
        "failure_probability": found.certificate.optimal_failure_probability,
    }
    missed = (budget.rtol is not None and share > budget.rtol) or (budget.atol is not None and absolute > budget.atol)
    return told, Status.STAGNATED if missed and found.status is Status.CONVERGED else found.status


METHOD = Method(
    name="weighted",
    options=WeightedOptions,
    run=run,
    identity="A ~ Q B, Q^H Q = I, nearest on the rows of X: |(A - Q B) X^T|",
    cost="2 N n^2 for X (N x n), 2 m n min(N, n) for A S, that of svd on A S, 2 m n k for B, in 6 passes",
    reference="Wang et al. 2024 (SVD-LLM), without its inverse",
    guarantee="the smallest weighted error there is, the tail of A S; the plain error is measured",
    choose="a matrix that is applied to known data, such as a layer of a network to its activations",
    companions=("weight", "gram"),
)
