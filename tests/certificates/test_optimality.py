"""The enclosure of the best possible error: always around it, and tight where singular values decay fast."""

from __future__ import annotations

import functools
import math

import gallery
import measure
import numpy as np
import pytest

import lowrank_cli
from lowrank_cli.certificates import optimum as certificates
from lowrank_cli.certificates.probes import chi_square_quantile

#: Tight: to 1 %, from the basis, or where much of the tail lies beyond it from probes. Loose: hardly any decay.
TIGHT = {
    "1/i": gallery.poly,
    "exp(-i/20)": lambda n: gallery.exponential(n, 0.05),
    "exp(-i/7)": lambda n: gallery.exponential(n, 1 / 7),
    "1/i^2": lambda n: gallery.poly(n, 2.0),
    "1/i^3": lambda n: gallery.poly(n, 3.0),
    "stairs": lambda n: gallery.stairs(n, 30),
}
LOOSE = {"i^-1/2": gallery.inverse_sqrt, "flat": gallery.flat, "step": gallery.step}
SPECTRA = {**TIGHT, **LOOSE}
NORMS = ("fro", "spectral")


@functools.cache
def specimen(name: str, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    return gallery.with_spectrum(530, 510, SPECTRA[name](510), seed=6, dtype=dtype)


def optimum(s: np.ndarray, k: int, norm: str) -> float:
    """The least relative error of rank k (Eckart and Young 1936, Mirsky 1960)."""
    if norm == "fro":
        return measure.best(s, k) / measure.best(s, 0) if s.any() else 0.0
    return float(s[k] / s[0]) if k < len(s) and s[0] else 0.0


def encloses(found, best: float, rounding: float) -> bool:
    return found.optimal_lower - rounding <= best <= found.optimal_upper + rounding


@pytest.mark.parametrize("k", [1, 8, 40])
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("norm", NORMS)
def test_the_best_possible_error_lies_inside_for_every_seed(norm, name, k):
    A, s = specimen(name)
    for seed in range(2):
        found = lowrank_cli.approx(A, rank=k, norm=norm, seed=seed, threads=1).certificate
        assert encloses(found, optimum(s, k, norm), 1e-13)
        assert found.optimal_upper == found.relative


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("norm", NORMS)
def test_the_best_possible_error_lies_inside_for_many_seeds_and_ranks(norm, name):
    A, s = specimen(name)
    for seed in range(40):
        k = 1 + (7 * seed) % 90
        found = lowrank_cli.approx(A, rank=k, norm=norm, seed=seed, threads=1).certificate
        assert encloses(found, optimum(s, k, norm), 1e-13), (seed, k)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TIGHT, "i^-1/2"])
def test_the_default_svd_misses_the_best_error_by_at_most_half_a_percent_and_never_beats_it_over_300_seeds(name):
    A, s = specimen(name)
    best = measure.best(s, 20)
    for seed in range(300):
        ratio = lowrank_cli.approx(A, rank=20, seed=seed, threads=1).certificate.absolute / best
        assert 1 - 100 * measure.eps(A) * np.linalg.norm(s) / best <= ratio <= 1.005, seed


@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
@pytest.mark.parametrize("norm", NORMS)
def test_the_best_possible_error_lies_inside_on_the_gallery_at_every_rank(norm, name):
    A, s = gallery.GALLERY[name]()
    if s is None:
        s = np.linalg.svd(A, compute_uv=False)
    for k in range(1, min(A.shape) + 1):
        found = lowrank_cli.approx(A, rank=k, norm=norm, threads=1).certificate
        assert encloses(found, optimum(s, k, norm), 30 * measure.eps(A)), k


@pytest.mark.parametrize("k", [5, 25])
@pytest.mark.parametrize("name", TIGHT)
@pytest.mark.parametrize("norm", NORMS)
def test_the_enclosure_is_within_one_percent_where_singular_values_decay_fast(norm, name, k):
    A, _ = specimen(name)
    found = lowrank_cli.approx(A, rank=k, norm=norm, threads=1).certificate
    assert 0 < found.optimal_upper <= 1.01 * found.optimal_lower


@pytest.mark.parametrize("norm", NORMS)
def test_a_full_decomposition_knows_the_best_error_to_rounding(norm):
    for name in SPECTRA:
        A = specimen(name)[0][:60, :45]
        s = np.linalg.svd(A, compute_uv=False)
        found = lowrank_cli.approx(A, rank=9, norm=norm, threads=1).certificate
        assert found.optimal_lower == pytest.approx(optimum(s, 9, norm), rel=1e-12, abs=0)
        assert found.optimal_upper == pytest.approx(found.optimal_lower, rel=1e-9, abs=0)


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
@pytest.mark.parametrize("norm", NORMS)
def test_the_best_possible_error_lies_inside_in_every_dtype(norm, dtype):
    A, s = specimen("1/i", dtype)
    found = lowrank_cli.approx(A, rank=10, norm=norm, threads=1).certificate
    assert encloses(found, optimum(s, 10, norm), 30 * measure.eps(A))


@pytest.mark.parametrize("norm", NORMS)
def test_a_rank_found_for_a_tolerance_has_its_enclosure_too(norm):
    A, s = specimen("1/i^2")
    done = lowrank_cli.approx(A, rtol=0.01, norm=norm, threads=1)
    assert encloses(done.certificate, optimum(s, done.factor.rank, norm), 1e-13)


@pytest.mark.parametrize("norm", NORMS)
def test_the_lower_end_never_exceeds_the_upper(norm):
    for name in SPECTRA:
        A, _ = specimen(name)
        for B, k in ((A, 10), (A[:50, :40], 1), (A[:50, :40], 10), (A[:50, :40], 40)):
            for seed in range(2):
                found = lowrank_cli.approx(B, rank=k, norm=norm, seed=seed, threads=1).certificate
                assert found.optimal_lower <= found.optimal_upper


def test_what_an_interpolative_decomposition_does_not_know_it_does_not_claim():
    A, _ = specimen("1/i")
    found = lowrank_cli.approx(A, method="id", rank=10).certificate
    assert found.optimal_lower is None and found.optimal_upper is None


@pytest.mark.parametrize(("observed", "bulk", "degree"), [(3.0, 0.1, 8), (1e60, 1e-3, 8), (1e300, 1e-300, 64)])
def test_the_bound_from_probes_solves_its_equation_however_large_they_came_out(observed, bulk, degree):
    found = certificates.cap(observed, bulk, degree, 1e-6)
    there = math.log(found) + 2 * math.log(certificates.chebyshev(degree, 2 * found / bulk - 1))
    assert there == pytest.approx(math.log(observed / chi_square_quantile(1e-6, certificates.COUNT, False)), abs=1e-9)
