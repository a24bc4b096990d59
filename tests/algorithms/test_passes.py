"""Passes are money: what a method announces is what it takes, and what the ledger says is what was read."""

from __future__ import annotations

import gallery
import numpy as np
import pytest
from counted import Counted
from scipy.sparse import csr_array

import lowrank_cli
from lowrank_cli.algorithms import TABLE
from lowrank_cli.algorithms.cr import SCHEMES, CROptions
from lowrank_cli.algorithms.cur import CUROptions
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.algorithms.svd import SVDOptions
from lowrank_cli.budget import Budget
from lowrank_cli.engines.threads import SerialEngine, ThreadEngine
from lowrank_cli.matrices.dense import TiledMatrix
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.matrices.product import Product
from lowrank_cli.matrices.sparse import SparseMatrix
from lowrank_cli.streams import Streams


class CountedProduct(Product):
    def __init__(self, X, Y):
        super().__init__(X, Y)
        self.reads: list[str] = []

    def tiles(self, visit):
        self.reads.append("tiles")
        return super().tiles(visit)


def run(method, A, options=None, **asked):
    counted = Counted(SparseMatrix(A) if hasattr(A, "indptr") else TiledMatrix(A))
    how = TABLE[method].load()
    outcome = how.run(Metered(counted), Budget(**asked), options or how.options(), Streams(0))
    return outcome, counted


def product(X, Y, scheme="auto", **asked):
    left, right = Counted(TiledMatrix(X)), Counted(TiledMatrix(Y))
    counted = CountedProduct(left, right)
    outcome = TABLE["cr"].load().run(Metered(counted), Budget(**asked), CROptions(scheme=scheme), Streams(0))
    return outcome, left, right, counted


SMALL = gallery.with_spectrum(60, 40, gallery.poly(40))[0]
LARGE = gallery.with_spectrum(540, 510, gallery.poly(510))[0]
SPARSE = csr_array(np.where(np.abs(LARGE) > np.quantile(np.abs(LARGE), 0.8), LARGE, 0.0))


# What is announced


@pytest.mark.parametrize("A", [SMALL, SMALL.T.copy(), csr_array(SMALL)], ids=["tall", "wide", "sparse"])
@pytest.mark.parametrize("method", ["svd", "qb", "id"])
@pytest.mark.parametrize("rank", [1, 7, 40])
def test_a_small_matrix_is_swept_read_whole_and_measured(A, method, rank):
    outcome, counted = run(method, A, rank=rank)
    assert outcome.ledger.passes == 3 and outcome.ledger.products == 0
    assert counted.reads == ["sweep", "whole", "tiles"]


@pytest.mark.parametrize("method", ["svd", "qb", "id"])
def test_leaving_the_error_out_saves_its_pass_and_those_that_enclose_the_best(method):
    for A in (SMALL, LARGE):
        with_error, without = run(method, A, rank=9), run(method, A, rank=9, certify="none")
        made = len(without[1].reads)
        assert with_error[1].reads[:made] == without[1].reads
        error, *enclosure = with_error[1].reads[made:]
        assert error == "tiles" and len(enclosure) <= (4 if method == "svd" and A is LARGE else 0)
        assert without[0].certificate.relative is None and without[0].certificate.kind == "none"


@pytest.mark.parametrize("A", [LARGE, LARGE.T.copy(), SPARSE], ids=["tall", "wide", "sparse"])
@pytest.mark.parametrize("blocks", [4, 5, 6])
def test_krylov_takes_two_products_a_block_and_a_pass_a_block_while_it_may_plan_ahead(A, blocks):
    """q + 4 passes for four blocks, the sweep and the last product among them, and two more for each further block."""
    outcome, _ = run("svd", A, SVDOptions(block=32, max_blocks=blocks), rank=30, certify="none")
    # the fourth block and later ones are each 16 columns wider than the one before
    made = {144: 4, 208: 5, 288: 6}[outcome.facts["basis"]]
    assert 4 <= made <= blocks
    assert outcome.ledger.passes == 4 + 4 + 2 * (made - 4)
    assert outcome.ledger.products == 2 * made + 1


def test_the_default_rank_mode_stays_within_twelve_passes_on_decaying_spectra():
    for spectrum in (gallery.poly(510), gallery.inverse_sqrt(510), gallery.exponential(510, 0.05)):
        A, _ = gallery.with_spectrum(540, 510, spectrum)
        assert run("svd", A, rank=20)[0].ledger.passes <= 12


@pytest.mark.parametrize("axis", ["cols", "rows"])
@pytest.mark.parametrize("A", [LARGE, LARGE.T.copy(), SPARSE], ids=["tall", "wide", "sparse"])
def test_an_interpolative_decomposition_takes_six_passes_and_one_for_the_error(A, axis):
    outcome, counted = run("id", A, IDOptions(axis=axis), rank=20)
    assert outcome.ledger.passes == 7 and outcome.ledger.products == 7
    multiplied = [read for read in counted.reads if read in ("matmat", "rmatmat")]
    assert sorted([*counted.reads]) == sorted(["sweep", "normal", "normal", "tiles", *multiplied])


@pytest.mark.parametrize("core", ["optimal", "intersection"])
def test_the_optimal_core_of_a_cur_takes_one_pass_and_the_intersection_none(core):
    extra = ["matmat"] if core == "optimal" else []
    outcome, counted = run("cur", SMALL, CUROptions(core=core), rank=9)
    assert counted.reads == ["sweep", "whole", *extra, "tiles"]
    for A in (LARGE, LARGE.T.copy(), SPARSE):
        outcome, counted = run("cur", A, CUROptions(core=core), rank=20)
        assert outcome.ledger.passes == 6 + len(extra) and outcome.ledger.products == 6 + len(extra)
        by_vectors, _ = run("cur", A, CUROptions("deim", core), rank=20)
        svd, _ = run("svd", A, rank=20 if core == "optimal" else 30, certify="none")
        assert by_vectors.ledger.passes == svd.ledger.passes + len(extra) + 1


@pytest.mark.parametrize("method", ["svd", "qb", "id", "cur"])
@pytest.mark.parametrize("rtol", [0.3, 0.1, 0.05])
def test_a_tolerance_costs_a_few_measurements_and_no_search(method, rtol):
    for A in (SMALL, LARGE):
        outcome, counted = run(method, A, rtol=rtol)
        assert outcome.certificate.relative <= rtol
        assert counted.reads.count("tiles") <= 3
        assert outcome.ledger.passes <= 25


@pytest.mark.parametrize("asked", [{"rank": 9}, {"rtol": 0.9}], ids=str)
@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name != "optimal"])
def test_a_product_is_swept_read_for_its_gram_matrices_and_measured_once(scheme, asked):
    rng = np.random.default_rng(0)
    outcome, left, right, counted = product(
        rng.standard_normal((40, 1200)), rng.standard_normal((1200, 30)), scheme, **asked
    )
    assert left.reads == ["sweep", "whole"] and right.reads == ["sweep", "whole"]
    assert counted.reads == ["tiles"]
    assert outcome.ledger.passes == 5


@pytest.mark.parametrize("scheme", ["optimal", "uniform", "top", "wta", "threshold", "priority", "without-replacement"])
def test_for_a_long_inner_dimension_one_read_of_each_factor_replaces_the_gram_matrices(scheme):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((10, 5000)), rng.standard_normal((5000, 8))
    for asked in ({"rank": 9}, {"rtol": 0.5}):
        outcome, left, right, counted = product(X, Y, scheme, **asked)
        assert left.reads == right.reads == ["survey"]
        assert outcome.ledger.passes == 2 + len(counted.reads)
    # where sums of entries may overflow they are taken of the scaled matrix
    _, left, right, _ = product(X * 2.0**900, Y, scheme, rank=9)
    assert left.reads == ["survey", "survey"] and right.reads == ["survey"]


def test_without_gram_matrices_least_squares_takes_one_product_with_each_factor():
    rng = np.random.default_rng(0)
    outcome, left, right, _ = product(
        rng.standard_normal((10, 5000)), rng.standard_normal((5000, 8)), "least-squares", rank=9
    )
    assert left.reads == ["survey", "rmatmat"] and right.reads == ["survey", "matmat"]
    assert outcome.ledger.passes == 5


@pytest.mark.parametrize("method", ["svd", "qb", "id", "cur"])
@pytest.mark.parametrize("norm", ["fro", "spectral"])
def test_probes_are_taken_as_the_matrix_is_swept(method, norm):
    def passes(scale, **asked):
        outcome, counted = run(method, SMALL * scale, rank=3, norm=norm, **asked)
        assert len(counted.reads) == outcome.ledger.passes
        return counted.reads

    plain, probed = passes(1.0, certify="none"), passes(1.0, certify="probes")
    assert probed[0] == "sweep and matmat" + (" and matmat" if norm == "spectral" else "")
    # the norm that a spectral error is relative to takes a pass
    assert len(probed) == len(plain) + (norm == "spectral")
    # where sums may overflow they are taken of the scaled matrix
    assert len(passes(2.0**900, certify="probes")) == len(probed) + 1


@pytest.mark.parametrize("rank", [None, 3])
@pytest.mark.parametrize(
    ("method", "name", "passes"),
    [("given", "left", 4), ("given", "right", 4), ("weighted", "weight", 6), ("weighted", "gram", 6)],
)
def test_a_second_matrix_is_swept_and_read_and_the_first_multiplied_and_measured(method, name, passes, rank):
    second = {"left": SMALL[:, :7], "right": SMALL[:7], "weight": SMALL, "gram": SMALL.T @ SMALL}[name]
    how, A, B = TABLE[method].load(), Counted(TiledMatrix(SMALL)), Counted(TiledMatrix(np.ascontiguousarray(second)))
    matrix = Metered(A)
    outcome = how.run(matrix, Budget(rank=rank), how.options(), Streams(0), {name: Metered(B, matrix.ledger)})
    products = {"given": 1, "weighted": 2}[method]
    assert B.reads == (["whole"] if method == "given" else ["sweep", "whole"])
    assert sorted(A.reads) == sorted(["sweep", "tiles", *(read for read in A.reads if "matmat" in read)])
    assert outcome.ledger.passes == passes == len(A.reads) + len(B.reads)
    assert outcome.ledger.products == products == len(A.products)


# What the ledger says


CASES = {
    "svd rank": ("svd", None, {"rank": 20}),
    "svd narrow blocks": ("svd", SVDOptions(block=16), {"rank": 30}),
    "svd tolerance": ("svd", None, {"rtol": 0.1}),
    "svd tolerance and cap": ("svd", None, {"rtol": 0.01, "rank": 20}),
    "svd unmeasured": ("svd", None, {"rank": 20, "certify": "none"}),
    "qb rank": ("qb", None, {"rank": 20}),
    "qb tolerance": ("qb", None, {"rtol": 0.1}),
    "id rank": ("id", None, {"rank": 20}),
    "id rows": ("id", IDOptions(axis="rows"), {"rank": 20}),
    "id tolerance": ("id", None, {"rtol": 0.1}),
    "id deep": ("id", None, {"rank": 200}),
    "id fast": ("id", IDOptions(quality="fast"), {"rank": 20}),
    "id bound": ("id", IDOptions(axis="rows", quality="bound"), {"rank": 20}),
    "id exchanges": ("id", IDOptions(axis="both", max_coefficient=1.0), {"rank": 20}),
    "id limits": ("id", IDOptions(must_include="3,1", exclude="5:9"), {"rank": 20}),
    "id stability": ("id", IDOptions(stability=3), {"rank": 20}),
    "cur rank": ("cur", None, {"rank": 20}),
    "cur more rows": ("cur", CUROptions(row_rank=30), {"rank": 20}),
    "cur vectors": ("cur", CUROptions(select="deim"), {"rank": 20}),
    "cur intersection": ("cur", CUROptions(core="intersection"), {"rank": 20}),
    "cur tolerance": ("cur", None, {"rtol": 0.1}),
}


@pytest.mark.parametrize("A", [LARGE, SMALL, SPARSE, LARGE * 2.0**300], ids=["large", "small", "sparse", "scaled"])
@pytest.mark.parametrize("case", CASES)
def test_the_ledger_counts_every_read_and_every_product(case, A):
    method, options, asked = CASES[case]
    if asked.get("rank", 0) > min(A.shape):
        asked = {"rank": min(A.shape)}
    outcome, counted = run(method, A, options, **asked)
    assert outcome.ledger.passes == len(counted.reads), counted.reads
    assert outcome.ledger.products == len(counted.products)
    assert outcome.ledger.flops >= sum(counted.products)


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case[0] == "svd"])
def test_a_matrix_and_its_adjoint_cost_the_same_passes(case):
    method, options, asked = CASES[case]
    here, there = run(method, LARGE, options, **asked)[0], run(method, LARGE.T.copy(), options, **asked)[0]
    assert here.ledger.passes == there.ledger.passes and here.ledger.products == there.ledger.products


@pytest.mark.parametrize("case", CASES)
def test_the_ledger_is_the_same_for_any_storage_and_any_threads(case):
    method, options, asked = CASES[case]
    how = TABLE[method].load()
    ledgers = []
    for engine in (SerialEngine(), ThreadEngine(4)):
        for make in (np.ascontiguousarray, np.asfortranarray):
            matrix = Metered(TiledMatrix(make(LARGE), engine))
            ledgers.append(how.run(matrix, Budget(**asked), options or how.options(), Streams(0)).ledger)
    assert all(ledger == ledgers[0] for ledger in ledgers)


def test_reading_single_rows_and_columns_is_not_a_pass():
    matrix = Metered(TiledMatrix(LARGE))
    matrix.rows(np.array([1, 2]))
    matrix.cols(np.array([1, 2]))
    matrix.block(slice(0, 3), slice(0, 3))
    assert matrix.ledger.passes == 0
    matrix.scaled(3).matmat(np.ones((510, 2)))
    assert (matrix.ledger.passes, matrix.ledger.products, matrix.ledger.flops) == (1, 1, 2 * 2 * LARGE.size)


@pytest.mark.parametrize("method", ["svd", "qb"])
def test_the_flops_of_a_decomposition_by_lapack_are_counted(method):
    A = np.random.default_rng(3).standard_normal((90, 40))
    decomposed = 14 * 90 * 40**2 + 8 * 40**3
    for B in (A, A.T):
        done = lowrank_cli.approx(B, method=method, rank=3, certify="none")
        assert done.facts["kernels"][0] == "lapack gesdd" and done.ledger.flops == decomposed
    measured = lowrank_cli.approx(A, method=method, rank=3).ledger.flops
    assert measured == decomposed + 90 * 40 * (2 * 3 + 2)
