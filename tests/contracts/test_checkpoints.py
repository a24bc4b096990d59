"""A run that is stopped wherever something is kept, and started again, ends with the bits of one that was not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from contracts import cases
from contracts.cases import CASES
from contracts.stopping import stopped_everywhere
from scipy.sparse import csr_array, save_npz

from lowrank_cli import api
from lowrank_cli.algorithms.norms import NormOptions
from lowrank_cli.analysis.norm import norm
from lowrank_cli.analysis.spectrum import spectrum
from lowrank_cli.budget import Budget
from lowrank_cli.formats import npy, npz
from lowrank_cli.formats.memory import from_array

#: Bytes a matrix may take before it stays in its file: in slabs of less than a third of a 1100 x 510 one.
ALLOWED = 1_400_000
RANK = {"rank": 12}
#: How an error is known, and what ends a run, beside a rank and an exact error.
VARIANTS = [
    *(("svd", asked) for asked in ({"rtol": 0.2}, {"rank": 12, "certify": "probes"}, {"rank": 12, "certify": "none"})),
    *((name, {"rank": 12, "passes": 3}) for name in ("svd", "qb")),
    *(("svd", asked) for asked in ({"rtol": 0.3, "certify": "probes"}, {"rtol": 0.1, "norm": "spectral"})),
    *((case, {"rtol": 0.3}) for case in ("id", "cur", "qb", "cr auto", "nystrom sketch", "given left")),
    *((case, {"rank": 9, "norm": "spectral"}) for case in ("id rows", "cur")),
]


def interrupted(case, asked, load, tmp_path):
    """The bits and the report, uninterrupted and stopped everywhere."""
    made = CASES[case]
    A = made.takes(cases.large())
    Y = cases.second(made, A)
    if made.rank is not None:
        asked = {**asked, "rank": made.rank}
    job = api.Job("product" if made.of_product else "approx", made.method, Budget(**asked), made.options)

    def run(kept=None, threads=1):
        more = {} if Y is None else {made.companion: load(Y)}
        outcome, report = api.run(job, load(A), more, threads=threads, checkpoint=kept)
        return cases.bits(outcome.factor), report

    wanted = run()
    found, stops = stopped_everywhere(tmp_path / "kept", run)
    return wanted, found, stops


#: Questions that are answered by passes.
ANALYSES = {
    "spectrum": lambda loaded, **how: spectrum(loaded, k=4, **how),
    "all of the spectrum": lambda loaded, **how: spectrum(loaded, all=True, **how),
    "norm": lambda loaded, **how: norm(loaded, NormOptions("fro,spectral,max", gradient="decay"), **how)[1],
    "ranks": lambda loaded, **how: norm(loaded, NormOptions("nuclear,1", effective_ranks=True), **how)[1],
}


def in_a_file(tmp_path):
    number = itertools.count()

    def load(A):
        path = str(tmp_path / f"{next(number)}.npy")
        np.save(path, A)
        return npy.filed(path, None, ALLOWED) or npy.FORMAT.load(path, None)

    return load


#: One of each kind.
SOME = ["svd", "id both", "cr auto", "given right", "nystrom columns", "fd"]


@pytest.mark.parametrize("case", [*SOME, *(pytest.param(c, marks=pytest.mark.slow) for c in CASES if c not in SOME)])
def test_every_method_resumes_after_every_pass_over_a_matrix_in_memory(case, tmp_path):
    wanted, found, _ = interrupted(case, RANK, from_array, tmp_path)
    assert found == wanted
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    ("case", "asked"), [*VARIANTS[:3], *(pytest.param(*v, marks=pytest.mark.slow) for v in VARIANTS[3:])]
)
def test_every_way_to_know_the_error_resumes(case, asked, tmp_path):
    wanted, found, stops = interrupted(case, asked, from_array, tmp_path)
    assert found == wanted and stops > 1


@pytest.mark.parametrize("case", ["svd", "cur", "cr auto"])
def test_methods_resume_inside_of_every_pass_over_a_matrix_in_its_file(case, tmp_path):
    wanted, found, stops = interrupted(case, RANK, in_a_file(tmp_path), tmp_path)
    assert found == wanted and stops > 5


@pytest.mark.slow
@pytest.mark.parametrize(("case", "asked"), [*((case, RANK) for case in CASES), *VARIANTS])
def test_every_method_resumes_inside_of_every_pass_over_a_matrix_in_its_file(case, asked, tmp_path):
    wanted, found, _ = interrupted(case, asked, in_a_file(tmp_path), tmp_path)
    assert found == wanted


@pytest.mark.parametrize("case", ["id", "cr auto"])
def test_sparse_matrices_resume(case, tmp_path):
    def load(A):
        return from_array(csr_array(np.where(np.abs(A) > np.quantile(np.abs(A), 0.7), A, 0)))

    wanted, found, stops = interrupted(case, RANK, load, tmp_path)
    assert found == wanted and stops > 0


@pytest.mark.parametrize("case", ["svd", *(pytest.param(c, marks=pytest.mark.slow) for c in ("cur", "id both"))])
def test_sparse_matrices_in_their_file_resume(case, tmp_path):
    number = itertools.count()

    def load(A):
        path = str(tmp_path / f"{next(number)}.npz")
        save_npz(path, csr_array(np.where(np.abs(A) > np.quantile(np.abs(A), 0.8), A, 0)), compressed=False)
        return npz.filed(path, None, ALLOWED // 4) or npz.FORMAT.load(path, None)

    wanted, found, stops = interrupted(case, RANK, load, tmp_path)
    assert found == wanted and stops > 5


def test_another_number_of_threads_and_other_slabs_take_up_what_is_kept(tmp_path):
    job = api.Job("approx", "svd", Budget(rank=12))
    path = str(tmp_path / "A.npy")
    np.save(path, cases.large())
    wanted, _ = api.run(job, npy.FORMAT.load(path, None))
    settings = itertools.cycle([(1, ALLOWED), (2, ALLOWED // 3), (3, 4_400_000), (2, ALLOWED * 2)])

    def run(kept):
        threads, allowed = next(settings)
        return api.run(job, npy.filed(path, None, allowed), threads=threads, checkpoint=kept)[0]

    found, stops = stopped_everywhere(tmp_path / "kept", run)
    assert cases.bits(found.factor) == cases.bits(wanted.factor) and stops > 5


@pytest.mark.parametrize("what", ANALYSES)
@pytest.mark.parametrize("where", ["memory", "file"])
def test_an_analysis_resumes_after_every_pass_and_inside_of_those_over_a_file(what, where, tmp_path):
    A, load = cases.large(), from_array if where == "memory" else in_a_file(tmp_path)
    wanted = ANALYSES[what](load(A))
    found, stops = stopped_everywhere(tmp_path / "kept", lambda kept: ANALYSES[what](load(A), checkpoint=kept))
    assert found == wanted and stops > (0 if where == "memory" else 1)


def test_an_analysis_of_a_sparse_matrix_in_its_file_resumes(tmp_path):
    path = str(tmp_path / "A.npz")
    A = cases.large()
    save_npz(path, csr_array(np.where(np.abs(A) > np.quantile(np.abs(A), 0.8), A, 0)), compressed=False)

    def run(kept=None):
        return spectrum(npz.filed(path, None, ALLOWED // 4), k=4, checkpoint=kept)

    found, stops = stopped_everywhere(tmp_path / "kept", run)
    assert found == run() and stops > 5
