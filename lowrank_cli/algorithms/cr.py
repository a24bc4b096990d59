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
from .cr_choice import Choice, Chooser, best
from .cr_errors import Pairs, needs, surveyed
from .cr_schemes import TABLE
from .method import Method
from .outcome import Outcome, Status
from .scaling import Scaled, check_rank
from .tolerance import check_tolerance

if TYPE_CHECKING:
    import numpy

#: Names of the schemes a user may ask for.
SCHEMES = ("auto", *TABLE)
#: Products measured before we settle for all pairs that may be taken.
_TRIALS = 5


@dataclasses.dataclass(frozen=True)
class CROptions:
    """scheme: how pairs are chosen and weighted; auto takes the one of smallest predicted error, or of fewest pairs.
    shrink: scale an unbiased approximation down to its smallest expected error."""

    scheme: str = opt(
        "auto",
        "How pairs are chosen and weighted (cr): one after another with the best weights (greedy), the largest with "
        "the best weights (least-squares) or as they are (top); at random and right on average: the largest and draws "
        "from the rest (wta), without-replacement, each by itself so that their number is random (threshold), "
        "priority, with replacement (optimal), all alike (uniform). auto: smallest predicted error; with a tolerance, "
        "fewest pairs.",
        choices=SCHEMES,
    )
    shrink: bool = opt(
        False,
        "Scale a random approximation by F2 / (F2 + Var), F2 = |XY|^2 and Var its expected squared error (cr): then it "
        "is better than zero on average, and no longer right on average. auto then chooses among random schemes.",
    )

    def __post_init__(self) -> None:
        check(self)
        if self.shrink and self.scheme != "auto" and not TABLE[self.scheme].unbiased:
            raise UsageError(
                f"--shrink is for schemes that are right on average, which {self.scheme} is not",
                hint=f"leave it out, or use one of {', '.join(name for name, one in TABLE.items() if one.unbiased)}",
            )


def run(matrix: Metered, budget: Budget, options: CROptions, streams: Streams) -> Outcome:
    """X Y ~ C R from r pairs of a column of X and a row of Y, for a ``Product`` as matrix.

    The schemes and what is known of their errors are in ``cr_schemes``: with f_i = |x_i| |y_i| and Z = sum f_i they go
    from draws with probabilities f_i / Z, expected squared error (Z^2 - |XY|^2) / r (Drineas, Kannan and Mahoney 2006),
    to orthogonal least squares on the Gram matrix of the pairs.

    The predicted error is computed before the product is formed: exact from Gram matrices when these cost no more
    than the product, else estimated from sketches that the sweeps take. Cost: two sweeps, that, what the scheme takes,
    and the gather; the measured error one pass of 2 m n (l + r) flops.

    With a tolerance: the fewest pairs whose measured error meets it. With Gram matrices the errors of pairs and weights
    are known before, so that one measurement is the rule; else they are estimated, and the estimate is corrected by
    what was measured, up to 5 times.

    Lengths are relative to the longest: a pair whose column is below about 1e-150 of it counts as zero.

    Raises UsageError (neither rank nor tolerance, rank above the inner dimension, a scheme that does not apply),
    InputError (NaN, Inf).
    """
    product = matrix.inner
    if not isinstance(product, Product):
        raise UsageError("--method cr approximates a product", hint="give the second matrix with --times Y")
    if budget.rank is None and not budget.has_tolerance:
        raise UsageError("--method cr needs --rank, the number of sampled pairs, or a tolerance")
    if budget.certify == "probes" or budget.norm != "fro":
        raise UsageError(
            "--method cr measures its error exactly, in the Frobenius norm",
            hint="drop --norm and --certify, or use --certify none",
        )
    l = product.X.shape[1]
    check_rank(budget.rank, l, f"an inner dimension of {l}")
    check_tolerance(budget, matrix.dtype)
    left = Metered(product.X, matrix.ledger, matrix.shared.setdefault("left", {}))
    right = Metered(product.Y, matrix.ledger, matrix.shared.setdefault("right", {}))
    chooser = Chooser(surveyed(left, right, streams), options.scheme, options.shrink, streams)
    if budget.has_tolerance:
        choice, factor, certificate, status = _to_tolerance(matrix, budget, chooser)
    else:
        assert budget.rank is not None
        choice = best(chooser.at(chooser.names(budget.rank), budget.rank))
        factor, certificate = _measured(matrix, choice, chooser.pairs, budget)
        status = Status.CONVERGED
    facts = _facts(choice, chooser)
    facts["warnings"] = _warnings(facts, certificate, factor.rank, l, product.shape)
    if status is Status.RANK_REACHED and budget.rank is None:
        facts["warnings"].append(f"{l} pairs drawn with replacement did not meet the tolerance; use another --scheme")
    return Outcome(factor, status, certificate, matrix.ledger, facts)


def _to_tolerance(matrix: Metered, budget: Budget, chooser: Chooser) -> tuple[Choice, CR, Certificate, Status]:
    """The fewest pairs that meet the tolerance; where none do, as many as may be taken."""
    pairs = chooser.pairs
    exponent = pairs.X.exponent + pairs.Y.exponent
    cap = budget.rank or len(pairs.f)
    pairs.squares([])
    goal = wanted_square(budget, pairs.product_square, exponent)
    for trial in range(_TRIALS + 1):
        choice = chooser.fewest(cap, goal) if trial < _TRIALS else None
        found = choice or best(chooser.at(chooser.names(cap), cap))
        factor, certificate = _measured(matrix, found, pairs, budget)
        if meets(budget, certificate):
            return found, factor, certificate, Status.CONVERGED
        if choice is None or factor.rank >= cap:
            break
        # a little below what was missed, and each time twice as much
        goal *= (1 - 0.02 * 2**trial) * min(_shares(budget, certificate)) ** 2
    # all pairs are the product but for rounding, unless they are drawn with replacement
    rounding = budget.rank is None and TABLE[found.scheme].exact
    return found, factor, certificate, Status.STAGNATED if rounding else Status.RANK_REACHED


def wanted_square(budget: Budget, product_square: float, exponent: int) -> float:
    """The squared error to reach for a product of this squared norm, both on the scale of the scaled matrices."""
    targets = []
    if budget.rtol is not None:
        targets.append(budget.rtol**2 * product_square)
    if budget.atol is not None:
        atol = ldexp(budget.atol, -exponent)
        targets.append(atol * atol)
    return min(targets)


def meets(budget: Budget, found: Certificate) -> bool:
    """Whether a measured error meets every tolerance asked for."""
    return min(_shares(budget, found)) >= 1


def _shares(budget: Budget, found: Certificate) -> list[float]:
    """Each tolerance asked for over the error it is for."""
    asked = ((budget.rtol, found.relative), (budget.atol, found.absolute))
    return [tolerance / error if error else math.inf for tolerance, error in asked if tolerance is not None]


def _measured(matrix: Metered, choice: Choice, pairs: Pairs, budget: Budget) -> tuple[CR, Certificate]:
    product: Any = matrix.inner
    weights = choice.sample.weights
    scale = np.copysign(np.sqrt(np.abs(weights)), weights)
    factor = _factor(product.X, product.Y, choice.sample.index, scale, matrix.dtype)
    return factor, _certify(matrix, pairs.X, pairs.Y, choice.sample.index, scale, factor, budget)


def _factor(X: Any, Y: Any, index: numpy.ndarray, scale: numpy.ndarray, dtype: numpy.dtype) -> CR:
    """Columns and rows read from the matrices as given, scaled; where every weight is 1 they are bit for bit theirs."""
    plain = bool(np.all(scale == 1))
    C = X.cols(index, None if plain else scale).astype(dtype, copy=False)
    R = Y.rows(index, None if plain else np.abs(scale)).astype(dtype, copy=False)
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


def _facts(choice: Choice, chooser: Chooser) -> dict[str, Any]:
    pairs, sample = chooser.pairs, choice.sample
    f, X = pairs.f, pairs.X
    selection = chooser.selection(sample) if pairs.G is not None else None
    Z, F2 = float(f.sum()), pairs.product_square
    return {
        "kernels": [
            f"sweep {X.facts.kernel}",
            f"sampling {jit.flavour(jit.pays(sampling.seconds_saved(len(f))))}",
            f"gather {jit.flavour(jit.pays(gather.seconds_saved(X.matrix.shape[0], len(sample.index))))}",
        ],
        "scheme": choice.scheme,
        "predicted_relative": math.sqrt(choice.predicted / F2) if F2 > 0 else 0.0,
        "predicted_kind": choice.kind,
        "selection_relative": None if selection is None else math.sqrt(selection / F2) if F2 > 0 else 0.0,
        "Z2_over_F2": Z**2 / F2 if F2 > 0 else None,
        "distinct_pairs": len(np.unique(sample.index)),
        **({"shrink_factor": choice.shrink} if chooser.shrink else {}),
        **sample.facts,
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
    mean = facts.get("expected_pairs", r)
    if mean != r:
        said.append(f"threshold sampling draws a random number of pairs: {r} here, {mean} on average")
    return said


METHOD = Method(
    name="cr",
    options=CROptions,
    run=run,
    identity="X Y ~ C R",
    cost="2 (m + n) l flops for norms, 2 m n r for the product C R; the exact product is 2 m n l",
    reference="Drineas, Kannan and Mahoney 2006; Duffield, Lund and Thorup 2007; Liu et al. 2023",
    guarantee="predicted before the product is formed, exactly where Gram matrices are cheap; auto is never above the "
    "expected squared error (Z^2 - |XY|^2) / r, Z the sum of |x_i| |y_i|",
    choose="a product too dear to form, of which some pairs matter much more than others",
    of_product=True,
    companions=("times",),
    # a tolerance may take any number of pairs: about as many as are common
    needs=lambda product, budget, options: needs(product, budget.rank or 128),
)
