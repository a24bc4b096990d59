"""Verification of other structures than products of two factors: claims hold, and fail when a number is changed."""

from __future__ import annotations

import numpy as np
import pytest
from certificates.verifying import CLAIMS, changed, held, made, shifted

from lowrank_cli.algorithms.kron import KronOptions
from lowrank_cli.algorithms.vq import VQOptions
from lowrank_cli.certificates import spectral

RNG = np.random.default_rng(12)
#: non-negative and square, so that every method takes it
A = RNG.random((60, 60)) + np.diag(RNG.random(60)) + np.kron(RNG.random((6, 6)), RNG.random((10, 10)))

KINDS = {
    "kron": {"options": KronOptions(shape="6x6"), "rank": 3},
    "diag-lowrank": {"rank": 4},
    "rank1-nonneg": {},
    "nmf": {"rank": 4},
    "vq": {"rank": 5},
    "vq product": {"options": VQOptions(code="product:3"), "rank": 5},
    "vq residual": {"options": VQOptions(code="residual:2"), "rank": 5},
}
#: An array of each kind whose first entry is changed.
TOUCHED = {"kron": "B", "diag-lowrank": "d", "rank1-nonneg": "r", "nmf": "H", "vq": "codebook"}


def factored(kind, claim, A=A):
    return made(A, kind.split()[0], **KINDS[kind], **CLAIMS[claim])


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_claim_holds_and_is_the_error(kind, claim):
    factor, report = factored(kind, claim)
    said = held(factor, report, A)
    assert said["holds"], said["reason"]
    order = 2 if said["norm"] == "spectral" else "fro"
    true = np.linalg.norm(A - factor.reconstruct(), order) / np.linalg.norm(A, order)
    assert said["measured"] == pytest.approx(true, rel=1e-9)
    assert held(factor, report, A, sample=True)["holds"] if order == "fro" else True


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_number_is_found_and_so_is_another_matrix(kind):
    factor, report = factored(kind, "exact")
    name = TOUCHED[kind.split()[0]]
    where = (0,) * getattr(factor, name).ndim
    broken = changed(factor, **{name: shifted(getattr(factor, name), where, 0.5)})
    assert not held(broken, report, A)["holds"]
    assert not held(factor, report, A[::-1].copy())["holds"]


@pytest.mark.parametrize("scale", [1e-250, 1e250])
@pytest.mark.parametrize("kind", KINDS)
def test_claims_hold_at_extreme_scales(kind, scale, monkeypatch):
    for claim in CLAIMS:
        assert held(*factored(kind, claim, A * scale), A * scale)["holds"]
    # as if the matrix were too large to decompose
    monkeypatch.setattr(spectral, "affordable", lambda shape: False)
    assert held(*factored(kind, "spectral", A * scale), A * scale)["holds"]


@pytest.mark.parametrize("kind", ["kron", "diag-lowrank"])
def test_values_out_of_order_are_found_without_the_matrix(kind):
    factor, report = factored(kind, "exact")
    said = held(changed(factor, s=factor.s[::-1].copy()), report)
    assert not said["holds"] and "non-increasing" in said["reason"]


def test_the_low_rank_part_beside_a_diagonal_is_held_to_orthogonality():
    factor, report = factored("diag-lowrank", "exact")
    assert held(factor, report, orthogonality=True)["holds"]
    said = held(changed(factor, U=shifted(factor.U, (0, 0), 1e-6)), report, orthogonality=True)
    assert not said["holds"] and "U is not orthonormal" in said["reason"]
