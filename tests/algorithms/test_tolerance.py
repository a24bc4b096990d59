"""What --rtol and --atol promise: the measured error meets them, and no smaller rank of the method's own order does."""

from __future__ import annotations

import functools

import gallery
import measure
import numpy as np
import pytest

import lowrank_cli
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.errors import UsageError

#: Spectra that fall fast, slowly, in steps and to a floor, j from 1.
SPECTRA = {
    "exp(-j/20)": lambda n: gallery.exponential(n, 0.05),
    "j^-2": lambda n: gallery.poly(n, 2.0),
    "stairs": lambda n: gallery.stairs(n, 30),
    "sigmoid": lambda n: 1e-4 + np.exp(-np.logaddexp(0.0, np.arange(1, n + 1) - 30.0)),
    "j^-1": gallery.poly,
    "j^-1/2": gallery.inverse_sqrt,
    "exp(-j/7)": lambda n: gallery.exponential(n, 1 / 7),
}
SIZES = {"small": (220, 180), "large": (520, 505)}
METHODS = {"svd": {}, "id": {"options": IDOptions()}, "id rows": {"options": IDOptions(axis="rows")}}


@functools.cache
def specimen(spectrum: str, size: str, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    m, n = SIZES[size]
    return gallery.with_spectrum(m, n, SPECTRA[spectrum](n), seed=3, dtype=dtype)


@functools.cache
def pivoted(spectrum: str, size: str) -> np.ndarray:
    return measure.geqp3_errors(specimen(spectrum, size)[0])


def approx(A, method, **asked):
    return lowrank_cli.approx(A, method=method.split()[0], **METHODS[method], **asked)


def one_rank_less(A, factor) -> float:
    """The relative error of the method's own order cut one short, at its best."""
    k = factor.rank - 1
    if factor.kind == "svd":
        return float(np.linalg.norm(A - (factor.U[:, :k] * factor.s[:k]) @ factor.Vh[:k]) / np.linalg.norm(A))
    chosen = A[:, factor.cols[:k]] if hasattr(factor, "cols") else A[factor.rows[:k]].conj().T
    rest = A if hasattr(factor, "cols") else A.conj().T
    Q = np.linalg.qr(chosen)[0]
    return float(np.linalg.norm(rest - Q @ (Q.conj().T @ rest)) / np.linalg.norm(A))


@pytest.mark.parametrize("rtol", [1e-1, 1e-3, 1e-9])
@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("method", METHODS)
def test_the_error_recomputed_in_extended_precision_meets_the_tolerance(method, spectrum, rtol):
    A, _ = specimen(spectrum, "small")
    outcome = approx(A, method, rtol=rtol)
    assert outcome.status is Status.CONVERGED and outcome.bound_met
    assert measure.relative(A, outcome.factor) <= rtol * (1 + 1e-12)
    assert outcome.certificate.relative <= rtol


@pytest.mark.parametrize(
    ("size", "rtol"),
    [
        ("small", 1e-1),
        ("small", 1e-3),
        ("small", 1e-9),
        ("large", 1e-2),
        pytest.param("large", 1e-9, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("method", METHODS)
def test_one_rank_less_would_miss_the_tolerance(method, spectrum, size, rtol):
    A, _ = specimen(spectrum, size)
    outcome = approx(A, method, rtol=rtol)
    assert outcome.certificate.relative <= rtol
    assert one_rank_less(A, outcome.factor) > rtol * (1 - 1e-9)


@pytest.mark.parametrize("rtol", [1e-1, 1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_rank_of_an_svd_is_the_best_possible_or_at_most_five_more(spectrum, size, rtol):
    A, s = specimen(spectrum, size)
    rank = lowrank_cli.approx(A, rtol=rtol).factor.rank
    assert 0 <= rank - measure.smallest_rank(s, rtol) <= 5


@pytest.mark.slow
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_rank_of_an_svd_is_at_most_five_above_the_best_for_many_seeds(spectrum):
    A, s = specimen(spectrum, "large")
    for seed in range(20):
        for rtol in (1e-1, 1e-2, 1e-3):
            rank = lowrank_cli.approx(A, rtol=rtol, seed=seed).factor.rank
            assert 0 <= rank - measure.smallest_rank(s, rtol) <= 5, (seed, rtol)


def test_a_long_flat_tail_below_the_tolerance_is_no_reason_to_stop():
    A, _ = specimen("sigmoid", "large")
    for method in METHODS:
        outcome = approx(A, method, rtol=1e-9)
        assert outcome.status is Status.CONVERGED and outcome.factor.rank == min(A.shape)


@pytest.mark.parametrize(
    ("size", "rtol"),
    [
        *(("small", rtol) for rtol in (1e-1, 1e-2, 1e-3, 1e-4)),
        ("large", 1e-1),
        *(pytest.param("large", rtol, marks=pytest.mark.slow) for rtol in (1e-2, 1e-3, 1e-4)),
    ],
)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_rank_of_an_interpolative_decomposition_is_that_of_lapacks_pivoting_or_at_most_five_more(
    spectrum, size, rtol
):
    """Columns of the matrix can do no better than the best subspace, and pivoting is allowed its own factor."""
    A, s = specimen(spectrum, size)
    errors = pivoted(spectrum, size)
    by_lapack = int(np.argmax(errors <= rtol * errors[0]))
    rank = lowrank_cli.approx(A, method="id", rtol=rtol).factor.rank
    assert measure.smallest_rank(s, rtol) <= rank <= by_lapack + 5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", SIZES)
def test_a_smaller_tolerance_never_gives_a_smaller_rank(method, size):
    A, _ = specimen("exp(-j/20)", size)
    ranks = [approx(A, method, rtol=10.0**-e).factor.rank for e in (1, 2, 3, 5, 8)]
    assert ranks == sorted(ranks) and ranks[0] < ranks[-1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_an_absolute_tolerance_means_the_norm_of_the_error(method, scale):
    A, _ = specimen("exp(-j/7)", "small")
    A = A * scale
    bound = 1e-3 * scale
    outcome = approx(A, method, atol=bound)
    assert outcome.certificate.absolute <= bound
    assert one_rank_less(A / scale, _scaled(outcome.factor, scale)) * np.linalg.norm(A / scale) > 1e-3 * (1 - 1e-9)


def _scaled(factor, scale):
    if factor.kind == "svd":
        return type(factor)(factor.U, factor.s / scale, factor.Vh)
    return factor


@pytest.mark.parametrize("method", METHODS)
def test_of_two_tolerances_both_hold(method):
    A, _ = specimen("exp(-j/20)", "small")
    size = np.linalg.norm(A)
    loose, tight = approx(A, method, rtol=1e-1).factor.rank, approx(A, method, rtol=1e-4).factor.rank
    assert approx(A, method, rtol=1e-1, atol=1e-4 * size).factor.rank == tight
    assert approx(A, method, rtol=1e-4, atol=1e-1 * size).factor.rank == tight
    assert loose < tight


@pytest.mark.parametrize("method", METHODS)
def test_without_rank_and_tolerance_the_error_is_at_most_one_percent(method):
    A, _ = specimen("exp(-j/20)", "small")
    outcome = approx(A, method)
    assert outcome.certificate.relative <= 0.01 < one_rank_less(A, outcome.factor)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("method", METHODS)
def test_a_rank_cap_that_comes_first_is_a_status_with_the_factors_at_the_cap(method, size):
    A, _ = specimen("exp(-j/20)", size)
    outcome = approx(A, method, rank=12, rtol=1e-6)
    assert outcome.status is Status.RANK_REACHED and not outcome.bound_met
    assert outcome.factor.rank == 12
    assert outcome.certificate.relative > 1e-6
    assert outcome.certificate.relative == pytest.approx(measure.relative(A, outcome.factor), rel=1e-8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("method", METHODS)
def test_a_cap_at_the_rank_that_is_needed_does_not_stop_early(method, size):
    A, _ = specimen("exp(-j/7)", size)
    needed = approx(A, method, rtol=1e-2).factor.rank
    at, above = approx(A, method, rtol=1e-2, rank=needed), approx(A, method, rtol=1e-2, rank=needed + 20)
    assert at.status is above.status is Status.CONVERGED
    assert at.factor.rank == above.factor.rank == needed
    assert approx(A, method, rtol=1e-2, rank=needed - 1).status is Status.RANK_REACHED


@pytest.mark.parametrize(("dtype", "below"), [("float64", 2e-16), ("float32", 1e-7), ("complex64", 1e-7)])
@pytest.mark.parametrize("method", METHODS)
def test_a_tolerance_below_eps_of_the_dtype_is_refused(method, dtype, below):
    A, _ = specimen("exp(-j/7)", "small", dtype)
    with pytest.raises(UsageError, match="below the rounding unit") as refused:
        approx(A, method, rtol=below)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("dtype", "rtol"),
    [("float64", 2.3e-16), ("float32", 1.2e-7), pytest.param("complex64", 1.2e-7, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("method", METHODS)
def test_a_tolerance_that_rounding_cannot_meet_ends_as_stagnated_or_is_met(method, dtype, rtol, size):
    A, _ = specimen("exp(-j/20)", size, dtype)
    outcome = approx(A, method, rtol=rtol)
    true = measure.relative(A, outcome.factor)
    if outcome.status is Status.CONVERGED:
        assert true <= rtol * (1 + 1e-3)
    else:
        assert outcome.status is Status.STAGNATED and outcome.certificate.relative > rtol
        # what was reached is still what this dtype can show
        assert true <= 200 * measure.eps(A)


@pytest.mark.parametrize("size", SIZES)
def test_what_stagnates_says_so(size):
    outcome = approx(np.ascontiguousarray(specimen("exp(-j/20)", size)[0]), "svd", rtol=2.3e-16)
    assert outcome.status is Status.STAGNATED and not outcome.bound_met


@pytest.mark.parametrize("method", METHODS)
def test_noise_that_fills_every_direction_needs_nearly_every_rank(method):
    A = np.random.default_rng(5).standard_normal((530, 520))
    outcome = approx(A, method, rtol=0.05)
    assert outcome.status is Status.CONVERGED and outcome.certificate.relative <= 0.05
    best = measure.smallest_rank(np.linalg.svd(A, compute_uv=False), 0.05)
    assert best <= outcome.factor.rank <= (best + 5 if method == "svd" else 520)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rtol", [0.5, 0.999])
def test_a_loose_tolerance_takes_one_column_where_one_is_enough(method, rtol):
    A, _ = gallery.with_spectrum(40, 30, gallery.step(30, 1, 1e-3))
    assert approx(A, method, rtol=rtol).factor.rank == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(9, 7), (530, 520)])
def test_a_zero_matrix_meets_every_tolerance(method, shape):
    outcome = approx(np.zeros(shape), method, rtol=1e-12)
    assert outcome.status is Status.CONVERGED
    assert outcome.factor.rank == 1 and outcome.certificate.relative == 0.0


@pytest.mark.parametrize("rtol", [1e-1, 1e-2, 1e-3])
def test_sparse_storage_takes_the_rank_that_dense_storage_takes(rtol):
    from scipy.sparse import csr_array

    A, s = specimen("j^-2", "large")
    A = np.where(np.abs(A) < np.quantile(np.abs(A), 0.8), 0.0, A)
    s = np.linalg.svd(A, compute_uv=False)
    outcome = lowrank_cli.approx(csr_array(A), rtol=rtol)
    assert measure.relative(A, outcome.factor) <= rtol * (1 + 1e-12)
    assert 0 <= outcome.factor.rank - measure.smallest_rank(s, rtol) <= 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spectrum", "ranks"),
    [
        ("exp(-j/20)", (47, 93, 139, 185)),
        ("j^-2", (3, 15, 68, 313)),
        ("stairs", (57, 110, 151, 207)),
        ("sigmoid", (30, 32, 35, 1972)),
    ],
)
def test_published_optimal_ranks_of_a_2000_column_matrix_are_met(spectrum, ranks):
    A, s = gallery.with_spectrum(2000, 2000, SPECTRA[spectrum](2000), seed=1)
    for e, rank in enumerate(ranks, start=1):
        # the tail of the stairs at 150 is the tolerance itself: rounding decides
        assert measure.smallest_rank(s, 10.0**-e * (1 - 1e-9)) == rank
        best = measure.smallest_rank(s, 10.0**-e)
        assert rank - best <= 1 and 0 <= lowrank_cli.approx(A, rtol=10.0**-e).factor.rank - best <= 5
