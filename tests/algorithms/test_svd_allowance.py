"""An allowance of Krylov blocks is kept: what it cannot hold is refused, what it cannot reach is said."""

from __future__ import annotations

import gallery
import pytest

import lowrank_cli
from lowrank_cli import Status, UsageError
from lowrank_cli.algorithms.svd import SVDOptions


def test_fewer_columns_than_the_rank_are_refused():
    A = gallery.with_spectrum(700, 600, gallery.poly(600), seed=1)[0]
    with pytest.raises(UsageError, match="hold fewer than --rank 40"):
        lowrank_cli.approx(A, rank=40, options=SVDOptions(block=8, max_blocks=3))


def test_a_spent_allowance_is_a_status_with_the_error_reached():
    A = gallery.with_spectrum(700, 600, gallery.poly(600), seed=1)[0]
    outcome = lowrank_cli.approx(A, rtol=0.05, options=SVDOptions(block=16, max_blocks=2))
    assert outcome.status is Status.PASSES_SPENT and not outcome.bound_met
    assert outcome.certificate.kind == "exact" and outcome.certificate.relative > 0.05
    assert lowrank_cli.approx(A, rtol=0.05).status is Status.CONVERGED
