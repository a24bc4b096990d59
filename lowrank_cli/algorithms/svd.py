"""Truncated SVD: LAPACK when the matrix is small or the rank nearly full, block Krylov otherwise."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..budget import Budget
from ..certificates.spectral import affordable
from ..errors import NumericalError, UsageError
from ..factors.base import Approximation, Factorization
from ..factors.svd import SVD
from ..lazy import np
from ..matrices.metered import Metered
from ..options import check, opt
from ..streams import Streams
from . import few_passes, one_pass
from .assessment import Assessor, swept
from .bases import (
    FULL_SHARE,
    LAPACK_ENTRIES,
    LEAST_BLOCKS,
    MOST_BLOCKS,
    begins_single,
    for_rank,
    require_basis,
    tall,
    to_tolerance,
    width,
)
from .completion import Ordered, complete, seen
from .method import Method
from .optimum import enclose
from .outcome import Outcome, Status
from .resolved import measured, to_residual
from .scaling import Scaled, check_rank
from .svd_sources import Full, Refined, Source, signed
from .tolerance import check_tolerance, target_square

if TYPE_CHECKING:
    from .bases import Grown

#: LAPACK outright up to this many entries and this smaller side: under about 0.3 s on one core.
_SMALL_ENTRIES, _SMALL_SIDE = 1_000_000, 500


@dataclasses.dataclass(frozen=True)
class SVDOptions:
    """block: width of a Krylov block; default the rank over two plus ten, rounded up to a multiple of 32. Of the sketch
    of a single pass; default twice the rank plus 32, rounded up in the same way."""

    block: int | None = opt(
        None,
        "Columns of a Krylov block (svd), the fourth and later ones are wider; or of the sketch of a single pass. "
        "Default from the rank.",
        min=1,
        max=4096,
    )
    max_blocks: int = opt(
        MOST_BLOCKS, "Most Krylov blocks (svd); each is two products with the matrix.", min=1, max=1000
    )
    residual: float | None = opt(
        None,
        "Singular vectors, not only a small error (svd): grow until |A v - s u| and |A^H u - s v| are at most this "
        "share of s_1, for every triplet of --rank.",
        above=0,
        max=1,
    )

    def __post_init__(self) -> None:
        check(self)


#: From the SVD of the matrix to what is kept of it: that is what is assessed and handed over.
Form = Callable[[SVD], Factorization]


def run(matrix: Metered, budget: Budget, options: SVDOptions, streams: Streams) -> Outcome:
    """A ~ U diag(s) Vh, the truncated SVD of A (LAPACK), or of its projection on the left half of a block Krylov space.

    With a rank k: k triplets; the Krylov basis grows until another block would no longer lower the Frobenius error by
    a noticeable amount; where the matrix is very tall its Gram matrix gives a basis in two passes. With a tolerance:
    the smallest rank whose measured error meets it. With both: whichever comes first. The basis of a double precision
    matrix is in single precision where its rounding is lost in the error; the last product and the factors are in
    double. Cost with q blocks of b columns: 4 q m n b flops and 2 m n (k + 12) for the last product, in q + 4 passes
    over the first four blocks, two more for each further one, plus one for the exact error. Memory (m + n) q b.

    A matrix that is seen once gives two sketches of l columns, by default 2 k + 32 in steps of 32, and a bound from
    probes (Yu et al. 2017; we leave out the directions that rounding has taken). The mean of the squared error is at
    most 2 + k / (l - k - 1) times the smallest, and no error is much below sqrt(u) |A|_2. Cost: 4 m n l flops.

    Raises UsageError (rank too large, tolerance below eps), InputError (NaN, Inf), NumericalError, ResourceError.
    """
    return truncated(matrix, budget, options, streams)


def truncated(
    matrix: Metered, budget: Budget, options: SVDOptions, streams: Streams, form: Form | None = None
) -> Outcome:
    """What ``run`` says, in another form perhaps."""
    if budget.passes == 1:
        return _once(matrix, budget, options, streams, form)
    m, n = matrix.shape
    check_rank(budget.rank, min(m, n), f"a {m}x{n} matrix")
    check_tolerance(budget, matrix.dtype)
    if options.residual is not None and (budget.rank is None or budget.has_tolerance):
        raise UsageError("--residual goes with --rank and no tolerance", hint="say how many triplets: --rank K")
    if _passes_counted(matrix, budget, options):
        source, scaled, target, assess = few_passes.approach(matrix, budget, options.block, streams)
        return _finish(source, scaled, budget, target, assess, streams, form)
    blocks = not wants_lapack(matrix, budget.rank, options)
    if blocks:
        require_basis(matrix, LEAST_BLOCKS * (width(budget.rank, options.block) if budget.rank else 32))
    scaled, assess = swept(matrix, budget, streams, single=blocks and begins_single(matrix, budget))
    target = None if assess is None else target_square(budget, scaled, assess.norm)
    source = _source(scaled, budget, options, assess, target, streams)
    outcome = _finish(source, scaled, budget, target, assess, streams, form)
    unfinished = outcome.status is Status.STAGNATED and not source.complete
    if unfinished and form is not None:
        # not where the form alone is to blame
        unfinished = _finish(source, scaled, budget, target, assess, streams).status is Status.STAGNATED
    if unfinished and target is not None and assess is not None:
        # the basis promised more than it held: one that reaches deeper, or all there is
        deeper = None
        if m * n > LAPACK_ENTRIES:
            deeper = to_tolerance(scaled, assess, target / 16, budget.rank, streams, options.block, options.max_blocks)
        source = Full(tall(scaled.matrix)) if deeper is None else _refined(scaled, deeper, target)
        outcome = _finish(source, scaled, budget, target, assess, streams, form)
    if options.residual is not None:
        found = measured(scaled.matrix, *source.triplets(outcome.factor.rank))
        outcome.facts["triplet_residual"] = found
        if found > options.residual:
            said = f"the residual of the triplets is {found:.2g} of s_1, above the {options.residual:g} asked for"
            outcome.facts["warnings"] = [f"{said}: rounding, or --max-blocks, allows no less"]
    return outcome


def _passes_counted(matrix: Metered, budget: Budget, options: SVDOptions) -> bool:
    """``few_passes.counted``, unless an option says how the basis is to grow. UsageError where both are asked."""
    grows = options.residual is not None or options.max_blocks != MOST_BLOCKS
    if budget.passes is None:
        return not grows and few_passes.counted(matrix, budget)
    if grows:
        one = "--residual" if options.residual is not None else "--max-blocks"
        raise UsageError(f"--passes and {one} both say when to stop", hint="leave one of them out")
    # the sweep, the whole matrix, its error
    lapack = budget.passes >= 3 and not budget.has_tolerance and wants_lapack(matrix, budget.rank, options)
    return few_passes.counted(matrix, budget) and not lapack


def _once(matrix: Metered, budget: Budget, options: SVDOptions, streams: Streams, form: Form | None) -> Outcome:
    """The SVD of a matrix that is seen one time: see ``one_pass``."""
    if options.residual is not None or options.max_blocks != MOST_BLOCKS:
        raise UsageError(
            "--residual and --max-blocks speak of further passes, and the matrix is seen once",
            hint="--block sets the columns of the one sketch",
        )
    source, scaled, assess, target = one_pass.see(matrix, budget, options.block, streams)
    return _finish(source, scaled, budget, target, assess, streams, form)


def _source(
    scaled: Scaled,
    budget: Budget,
    options: SVDOptions,
    assess: Assessor | None,
    target: float | None,
    streams: Streams,
) -> Source:
    grown = basis_for(scaled, budget, options, assess, target, streams)
    if grown is None:
        return Full(tall(scaled.matrix))
    return _refined(scaled, grown, math.inf if target is None else target)


def basis_for(
    scaled: Scaled,
    budget: Budget,
    options: SVDOptions,
    assess: Assessor | None,
    target: float | None,
    streams: Streams,
) -> Grown | None:
    """The basis that the rank or the tolerance asks for; None where LAPACK is the better way."""
    matrix = scaled.matrix
    # what spectral tolerances are judged by at this size is a decomposition itself
    judged_dense = target is not None and budget.norm == "spectral" and affordable(matrix.shape)
    if judged_dense or wants_lapack(matrix, budget.rank, options):
        return None
    how = options.block, options.max_blocks
    if options.residual is not None and budget.rank is not None:
        return to_residual(scaled, budget.rank, options.residual, streams, *how)
    if assess is None or target is None:
        return for_rank(scaled, budget.rank or 1, streams, *how)
    return to_tolerance(scaled, assess, target, budget.rank, streams, *how)


def _refined(scaled: Scaled, grown: Grown, target: float = math.inf) -> Refined:
    return Refined(tall(scaled.matrix), grown, scaled.squares**0.5, target)


def wants_lapack(matrix: Metered, rank: int | None, options: SVDOptions) -> bool:
    """Whether a full decomposition is the better way: decided by shape, storage, rank and options alone."""
    m, n = matrix.shape
    if m * n > LAPACK_ENTRIES:
        return False
    if m * n <= _SMALL_ENTRIES and min(m, n) <= _SMALL_SIDE:
        return True
    return rank is not None and LEAST_BLOCKS * width(rank, options.block) > FULL_SHARE * min(m, n)


def _finish(
    source: Source,
    scaled: Scaled,
    budget: Budget,
    target: float | None,
    assess: Assessor | None,
    streams: Streams,
    form: Form | None = None,
) -> Outcome:
    transposed, engine = scaled.matrix.shape[0] < scaled.matrix.shape[1], scaled.matrix.engine
    least = source.least()

    @functools.lru_cache(maxsize=1)  # assessed first, then handed over
    def build(k: int) -> Factorization:
        U, s, V = source.triplets(k, keep=True)
        made = signed(V, s, U, engine) if transposed else signed(U, s, V, engine)
        return made if form is None else form(_restored(made, scaled.exponent))

    def on_scale(k: int) -> Approximation:
        return build(k) if form is None or not scaled.exponent else build(k).scaled(-scaled.exponent)

    def optimal_lower(k: int) -> float:
        # Ritz values never exceed singular values: what the basis has beyond k is below the best possible error
        beyond = float(np.sum(least[k : k + 1] if budget.norm == "spectral" else least[k:]))
        return beyond**0.5 / assess.norm if assess is not None and assess.norm else 0.0

    squares = source.squares()
    done = complete(Ordered(on_scale, squares, source.beyond, optimal_lower), scaled, budget, target, assess)
    status = Status.PASSES_SPENT if done.status is Status.STAGNATED and source.spent else done.status
    factor = build(done.rank)
    certificate = done.certificate
    # enclosed is the error of the SVD itself
    if form is None and isinstance(source, Refined) and certificate.kind == "exact" and budget.norm == "fro":
        certificate = enclose(source, done.rank, certificate, scaled, budget.failure_probability, streams)
    if form is None:
        factor = _restored(factor, scaled.exponent)
    facts = {"kernels": [*source.kernels, f"sweep {scaled.facts.kernel}"], **source.facts}
    values = seen(squares, done.rank, scaled.exponent)
    if isinstance(factor, SVD):
        values = np.concatenate([factor.s, values[done.rank :]])
    return Outcome(factor, status, certificate, scaled.matrix.ledger, facts, values)


def _restored(factor: SVD, exponent: int) -> SVD:
    """That of the matrix as given."""
    if not exponent:
        return factor
    with np.errstate(over="ignore"):
        s = np.ldexp(factor.s, exponent)
    if not np.all(np.isfinite(s)):
        raise NumericalError(f"the largest singular value overflows {s.dtype}", hint="scale the matrix down")
    return dataclasses.replace(factor, s=s)


METHOD = Method(
    name="svd",
    options=SVDOptions,
    run=run,
    identity="A ~ U diag(s) Vh",
    cost="4 q m n b + 2 m n k flops in q + 4 passes (q blocks of b columns); LAPACK when small or nearly full rank; "
    "4 m n (2 k + 32) in one pass",
    reference="Musco and Musco 2015; Tropp and Webber 2023; one pass: Yu et al. 2017",
    guarantee="LAPACK: the smallest error there is; else within a fraction of a percent, and the report encloses it; "
    "one pass: its mean square at most 2 + k / (k + 31) times the smallest",
    choose="the smallest error for a rank; singular values; the yardstick of all others",
    spectrum=True,
    single_pass=True,
    least_passes=few_passes.LEAST,
)
