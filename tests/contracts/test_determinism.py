"""The promise: the same version, options, seed and values give the same bits, however they lay and whoever computed."""

from __future__ import annotations

import functools
import itertools
import subprocess
import sys

import gallery
import h5py
import numpy as np
import pytest
import scipy.io
from contracts import cases
from contracts.cases import CASES
from formats.factor_samples import content
from scipy.sparse import csr_array

from lowrank_cli.formats import WRITERS
from lowrank_cli.formats.saving import save
from lowrank_cli.matrices.blocks import pieces
from lowrank_cli.matrices.grid import cuts, sparse_row_cuts

ASKED = {"rank": {"rank": 25}, "tolerance": {"rtol": 0.2}}
#: of the schemes of cr some stand for all that search for a tolerance in the same way
FIXED = [case for case in CASES if CASES[case].of_product and case not in ("cr auto", "cr priority", "cr shrunk")]
#: leverage scores are those of a rank
FIXED.append("cur leverage")
#: each rank has columns of its own, and a tolerance is a search among them
FIXED.append("id bound")
# the rank is what is asked for
FIXED.append("fd")
WHAT = [(case, how) for case, how in itertools.product(CASES, ASKED) if how == "rank" or case not in FIXED]
DTYPES = ("float64", "float32", "complex128")


def values(case, dtype="float64"):
    A = CASES[case].takes(cases.large(dtype))
    return A, cases.second(CASES[case], A)


def found(case, A, Y, how, **more):
    """Everything that must not change: the bits of the factors and the report."""
    outcome, report = cases.run(CASES[case], A, Y, **ASKED[how], **more)
    return cases.bits(outcome.factor), {name: value for name, value in report.items() if name != "input"}, report


@functools.cache
def wanted(case, how, dtype="float64"):
    """What one thread finds of a C-ordered array."""
    return found(case, *values(case, dtype), how)


def test_the_matrix_has_more_than_one_of_everything_that_is_summed():
    A = cases.large()
    assert len(cuts(A.shape[0])) > 2 and len(pieces(A.shape[0])) > 1
    assert len(sparse_row_cuts(half_empty().indptr)) > 2


def half_empty(takes=lambda A: A) -> csr_array:
    A = cases.large()
    return csr_array(takes(np.where(np.abs(A) > np.quantile(np.abs(A), 0.7), A, 0)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("case", "how"), WHAT)
def test_no_bit_of_factors_or_report_depends_on_threads_or_order(case, how, dtype):
    A, Y = values(case, dtype)
    F = np.asfortranarray
    assert found(case, F(A), None if Y is None else F(Y), how, threads=4) == wanted(case, how, dtype)


@pytest.mark.parametrize(("case", "how"), WHAT)
def test_no_bit_depends_on_threads_alone(case, how):
    assert found(case, *values(case), how, threads=2) == wanted(case, how)


@pytest.mark.parametrize(("case", "how"), [row for row in WHAT if not CASES[row[0]].of_product])
def test_no_bit_depends_on_threads_or_order_for_wide_matrices(case, how):
    A = CASES[case].takes(cases.large()).T
    Y = cases.second(CASES[case], A)
    assert found(case, np.ascontiguousarray(A), Y, how, threads=4) == found(case, A, Y, how)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
@pytest.mark.parametrize(("case", "how"), WHAT)
def test_no_bit_of_a_larger_job_depends_on_threads_or_order(case, how, dtype):
    A = CASES[case].takes(gallery.with_spectrum(1700, 1300, gallery.poly(1300), dtype=dtype)[0])
    Y = cases.second(CASES[case], A)
    alone = found(case, A, Y, how)
    for threads, make in ((3, np.asfortranarray), (4, np.ascontiguousarray)):
        assert found(case, make(A), None if Y is None else make(Y), how, threads=threads) == alone, (threads, make)


@pytest.mark.parametrize(("case", "how"), WHAT)
def test_no_bit_depends_on_byte_order_alignment_or_strides(case, how):
    A, Y = values(case)
    buffer = np.empty(A.nbytes + 1, np.uint8)
    misaligned = np.ndarray(A.shape, A.dtype, buffer=buffer.data, offset=1)
    misaligned[...] = A
    wide = np.zeros((2 * A.shape[0], A.shape[1] + 3))
    wide[::2, 3:] = A
    others = {"big-endian": A.astype(">f8"), "misaligned": misaligned, "strided": wide[::2, 3:]}
    if how == "tolerance":  # reads no other way than a rank does: each case meets one of the three again
        name = list(others)[list(CASES).index(case) % len(others)]
        others = {name: others[name]}
    for name, other in others.items():
        assert found(case, other, Y, how, threads=2) == wanted(case, how), name


@pytest.mark.parametrize(("case", "how"), WHAT)
def test_no_bit_depends_on_threads_for_sparse_matrices(case, how):
    A, Y = half_empty(CASES[case].takes), values(case)[1]
    assert found(case, A, Y, how, threads=4) == found(case, A, Y, how)


@pytest.mark.parametrize("case", ["svd", "id", "id rows", "cur leverage", "cr auto"])
def test_small_matrices_keep_the_promise_too(case):
    A, _ = gallery.with_spectrum(90, 70, gallery.poly(70))
    Y = cases.second(CASES[case], A)
    alone = found(case, A, Y, "rank")
    for threads, make in itertools.product((1, 2, 4), (np.ascontiguousarray, np.asfortranarray)):
        assert found(case, make(A), None if Y is None else make(Y), "rank", threads=threads) == alone


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same values in every storage: name, or what a case takes -> paths. A format reads alike at any size."""
    folder = tmp_path_factory.mktemp("storages")
    A, _ = gallery.with_spectrum(150, 110, gallery.poly(110), seed=4)
    seconds = {case.companion: cases.second(case, A) for case in CASES.values() if case.companion is not None}
    made = {name: stored(folder / name, array) for name, array in {"A": A, **seconds}.items()}
    for number, takes in enumerate({case.takes for case in CASES.values()}):
        made[takes] = stored(folder / f"A{number}", takes(A))
    return made


def stored(base, array) -> list[str]:
    for kind, made in (("c", array), ("f", np.asfortranarray(array)), ("big", array.astype(">f8"))):
        np.save(f"{base}.{kind}.npy", made)
    with h5py.File(f"{base}.h5", "w") as file:
        file.create_dataset("contiguous", data=array)
        file.create_dataset("chunked", data=array, chunks=(37, 19))
        file.create_dataset(
            "compressed", data=array, chunks=(min(64, len(array)), array.shape[1]), compression="gzip", shuffle=True
        )
        file.create_dataset("big", data=array.astype(">f8"))
    scipy.io.mmwrite(f"{base}.mtx", array, precision=17)
    items = ("contiguous", "chunked", "compressed", "big")
    return [
        *(f"{base}.{kind}.npy" for kind in ("c", "f", "big")),
        *(f"{base}.h5:/{item}" for item in items),
        f"{base}.mtx",
    ]


@pytest.mark.parametrize(("case", "how"), WHAT)
def test_no_bit_depends_on_the_file_format(case, how, files):
    """.npy in either order and byte order, HDF5 contiguous, chunked, compressed and big-endian, Matrix Market array."""
    results = []
    for number, path in enumerate(files[CASES[case].takes]):
        Y = files[CASES[case].companion][-1 - number] if CASES[case].companion else None
        factors, _, report = found(case, path, Y, how, threads=1 + number % 2)
        results.append((factors, report["error"], report["input"]["digest"], report["ledger"]))
    assert all(result == results[0] for result in results), [r == results[0] for r in results]


@pytest.mark.parametrize("case", ["svd", "id", "cr auto"])
def test_no_bit_depends_on_the_file_format_for_larger_matrices(case, tmp_path):
    A, Y = values(case)
    paths = stored(tmp_path / "A", A)[:6]
    assert all(found(case, path, Y, "rank", threads=2)[0] == wanted(case, "rank")[0] for path in paths)


@pytest.mark.parametrize("suffix", sorted(WRITERS))
@pytest.mark.parametrize("case", ["svd", "id", "id rows", "cur leverage", "cr auto"])
def test_output_files_are_byte_identical(case, suffix, files, tmp_path):
    written = []
    for number, path in enumerate(files["A"][:3]):
        Y = files[CASES[case].companion][0] if CASES[case].companion else None
        outcome, report = cases.run(CASES[case], path, Y, rank=9, threads=1 + number)
        target = f"{tmp_path}/F{number}{suffix}"
        save(outcome.factor, report, target)
        written.append(content(target))
    assert written[0] == written[1] == written[2]


def command(*argv, cwd):
    done = subprocess.run([sys.executable, "-m", "lowrank_cli", *argv], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_the_command_writes_the_same_file_from_any_storage_with_any_threads(suffix, files, tmp_path):
    inputs = [files["A"][0], files["A"][1], files["A"][5]]
    for number, path in enumerate(inputs):
        command(
            "approx",
            path,
            "-k",
            "9",
            "-o",
            f"F{number}{suffix}",
            "--threads",
            str((1, 2, 4)[number]),
            "-q",
            cwd=tmp_path,
        )
    assert content(f"{tmp_path}/F0{suffix}") == content(f"{tmp_path}/F1{suffix}")
    if suffix == ".npz":
        arrays = [dict(np.load(tmp_path / f"F{number}{suffix}")) for number in range(3)]
        for name in ("U", "s", "Vh"):
            assert len({a[name].tobytes() for a in arrays}) == 1


def test_the_command_and_the_library_give_the_same_bits(files, tmp_path):
    command("approx", files["A"][1], "--method", "id", "--rtol", "0.2", "-o", "F.npz", "-q", cwd=tmp_path)
    outcome, _ = cases.run(CASES["id"], files["A"][0], rtol=0.2, threads=2)
    stored = np.load(tmp_path / "F.npz")
    for name, array in outcome.factor.arrays().items():
        assert stored[name].tobytes() == np.ascontiguousarray(array).tobytes(), name
