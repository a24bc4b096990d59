"""--norm spectral: the promise holds against a dense decomposition, at a rank close to the best possible."""

from __future__ import annotations

import functools

import gallery
import measure
import numpy as np
import pytest

import lowrank_cli
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.certificates import spectral
from lowrank_cli.errors import UsageError

SPECTRA = {
    "exp(-j/20)": lambda n: gallery.exponential(n, 0.05),
    "j^-2": lambda n: gallery.poly(n, 2.0),
    "j^-1": gallery.poly,
    "j^-1/2": gallery.inverse_sqrt,
    "stairs": lambda n: gallery.stairs(n, 30),
    "sigmoid": lambda n: 1e-4 + 1 / (1 + np.exp(np.arange(1, n + 1) - 30.0)),
}
#: small goes to LAPACK, large to a Krylov basis
SIZES = {"small": (140, 120), "large": (520, 505)}
#: The interpolative decomposition of the larger size only on spectra where it needs few columns; slow: on all.
CASES = [
    pytest.param(
        method,
        spectrum,
        size,
        marks=pytest.mark.slow if method == "id" and size == "large" and spectrum not in ("j^-2", "sigmoid") else (),
    )
    for method in ("svd", "id")
    for spectrum in SPECTRA
    for size in SIZES
]
METHODS = {"svd": {}, "id": {"options": IDOptions()}, "id rows": {"options": IDOptions(axis="rows")}}


@functools.cache
def specimen(spectrum: str, size: str, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    m, n = SIZES[size]
    return gallery.with_spectrum(m, n, SPECTRA[spectrum](n), seed=3, dtype=dtype)


def approx(A, method="svd", **asked):
    asked = {"norm": "spectral", "threads": 1, **METHODS[method], **asked}
    return lowrank_cli.approx(A, method=method.split()[0], **asked)


def true_relative(A, factor) -> float:
    A = measure.dense(A)
    size = np.linalg.norm(A, 2)
    return float(np.linalg.norm(A - factor.reconstruct(), 2) / size) if size else 0.0


def best_rank(s: np.ndarray, rtol: float) -> int:
    """The fewest columns any approximation within rtol of the spectral norm can have."""
    return max(1, int(np.argmax(np.append(s, 0.0) <= rtol * s[0])))


def assert_promise(A, done, rtol: float) -> None:
    """Met, and truly met: the error that is reported is no smaller than that of a dense decomposition."""
    true, found = true_relative(A, done.factor), done.certificate
    rounding = 50 * measure.eps(A)
    assert done.status is Status.CONVERGED and done.bound_met, done.status.advice
    assert true <= rtol + rounding
    assert true - rounding <= found.relative <= rtol
    assert found.norm == "spectral"


@pytest.fixture
def unaffordable(monkeypatch):
    """As if the matrix were too large to decompose: spectral errors are then intervals."""
    monkeypatch.setattr(spectral, "affordable", lambda shape: False)


# The promise


@pytest.mark.parametrize("rtol", [3e-1, 1e-1, 2e-3])
@pytest.mark.parametrize(("method", "spectrum", "size"), CASES)
def test_the_exact_spectral_error_meets_the_tolerance(method, spectrum, size, rtol):
    A, _ = specimen(spectrum, size)
    done = approx(A, method, rtol=rtol)
    assert_promise(A, done, rtol)
    assert done.certificate.kind == "exact"
    assert done.certificate.relative == pytest.approx(true_relative(A, done.factor), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("rtol", [3e-1, 2e-3])
@pytest.mark.parametrize(("method", "spectrum", "size"), CASES)
def test_the_bound_of_a_matrix_too_large_to_decompose_meets_the_tolerance(method, spectrum, size, rtol, unaffordable):
    A, _ = specimen(spectrum, size)
    done = approx(A, method, rtol=rtol)
    assert_promise(A, done, rtol)
    assert done.certificate.kind == "bound" and done.certificate.failure_probability == 1e-6


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("method", METHODS)
def test_the_promise_holds_in_every_dtype_and_by_rows(method, dtype):
    A, _ = specimen("exp(-j/20)", "small", dtype)
    assert_promise(A, approx(A, method, rtol=1e-2), 1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("certify", ["exact", "probes"])
@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("method", ["svd", "id"])
def test_the_promise_holds_for_many_seeds(method, spectrum, certify):
    A, s = specimen(spectrum, "large")
    for seed in range(10):
        for rtol in (2e-1, 2e-2):
            done = approx(A, method, rtol=rtol, seed=seed, certify=certify)
            assert_promise(A, done, rtol)
            if method == "svd" and certify == "exact":
                assert done.factor.rank <= best_rank(s, rtol) + 5


@pytest.mark.parametrize("certify", ["exact", "probes"])
def test_sparse_storage_keeps_the_promise(certify):
    from scipy.sparse import csr_array

    A, _ = specimen("j^-2", "large")
    S = csr_array(np.where(np.abs(A) < np.quantile(np.abs(A), 0.8), 0.0, A))
    assert_promise(S, approx(S, rtol=1e-1, certify=certify), 1e-1)


@pytest.mark.parametrize("method", ["svd", "id"])
@pytest.mark.parametrize("scale", [1e-290, 1e-150, 1e150, 1e290])
def test_an_absolute_tolerance_means_the_spectral_norm_at_every_scale(method, scale):
    A, _ = specimen("j^-2", "small")
    done = approx(A * scale, method, atol=2e-2 * scale)
    assert done.bound_met and done.certificate.absolute <= 2e-2 * scale
    E = A - (done.factor.reconstruct() / scale)
    assert np.linalg.norm(E, 2) <= 2e-2
    assert done.certificate.absolute / scale == pytest.approx(np.linalg.norm(E, 2), rel=1e-9, abs=0)


# The rank


@pytest.mark.parametrize("rtol", [3e-1, 1e-1, 2e-3])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_rank_of_an_svd_is_the_best_possible_or_at_most_five_more(spectrum, size, rtol):
    A, s = specimen(spectrum, size)
    rank = approx(A, rtol=rtol).factor.rank
    assert 0 <= rank - best_rank(s, rtol) <= 5


@pytest.mark.parametrize("spectrum", ["exp(-j/20)", "j^-2", "j^-1", "sigmoid"])
def test_a_bound_costs_an_svd_at_most_the_ranks_of_a_tolerance_six_percent_smaller(spectrum, unaffordable):
    A, s = specimen(spectrum, "large")
    for rtol in (3e-1, 1e-1, 1e-2):
        rank = approx(A, rtol=rtol).factor.rank
        assert best_rank(s, rtol) <= rank <= max(best_rank(s, rtol / 1.06) * 1.05, best_rank(s, rtol) + 5)


@pytest.mark.parametrize("rtol", [3e-1, 1e-1, 2e-3])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_an_interpolative_decomposition_takes_few_more_columns_than_its_own_order_needs(spectrum, rtol):
    A, _ = specimen(spectrum, "small")
    rank = approx(A, "id", rtol=rtol).factor.rank
    needed = rank
    while needed > 1 and true_relative(A, approx(A, "id", rank=needed - 1).factor) <= rtol:
        needed -= 1
    assert rank <= needed * 1.06 + 2


@pytest.mark.parametrize("method", METHODS)
def test_a_smaller_tolerance_never_gives_a_smaller_rank(method):
    A, _ = specimen("exp(-j/20)", "small")
    ranks = [approx(A, method, rtol=10.0**-e).factor.rank for e in (0.5, 1, 1.5, 2)]
    assert ranks == sorted(ranks) and ranks[0] < ranks[-1]


@pytest.mark.parametrize("method", ["svd", "id"])
@pytest.mark.parametrize("size", SIZES)
def test_a_rank_cap_that_comes_first_is_a_status(method, size):
    A, s = specimen("exp(-j/20)", size)
    done = approx(A, method, rank=12, rtol=1e-6)
    assert done.status is Status.RANK_REACHED and not done.bound_met and done.factor.rank == 12
    assert done.certificate.relative >= s[12] * (1 - 1e-12)


def test_a_tolerance_below_rounding_ends_as_stagnated_and_does_not_loop():
    A, _ = specimen("exp(-j/20)", "small")
    done = approx(A, rtol=2.3e-16)
    assert done.status is Status.STAGNATED and true_relative(A, done.factor) <= 200 * measure.eps(A)
    with pytest.raises(UsageError, match="below the rounding unit"):
        approx(A, rtol=2e-16)


# At a rank that is asked for


@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
def test_the_error_of_a_rank_is_the_next_singular_value_and_so_is_the_optimum(name):
    A, s = gallery.GALLERY[name]()
    k = max(1, min(A.shape) // 3)
    found = approx(A, rank=k).certificate
    values = np.linalg.svd(A.astype("complex128"), compute_uv=False) if s is None else s
    best = values[k] / values[0] if k < len(values) and values[0] else 0.0
    slack = 30 * measure.eps(A)
    assert found.kind == "exact" and found.norm == "spectral"
    assert abs(found.relative - best) <= slack
    if values[0]:
        assert found.optimal_lower - slack <= best <= found.optimal_upper + slack


@pytest.mark.parametrize("k", [5, 20, 60])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_enclosure_of_the_best_spectral_error_holds_in_a_krylov_basis(spectrum, k):
    A, s = specimen(spectrum, "large")
    for seed in range(2):
        found = approx(A, rank=k, seed=seed).certificate
        best = s[k] / s[0]
        assert 0 <= found.optimal_lower <= best * (1 + 1e-12) and best <= found.optimal_upper * (1 + 1e-12)
        assert found.optimal_upper == found.relative
        if spectrum in ("exp(-j/20)", "j^-2"):
            assert found.optimal_upper <= 1.01 * found.optimal_lower


@pytest.mark.parametrize("certify", ["exact", "probes"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(9, 7), (520, 505)])
def test_a_zero_matrix_meets_every_tolerance(method, shape, certify):
    done = approx(np.zeros(shape), method, rtol=1e-12, certify=certify)
    assert done.status is Status.CONVERGED and done.factor.rank == 1 and done.certificate.relative == 0.0


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 2)])
@pytest.mark.parametrize("certify", ["exact", "probes"])
def test_the_smallest_matrices_are_certified(shape, certify):
    A = np.random.default_rng(4).standard_normal(shape)
    done = approx(A, rtol=1e-3, certify=certify)
    assert done.bound_met and done.factor.rank == min(shape)
    assert true_relative(A, done.factor) <= done.certificate.relative + 8 * measure.eps(A) <= 1e-3


@pytest.mark.parametrize("shape", [(40, 101_000), (101_000, 40)])
def test_few_rows_or_columns_of_great_length_get_a_finite_bound(shape):
    """Too many entries to decompose for the norm alone, and a side shorter than the starting block of an iteration."""
    A = np.random.default_rng(5).standard_normal(shape).astype("float32")
    found = approx(A, rank=10, norm="spectral").certificate
    best = float(np.linalg.svd(A.T @ A if shape[1] < shape[0] else A @ A.T, compute_uv=False)[10]) ** 0.5
    assert found.absolute is not None and 0.99 * best <= found.absolute <= 1.2 * best


# Reports


def test_relative_errors_are_over_the_spectral_norm_and_absolute_ones_are_not():
    A, s = specimen("j^-1", "small")
    found = approx(7 * A, rank=10).certificate
    assert found.absolute == pytest.approx(7 * s[10], rel=1e-12) and found.matrix_norm == pytest.approx(7, rel=1e-12)
    assert found.relative == pytest.approx(s[10], rel=1e-12)


def test_a_bound_carries_its_estimate_from_below(unaffordable):
    A, s = specimen("j^-1", "large")
    found = approx(A, rank=30).certificate
    assert found.kind == "bound" and found.probes == spectral.STARTS
    assert found.relative_estimate <= found.relative <= 1.1 * found.relative_estimate
    assert found.relative >= s[30]


@pytest.mark.parametrize("name", SPECTRA)
def test_a_bound_encloses_the_best_possible_error_and_says_how_often_it_may_not(unaffordable, name):
    A, s = specimen(name, "large")
    found = approx(A, rank=30).certificate
    best = s[30] / s[0]
    assert found.optimal_failure_probability == 1e-6 and found.optimal_upper == found.relative
    assert found.optimal_lower - 1e-13 <= best <= found.optimal_upper + 1e-13
    assert found.optimal_upper <= 1.15 * found.optimal_lower + 1e-12
