"""What a run takes of memory is said by component before anything is computed, and refused where it does not fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lowrank_cli import memory
from lowrank_cli.algorithms import TABLE, needs
from lowrank_cli.algorithms.svd import SVDOptions
from lowrank_cli.api import Job, run
from lowrank_cli.budget import Budget
from lowrank_cli.errors import ResourceError
from lowrank_cli.formats import npy
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.watch import Watch


class Told(Watch):
    def __init__(self):
        self.parts: dict[str, int] = {}
        self.passes = self.begun = 0

    def expects(self, needed, passes):
        self.parts, self.passes = needed, passes

    def begins(self, number):
        self.begun = number


@pytest.fixture
def filed(tmp_path):
    """A matrix left in its file, and the watch of its passes."""
    A = np.random.default_rng(0).standard_normal((1200, 600))
    np.save(tmp_path / "A.npy", A)
    left = npy.filed(str(tmp_path / "A.npy"), None, 1 << 20)
    return dataclasses.replace(left, watch=Told())


@pytest.mark.parametrize(
    ("method", "asked"), [("svd", {"rank": 8, "passes": 3}), ("qb", {"rank": 8}), ("id", {"rank": 8})]
)
def test_the_components_are_told_before_the_first_pass(method, asked, filed):
    run(Job("approx", method, Budget(**asked)), filed)
    told = filed.watch
    assert {"read buffers", "basis", "tall blocks", "factors"} <= set(told.parts)
    if "passes" in asked:
        assert told.passes == told.begun == 3


@pytest.mark.parametrize("method", ["vq", "nmf", "kron", "svd"])
def test_what_does_not_fit_is_refused_before_a_value_is_read(method, filed, monkeypatch):
    monkeypatch.setattr(needs, "available_memory", lambda: 4 << 20)
    with pytest.raises(ResourceError) as caught:
        run(Job("approx", method, Budget(rank=590 if method == "svd" else 3)), filed)
    line = caught.value.line()
    assert "MiB more of memory (" in line and "4 MiB are left" in line and "--memory " in line
    assert filed.watch.begun == 0 and filed.array.bytes_read == 0


def test_fewer_passes_are_advised_only_where_they_would_fit(monkeypatch):
    A = TiledMatrix(np.ones((1600, 700)))
    svd = TABLE["svd"].load()
    for rank, left in ((110, 44 << 20), (690, 20 << 20)):
        monkeypatch.setattr(needs, "available_memory", lambda left=left: left)
        with pytest.raises(ResourceError) as caught:
            needs.check(svd, A, Budget(rank=rank, certify="exact"), SVDOptions(), None)
        fits = sum(needs.needs(svd, A, Budget(rank=rank, passes=2), SVDOptions(), left).values()) <= left
        assert ("--passes 2" in caught.value.line()) == fits == (rank == 110)


def test_the_advised_memory_is_enough(monkeypatch):
    A = TiledMatrix(np.ones((1600, 700)))
    svd = TABLE["svd"].load()
    monkeypatch.setattr(needs, "available_memory", lambda: 1 << 20)
    with pytest.raises(ResourceError) as caught:
        needs.check(svd, A, Budget(rank=300), SVDOptions(), None)
    advised = int(caught.value.line().partition("--memory ")[2].partition("M")[0]) * 10**6
    monkeypatch.setattr(needs, "available_memory", lambda: advised - memory.resident())
    needs.check(svd, A, Budget(rank=300), SVDOptions(), None)


def test_a_file_larger_than_the_allowance_is_no_matrix_to_be_loaded_whole(filed, monkeypatch):
    from lowrank_cli.matrices.metered import Metered

    monkeypatch.setattr("lowrank_cli.memory.available_memory", lambda: 1 << 20)
    with pytest.raises(ResourceError, match="the whole 1200x600 matrix"):
        Metered(TiledMatrix(filed.array)).whole()
