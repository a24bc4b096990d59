"""Interpolative decomposition: a matrix from some of its own columns, or rows, or both."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import UsageError
from ..factors.base import Factorization
from ..kernels import jit
from ..lazy import np
from ..matrices.adjoint import Adjoint
from ..matrices.metered import Metered
from ..options import check, opt, real, whole
from ..streams import Streams
from .assessment import Assessor, Measured, swept
from .bases import begins_single
from .completion import Completed, Ordered, complete
from .id_bound import ROUNDING
from .id_choice import Choice, anew, by_bound, by_pivots
from .id_factors import coefficients, factor_of
from .id_limits import Limits, read_limits, require_independent
from .id_selection import Wish, is_small
from .method import Method
from .outcome import Outcome, Status
from .scaling import Scaled, check_rank
from .tolerance import Assessment, check_tolerance, target_square

if TYPE_CHECKING:
    import numpy

QUALITIES = ("fast", "balanced", "bound")


@dataclasses.dataclass(frozen=True)
class IDOptions:
    """axis: what is selected. quality: by how much work. max_coefficient: a limit on the interpolation coefficients.
    must_include, exclude: lists of indices and ranges a:b. stability: selections with other seeds, this one included.
    """

    axis: str = opt("cols", "Select columns, rows, or both (id).", choices=("cols", "rows", "both"))
    quality: str = opt(
        "balanced",
        "How columns are chosen (id): from a sketch that also gives the coefficients (fast), pivots of a Krylov basis "
        "and least squares (balanced), or with a proven error (bound).",
        choices=QUALITIES,
    )
    max_coefficient: float | None = opt(
        None, "Exchange columns until no coefficient is larger than this (id).", min=1.0, max=1e6
    )
    must_include: str | None = opt(
        None, "Columns (rows) that must be chosen (id): indices from 0, ranges a:b, names with --names."
    )
    exclude: str | None = opt(None, "Columns (rows) that must not be chosen (id), as for --must-include.")
    stability: int | None = opt(
        None,
        "Choose with this many seeds and report how often each chosen column (row) comes (id).",
        min=2,
        max=1000,
    )

    def __post_init__(self) -> None:
        if self.max_coefficient is not None:
            object.__setattr__(self, "max_coefficient", real(self.max_coefficient, "max_coefficient"))
        if self.stability is not None:
            object.__setattr__(self, "stability", whole(self.stability, "stability"))
        check(self)
        limited = [name for name in ("must_include", "exclude") if getattr(self, name) is not None]
        if not limited:
            return
        named = " and ".join("--" + name.replace("_", "-") for name in limited)
        if self.axis == "both":
            raise UsageError(f"{named} with --axis both could mean columns or rows", hint="use --axis cols or rows")
        if self.quality == "bound":
            raise UsageError(
                f"the bound of --quality bound holds for a free choice, which {named} is not",
                hint="use --quality balanced",
            )
        if self.max_coefficient is not None:
            raise UsageError(
                f"--max-coefficient needs columns that may be exchanged, which {named} forbids",
                hint="leave one of them out",
            )


def run(matrix: Metered, budget: Budget, options: IDOptions, streams: Streams) -> Outcome:
    """A ~ C Z with C = A[:, cols] bit for bit and Z[:, cols] = I exactly; A ~ W R with axis rows; A ~ W S Z with S =
    A[rows, cols] with axis both, whose rows are pivots of C, so that W S = C and the error is that of C Z.

    quality balanced: columns are pivots of a QR of A itself when A is small, else of its projection on a Krylov space
    of three blocks, those the SVD begins with, in single precision where that serves; it pivots like A does. Then Z is
    the least squares solution, at the cost of one more pass (Voronin and Martinsson 2017, with power steps and the
    least squares added). Cost at rank k: about 7 m n k flops, 6 passes, one more for the exact error.

    quality fast: A is small, as above; else pivots and coefficients of a Gaussian sketch of 1.5 k + 16 rows (Cheng,
    Gimbutas, Martinsson and Rokhlin 2005). Cost: 3 m n k flops, 2 passes, one more for the error.

    quality bound: |A - C Z|_F <= sqrt(k + 1) |A - A V V^H|_F, V the leading singular vectors that the SVD method finds;
    see ``id_bound.choose``. facts: bound_ratio, that root, and measured_ratio, what it came to.

    max_coefficient f: |Z_ij| <= f to rounding, for the Z that is returned; see ``id_exchange.limit_coefficients``.
    After quality bound exchanges for this make bound_ratio sqrt(1 + f^2 k (n - k)).

    must_include are chosen first, in their order, exclude never. stability N: facts.stability, the share of N seeds,
    this one and the N - 1 that follow, that choose each column at this rank; the cost of choosing N times.

    With a tolerance: the fewest columns, along the pivot order, whose measured error meets it; with quality bound or
    max_coefficient, where every rank has columns of its own, the fewest that were found by halving. The rank is less
    than asked for when the matrix has no more independent columns.

    Raises UsageError (rank too large, tolerance below eps, lists), InputError (NaN, Inf, dependent columns included),
    NumericalError (max_coefficient not reached).
    """
    m, n = matrix.shape
    check_rank(budget.rank, min(m, n), f"a {m}x{n} matrix")
    check_tolerance(budget, matrix.dtype)
    length = m if options.axis == "rows" else n
    limits = read_limits(options.must_include, options.exclude, length, budget.rank, min(m, n))
    by_basis = options.quality != "fast" and not is_small(matrix.shape)
    scaled, assess = swept(matrix, budget, streams, single=by_basis and begins_single(matrix, budget))
    target = None if assess is None else target_square(budget, scaled, assess.norm)
    wish = _wish(scaled, options, limits)
    if limits is not None and len(limits.included):
        require_independent(wish.work, limits)
    choose = by_bound if options.quality == "bound" else by_pivots
    choice = choose(wish, options.max_coefficient, budget.rank, assess, target, streams)
    outcome = _finish(choice, matrix, scaled, budget, options, target, assess, limits)
    if wish.fast and outcome.status is Status.STAGNATED:
        # the sketch promised more than it held
        choice = by_pivots(
            dataclasses.replace(wish, fast=False), options.max_coefficient, budget.rank, assess, target, streams
        )
        outcome = _finish(choice, matrix, scaled, budget, options, target, assess, limits)
    if options.stability is not None:
        outcome.facts["stability"] = _stability(outcome.factor, choice, scaled, options, limits, streams)
    return outcome


def _wish(scaled: Scaled, options: IDOptions, limits: Limits | None) -> Wish:
    work = Adjoint(scaled.matrix) if options.axis == "rows" else scaled.matrix
    return Wish(scaled, work, limits, options.quality == "fast")


def _finish(
    choice: Choice,
    matrix: Metered,
    scaled: Scaled,
    budget: Budget,
    options: IDOptions,
    target: float | None,
    assess: Assessor | None,
    limits: Limits | None,
) -> Outcome:
    norm = math.sqrt(scaled.squares)

    @functools.lru_cache(maxsize=1)  # assessed first, then handed over
    def build(k: int) -> Factorization:
        return factor_of(choice.at(k), k, scaled.matrix, options.axis, options.max_coefficient)

    def optimal_lower(k: int) -> float | None:
        least = choice.least(k, budget.norm)
        return None if least is None or assess is None else math.sqrt(least) / assess.norm if assess.norm else 0.0

    pieces = Ordered(build, choice.gains, choice.beyond, optimal_lower)
    done = _completed(choice, pieces, scaled, budget, target, assess, limits)
    chosen, bound = choice.at(done.rank), choice.bound(done.rank)
    factor = build(done.rank)
    if scaled.exponent:
        factor = factor_of(chosen, done.rank, matrix, options.axis, options.max_coefficient, like=factor)
    ran = jit.flavour(chosen.compiled)
    facts: dict[str, Any] = {
        "kernels": [f"pivoted_qr {ran}", f"coefficients {ran}", f"sweep {scaled.facts.kernel}"],
        "max_abs_Z": max(float(np.abs(Z).max(initial=0.0)) for Z in coefficients(factor)),
    }
    if options.max_coefficient is not None or bound is not None:
        facts["exchanges"] = choice.exchanges(done.rank)
    certificate = done.certificate
    if bound is not None:
        measured = certificate.relative if certificate.kind == "exact" and certificate.norm == "fro" else None
        share = bound.tail / norm if norm else 0.0
        # of two errors that are rounding the ratio says nothing
        told = measured is not None and share > ROUNDING * float(np.finfo(matrix.dtype).eps)
        facts |= {"bound_ratio": bound.ratio, "measured_ratio": measured / share if told else None}
        if measured is not None and certificate.optimal_upper is not None:
            lower = min(certificate.optimal_lower or 0.0, share)
            certificate = dataclasses.replace(certificate, optimal_lower=lower, optimal_upper=min(share, measured))
    if done.status is Status.STAGNATED and limits is not None and len(limits.excluded):
        facts["warnings"] = ["the columns or rows that --exclude leaves do not reach the tolerance"]
    return Outcome(factor, done.status, certificate, matrix.ledger, facts)


def _completed(
    choice: Choice,
    pieces: Ordered,
    scaled: Scaled,
    budget: Budget,
    target: float | None,
    assess: Assessor | None,
    limits: Limits | None,
) -> Completed:
    def judge(k: int) -> Assessment:
        assert assess is not None
        return assess(pieces.build(k), pieces.optimal_lower(k))

    if target is None or choice.nested or not isinstance(assess, Measured) or not len(pieces.gains):
        done = complete(pieces, scaled, budget, target, assess)
    else:
        cap = min(budget.rank or len(pieces.gains), len(pieces.gains))
        found = anew(cap, target, pieces.beyond, pieces.gains, choice.excess, judge)
        capped = budget.rank is not None and cap >= budget.rank
        missed = Status.RANK_REACHED if capped else Status.STAGNATED
        done = Completed(found.rank, found.assessment.certificate, Status.CONVERGED if found.met else missed)
    least = 0 if limits is None else len(limits.included)
    if done.rank >= least or target is None:
        return done
    found_there = judge(least)
    status = Status.CONVERGED if found_there.square <= target else done.status
    return Completed(least, found_there.certificate, status)


def _stability(
    factor: Any, choice: Choice, scaled: Scaled, options: IDOptions, limits: Limits | None, streams: Streams
) -> dict[str, list[float]]:
    """For each axis the share of seeds that choose each chosen index, in the order they were chosen."""
    axes = {axis: factor.arrays()[axis] for axis in ("cols", "rows") if axis in factor.arrays()}
    count, k = options.stability or 1, factor.rank
    if not choice.at(k).drawn:
        return {axis: [1.0] * k for axis in axes}
    hits: dict[str, numpy.ndarray] = {axis: np.ones(k) for axis in axes}
    for more in range(1, count):
        other = dataclasses.replace(streams, seed=(streams.seed + more) % 2**64)
        # bases of other seeds are of no further use
        apart = Metered(scaled.matrix.inner, scaled.matrix.ledger, dict(scaled.matrix.shared))
        again = dataclasses.replace(scaled, matrix=apart)
        choose = by_bound if options.quality == "bound" else by_pivots
        found = choose(_wish(again, options, limits), options.max_coefficient, k, None, None, other).at(k)
        made = factor_of(found, k, apart, options.axis, options.max_coefficient).arrays()
        for axis, index in axes.items():
            hits[axis] += np.isin(index, made[axis])
    return {axis: [float(h) / count for h in hits[axis]] for axis in axes}


METHOD = Method(
    name="id",
    options=IDOptions,
    run=run,
    identity="A ~ C Z, C = A[:, cols]  (or W R, R = A[rows, :]; or W S Z, S = A[rows, cols])",
    cost="7 m n k flops in 7 passes; quality fast 5 m n k in 3; bound: the SVD and 12 to 18 passes more up to k = 60",
    reference="Voronin and Martinsson 2017; Cheng et al. 2005; Gu and Eisenstat 1996; Osinsky 2023",
    guarantee="in practice that of QR with column pivoting within 2 %; bound: at most sqrt(k + 1) times the best",
    choose="which columns or rows matter; factors in the units of the data, sparse where it is",
)
