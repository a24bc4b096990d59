"""--residual: every singular triplet asked for is one, to the residual asked for."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

import lowrank_cli
from lowrank_cli.algorithms.svd import SVDOptions
from lowrank_cli.errors import UsageError

K = 12


def known(spectrum, m=700, n=520, dtype="float64", seed=5):
    """A matrix with these singular values."""
    rng = np.random.default_rng(seed)
    complex_too = np.dtype(dtype).kind == "c"

    def orthonormal(rows):
        G = rng.standard_normal((rows, len(spectrum)))
        return np.linalg.qr(G + 1j * rng.standard_normal(G.shape) if complex_too else G)[0]

    return ((orthonormal(m) * spectrum) @ orthonormal(n).conj().T).astype(dtype)


def residuals(A, factor):
    U, s, V = factor.U, factor.s, factor.Vh.conj().T
    sides = (A @ V - U * s, A.conj().T @ U - V * s)
    return max(float(np.linalg.norm(side, axis=0).max()) for side in sides) / float(s[0])


SPECTRA = {
    "1/i": 1 / np.arange(1.0, 521),
    "i^-1/2": np.arange(1.0, 521) ** -0.5,
    "exp(-i/8)": np.exp(-np.arange(520) / 8),
}


@pytest.mark.parametrize("asked", [1e-4, 1e-8, 1e-12])
@pytest.mark.parametrize("name", SPECTRA)
def test_both_residuals_are_what_was_asked_for_and_values_follow(name, asked):
    A = known(SPECTRA[name])
    done = lowrank_cli.approx(A, rank=K, certify="none", options=SVDOptions(residual=asked))
    assert residuals(A, done.factor) <= asked
    # an eigenvalue moves by no more than the residual of its vector
    np.testing.assert_allclose(done.factor.s, SPECTRA[name][:K], atol=asked + 1e-13)
    assert done.facts["triplet_residual"] == pytest.approx(residuals(A, done.factor), rel=0.2, abs=3e-14)
    assert "warnings" not in done.facts


@pytest.mark.parametrize("name", SPECTRA)
def test_a_smaller_residual_takes_more_columns_and_a_small_error_alone_takes_fewer(name):
    A = known(SPECTRA[name])
    sizes = [
        lowrank_cli.approx(A, rank=K, certify="none", options=SVDOptions(residual=r)).facts.get("basis", 520)
        for r in (1e-2, 1e-7, 1e-12)
    ]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(("dtype", "asked"), [("float32", 1e-5), ("complex64", 1e-5), ("complex128", 1e-11)])
@pytest.mark.parametrize("shape", [(700, 520), (520, 700)])
def test_every_dtype_and_both_orientations(dtype, asked, shape):
    A = known(SPECTRA["1/i"], *shape, dtype=dtype)
    done = lowrank_cli.approx(A, rank=K, certify="none", options=SVDOptions(residual=asked))
    assert residuals(A.astype("c16"), done.factor) <= asked
    assert done.factor.U.dtype == np.dtype(dtype)


def test_a_sparse_matrix_agrees_with_lapack():
    A = scipy.sparse.random_array((900, 600), density=0.02, rng=np.random.default_rng(2)).tocsr()
    done = lowrank_cli.approx(A, rank=K, certify="none", options=SVDOptions(residual=1e-11))
    np.testing.assert_allclose(done.factor.s, np.linalg.svd(A.toarray(), compute_uv=False)[:K], rtol=1e-12)
    assert residuals(A, done.factor) <= 1e-11


def test_repeated_values_and_exhausted_matrices_have_their_triplets():
    s = np.r_[np.full(5, 2.0), np.full(5, 1.0), 0.5, np.zeros(509)]
    done = lowrank_cli.approx(known(s), rank=K, certify="none", options=SVDOptions(residual=1e-10))
    np.testing.assert_allclose(done.factor.s, s[:K], atol=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_the_scale_of_the_matrix_does_not_matter(scale):
    A = known(SPECTRA["1/i"])
    done = lowrank_cli.approx(A * scale, rank=K, certify="none", options=SVDOptions(residual=1e-9))
    np.testing.assert_allclose(done.factor.s / scale, SPECTRA["1/i"][:K], rtol=1e-10)


def test_what_rounding_or_the_allowance_of_blocks_keeps_away_is_said():
    A = known(SPECTRA["i^-1/2"])
    few = lowrank_cli.approx(A, rank=K, certify="none", options=SVDOptions(residual=1e-10, max_blocks=2))
    assert few.facts["triplet_residual"] > 1e-10 and "above the 1e-10 asked for" in few.facts["warnings"][0]
    single = lowrank_cli.approx(known(SPECTRA["1/i"], dtype="f4"), rank=K, options=SVDOptions(residual=1e-14))
    assert "asked for" in single.facts["warnings"][0]


def test_it_needs_a_rank_and_takes_no_tolerance():
    A = known(SPECTRA["1/i"])
    for asked in ({}, {"rtol": 0.1}, {"rank": 3, "rtol": 0.1}):
        with pytest.raises(UsageError, match="--residual goes with --rank"):
            lowrank_cli.approx(A, options=SVDOptions(residual=1e-8), **asked)


def test_a_zero_matrix_has_zero_residual():
    done = lowrank_cli.approx(np.zeros((700, 520)), rank=3, options=SVDOptions(residual=1e-8))
    assert done.facts["triplet_residual"] == 0.0 and not done.factor.s.any()
