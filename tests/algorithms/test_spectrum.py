"""Singular values against closed forms, LAPACK and published ones: each within its radius, however computed."""

from __future__ import annotations

import functools
import math

import gallery
import numpy as np
import pytest

from lowrank_cli.algorithms import spectrum as algorithm
from lowrank_cli.analysis.spectrum import spectrum
from lowrank_cli.engines.blas import single_threaded
from lowrank_cli.errors import InputError, NumericalError, ResourceError, UsageError
from lowrank_cli.formats.memory import from_array
from lowrank_cli.formats.opening import open_matrix

M, N = 600, 520  # beyond the size that goes to LAPACK


@pytest.fixture(autouse=True)
def one_blas_thread():
    """The oracles' BLAS too: idle threads of it would only get in the way."""
    with single_threaded():
        yield


def of(A, **asked):
    return spectrum(from_array(A), digests=False, **asked)


@functools.cache
def large(name: str, dtype: str = "float64") -> tuple[np.ndarray, np.ndarray]:
    return gallery.with_spectrum(M, N, gallery.SPECTRA[name](N), seed=3, dtype=dtype)


def krylov(A, **asked):
    report = of(A, **asked)
    assert report["method"] == "block krylov" and report["status"] == "converged"
    return report


def assert_within_radii(report, s, rounding=0.0):
    """Every value has a true one as near as its radius says, and it is the one of the same index."""
    values, radii = np.array(report["values"]), np.array(report["radii"])
    assert np.all(np.abs(values - s[: len(values)]) <= radii + rounding)


# Closed forms, all values


@pytest.mark.parametrize(
    "name",
    [
        "hilbert_10",
        "lower_ones_30",
        "path_difference_31",
        "dft_16",
        "clement_21",
        "one_by_25",
        "25_by_one",
        "zero_20x10",
    ],
)
def test_all_values_of_a_closed_form_are_found_to_rounding(name):
    A, s = gallery.GALLERY[name]()
    report = of(A)
    assert report["known"] == report["count"] == len(s) == len(report["values"])
    assert_within_radii(report, s, rounding=4 * np.finfo(float).eps * s[0])


def test_the_condition_of_the_hilbert_matrices_is_the_published_one():
    assert of(gallery.hilbert(5)[0])["condition"] == pytest.approx(476607.250243, rel=1e-10)
    low, high = of(gallery.hilbert(10)[0])["intervals"]["condition"]
    assert low <= 1.60262868702e13 <= high


def test_a_condition_lost_in_rounding_is_given_from_below_only():
    report = of(gallery.hilbert(14)[0])
    assert report["condition"] is None
    low, high = report["intervals"]["condition"]
    assert 1e14 < low < 1e20 and high is None


def test_the_numeric_rank_of_hilbert_12_is_what_its_gap_says():
    report = of(gallery.hilbert(12)[0])
    s, gap, rank = np.array(report["values"]), report["gap"], report["numeric_rank"]
    assert rank == 11 and gap["above"] == s[rank - 1] and gap["below"] == s[rank]
    assert gap["above"] > gap["threshold"] == 12 * np.finfo(float).eps * s[0] >= gap["below"]
    assert gap["ratio"] == pytest.approx(gap["above"] / gap["below"])


def test_the_smallest_value_of_kahan_is_not_missed():
    A, _ = gallery.kahan(60)
    s = np.array(of(A)["values"])
    # the classical bound: far below the last diagonal entry, which pivoting would offer
    assert s[-1] < 0.2 * abs(A[-1, -1])
    assert s[-1] == pytest.approx(1 / np.linalg.norm(np.linalg.inv(A), 2), rel=1e-6)


# Closed forms, leading values by Krylov


@pytest.mark.parametrize("k", [1, 10, 40])
@pytest.mark.parametrize("make", [gallery.lower_triangular_ones, gallery.path_difference, gallery.clement, gallery.dft])
def test_leading_values_of_a_large_closed_form_lie_within_their_radii(make, k):
    A, s = make(700)
    report = of(A, k=k)
    assert len(report["values"]) == k
    assert_within_radii(report, s)
    assert max(report["radii"]) <= 2e-10 * s[0]


@pytest.mark.parametrize("name", sorted(gallery.SPECTRA))
def test_leading_values_agree_with_lapack_whatever_the_decay(name):
    A, _ = large(name)
    report = of(A, k=12)
    s = np.linalg.svd(A, compute_uv=False)
    assert_within_radii(report, s)
    assert np.array(report["values"]) == pytest.approx(s[:12], rel=1e-9, abs=1e-13 * s[0])


@pytest.mark.parametrize("copies", [20, 50])
def test_a_value_repeated_as_often_as_values_are_sought_is_found_each_time(copies):
    A, s = gallery.with_spectrum(M, N, gallery.step(N, copies, 0.5), seed=5)
    report = krylov(A, k=copies + 1)
    assert_within_radii(report, s)
    assert sum(v > 0.75 for v in report["values"]) == copies


def test_computed_values_never_exceed_the_true_ones():
    """Cauchy interlacing: a projection has smaller singular values."""
    A, s = large("poly_1")
    values = np.array(krylov(A, k=20)["values"])
    assert np.all(values <= s[:20] * (1 + 1e-13))


@pytest.mark.parametrize(("dtype", "accuracy"), [("float32", 1e-5), ("complex64", 1e-5), ("complex128", 1e-10)])
def test_other_dtypes_say_how_far_they_can_be_trusted(dtype, accuracy):
    A, _ = large("poly_1", dtype)
    s = np.linalg.svd(A.astype(complex), compute_uv=False)
    report = krylov(A, k=20)
    assert_within_radii(report, s)
    assert max(report["radii"]) <= 2 * accuracy * s[0]


def test_single_precision_is_decomposed_in_double():
    A, _ = gallery.with_spectrum(80, 60, gallery.poly(60), dtype="float32")
    s = np.linalg.svd(A.astype(float), compute_uv=False)
    assert np.array(of(A)["values"]) == pytest.approx(s, rel=1e-13)


def test_a_wide_matrix_has_the_values_of_its_transpose():
    A, _ = large("poly_1")
    tall, wide = krylov(A, k=15), krylov(np.ascontiguousarray(A.T), k=15)
    assert tall["values"] == pytest.approx(wide["values"], rel=1e-12)


# What is asked for


def test_a_matrix_that_lapack_does_at_once_shows_all_values_unless_told_otherwise():
    A, s = gallery.GALLERY["poly_1_40x30"]()
    assert len(of(A)["values"]) == 30
    few = of(A, k=4)
    assert len(few["values"]) == 4 and few["known"] == 30
    assert few["norms"]["nuclear"] == pytest.approx(float(s.sum()))


def test_a_larger_matrix_shows_fifty_values_unless_told_otherwise():
    A, s = large("exponential")
    report = krylov(A)
    assert len(report["values"]) == report["known"] == 50 and report["count"] == N
    whole = of(A, all=True)
    assert len(whole["values"]) == N and whole["method"] == "lapack"
    assert_within_radii(whole, s)


def test_a_basis_that_takes_most_columns_gives_way_to_lapack():
    A, _ = large("flat")
    A = A + np.diag(1e-3 * np.sin(np.arange(float(M))))[:, :N]
    report = of(A, k=30)
    assert report["method"] == "lapack" and report["known"] == N and len(report["values"]) == 30


@pytest.mark.parametrize(("asked", "what"), [({"k": 31}, "31 is too large"), ({"k": 0}, "-k"), ({"k": True}, "-k")])
def test_a_count_that_makes_no_sense_is_a_usage_error(asked, what):
    with pytest.raises(UsageError, match=what):
        of(np.ones((40, 30)), **asked)


def test_all_and_a_count_contradict_each_other():
    with pytest.raises(UsageError, match="contradict"):
        of(np.ones((4, 3)), k=2, all=True)


def test_all_values_of_a_matrix_too_large_to_decompose_are_refused_before_any_work():
    from scipy.sparse import csr_array

    with pytest.raises(ResourceError, match="dense decomposition"):
        of(csr_array((100_000, 90_000)), all=True)


def test_nan_is_refused_with_its_place():
    A = np.ones((5, 4))
    A[2, 3] = math.nan
    with pytest.raises(InputError, match="row 2, column 3"):
        of(A)


# LAPACK is checked


def test_d25_garbage_from_one_driver_is_caught_and_the_other_asked(monkeypatch):
    A, s = gallery.GALLERY["poly_1_40x30"]()
    monkeypatch.setattr(algorithm, "_gesdd", lambda A: np.full(30, 0.3))
    report = of(A)
    assert report["method_facts"]["kernels"][0] == "lapack gesvd"
    assert report["values"] == pytest.approx(list(s))


def test_d25_a_driver_that_fails_gives_way_to_the_other(monkeypatch):
    monkeypatch.setattr(algorithm, "_gesdd", lambda A: None)
    assert of(np.eye(5))["values"] == [1.0] * 5


@pytest.mark.parametrize("garbage", [np.full(30, math.nan), np.zeros(30), np.arange(30.0), -np.ones(30)])
def test_d25_garbage_from_both_drivers_is_a_numerical_error(monkeypatch, garbage):
    A, _ = gallery.GALLERY["poly_1_40x30"]()
    for name in ("_gesdd", "_gesvd"):
        monkeypatch.setattr(algorithm, name, lambda A: garbage)
    with pytest.raises(NumericalError, match="norm of the matrix"):
        of(A)


# Scale, threads, storage


@pytest.mark.parametrize("exponent", [-664, 664])
@pytest.mark.parametrize("k", [None, 12])
def test_scaling_by_a_power_of_two_scales_the_values_and_nothing_else(exponent, k):
    A = large("poly_1")[0] if k else gallery.GALLERY["poly_1_40x30"]()[0]
    plain, scaled = of(A, k=k), of(np.ldexp(A, exponent), k=k)
    assert scaled["values"] == list(np.ldexp(plain["values"], exponent))
    for same in ("energy", "tail", "effective_ranks", "numeric_rank", "condition"):
        assert scaled[same] == plain[same]


@pytest.mark.parametrize("factor", [1e-200, 1e200, 1e-300, 1e300])
def test_no_scale_overflows_or_vanishes(factor):
    A, s = gallery.GALLERY["poly_1_40x30"]()
    report = of(factor * A)
    assert np.array(report["values"]) / factor == pytest.approx(s, rel=1e-12)
    assert report["effective_ranks"]["participation"] == pytest.approx(np.sum(s**2) ** 2 / np.sum(s**4))
    assert report["norms"]["fro"] / factor == pytest.approx(float(np.linalg.norm(s)))


def test_a_largest_value_beyond_the_largest_float_is_an_error_and_no_infinity():
    with pytest.raises(NumericalError, match="overflows"):
        of(np.full((20, 20), 1.7e308))


@pytest.mark.parametrize("k", [None, 20])
def test_threads_and_storage_order_change_no_bit(k):
    A = large("inverse_sqrt")[0] if k else gallery.GALLERY["poly_1_40x30"]()[0]
    first = of(A, k=k, threads=1)
    assert of(A, k=k, threads=4) == first
    assert of(np.asfortranarray(A), k=k, threads=2) == first


def test_another_seed_finds_the_same_values():
    A, _ = large("poly_1")
    assert krylov(A, k=10)["values"] == pytest.approx(krylov(A, k=10, seed=7)["values"], rel=1e-12)


# Real matrices


def published(data):
    import scipy.io

    return scipy.io.loadmat(data("1138_bus_SVD.mat"))["S"]["s"][0, 0].ravel()


def test_the_leading_values_of_1138_bus_are_the_published_ones(data):
    report = spectrum(open_matrix(str(data("1138_bus.mtx"))), digests=False)
    s = published(data)
    assert report["method"] == "block krylov" and len(report["values"]) == 50
    assert np.array(report["values"]) == pytest.approx(s[:50], rel=1e-8)
    for name, truth in {
        "nuclear": s.sum(),
        "spectral": s[0],
        "stable": np.sum(s**2) / s[0] ** 2,
        "participation": np.sum(s**2) ** 2 / np.sum(s**4),
        "renyi_2": np.sum(s) ** 2 / np.sum(s**2),
        "renyi_inf": np.sum(s) / s[0],
        "numeric": 1138,
    }.items():
        low, high = report["intervals"][name]
        assert low * (1 - 1e-9) <= truth <= high * (1 + 1e-9), name


def test_all_values_of_1138_bus_are_the_published_ones(data):
    report = spectrum(open_matrix(str(data("1138_bus.mtx"))), all=True, digests=False)
    s = published(data)
    assert np.array(report["values"]) == pytest.approx(s, rel=1e-8)
    assert report["numeric_rank"] == 1138 and report["condition"] == pytest.approx(s[0] / s[-1], rel=1e-5)


def test_repeated_values_of_dwt_992_are_found_as_often_as_they_occur(data):
    loaded = open_matrix(str(data("dwt_992.mtx")))
    s = np.linalg.svd(loaded.array.toarray(), compute_uv=False)
    report = krylov_of(loaded, k=60)
    assert_within_radii(report, s)
    whole = spectrum(loaded, all=True, digests=False)
    assert whole["numeric_rank"] == 496 and whole["gap"]["ratio"] > 1e6


def krylov_of(loaded, **asked):
    report = spectrum(loaded, digests=False, **asked)
    assert report["method"] == "block krylov"
    return report


def test_a_large_sparse_matrix_is_not_expanded_for_its_remainder():
    from scipy.sparse import random_array

    A = random_array((20_000, 15_000), density=2e-4, rng=np.random.default_rng(1), format="csr")
    A = A.multiply(1.0 / np.arange(1, 15_001)).tocsr()
    report = krylov_of(from_array(A), k=3)
    assert report["method_facts"]["remainder"] == "norms"
    low, high = report["intervals"]["nuclear"]
    assert np.sum(report["values"]) < low < high
    assert report["tail"][-1] == pytest.approx(math.sqrt(1 - report["energy"][-1]), rel=1e-9)


# Paths that only large matrices take


@pytest.fixture
def too_large_for_lapack(monkeypatch):
    monkeypatch.setattr(algorithm, "LAPACK_ENTRIES", 0)
    monkeypatch.setattr(algorithm, "wants_lapack", lambda *_: False)


@pytest.mark.parametrize("name", ["poly_1", "stairs", "exponential"])
def test_all_values_of_a_very_tall_matrix_come_from_a_full_basis(too_large_for_lapack, name):
    A, s = gallery.with_spectrum(2000, 20, gallery.SPECTRA[name](20), seed=2)
    report = krylov(A)
    assert report["known"] == report["count"] == 20 and report["failure_probability"] is None
    assert_within_radii(report, s)
    assert report["norms"]["nuclear"] == pytest.approx(s.sum(), rel=1e-12)
    assert report["condition"] == pytest.approx(s[0] / s[-1], rel=1e-9)


@pytest.mark.parametrize("make", [lambda: gallery.all_equal(90, 70), lambda: gallery.duplicate_columns(80, 30)])
def test_a_matrix_with_fewer_directions_than_values_sought_has_zeros_for_the_rest(too_large_for_lapack, make):
    A, s = make()
    report = krylov(A, k=50)
    assert_within_radii(report, s)
    low, high = report["intervals"]["numeric"]
    assert low == high == np.count_nonzero(s)


def test_values_of_a_basis_cut_short_say_how_uncertain_they_are(too_large_for_lapack, monkeypatch):
    monkeypatch.setattr(algorithm, "MOST_BLOCKS", 2)
    A, s = large("inverse_sqrt")
    report = of(A, k=10)
    values, radii = np.array(report["values"]), np.array(report["radii"])
    assert report["status"] == "passes_spent" and max(radii) > 1e-4 * s[0]
    for value, radius in zip(values, radii, strict=True):
        assert np.min(np.abs(s - value)) <= radius
    for name, truth in {"nuclear": s.sum(), "spectral": s[0], "stable": np.sum(s**2) / s[0] ** 2}.items():
        low, high = report["intervals"][name]
        assert low <= truth <= high, name


def test_a_basis_that_memory_cannot_hold_is_refused(too_large_for_lapack, monkeypatch):
    from lowrank_cli import memory

    monkeypatch.setattr(memory, "available_memory", lambda: 100_000)
    with pytest.raises(ResourceError, match="Krylov basis"):
        of(large("poly_1")[0], k=10)
