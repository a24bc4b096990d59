"""--certify probes with a tolerance: the bound itself meets it, so the true error does, and the rank stays sensible."""

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

SPECTRA = {
    "exp(-j/20)": lambda n: gallery.exponential(n, 0.05),
    "j^-2": lambda n: gallery.poly(n, 2.0),
    "j^-1": gallery.poly,
    "stairs": lambda n: gallery.stairs(n, 30),
    "sigmoid": lambda n: 1e-4 + 1 / (1 + np.exp(np.arange(1, n + 1) - 30.0)),
}
SIZES = {"small": (220, 180), "large": (520, 505)}
#: The interpolative decomposition of the larger size only on spectra where it needs few columns; slow: on all.
CASES = [
    pytest.param(
        method,
        spectrum,
        size,
        marks=pytest.mark.slow if method == "id" and size == "large" and spectrum != "exp(-j/20)" else (),
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
    asked = {"certify": "probes", "threads": 1, **METHODS[method], **asked}
    return lowrank_cli.approx(A, method=method.split()[0], **asked)


def errors(A, factor) -> tuple[float, float]:
    """(|A - F|_F / |A|_F, |A - F|_2 / |A|_2)"""
    E = A - factor.reconstruct()
    return float(np.linalg.norm(E) / np.linalg.norm(A)), float(np.linalg.norm(E, 2) / np.linalg.norm(A, 2))


@pytest.mark.parametrize("rtol", [1e-1, 1e-3])
@pytest.mark.parametrize(("method", "spectrum", "size"), CASES)
@pytest.mark.parametrize("norm", ["fro", "spectral"])
def test_the_bound_meets_the_tolerance_and_the_error_the_bound(norm, method, spectrum, size, rtol):
    A, _ = specimen(spectrum, size)
    done = approx(A, method, rtol=rtol, norm=norm)
    found, true = done.certificate, errors(A, done.factor)[norm == "spectral"]
    assert done.status is Status.CONVERGED and done.bound_met, done.status.advice
    assert true <= found.relative * (1 + 1e-12) + 1e-14 and found.relative <= rtol
    assert (found.kind, found.norm, found.failure_probability, found.probes) == ("bound", norm, 1e-6, 20)


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("method", METHODS)
def test_the_promise_holds_in_every_dtype_and_by_rows(method, dtype):
    A, _ = specimen("exp(-j/20)", "small", dtype)
    for norm in ("fro", "spectral"):
        done = approx(A, method, rtol=1e-2, norm=norm)
        assert done.bound_met and errors(A, done.factor)[norm == "spectral"] <= done.certificate.relative <= 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("method", ["svd", "id"])
def test_the_promise_holds_for_many_seeds(method, spectrum):
    A, _ = specimen(spectrum, "large")
    for seed in range(12):
        for rtol in (2e-1, 2e-2):
            done = approx(A, method, rtol=rtol, seed=seed)
            assert done.bound_met and errors(A, done.factor)[0] <= done.certificate.relative <= rtol, (seed, rtol)


@pytest.mark.parametrize("rtol", [1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_rank_is_at_most_that_of_a_tolerance_four_times_smaller(spectrum, size, rtol):
    """A bound with failure probability 1e-6 is 2.8 to 3 times the error."""
    A, s = specimen(spectrum, size)
    rank = approx(A, rtol=rtol).factor.rank
    assert measure.smallest_rank(s, rtol) <= rank <= measure.smallest_rank(s, rtol / 4) + 5


def test_a_larger_failure_probability_asks_for_fewer_columns():
    A, _ = specimen("exp(-j/20)", "small")
    ranks = [approx(A, rtol=1e-2, failure_probability=p).factor.rank for p in (0.1, 1e-3, 1e-6, 1e-12)]
    assert ranks == sorted(ranks) and ranks[0] < ranks[-1]


def test_a_tolerance_costs_no_pass_for_its_confirmation():
    A, _ = specimen("exp(-j/20)", "small")
    assert approx(A, rtol=1e-2).ledger.passes == lowrank_cli.approx(A, rank=5, certify="none").ledger.passes


@pytest.mark.parametrize("norm", ["fro", "spectral"])
@pytest.mark.parametrize("method", METHODS)
def test_a_rank_cap_that_comes_first_is_a_status_with_a_bound(method, norm):
    A, s = specimen("exp(-j/20)", "large")
    done = approx(A, method, rank=12, rtol=1e-6, norm=norm)
    best = s[12] / s[0] if norm == "spectral" else measure.best(s, 12) / measure.best(s, 0)
    assert done.status is Status.RANK_REACHED and not done.bound_met and done.factor.rank == 12
    assert best <= done.certificate.relative


@pytest.mark.parametrize("norm", ["fro", "spectral"])
def test_d19_a_tolerance_below_rounding_ends_as_stagnated_and_does_not_loop(norm):
    A, _ = specimen("exp(-j/20)", "small")
    done = approx(A, rtol=2.3e-16, norm=norm)
    assert done.status is Status.STAGNATED and max(errors(A, done.factor)) <= 200 * measure.eps(A)
    with pytest.raises(UsageError, match="below the rounding unit"):
        approx(A, rtol=2e-16, norm=norm)


@pytest.mark.parametrize("scale", [1e-290, 1e-150, 1e150, 1e290])
def test_an_absolute_tolerance_holds_at_every_scale(scale):
    A, _ = specimen("j^-2", "small")
    done = approx(A * scale, atol=2e-2 * scale)
    assert done.bound_met and done.certificate.absolute <= 2e-2 * scale
    assert np.linalg.norm(A - done.factor.reconstruct() / scale) * scale <= done.certificate.absolute


def test_a_probed_enclosure_of_the_best_error_contains_it():
    for spectrum in SPECTRA:
        A, s = specimen(spectrum, "large")
        for k in (5, 40):
            found = approx(A, rank=k).certificate
            best = measure.best(s, k) / measure.best(s, 0)
            assert found.optimal_lower <= best * (1 + 1e-12) and best <= found.optimal_upper


def test_the_same_probes_judge_every_method_alike():
    """The bound depends on the matrix, the seed and the residual: two methods with one residual get one bound."""
    A = np.diag([4.0, 3.0, 2.0, 1.0, 0.5])
    bounds = [approx(A, method, rank=3).certificate.relative for method in METHODS]
    assert bounds[0] == pytest.approx(bounds[1], rel=1e-12) and bounds[0] == pytest.approx(bounds[2], rel=1e-12)
