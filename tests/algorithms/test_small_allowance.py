"""Commands that read a matrix in parts: the results of one in memory, a refusal beforehand where it does not fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from contracts.cases import bits
from scipy.sparse import csr_array, save_npz

from lowrank_cli import api, memory
from lowrank_cli.algorithms import needs
from lowrank_cli.algorithms.cr import CROptions
from lowrank_cli.algorithms.norms import NormOptions
from lowrank_cli.analysis.norm import norm
from lowrank_cli.analysis.plan import plan
from lowrank_cli.analysis.spectrum import spectrum
from lowrank_cli.analysis.verify import verify
from lowrank_cli.budget import Budget
from lowrank_cli.errors import ResourceError
from lowrank_cli.formats import npy, npz
from lowrank_cli.formats.memory import from_array
from lowrank_cli.matrices.watch import Watch

ALLOWED = 1_000_000
rng = np.random.default_rng(0)
A = rng.standard_normal((1100, 20)) @ rng.standard_normal((20, 530)) + 0.1 * rng.standard_normal((1100, 530))
#: The second factor of products whose inner dimension is 1100, and of one whose Gram matrices are too dear to form.
Y, WIDE = rng.standard_normal((1100, 520)), rng.standard_normal((5000, 30))
X = rng.standard_normal((40, 5000)) / np.sqrt(np.arange(1, 5001))


class Told(Watch):
    begun = 0
    parts: dict[str, int]

    def expects(self, needed, passes):
        self.parts = needed

    def begins(self, number):
        self.begun = number


@pytest.fixture
def left(tmp_path):
    """What leaves an array in a file, in either order."""

    def leave(array, order="C"):
        path = str(tmp_path / f"{len([*tmp_path.iterdir()])}.npy")
        np.save(path, np.asarray(array, order=order))
        loaded = npy.filed(path, None, min(ALLOWED, array.nbytes - 1))
        assert loaded is not None
        return dataclasses.replace(loaded, watch=Told())

    return leave


def without_files(report):
    return {name: one for name, one in report.items() if name not in ("run", "input", "times")}


def product(first, second, scheme="auto", **asked):
    job = api.Job("product", "cr", Budget(**asked), CROptions(scheme))
    outcome, report = api.run(job, first, {"times": second})
    return bits(outcome.factor), without_files(report)


@pytest.mark.parametrize(
    ("first", "second", "asked"),
    [
        (A.T, Y, {"rank": 40}),
        pytest.param(A.T, Y, {"rtol": 0.9}, marks=pytest.mark.slow),
        (X, WIDE, {"rank": 40}),
        (X, WIDE, {"rank": 40, "scheme": "wta"}),
    ],
    ids=["gram", "gram to a tolerance", "probes", "probes wta"],
)
@pytest.mark.parametrize("orders", ["CC", "FF"])
def test_a_product_of_files_has_the_bits_of_one_in_memory(first, second, asked, orders, left, monkeypatch):
    wanted = product(from_array(first), from_array(second), **asked)
    # room for a panel of one row block, then of several
    for room in (8 << 20, 64 << 20):
        monkeypatch.setattr("lowrank_cli.matrices.product.available_memory", lambda room=room: room)
        assert product(left(first, orders[0]), left(second, orders[1]), **asked) == wanted


def test_a_product_with_a_sparse_file_has_the_bits_of_one_in_memory(left, tmp_path):
    S = csr_array(np.where(rng.random((700, 1100)) < 0.2, rng.standard_normal((700, 1100)), 0))
    save_npz(tmp_path / "S.npz", S, compressed=False)
    filed = npz.filed(str(tmp_path / "S.npz"), None, ALLOWED)
    wanted = product(from_array(S), from_array(Y), rank=30)[0]
    assert product(filed, left(Y), rank=30)[0] == wanted


def test_a_panel_reads_each_factor_once(left, monkeypatch):
    monkeypatch.setattr("lowrank_cli.matrices.product.available_memory", lambda: 1 << 30)
    first, second = left(A.T, "F"), left(Y)
    product(first, second, rank=40)
    # the sweep, the Gram matrix, the pairs themselves and the error
    assert first.array.bytes_read <= 3.1 * A.nbytes and second.array.bytes_read <= 3.1 * Y.nbytes


ANALYSES = {
    "spectrum": lambda loaded: spectrum(loaded, k=4),
    "all of the spectrum": lambda loaded: spectrum(loaded, all=True),
    "norm": lambda loaded: norm(loaded, NormOptions("fro,spectral,nuclear,max,1,inf"))[1],
    "plan": lambda loaded: plan(loaded, rtols=[0.1]),
}


@pytest.mark.parametrize("what", ANALYSES)
def test_an_analysis_of_a_file_says_what_one_of_an_array_says(what, left):
    wanted = without_files(ANALYSES[what](from_array(A)))
    for order in "CF":
        assert without_files(ANALYSES[what](left(A, order))) == wanted


@pytest.mark.parametrize("asked", [{}, {"sample": True}])
@pytest.mark.parametrize("method", ["svd", "id", "cur"])
def test_a_comparison_with_a_file_says_what_one_with_an_array_says(method, asked, left):
    outcome, report = api.run(api.Job("approx", method, Budget(rank=5)), from_array(A))
    wanted = verify(outcome.factor, report, from_array(A), **asked)
    assert wanted["holds"]
    for order in "CF":
        assert verify(outcome.factor, report, left(A, order), **asked) == wanted


def test_a_product_is_verified_from_files(left):
    outcome, report = api.run(api.Job("product", "cr", Budget(rank=9)), from_array(A.T), {"times": from_array(Y)})
    wanted = verify(outcome.factor, report, from_array(A.T), from_array(Y))
    assert wanted["holds"] and verify(outcome.factor, report, left(A.T), left(Y, "F")) == wanted


def refused(run, *loaded):
    with pytest.raises(ResourceError) as caught:
        run(*loaded)
    line = caught.value.line()
    assert "MiB more of memory (" in line and "1 MiB are left; --memory " in line
    assert all(one.watch.begun == 0 and one.array.bytes_read == 0 for one in loaded)
    return int(line.partition("--memory ")[2].partition("M")[0]) * 10**6


def verified(loaded):
    outcome, report = api.run(api.Job("approx", "svd", Budget(rank=100)), from_array(A))
    return lambda one: verify(outcome.factor, report, one)


@pytest.mark.parametrize("what", [*ANALYSES, "verify", "product"])
def test_what_does_not_fit_is_refused_with_a_breakdown_before_a_value_is_read(what, left, monkeypatch):
    loaded = (left(A.T), left(Y)) if what == "product" else (left(A),)
    run = ANALYSES.get(what) or (verified(A) if what == "verify" else lambda *two: product(*two, rank=50))
    monkeypatch.setattr(needs, "available_memory", lambda: 1 << 20)
    advised = refused(run, *loaded)
    # what was advised is enough
    monkeypatch.setattr(needs, "available_memory", lambda: advised - memory.resident())
    run(*loaded)
    assert loaded[0].array.bytes_read > 0
    assert loaded[0].watch.parts["read buffers"] > 0
