"""Recompression: the truncated SVD of sums and products of factors, from small cores; no matrix is formed."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..certificates.certificate import Certificate
from ..engines.threads import Engine
from ..errors import NumericalError
from ..factors.base import Approximation, Factorization, dense
from ..factors.svd import SVD
from ..lazy import np
from ..matrices.facts import ldexp
from ..matrices.metered import Ledger
from ..matrices.tiles import scale_exactly
from .completion import Ordered, complete
from .outcome import Outcome
from .scaling import check_rank
from .svd_sources import signed
from .tolerance import Assessment, Judge, Settled, bracket, check_tolerance, rank_for, settle

if TYPE_CHECKING:
    import numpy

#: A sum this many times smaller than its terms has lost that many digits to cancellation: worth a warning.
_CANCELLED = 1e8


@dataclasses.dataclass(frozen=True, eq=False)
class Term:
    """left right 2**exponent, left (m, r) and right (r, n) in double precision. size: of the product of the norms of
    what it was made of, on the scale of 2**exponent; rounding is relative to that. dtype: of what it was made of."""

    left: numpy.ndarray
    right: numpy.ndarray
    exponent: int
    size: float
    dtype: numpy.dtype

    @property
    def shape(self) -> tuple[int, int]:
        return self.left.shape[0], self.right.shape[1]

    def spectral(self) -> float:
        """|left right 2**exponent|_2, from its core."""
        return ldexp(float(np.linalg.norm(_core(self.left, self.right), 2)), self.exponent)


def chain_of(factor: Factorization) -> list[Any]:
    """(L, R) of a factorization, multiplied in double precision where its arrays are not these themselves."""
    arrays = {
        name: array if array.dtype.kind in "iu" else array.astype(np.result_type(array.dtype, np.float64))
        for name, array in factor.arrays().items()
    }
    return list(type(factor)(**arrays).pair())


def term(chain: Sequence[Any], dtype: numpy.dtype, weight: float = 1.0) -> Term:
    """weight X_1 X_2 ... X_q of two or more matrices that chain, cut where the fewest columns meet.

    Each X is brought to a scale of its own first, so that no product overflows or vanishes. Cost: products of the inner
    matrices with the outer ones, never one of the size of the result.
    """
    parts, exponent, size = [], 0, 1.0
    for X in chain:
        wide = np.ascontiguousarray(dense(X)).astype(np.result_type(X.dtype, np.float64), copy=False)
        top = float(np.abs(wide).max(initial=0.0))
        binade = math.frexp(top)[1] if top else 0
        parts.append(scale_exactly(wide, -binade))
        exponent += binade
        size *= float(np.linalg.norm(parts[-1]))
    widths = [X.shape[1] for X in parts[:-1]]
    cut = widths.index(min(widths)) + 1
    left = functools.reduce(lambda product, X: X @ product, reversed(parts[: cut - 1]), parts[cut - 1])
    right = functools.reduce(lambda product, X: product @ X, parts[cut + 1 :], parts[cut])
    mantissa, shift = math.frexp(weight)
    return Term(left * mantissa, right, exponent + shift, size * abs(mantissa), np.dtype(dtype))


def recompress(terms: Sequence[Term], budget: Budget, engine: Engine) -> Outcome:
    """The truncated SVD of F = sum of terms, to a rank or to the smallest one that meets a tolerance.

    F = L R with L = [L_1 L_2 ...] and R = [R_1; R_2; ...]: from L = Q_1 S and R^H = Q_2 T the SVD of the core S T^H
    gives that of F, so the result is the best of its rank in every unitarily invariant norm (Eckart and Young). All in
    double precision; the factors are then rounded to the dtype of the terms. The error is |F - G| of the G that is
    kept: the norm of the core of [L, -U diag(s)] [R; Vh]. It is exact but for rounding near 1e-16 of the terms' size.
    Cost: 6 (m + n) r^2 + 22 r^3 flops for r columns in all, and the same again with r + k for the error.

    Raises UsageError (rank above r, tolerance below eps), NumericalError (overflow, LAPACK without an answer).
    """
    sizes = [(t.exponent, t) for t in terms if t.size > 0]
    exponent = max((e for e, _ in sizes), default=0)
    L = np.hstack([scale_exactly(t.left, max(t.exponent - exponent, -2000)) for t in terms])
    R = np.vstack([scale_exactly(t.right, 0) for t in terms])
    dtype = np.result_type(*[t.dtype for t in terms])
    (m, r), n = L.shape, R.shape[1]
    check_rank(budget.rank, min(m, n, r), f"a {m}x{n} matrix of factors of rank {r}")
    check_tolerance(budget, dtype)
    U, s, V = _svd(L, R)
    assess = _Cores(L, R, s, exponent, budget.norm)

    @functools.lru_cache(maxsize=1)
    def build(k: int) -> SVD:
        made = signed(np.ascontiguousarray(U[:, :k]), s[:k], V[:, :k], engine)
        real = np.finfo(dtype).dtype
        with np.errstate(over="ignore"):
            kept = np.ldexp(made.s, exponent).astype(real)
        if not np.all(np.isfinite(kept)):
            raise NumericalError(f"the largest singular value overflows {real}", hint="scale the factors down")
        return SVD(made.U.astype(dtype), kept, made.Vh.astype(dtype))

    target = _target(budget, assess.norm, exponent)
    gains = np.square(s)
    done = complete(Ordered(build, gains, 0.0, assess.optimal_lower), None, budget, target, assess)
    spread = math.fsum(ldexp(t.size, t.exponent - exponent) for t in terms)
    norm = math.sqrt(float(np.sum(gains)))
    facts: dict[str, Any] = {"kernels": ["lapack geqrf", "lapack gesdd"], "terms": len(terms), "input_rank": r}
    if spread > _CANCELLED * norm > 0:
        facts["warnings"] = [f"the terms cancel: their sum is {norm / spread:.1g} of their size, the rest rounding"]
    flops = 6 * (m + n) * r**2 + 22 * min(m, n, r) ** 3 + 4 * (m + n) * (r + done.rank) ** 2
    return Outcome(build(done.rank), done.status, done.certificate, Ledger(0, 0, flops), facts)


def _core(L: numpy.ndarray, R: numpy.ndarray) -> numpy.ndarray:
    """A small matrix with the singular values of L R."""
    S: Any = np.linalg.qr(L, mode="r")
    T: Any = np.linalg.qr(np.ascontiguousarray(R.conj().T), mode="r")
    return S @ np.ascontiguousarray(T.conj().T)


def _svd(L: numpy.ndarray, R: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """(U, s, V) of L R."""
    Q, S = np.linalg.qr(L)
    P, T = np.linalg.qr(np.ascontiguousarray(R.conj().T))
    try:
        X, s, Yh = np.linalg.svd(S @ np.ascontiguousarray(T.conj().T), full_matrices=False)
    except np.linalg.LinAlgError:
        raise NumericalError("LAPACK found no singular values of the core") from None
    return Q @ X, s, P @ np.ascontiguousarray(Yh.conj().T)


def _target(budget: Budget, norm: float, exponent: int) -> float | None:
    """The squared absolute error to reach, on the scale of 2**exponent."""
    targets = [budget.rtol * norm] if budget.rtol is not None else []
    targets += [ldexp(budget.atol, -exponent)] if budget.atol is not None else []
    return min(targets) ** 2 if targets else None


class _Cores:
    """|L R - G| measured from the core of [L, -U diag(s)] [R; Vh]: an assessor. norm: |L R|."""

    margin = trust = 1.0

    def __init__(self, L: numpy.ndarray, R: numpy.ndarray, s: numpy.ndarray, exponent: int, kind: str):
        self.L, self.R, self.s, self.exponent, self.kind = L, R, s, exponent, kind
        self.norm = self._size(s)

    def _size(self, s: numpy.ndarray) -> float:
        return float(np.sqrt(np.sum(np.square(s))) if self.kind == "fro" else s[:1].max(initial=0.0))

    def optimal_lower(self, k: int) -> float:
        return self._size(self.s[k:]) / self.norm if self.norm else 0.0

    def __call__(self, factor: Approximation, optimal_lower: float | None) -> Assessment:
        U, s, Vh = (factor.arrays()[name].astype(np.result_type(self.L, np.float64)) for name in ("U", "s", "Vh"))
        scaled = U * np.ldexp(s.real, -self.exponent)
        core = _core(np.hstack([self.L, -scaled]), np.vstack([self.R, Vh]))
        size = self._size(np.linalg.svd(core, compute_uv=False)) if self.kind != "fro" else float(np.linalg.norm(core))
        relative = size / self.norm if self.norm else (math.inf if size else 0.0)
        best = min(optimal_lower or 0.0, relative)
        found = Certificate(
            norm=self.kind,
            kind="exact",
            absolute=ldexp(size, self.exponent),
            relative=relative,
            optimal_lower=best,
            optimal_upper=relative,
            matrix_norm=ldexp(self.norm, self.exponent),
        )
        return Assessment(size**2, found)

    def guess(self, target: float, beyond: float, gains: numpy.ndarray) -> int:
        if self.kind == "fro":
            return rank_for(target, beyond, gains)
        fits = np.flatnonzero(gains <= target)
        return max(1, int(fits[0])) if len(fits) else len(gains) + 1

    def find(self, guess: int, cap: int, target: float, gains: numpy.ndarray, judge: Judge, capped: bool) -> Settled:
        if self.kind == "fro":
            return settle(guess, cap, target, gains, judge, capped)
        return bracket(guess, cap, target, judge)
