"""Verification against the matrix: every kind of claim holds on its own, and fails on another one or when a number
was changed."""

from __future__ import annotations

import gallery
import measure
import numpy as np
import pytest
from certificates.verifying import CLAIMS, KINDS, LARGE, SMALL, changed, claiming, held, made, matrix, shifted
from scipy.sparse import csr_array, random_array

from lowrank_cli.algorithms.cr import SCHEMES, CROptions
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.certificates import spectral

# Claims hold on their own matrix


@pytest.mark.parametrize("shape", [SMALL, LARGE])
@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_claim_holds_on_its_own_matrix(kind, claim, shape):
    A = matrix(shape)
    for asked in ({"rank": 7}, {"rtol": 0.2}):
        factor, report = made(A, **KINDS[kind], **CLAIMS[claim], **asked)
        said = held(factor, report, A, orthogonality=True)
        assert said["holds"] and said["reason"] is None
        assert (said["kind"], said["norm"]) == (report["error"]["kind"], report["error"]["norm"])
        E = A - factor.reconstruct()
        true = (
            np.linalg.norm(E) / np.linalg.norm(A)
            if said["norm"] == "fro"
            else np.linalg.norm(E, 2) / np.linalg.norm(A, 2)
        )
        assert said["measured"] == pytest.approx(true, rel=1e-9, abs=0)


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_claims_hold_in_every_dtype(kind, dtype):
    A = matrix(dtype=dtype)
    for claim in CLAIMS.values():
        factor, report = made(A, **KINDS[kind], **claim, rank=9)
        assert held(factor, report, A)["holds"]


@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
def test_claims_hold_on_the_gallery(name):
    A, _ = gallery.GALLERY[name]()
    k = max(1, min(A.shape) // 3)
    for kind in KINDS.values():
        for claim in CLAIMS.values():
            factor, report = made(A, **kind, **claim, rank=k)
            said = held(factor, report, A, orthogonality=True)
            assert said["holds"], said["reason"]


def test_claims_hold_on_a_sparse_matrix():
    S = csr_array(random_array((560, 530), density=0.03, rng=np.random.default_rng(2)))
    for kind in KINDS.values():
        for claim in CLAIMS.values():
            factor, report = made(S, **kind, **claim, rank=9)
            assert held(factor, report, S)["holds"]


@pytest.mark.parametrize("scheme", SCHEMES[1:])
def test_claims_hold_on_products_and_fail_on_another_second_factor(scheme):
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((40, 70)), rng.standard_normal((70, 50))
    factor, report = made(X, "cr", times=Y, options=CROptions(scheme=scheme), rank=20)
    assert held(factor, report, X, Y)["holds"]
    assert held(factor, report, X, Y, sample=True)["holds"]
    assert not held(factor, report, X, Y[::-1].copy())["holds"]
    assert not held(factor, report, X[:, ::-1].copy(), Y)["holds"]


@pytest.mark.parametrize("scale", [1e-250, 1e-100, 1e100, 1e250])
def test_claims_hold_at_extreme_scales(scale):
    A = matrix() * scale
    for claim in CLAIMS.values():
        factor, report = made(A, **claim, rank=9)
        said = held(factor, report, A)
        assert said["holds"] and said["measured"] == pytest.approx(
            held(*made(A / scale, **claim, rank=9), A / scale)["measured"], rel=1e-9, abs=0
        )


@pytest.fixture
def unaffordable(monkeypatch):
    """As if the matrix were too large to decompose: spectral errors are then intervals."""
    monkeypatch.setattr(spectral, "affordable", lambda shape: False)


@pytest.mark.parametrize("scale", [1e-250, 1.0, 1e250])
@pytest.mark.parametrize("kind", KINDS)
def test_spectral_intervals_verify_one_another(kind, scale, unaffordable):
    """Two intervals from random numbers of their own, over norms that each found from below."""
    A = matrix(LARGE) * scale
    for seed in range(3 if scale == 1 and kind == "svd" else 1):
        factor, report = made(A, **KINDS[kind], norm="spectral", rank=9, seed=seed)
        assert report["error"]["kind"] == "bound"
        said = held(factor, report, A, seed=seed)
        assert said["holds"] and said["measured_lower"] <= said["measured"] <= 1.1 * said["measured_lower"]
        assert not held(factor, claiming(report, said["measured_lower"] / 1.1), A)["holds"]


def test_verification_does_not_repeat_the_random_numbers_of_the_claim():
    """A sample drawn with the seed of the factors would repeat their mistakes."""
    A = matrix()
    factor, report = made(A, certify="probes", rank=9)
    said = held(factor, report, A, sample=True, seed=0)
    assert said["measured"] != report["error"]["relative"]
    assert said["measured"] != held(factor, report, A, sample=True, seed=1)["measured"]


# Claims fail when something is wrong


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_claim_fails_on_another_matrix(kind, claim):
    factor, report = made(matrix(), **KINDS[kind], **CLAIMS[claim], rank=20)
    said = held(factor, report, matrix(seed=8))
    assert not said["holds"] and said["reason"]


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("kind", KINDS)
def test_another_shape_is_named_in_the_reason(kind, claim):
    factor, report = made(matrix(), **KINDS[kind], **CLAIMS[claim], rank=20)
    for other in (matrix((50, 60)), matrix((61, 50)), matrix((60, 49))):
        said = held(factor, report, other)
        assert not said["holds"] and "60x50" in said["reason"] and "x".join(map(str, other.shape)) in said["reason"]
        assert said["measured"] is None


# Least squares coefficients and singular values are where the error is smallest: a change of relative size x adds about
# x^2 / 2 of the piece it touches to it, which an exact claim, good to 1e-6, cannot see below x = 1e-3. The digests of
# the arrays in a file see every bit.
EDITS = {
    "the last singular value 1 % larger": lambda f: changed(f, s=f.s * np.append(np.ones(len(f.s) - 1), 1.01)),
    "all singular values scaled": lambda f: changed(f, s=f.s * 1.0001),
    "a left vector rotated": lambda f: changed(f, U=np.roll(f.U, 1, axis=0)),
    "two left vectors exchanged": lambda f: changed(f, U=f.U[:, [1, 0, *range(2, f.U.shape[1])]]),
    "a sign": lambda f: changed(f, Vh=f.Vh * np.append(-1.0, np.ones(len(f.s) - 1))[:, None]),
    "an entry of Vh": lambda f: changed(f, Vh=shifted(f.Vh, (2, 3), 0.01)),
    "the last singular value zero": lambda f: changed(f, s=f.s * (np.arange(len(f.s)) < len(f.s) - 1)),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("claim", ["exact", "spectral"])
def test_an_svd_edited_by_hand_does_not_hold(claim, edit):
    A = gallery.with_spectrum(*SMALL, gallery.exponential(50, 0.4), seed=7)[0]
    factor, report = made(A, **CLAIMS[claim], rank=9)
    # of a spectral error only the largest direction counts: changes that hide below it are no false claim
    said = held(EDITS[edit](factor), report, A, orthogonality=True)
    hidden = claim == "spectral" and edit in ("the last singular value 1 % larger", "all singular values scaled")
    assert said["holds"] is False or hidden
    if not hidden:
        assert said["reason"]


@pytest.mark.parametrize("axis", ["cols", "rows"])
def test_an_interpolative_decomposition_edited_by_hand_does_not_hold(axis):
    A = matrix()
    factor, report = made(A, "id", options=IDOptions(axis=axis), rank=9)
    kept, weights, index = ("C", "Z", "cols") if axis == "cols" else ("R", "W", "rows")
    C, Z, chosen = (factor.arrays()[name] for name in (kept, weights, index))
    other = np.setdiff1d(np.arange(max(SMALL)), chosen)
    other = int(other[other < (50 if axis == "cols" else 60)][0])
    at = (0, other) if axis == "cols" else (other, 0)
    swapped = chosen[[1, 0, *range(2, 9)]]
    edits = {
        "an entry of the coefficients": {weights: shifted(Z, at, 0.05)},
        "an entry of the identity": {weights: shifted(Z, (0, chosen[0]) if axis == "cols" else (chosen[0], 0), 1e-12)},
        "an entry of a copy": {kept: shifted(C, (0, 0), 1e-13)},
        "two indices exchanged": {index: swapped},
        "another index": {index: np.append(chosen[:-1], other)},
        "an index twice": {index: np.append(chosen[:-1], chosen[0])},
        "an index out of range": {index: np.append(chosen[:-1], 60)},
        "a negative index": {index: np.append(chosen[:-1], -1)},
    }
    assert held(factor, report, A)["holds"]
    for what, arrays in edits.items():
        said = held(changed(factor, **arrays), report, A)
        assert not said["holds"] and said["reason"], what


def test_a_two_sided_interpolative_decomposition_edited_by_hand_does_not_hold():
    A = matrix()
    factor, report = made(A, "id", options=IDOptions(axis="both"), rank=9)
    rows, cols = factor.rows, factor.cols
    free = [int(np.setdiff1d(np.arange(n), chosen)[0]) for n, chosen in ((60, rows), (50, cols))]
    edits = {
        "an entry of W": {"W": shifted(factor.W, (free[0], 0), 0.05)},
        "an entry of Z": {"Z": shifted(factor.Z, (0, free[1]), 0.05)},
        "the identity in W": {"W": shifted(factor.W, (rows[0], 0), 1e-12)},
        "the identity in Z": {"Z": shifted(factor.Z, (0, cols[0]), 1e-12)},
        "an entry of S": {"S": shifted(factor.S, (0, 0), 1e-13)},
        "two rows exchanged": {"rows": rows[[1, 0, *range(2, 9)]]},
        "another column": {"cols": np.append(cols[:-1], free[1])},
        "a row twice": {"rows": np.append(rows[:-1], rows[0])},
        "a row out of range": {"rows": np.append(rows[:-1], 60)},
    }
    assert held(factor, report, A)["holds"]
    for what, arrays in edits.items():
        said = held(changed(factor, **arrays), report, A)
        assert not said["holds"] and said["reason"], what


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_smaller_than_the_error_does_not_hold_and_both_numbers_are_told(claim):
    A = matrix()
    factor, report = made(A, **CLAIMS[claim], rank=9)
    true = held(factor, report, A)["measured"]
    said = held(factor, claiming(report, true * 0.999), A)
    assert not said["holds"] and f"{true * 0.999:.6g}" in said["reason"] and f"{true:.6g}" in said["reason"]


@pytest.mark.parametrize("claim", ["exact", "spectral"])
def test_an_exact_claim_larger_than_the_error_does_not_hold_and_a_bound_does(claim):
    A = matrix()
    factor, report = made(A, **CLAIMS[claim], rank=9)
    larger = claiming(report, report["error"]["relative"] * 1.001)
    assert not held(factor, larger, A)["holds"]
    larger["error"]["kind"] = "bound"
    assert held(factor, larger, A)["holds"]


@pytest.mark.parametrize("claim", ["exact", "spectral"])
def test_an_exact_claim_holds_within_a_millionth_and_not_beyond(claim):
    A = matrix()
    factor, report = made(A, **CLAIMS[claim], rank=9)
    relative = report["error"]["relative"]
    for off, holds in ((1 - 5e-7, True), (1 + 5e-7, True), (1 - 3e-6, False), (1 + 3e-6, False)):
        assert held(factor, claiming(report, relative * off), A)["holds"] is holds


def test_factors_that_claim_no_error_do_not_hold():
    A = matrix()
    factor, report = made(A, rank=9, certify="none")
    said = held(factor, report, A)
    assert not said["holds"] and said["reason"] == "the factors claim no error"
    assert said["measured"] == pytest.approx(measure.relative(A, factor), rel=1e-9, abs=0)
