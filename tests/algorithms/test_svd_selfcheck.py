"""LAPACK is not believed: a wrong answer goes to the other driver, two wrong answers are an error."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

import lowrank_cli
from lowrank_cli.errors import NumericalError

A = np.random.default_rng(5).standard_normal((40, 30))
TRUE_SVD = np.linalg.svd


def _spoilt(*args, **options):
    U, s, Vh = TRUE_SVD(A, full_matrices=False)
    return U[:, ::-1], s, Vh


def _failing(*args, **options):
    raise np.linalg.LinAlgError("SVD did not converge")


def _not_finite(*args, **options):
    U, s, Vh = TRUE_SVD(A, full_matrices=False)
    return U, np.full_like(s, np.nan), Vh


@pytest.mark.parametrize("gesdd", [_spoilt, _failing, _not_finite])
def test_a_wrong_or_missing_answer_of_gesdd_goes_to_gesvd(monkeypatch, gesdd):
    monkeypatch.setattr(np.linalg, "svd", gesdd)
    outcome = lowrank_cli.approx(A, rank=5)
    assert "lapack gesvd" in outcome.facts["kernels"]
    assert outcome.factor.s == pytest.approx(TRUE_SVD(A, compute_uv=False)[:5], rel=1e-12)


def test_two_wrong_answers_are_an_error(monkeypatch):
    monkeypatch.setattr(np.linalg, "svd", _spoilt)
    monkeypatch.setattr(scipy.linalg, "svd", _spoilt)
    with pytest.raises(NumericalError, match="fail their own check"):
        lowrank_cli.approx(A, rank=5)


def test_a_right_answer_passes():
    assert "lapack gesdd" in lowrank_cli.approx(A, rank=5).facts["kernels"]
