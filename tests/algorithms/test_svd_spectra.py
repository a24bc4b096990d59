"""Singular values against closed forms, published values and LAPACK, on the gallery and on real matrices."""

from __future__ import annotations

import csv
import functools

import gallery
import measure
import numpy as np
import pytest
import scipy.io

import lowrank_cli
from lowrank_cli.algorithms.svd import SVDOptions


def svd(A, **asked):
    return lowrank_cli.approx(A, method="svd", **asked)


@functools.cache
def spectrum(path) -> np.ndarray:
    """All singular values of a Matrix Market file by LAPACK."""
    A = scipy.io.mmread(path).toarray()
    if np.array_equal(A, A.conj().T):
        return np.sort(np.abs(np.linalg.eigvalsh(A)))[::-1]
    return np.linalg.svd(A, compute_uv=False)


def assert_close(found, wanted, units: float, A) -> None:
    """Singular values are known to a few eps of the largest, never of each."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=units * measure.eps(A) * wanted[0])


# Closed forms and published digits


@pytest.mark.parametrize(
    "specimen",
    [
        gallery.hilbert(5),
        gallery.hilbert(10),
        gallery.lower_triangular_ones(200),
        gallery.path_difference(200),
        gallery.dft(64),
        gallery.clement(151),
    ],
    ids=["hilbert 5", "hilbert 10", "lower ones", "path difference", "dft", "clement"],
)
def test_a_full_decomposition_finds_the_known_spectrum(specimen):
    A, s = specimen
    assert_close(svd(A, rank=min(A.shape)).factor.s, s, 3 * max(A.shape), A)


@pytest.mark.parametrize(
    ("make", "k"),
    [(gallery.lower_triangular_ones, 20), (gallery.path_difference, 250), (gallery.dft, 12), (gallery.clement, 200)],
    ids=["lower ones", "path difference", "dft", "clement"],
)
def test_larger_matrices_have_the_known_spectrum_too(make, k):
    A, s = make(540)
    outcome = svd(A, rank=k)
    error = outcome.certificate.absolute
    assert (1 - 1e-12) * measure.best(s, k) <= error <= 1.005 * measure.best(s, k)
    assert np.all(outcome.factor.s <= s[:k] * (1 + 100 * len(s) * measure.eps(A)))
    # vectors of the leading third are found well before the last one
    np.testing.assert_allclose(outcome.factor.s[: k // 3], s[: k // 3], rtol=1e-2)


@pytest.mark.parametrize(
    ("n", "second_last", "last"), [(20, 3.288e-1, 1.3732e-3), (30, 1.627e-1, 3.0845e-5), (40, 8.047e-2, 6.9282e-7)]
)
def test_the_last_singular_values_of_kahans_matrix_are_the_published_ones(n, second_last, last):
    s = svd(gallery.kahan(n)[0], rank=n).factor.s
    assert s[-2] == pytest.approx(second_last, rel=1e-3)
    assert s[-1] == pytest.approx(last, rel=1e-4)


# Singular values that repeat


@pytest.mark.parametrize(("copies", "k"), [(25, 20), (60, 20), (60, 40), (100, 80), (200, 44)])
def test_a_singular_value_is_found_as_often_as_it_occurs(copies, k):
    s = np.concatenate([np.ones(copies), 0.5 * gallery.poly(540 - copies)])
    A, s = gallery.with_spectrum(600, 540, s, seed=1)
    outcome = svd(A, rank=k)
    assert "block krylov" in outcome.facts["kernels"]
    assert outcome.certificate.absolute <= 1.005 * measure.best(s, k)
    np.testing.assert_allclose(outcome.factor.s, s[:k], rtol=1e-6)


def test_repeated_values_are_found_whatever_the_width_of_a_block():
    A, s = gallery.with_spectrum(600, 540, gallery.stairs(540, 30), seed=2)
    for block in (20, 32, 48):
        found = svd(A, rank=35, options=SVDOptions(block=block)).factor.s
        np.testing.assert_allclose(found, s[:35], rtol=1e-3)


def test_ties_of_eight_and_sixteen_in_a_real_matrix_are_found(data):
    A = _problem(data("ch5-5-b1.mat"))
    s = np.linalg.svd(A.toarray(), compute_uv=False)
    k = int(np.sum(s > 1e-10 * s[0]))
    found = svd(A, rank=min(A.shape)).factor.s
    assert_close(found, s, 100, A)
    counts = np.unique(np.round(found[:k], 9), return_counts=True)[1]
    assert 8 in counts and 16 in counts


# Real matrices


def test_1138_bus_has_its_published_spectrum(data):
    published = scipy.io.loadmat(data("1138_bus_SVD.mat"))["S"]["s"][0, 0].ravel()
    outcome = svd(str(data("1138_bus.mtx")), rank=1138)
    assert_close(outcome.factor.s, published, 100, published)


def test_the_leading_values_of_1138_bus_come_from_a_krylov_basis_too(data):
    published = scipy.io.loadmat(data("1138_bus_SVD.mat"))["S"]["s"][0, 0].ravel()
    outcome = svd(str(data("1138_bus.mtx")), rank=20)
    assert outcome.facts["kernels"][0] == "block krylov"
    np.testing.assert_allclose(outcome.factor.s, published[:20], rtol=1e-8)
    assert outcome.certificate.absolute == pytest.approx(measure.best(published, 20), rel=1e-9)
    wide = svd(str(data("1138_bus.mtx")), rank=20, options=SVDOptions(block=64))
    assert_close(wide.factor.s, published[:20], 1e4, published)


@pytest.mark.parametrize(("name", "rank"), [("mhd1280b.mtx", 20), ("dwt_992.mtx", 20), ("young1c.mtx", 25)])
def test_leading_values_of_real_sparse_matrices_are_as_good_as_the_error_promises(data, name, rank):
    """Squared values and squared error add up to |A|^2, so 0.5 % of the error bounds what the values miss."""
    s = spectrum(data(name))
    outcome = svd(str(data(name)), rank=rank)
    assert outcome.facts["kernels"][0] == "block krylov"
    best = measure.best(s, rank)
    assert best * (1 - 1e-12) <= outcome.certificate.absolute <= 1.005 * best
    assert np.all(outcome.factor.s <= s[:rank] * (1 + 1e-11))
    assert np.sum(s[:rank] ** 2 - outcome.factor.s**2) <= (1.005**2 - 1) * best**2


@pytest.mark.parametrize(
    ("name", "rank", "block", "rtol"), [("dwt_992.mtx", 20, 96, 1e-9), ("mhd1280b.mtx", 20, 64, 1e-11)]
)
def test_wide_blocks_find_the_leading_values_lapack_finds(data, name, rank, block, rtol):
    s = spectrum(data(name))
    outcome = svd(str(data(name)), rank=rank, options=SVDOptions(block=block))
    assert outcome.facts["kernels"][0] == "block krylov"
    np.testing.assert_allclose(outcome.factor.s, s[:rank], rtol=rtol)


def test_the_flat_run_of_rect_costs_no_accuracy_of_the_error(data):
    s = spectrum(data("rect.mtx"))
    for k in (1, 5, 40):
        assert svd(str(data("rect.mtx")), rank=k).certificate.absolute <= 1.005 * measure.best(s, k)


def test_dwt_992_has_its_whole_spectrum_with_the_496_fold_zero(data):
    s = spectrum(data("dwt_992.mtx"))
    outcome = svd(str(data("dwt_992.mtx")), rank=600)
    assert_close(outcome.factor.s, s[:600], 100, s)
    assert np.sum(outcome.factor.s > 1e-10) == 496
    assert outcome.certificate.relative <= 100 * measure.eps(s)


def test_chem97zt_has_the_leading_values_arpack_finds(data):
    from scipy.sparse.linalg import svds

    A = scipy.io.mmread(data("Chem97Zt.mtx")).tocsr().astype(float)
    s = np.sort(svds(A, k=20, return_singular_vectors=False, random_state=0))[::-1]
    outcome = svd(str(data("Chem97Zt.mtx")), rank=20)
    np.testing.assert_allclose(outcome.factor.s, s, rtol=5e-3)
    assert np.all(outcome.factor.s <= s * (1 + 1e-10))
    best = np.sqrt(A.power(2).sum() - np.sum(s**2))
    assert best * (1 - 1e-10) <= outcome.certificate.absolute <= 1.005 * best


def test_a_matrix_and_its_transpose_have_the_same_spectrum(data):
    one = svd(str(data("lp_e226.mtx")), rank=223).factor.s
    other = svd(str(data("lp_e226_transposed.mtx")), rank=223).factor.s
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-12 * one[0])
    np.testing.assert_allclose(one[:5], [1985.29, 1960.54, 1929.74, 596.83, 294.069], rtol=5e-6)


def test_young1c_is_complex_and_decomposed_as_such(data):
    s = spectrum(data("young1c.mtx"))
    outcome = svd(str(data("young1c.mtx")), rank=250)
    assert outcome.factor.U.dtype == "complex128"
    assert_close(outcome.factor.s, s[:250], 100, s)
    assert outcome.certificate.absolute == pytest.approx(measure.best(s, 250), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "rank"), [("shaw_200", 20), ("baart_200", 11), ("gravity_200", 46), ("parallax_200", 24)]
)
def test_regularization_matrices_are_reproduced_at_their_numerical_rank(data, name, rank):
    A = _problem(data(f"{name}.mat"))
    s = np.linalg.svd(A, compute_uv=False)
    outcome = svd(A, rank=rank)
    assert_close(outcome.factor.s, s[:rank], 30, A)
    assert outcome.certificate.relative <= 200 * max(A.shape) * measure.eps(A)
    assert measure.from_orthonormal(outcome.factor.U) <= 10


@pytest.mark.parametrize("name", ["shaw_200", "baart_200", "gravity_200", "heat_200", "parallax_200", "tomo_100"])
@pytest.mark.parametrize("rtol", [1e-1, 1e-2, 1e-4, 1e-8])
def test_regularization_matrices_take_the_smallest_rank_for_a_tolerance(data, name, rtol):
    A = _problem(data(f"{name}.mat"))
    s = np.linalg.svd(measure.dense(A), compute_uv=False)
    outcome = svd(A, rtol=rtol)
    assert measure.relative(A, outcome.factor) <= rtol
    assert outcome.factor.rank == measure.smallest_rank(s, rtol)


def test_nci60_has_its_published_leading_values(data):
    A = _nci60(data("NCI60.csv"))
    assert A.shape == (64, 6830)
    outcome = svd(A, rank=10)
    np.testing.assert_allclose(outcome.factor.s[:5], [199.733, 149.115, 132.893, 111.073, 107.384], rtol=1e-5)
    s = np.linalg.svd(A, compute_uv=False)
    assert outcome.certificate.absolute == pytest.approx(measure.best(s, 10), rel=1e-10)


def test_10x_counts_have_their_published_leading_values_in_either_file(data):
    published = [310.503, 109.271, 60.2281, 57.4621, 54.3213]
    h5 = svd(str(data("10x_v3_filtered_feature_bc_matrix.h5")), rank=5)
    mtx = svd(str(data("10x_v3_matrix.mtx.gz")), rank=5)
    np.testing.assert_allclose(h5.factor.s, published, rtol=1e-5)
    np.testing.assert_allclose(mtx.factor.s, h5.factor.s, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mhd1280b.mtx", "rect.mtx", "cryg2500.mtx", "olm1000.mtx", "west0479.mtx"])
def test_full_spectra_of_real_matrices_are_those_of_lapack(data, name):
    A = scipy.io.mmread(data(name)).toarray()
    k = min(A.shape)
    assert_close(svd(str(data(name)), rank=k).factor.s, np.linalg.svd(A, compute_uv=False), 100, A)


def _problem(path):
    """The matrix of a MATLAB file of the SuiteSparse collection."""
    return scipy.io.loadmat(path)["Problem"]["A"][0, 0]


def _nci60(path) -> np.ndarray:
    """64 cell lines; a row name first and a label last."""
    with open(path, newline="") as file:
        rows = list(csv.reader(file))[1:]
    return np.array([row[1:-1] for row in rows], dtype=float)
