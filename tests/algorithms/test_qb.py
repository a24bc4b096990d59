"""QB: an orthonormal Q, Pythagoras at every rank, and the error of the truncated SVD."""

from __future__ import annotations

import functools

import gallery
import measure
import numpy as np
import pytest
from scipy.sparse import csr_array

import lowrank_cli
from lowrank_cli.algorithms.scaling import restored
from lowrank_cli.errors import UsageError

#: small: cut from LAPACK's SVD; large: from a Krylov basis, tall and wide
SHAPES = [(60, 45), (45, 60), (540, 510), (510, 540)]


@functools.cache
def specimen(shape, dtype="float64", rate=None):
    s = gallery.poly(min(shape)) if rate is None else gallery.exponential(min(shape), rate)
    return gallery.with_spectrum(*shape, s, seed=21, dtype=dtype)


def qb(A, **asked):
    return lowrank_cli.approx(A, method="qb", **asked)


def test_what_is_brought_back_to_scale_is_a_qb_still():
    factor = qb(specimen(SHAPES[0])[0], rank=5).factor
    back = restored(factor, 7)
    assert back.kind == "qb" and np.array_equal(back.Q, factor.Q) and np.array_equal(back.B, 128 * factor.B)


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_q_is_orthonormal_and_the_squared_error_is_what_b_misses_of_the_norm(shape, dtype):
    """|A - Q_j B_j|^2 = |A|^2 - |B_j|^2 for the first j columns, every j."""
    A, _ = specimen(shape, dtype)
    factor = qb(A, rank=17).factor
    assert measure.from_orthonormal(factor.Q) <= 10
    total, Q, B = measure.norm(A) ** 2, measure.wide(factor.Q), measure.wide(factor.B)
    for j in (1, 5, 17):
        error = measure.norm(measure.wide(A) - Q[:, :j] @ B[:j]) ** 2
        assert error == pytest.approx(total - measure.norm(B[:j]) ** 2, rel=300 * measure.eps(A))


@pytest.mark.parametrize("shape", [(60, 45), (540, 510), (700, 80)])
def test_b_is_the_projection_of_a_tall_matrix(shape):
    A, _ = specimen(shape)
    factor = qb(A, rank=11).factor
    assert measure.norm(factor.Q.T @ A - factor.B) <= 1e-13 * measure.norm(A)


@pytest.mark.parametrize("rate", [None, 0.05])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_error_is_that_of_the_svd_within_a_tenth_of_a_percent(shape, rate):
    A, s = specimen(shape, rate=rate)
    for k in (5, 40):
        error = qb(A, rank=k).certificate.absolute
        assert (1 - 1e-12) * measure.best(s, k) <= error <= 1.001 * measure.best(s, k)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rtol", [0.3, 0.1, 1e-2])
def test_a_tolerance_takes_at_most_one_column_more_than_the_best(shape, rtol):
    A, s = specimen(shape, rate=0.05)
    outcome = qb(A, rtol=rtol)
    assert measure.relative(A, outcome.factor) <= rtol and outcome.bound_met
    assert measure.smallest_rank(s, rtol) <= outcome.factor.rank <= measure.smallest_rank(s, rtol) + 1


@pytest.mark.parametrize("certify", ["exact", "probes"])
@pytest.mark.parametrize("norm", ["fro", "spectral"])
def test_tolerances_hold_in_either_norm_by_either_way_of_knowing(norm, certify):
    A, _ = specimen((540, 510), rate=0.05)
    outcome = qb(A, rtol=0.05, norm=norm, certify=certify)
    left, size = A - measure.product(outcome.factor), A
    which = None if norm == "fro" else 2
    assert np.linalg.norm(left.astype(float), which) <= 0.05 * np.linalg.norm(size, which)
    assert outcome.certificate.norm == norm and outcome.bound_met


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", [(50, 40), (520, 510), (510, 520)])
def test_a_matrix_of_exact_rank_is_reproduced_to_rounding(shape, dtype):
    A, _ = gallery.exact_rank(*shape, 6, dtype=dtype)
    for asked in ({"rank": 6}, {"rank": 15}, {"rtol": 1e-4}):
        outcome = qb(A, **asked)
        assert outcome.certificate.relative <= 100 * max(shape) * measure.eps(A)
        assert outcome.factor.rank == asked.get("rank", 6)
        assert measure.from_orthonormal(outcome.factor.Q) <= 10


@pytest.mark.parametrize("exponent", [-900, -100, 17, 455, 900])
@pytest.mark.parametrize("shape", [(60, 45), (510, 540)])
def test_a_power_of_two_changes_nothing_but_the_scale_of_b(shape, exponent):
    A, _ = specimen(shape)
    one, other = qb(A, rank=9), qb(np.ldexp(A, exponent), rank=9)
    assert np.array_equal(one.factor.Q, other.factor.Q)
    assert np.array_equal(np.ldexp(one.factor.B, exponent), other.factor.B)
    assert one.certificate.relative == other.certificate.relative


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (520, 510)])
def test_zero_matrices_and_single_lines(shape):
    zero = qb(np.zeros(shape), rank=1)
    assert zero.certificate.absolute == 0.0 and measure.from_orthonormal(zero.factor.Q) <= 10
    if 1 in shape:
        A = np.random.default_rng(4).standard_normal(shape)
        assert qb(A).factor.rank == 1 and qb(A).certificate.relative <= 4 * measure.eps(A)


def test_a_sparse_matrix_gives_the_error_of_the_dense_one():
    A, _ = specimen((540, 510))
    A = np.where(np.abs(A) > np.quantile(np.abs(A), 0.8), A, 0.0)
    one, other = qb(A, rank=20), qb(csr_array(A), rank=20)
    assert other.certificate.absolute == pytest.approx(one.certificate.absolute, rel=1e-6)


def test_a_rank_above_the_smaller_side_is_refused():
    with pytest.raises(UsageError, match="23"):
        qb(np.ones((30, 23)), rank=24)


@pytest.mark.parametrize("name", ["dwt_992.mtx", "lp_e226.mtx", "heat_90.npy", "young1c.mtx"])
def test_on_real_matrices_the_error_is_that_of_lapacks_svd(data, name):
    from lowrank_cli.formats.opening import open_matrix

    s = np.linalg.svd(measure.dense(open_matrix(str(data(name))).array), compute_uv=False)
    outcome = qb(str(data(name)), rank=40)
    assert outcome.certificate.absolute <= 1.005 * measure.best(s, 40)
