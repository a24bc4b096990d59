"""Column-row sampling: a product X Y from some columns of X and the matching rows of Y."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..certificates.certificate import Certificate
from ..certificates.residual import exact, residual_and_norm
from ..errors import UsageError
from ..factors.cr import CR
from ..kernels import gather, jit, sampling
from ..lazy import np
from ..matrices.facts import ldexp
from ..matrices.metered import Metered
from ..matrices.product import Product
from ..options import check, opt
from ..streams import Streams
from .cr_errors import PairErrors, Systematic, Weighted
from .method import Method
from .outcome import Outcome, Status
from .scaling import Scaled, bring_to_scale, check_rank

if TYPE_CHECKING:
    import numpy

SCHEMES = ("auto", "top", "without-replacement", "optimal", "uniform")


@dataclasses.dataclass(frozen=True)
class CROptions:
    """scheme: how pairs are chosen and weighted; auto takes the one of smallest predicted error."""

    scheme: str = opt(
        "auto",
        "How pairs are chosen (cr): optimal probabilities with or without replacement, uniform, the largest (top), "
        "or the smallest predicted error (auto).",
        choices=SCHEMES,
    )

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Chosen pairs and their weights: X Y ~ sum_t weights_t X[:, index_t] Y[index_t, :].

    Its expected squared Frobenius error (for top, which is not random, the error itself) is what it asks of
    ``PairErrors``, else plain + slope |XY|_F^2.
    """

    index: numpy.ndarray
    weights: numpy.ndarray
    asks: Weighted | Systematic | None = None
    plain: float = 0.0
    slope: float = 0.0

    def predicted(self, errors: PairErrors) -> float:
        """The expected squared error."""
        if self.asks is not None:
            return errors.of[self.asks]
        return max(0.0, self.plain + self.slope * errors.product_square)


def run(matrix: Metered, budget: Budget, options: CROptions, streams: Streams) -> Outcome:
    """X Y ~ C R from r pairs, for a ``Product`` as matrix. With f_i = |x_i| |y_i| and Z = sum f_i the schemes are:

    optimal: r draws with replacement, p_i = f_i / Z, expected squared error (Z^2 - |XY|^2) / r, the least that any
    probabilities give (Drineas, Kannan and Mahoney 2006). without-replacement: r distinct pairs, inclusion
    probabilities min(1, f_i / tau), by systematic sampling (Madow 1949) in a random order. uniform: r distinct pairs,
    all alike, weight l / r. top: the r largest f_i, weight 1; biased, not random. All but top are unbiased.

    The predicted error is computed before the product is formed: exact from Gram matrices when these cost no more
    than the product, else estimated by 32 Gaussian probes. Cost: two sweeps, that, and the gather; the measured error
    one pass of 2 m n (l + r) flops.

    Lengths are relative to the longest: a pair whose column is below about 1e-150 of it counts as zero.

    Raises UsageError (no rank, rank above the inner dimension, a tolerance), InputError (NaN, Inf).
    """
    product = matrix.inner
    if not isinstance(product, Product):
        raise UsageError("--method cr approximates a product", hint="give the second matrix with --times Y")
    if budget.has_tolerance:
        raise UsageError("--method cr takes no tolerance yet", hint="give the number of sampled pairs with --rank")
    if budget.rank is None:
        raise UsageError("--method cr needs --rank, the number of sampled pairs")
    if budget.certify == "probes" or budget.norm != "fro":
        raise UsageError(
            "--method cr measures its error exactly, in the Frobenius norm",
            hint="drop --norm and --certify, or use --certify none",
        )
    l = product.X.shape[1]
    check_rank(budget.rank, l, f"an inner dimension of {l}")
    r = budget.rank
    left, right = Metered(product.X, matrix.ledger), Metered(product.Y, matrix.ledger)
    X, Y = bring_to_scale(left), bring_to_scale(right, transposed=True)
    f = np.sqrt(X.facts.column_squares) * np.sqrt(Y.facts.column_squares)
    f = np.ldexp(f, X.facts.exponent + Y.facts.exponent - X.exponent - Y.exponent)
    schemes = SCHEMES[1:] if options.scheme == "auto" else (options.scheme,)
    drawn = {name: _DRAW[name](f, r, streams) for name in schemes}
    errors = PairErrors(X, Y, f, [sample.asks for sample in drawn.values() if sample.asks is not None], streams)
    scheme = min(drawn, key=lambda name: drawn[name].predicted(errors))
    sample = drawn[scheme]
    scale = np.sqrt(sample.weights)
    factor = _factor(product.X, product.Y, sample.index, scale, matrix.dtype)
    certificate = _certify(matrix, X, Y, sample.index, scale, factor, budget)
    facts = _facts(scheme, sample, errors, f, X, Y, r)
    facts["warnings"] = _warnings(facts, certificate, r, l, product.shape)
    return Outcome(factor, Status.CONVERGED, certificate, matrix.ledger, facts)


def _draw_optimal(f: numpy.ndarray, r: int, streams: Streams) -> Sample:
    Z = float(f.sum())
    l = len(f)
    if Z == 0:
        return _nothing(r)
    p = f / Z
    u = streams.generator("cr optimal").random(r)
    index = sampling.with_replacement(p, u, compiled=jit.pays(sampling.seconds_saved(l)))
    return Sample(index, 1.0 / (r * p[index]), plain=Z**2 / r, slope=-1.0 / r)


def _draw_without_replacement(f: numpy.ndarray, r: int, streams: Streams) -> Sample:
    l = len(f)
    if not f.any():
        return _nothing(r)
    r = min(r, int(np.count_nonzero(f)))
    pi = sampling.inclusion_probabilities(f, r)
    generator = streams.generator("cr without replacement")
    order = generator.permutation(l)
    u = float(generator.random())
    index = sampling.systematic(pi, order, u, compiled=jit.pays(sampling.seconds_saved(l)))
    return Sample(index, 1.0 / pi[index], Systematic(pi, order))


def _draw_uniform(f: numpy.ndarray, r: int, streams: Streams) -> Sample:
    l = len(f)
    index = sampling.uniform_without_replacement(l, r, streams.generator("cr uniform").random(r))
    if r == l:
        return Sample(index, np.ones(r))
    # l^2 / r (1 - r / l) (sum f^2 - |XY|^2 / l) / (l - 1), simple random sampling without replacement
    spread = l**2 / r * (1 - r / l) / (l - 1)
    return Sample(index, np.full(r, l / r), plain=spread * float(np.sum(f**2)), slope=-spread / l)


def _draw_top(f: numpy.ndarray, r: int, streams: Streams) -> Sample:
    index = np.sort(np.argsort(-f, kind="stable")[:r]).astype(np.int64)
    left_out = np.ones(len(f))
    left_out[index] = 0.0
    return Sample(index, np.ones(r), Weighted(left_out))


def _nothing(r: int) -> Sample:
    """The product is zero; any pairs will do."""
    return Sample(np.arange(r, dtype=np.int64), np.ones(r))


_DRAW = {
    "optimal": _draw_optimal,
    "without-replacement": _draw_without_replacement,
    "uniform": _draw_uniform,
    "top": _draw_top,
}


def _factor(X: Any, Y: Any, index: numpy.ndarray, scale: numpy.ndarray, dtype: numpy.dtype) -> CR:
    """Columns and rows read from the matrices as given, scaled; where every weight is 1 they are bit for bit theirs."""
    factors = None if np.all(scale == 1) else scale
    C = X.cols(index, factors).astype(dtype, copy=False)
    R = Y.rows(index, factors).astype(dtype, copy=False)
    return CR(index=np.asarray(index, np.int64), scale=scale, C=C, R=R)


def _certify(
    matrix: Metered, X: Scaled, Y: Scaled, index: numpy.ndarray, scale: numpy.ndarray, factor: CR, budget: Budget
) -> Certificate:
    if budget.certify == "none":
        return Certificate()
    exponent = X.exponent + Y.exponent
    if exponent:
        work = Product(X.matrix.inner, Y.matrix.inner, matrix.engine)
        small = _factor(X.matrix, Y.matrix, index, scale, matrix.dtype)
        error, norm = residual_and_norm(Metered(work, matrix.ledger), small)
    else:
        error, norm = residual_and_norm(matrix, factor)
    found = exact(error, norm)
    return dataclasses.replace(found, absolute=ldexp(error.norm, exponent), matrix_norm=ldexp(norm.norm, exponent))


def _facts(
    scheme: str, sample: Sample, errors: PairErrors, f: numpy.ndarray, X: Scaled, Y: Scaled, r: int
) -> dict[str, Any]:
    Z, F2 = float(f.sum()), errors.product_square
    return {
        "kernels": [
            f"sweep {X.facts.kernel}",
            f"sampling {jit.flavour(jit.pays(sampling.seconds_saved(len(f))))}",
            f"gather {jit.flavour(jit.pays(gather.seconds_saved(X.matrix.shape[0], r)))}",
        ],
        "scheme": scheme,
        "predicted_relative": math.sqrt(sample.predicted(errors) / F2) if F2 > 0 else 0.0,
        "predicted_kind": errors.kind,
        "Z2_over_F2": Z**2 / F2 if F2 > 0 else None,
        "distinct_pairs": len(np.unique(sample.index)),
    }


def _warnings(facts: dict[str, Any], found: Certificate, r: int, l: int, shape: tuple[int, int]) -> list[str]:
    said = []
    worst = max(facts["predicted_relative"], found.relative or 0.0)
    if worst >= 1:
        said.append(
            f"this approximation is worse than returning zero (relative error {worst:.3g}); "
            "sample more pairs, or use approx --method svd on the product"
        )
    m, n = shape
    if 2 * m * n * r + 2 * (m + n) * l + (m + n) * r >= 2 * m * n * l:
        said.append(f"sampling {r} of {l} pairs costs more than the exact product")
    return said


METHOD = Method(
    name="cr",
    options=CROptions,
    run=run,
    identity="X Y ~ C R",
    cost="2 (m + n) l flops for norms, 2 m n r for the product C R; the exact product is 2 m n l",
    reference="Drineas, Kannan and Mahoney 2006",
    guarantee="expected squared error (Z^2 - |XY|^2) / r at most; predicted before the product is formed",
    choose="a product too dear to form, of which some pairs matter much more than others",
    of_product=True,
    companions=("times",),
)
