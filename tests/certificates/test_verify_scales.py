"""Verification at the ends of the floats: a claim is about the factors as they are stored, whatever their scale."""

from __future__ import annotations

import measure
import numpy as np
import pytest
from certificates.verifying import held, made

from lowrank_cli.algorithms.interpolative import IDOptions

RNG = np.random.default_rng(31)
#: non-negative, symmetric and semidefinite, so that every method takes it; of rank 12, so that only rounding is left
ROOT = RNG.random((18, 12))
A = ROOT @ ROOT.T
METHODS = (
    *("svd", "qb", "id", "id rows", "id both", "cur", "kron"),
    *("diag-lowrank", "rank1-nonneg", "vq", "nystrom", "nmf"),
)
OPTIONS = {"id rows": IDOptions(axis="rows"), "id both": IDOptions(axis="both")}
#: the whole matrix among the subnormal numbers, just above them, and at the upper end
SCALES = {"float64": (1e-311, 1e-306, 1e305), "float32": (1e-40, 1e-36, 1e35)}


def factored(method, B, **asked):
    rank = {} if method == "rank1-nonneg" else {"rank": 12}
    return made(B, method.split()[0], options=OPTIONS.get(method), **rank, **asked)


@pytest.mark.parametrize("dtype", SCALES)
@pytest.mark.parametrize("method", METHODS)
def test_a_claim_holds_at_the_ends_of_the_floats(method, dtype):
    for scale in SCALES[dtype]:
        B = (A * scale).astype(dtype)
        factor, report = factored(method, B)
        said = held(factor, report, B)
        assert said["holds"], (scale, said["reason"])


@pytest.mark.parametrize("claim", [{}, {"norm": "spectral"}, {"certify": "probes"}], ids=str)
def test_an_error_among_the_subnormal_numbers_is_that_of_the_digits_that_are_stored(claim):
    B = A * 1e-311
    factor, report = made(B, "svd", rank=12, **claim)
    kept = (factor.U.astype(np.longdouble) * factor.s) @ factor.Vh
    order = 2 if claim.get("norm") == "spectral" else "fro"
    E, whole = (np.ldexp(X.astype(np.longdouble), 1040).astype(float) for X in (B - kept, B))
    true = float(np.linalg.norm(E, order) / np.linalg.norm(whole, order))
    # far above the rounding of a product: the singular values have lost digits
    assert true > 20 * measure.eps(B)
    claimed = report["error"]["relative"]
    assert claimed >= true if report["error"]["kind"] == "bound" else claimed == pytest.approx(true, rel=1e-3)
    assert held(factor, report, B)["holds"]


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_a_gram_matrix_beyond_the_floats_is_verified(scale):
    B = RNG.standard_normal((40, 15)) * scale
    factor, report = made(B, "fd", rank=6)
    said = held(factor, report, B)
    assert said["holds"] and said["measured"] == pytest.approx(report["error"]["relative"], rel=1e-9)
    assert not held(factor, report, 1.01 * B)["holds"]
