"""Every method of the table on every matrix of the gallery: what comes out is what the contract says."""

from __future__ import annotations

import dataclasses
import json
import math

import gallery
import measure
import numpy as np
import pytest
from contracts import cases
from contracts.cases import CASES
from formats.factor_samples import containers
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from lowrank_cli.algorithms import TABLE
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.errors import LowrankError
from lowrank_cli.factors import TABLE as FACTORS
from lowrank_cli.formats.saving import load_factors, save
from lowrank_cli.options import described


@pytest.fixture(autouse=True, scope="module")
def one_blas_thread():
    """For what is recomputed here; the library sees to itself."""
    with threadpool_limits(1, "blas"):
        yield


SHAPES = {
    ("svd", "U"): "mk",
    ("svd", "s"): "k",
    ("svd", "Vh"): "kn",
    ("qb", "Q"): "mk",
    ("qb", "B"): "kn",
    ("lora", "lora_A"): "kn",
    ("lora", "lora_B"): "mk",
    ("lora", "alpha"): None,
    ("id", "cols"): "k",
    ("id", "C"): "mk",
    ("id", "Z"): "kn",
    ("id", "rows"): "k",
    ("id", "R"): "kn",
    ("id", "W"): "mk",
    ("id", "S"): "kk",
    ("kron", "s"): "k",
    # of shapes that divide those of A: factor.shape says whether they do
    ("kron", "B"): None,
    ("kron", "C"): None,
    ("cur", "cols"): "c",
    ("cur", "rows"): "r",
    ("cur", "C"): "mc",
    ("cur", "U"): "cr",
    ("cur", "R"): "rn",
    ("cur", "G"): "cr",
    # of rows as many as codewords, times levels
    ("vq", "codes"): None,
    ("vq", "codebook"): None,
    ("vq", "starts"): None,
    ("nmf", "W"): "mk",
    ("nmf", "H"): "kn",
    ("diag-lowrank", "d"): "m",
    ("diag-lowrank", "U"): "mk",
    ("diag-lowrank", "s"): "k",
    ("diag-lowrank", "Vh"): "kn",
    ("rank1-nonneg", "r"): "m",
    ("rank1-nonneg", "c"): "n",
    ("nystrom", "F"): "mk",
    ("nystrom", "cols"): "k",
    ("fd", "s"): "k",
    ("fd", "Vh"): "kn",
    ("cr", "index"): "k",
    ("cr", "scale"): "k",
    ("cr", "C"): "mk",
    ("cr", "R"): "kn",
    # p: the inner side of the given factor
    ("given left", "L"): "mp",
    ("given left", "W"): "pk",
    ("given left", "R"): "kn",
    ("given right", "L"): "mk",
    ("given right", "W"): "kp",
    ("given right", "R"): "pn",
}


def matrix(name):
    """The named matrix, and what the factors approximate for a method of products."""
    return gallery.GALLERY[name]()[0]


def asked(case, A):
    side = A.shape[1] if case.of_product else min(A.shape)
    return {"rank": max(1, side // 3)}


def target(case, A, Y):
    if case.of_gram:
        return measure.wide(A).conj().T @ measure.wide(A)
    return measure.wide(A) @ measure.wide(Y) if case.of_product else A


def scale_of(case, A, Y):
    return measure.norm(A) * (measure.norm(A) if case.of_gram else measure.norm(Y) if case.of_product else 1.0)


@pytest.mark.parametrize("name", sorted(gallery.GALLERY))
@pytest.mark.parametrize("case", CASES)
def test_factors_report_and_certificate_are_what_the_contract_says(case, name, tmp_path):
    how, A = CASES[case], CASES[case].takes(matrix(name))
    if A is None:
        with pytest.raises(LowrankError):
            cases.run(how, matrix(name), rank=1)
        return
    Y = cases.second(how, A)
    outcome, report = cases.run(how, A, Y, **asked(how, A))
    factor = outcome.factor
    m, n = A.shape[0], (Y.shape[1] if how.of_product else A.shape[1])
    sizes = {"m": m, "n": n, "k": factor.rank, "p": 0 if Y is None else Y.shape[how.companion != "right"]}
    sizes |= {name[0]: len(array) for name, array in factor.arrays().items() if name in ("cols", "rows")}

    assert factor.kind == how.kind and factor.shape == ((n, n) if how.of_gram else (m, n))
    # threshold sampling draws a random number of pairs
    assert 1 <= factor.rank <= (A.shape[1] if case == "cr threshold" else asked(how, A)["rank"])
    for array_name, array in factor.arrays().items():
        if (sides := SHAPES[case if (case, array_name) in SHAPES else factor.kind, array_name]) is not None:
            assert array.shape == tuple(sizes[side] for side in sides), array_name
        assert np.all(np.isfinite(array)), array_name
        expected = (
            "i"
            if array_name in ("cols", "rows", "index", "starts")
            else "f"
            if array_name in ("s", "scale", "alpha")
            else A.dtype.kind
        )
        expected = "u" if array_name == "codes" else expected
        assert array.dtype.kind == expected, array_name
        if expected == "i":
            assert array.dtype == np.int64

    found = outcome.certificate
    true = measure.norm(target(how, A, Y) - measure.product(factor))
    slack = 10 * measure.eps(A) * scale_of(how, A, Y)
    assert abs(found.absolute - true) <= max(1e-8 * true, slack)
    assert true <= found.absolute * (1 + 1e-12) + slack
    size = measure.norm(target(how, A, Y))
    assert found.kind == "exact" and found.norm == "fro"
    if size:
        assert found.relative == pytest.approx(found.absolute / size, rel=1e-5 if measure.eps(A) > 1e-10 else 1e-9)
    else:
        assert found.relative == 0.0 == found.absolute

    assert outcome.status is Status.CONVERGED and outcome.bound_met and outcome.status.advice
    check_report(report, how, outcome, A)
    for suffix in containers(factor):
        path = f"{tmp_path}/F{suffix}"
        save(factor, report, path)
        read = load_factors(path)
        assert read.kind == factor.kind and type(read.factor) is type(factor)
        assert cases.bits(read.factor) == cases.bits(factor)
        assert read.report == json.loads(json.dumps(report))


def check_report(report, how, outcome, A):
    text = json.dumps(report, allow_nan=False)
    assert json.loads(text) == report
    assert report["schema"] == "lowrank.report/1" and report["method"] == how.method
    assert report["status"] == outcome.status.value and report["rank"] == outcome.factor.rank
    assert report["input"]["shape"] == list(A.shape) and report["input"]["dtype"] == str(A.dtype)
    assert report["input"]["bytes"] == A.nbytes and report["input"]["digest"]
    assert ("times" in report) == how.of_product
    assert report["error"]["kind"] == "exact" and report["error"]["relative"] == outcome.certificate.relative
    assert report["compression"]["bytes_out"] == outcome.factor.nbytes
    assert report["ledger"] == dataclasses.asdict(outcome.ledger)
    assert report["method_facts"]["kernels"]
    assert "run" not in report and report["seed"] == 0
    assert all(math.isfinite(v) for v in report["compression"].values() if v is not None)


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_the_reported_error_is_the_error_recomputed_for_large_matrices_of_every_dtype(case, dtype):
    how, A = CASES[case], CASES[case].takes(cases.large(dtype))
    Y = cases.second(how, A)
    outcome, _ = cases.run(how, A, Y, rank=40, threads=2)
    # in double precision: the claim is far above its rounding, and extended precision has no BLAS
    wide = "complex128" if A.dtype.kind == "c" else "float64"
    exact = A.astype(wide) @ Y.astype(wide) if how.of_product else A.astype(wide)
    exact = exact.conj().T @ exact if how.of_gram else exact
    made = measure.product(outcome.factor, lambda array: np.asarray(array).astype(wide))
    true = np.linalg.norm(exact - made)
    slack = 10 * measure.eps(A) * scale_of(how, A, Y)
    assert abs(outcome.certificate.absolute - true) <= max(1e-8 * true, slack)
    assert outcome.factor.dtype == A.dtype


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_sparse_matrices_go_through_every_method_and_container(case, dtype, tmp_path):
    how = CASES[case]
    A, _ = gallery.with_spectrum(60, 50, gallery.poly(50), dtype=dtype)
    A = csr_array(how.takes(np.where(np.abs(A) > np.quantile(np.abs(A), 0.7), A, 0)))
    Y = cases.second(how, A)
    outcome, report = cases.run(how, A, Y, rank=12)
    true = measure.norm(target(how, measure.dense(A), Y) - measure.product(outcome.factor))
    slack = 10 * measure.eps(A) * scale_of(how, A, Y)
    assert abs(outcome.certificate.absolute - true) <= max(1e-8 * true, slack)
    assert report["input"]["nnz"] == A.nnz
    for suffix in containers(outcome.factor):
        path = f"{tmp_path}/F{suffix}"
        save(outcome.factor, report, path)
        assert cases.bits(load_factors(path).factor) == cases.bits(outcome.factor)


@pytest.mark.parametrize("stored", ["bool", "int8", "uint16", "int64", "float16", ">f8", ">i4", ">c16"])
@pytest.mark.parametrize("case", CASES)
def test_d10_every_stored_dtype_is_computed_in_a_dtype_that_holds_it(case, stored):
    how = CASES[case]
    rng = np.random.default_rng(1)
    A = how.takes((rng.integers(0, 2 if stored == "bool" else 100, (30, 20))).astype(stored))
    working = A.astype("complex128" if A.dtype.kind == "c" else "float32" if stored == "float16" else "float64")
    Y = cases.second(how, working)
    outcome, report = cases.run(how, A, Y, rank=9)
    same, _ = cases.run(how, working, Y, rank=9)
    assert cases.bits(outcome.factor).keys() == cases.bits(same.factor).keys()
    assert outcome.certificate.relative == pytest.approx(same.certificate.relative, rel=1e-5)
    assert report["input"]["dtype"] == str(A.dtype.newbyteorder("="))


@pytest.mark.parametrize("case", CASES)
def test_inputs_are_never_written_to(case):
    how = CASES[case]
    A = how.takes(gallery.with_spectrum(40, 30, gallery.poly(30))[0])
    Y = cases.second(how, A)
    for array in (A, *([] if Y is None else [Y])):
        array.flags.writeable = False
    kept = A.copy()
    cases.run(how, A * 1.0, Y, rank=5)
    cases.run(how, A, Y, rank=5)
    assert np.array_equal(A, kept)


@pytest.mark.parametrize("case", CASES)
def test_another_seed_gives_other_numbers_or_none_were_drawn(case):
    how, A = CASES[case], CASES[case].takes(cases.large())
    Y = cases.second(how, A)
    one, other = (cases.run(how, A, Y, rank=20, seed=seed, threads=2)[0].factor for seed in (0, 1))
    # the columns of id bound come from leading singular vectors, which any sketch finds, and all else from the columns
    random = case not in (
        "id bound",
        "cr top",
        "cr auto",
        "nmf spa",
        "cr least-squares",
        "rank1-nonneg",
        "fd",
        "given left",
        "given right",
    )
    assert (cases.bits(one) != cases.bits(other)) == random


# The table


def test_every_method_of_the_table_has_a_case_here():
    assert {case.method for case in CASES.values()} == set(TABLE)
    assert set(FACTORS) == {case.kind for case in CASES.values()}


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_row_of_the_table_describes_its_method(name):
    method = TABLE[name].load()
    assert method.name == name and TABLE[name].summary
    assert method.identity and method.cost and method.reference
    fields = described(method.options)
    assert len(fields) == len(dataclasses.fields(method.options)) <= 6
    assert all(spec.help for _, spec in fields.values())
    assert method.options() == method.options(**{name: field.default for name, (field, _) in fields.items()})
