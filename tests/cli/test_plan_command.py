"""lowrank plan: lists in, answers out; what the header alone can say; and that every refusal is one line."""

from __future__ import annotations

import csv
import io
import json
import os

import gallery
import numpy as np
import pytest

from lowrank_cli.cli.plan import numbers, sizes
from lowrank_cli.errors import UsageError
from lowrank_cli.reports import TABLE as FACES

from .conftest import refusal


@pytest.fixture
def lowrank(command):
    """lowrank(*argv) runs a command line with the real library."""
    return command


@pytest.fixture
def matrix(tmp_path) -> str:
    np.save(tmp_path / "A.npy", gallery.with_spectrum(60, 40, gallery.poly(40, 2.0), seed=1)[0])
    return str(tmp_path / "A.npy")


# Lists


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1", 1),
        ("1024", 1024),
        ("10M", 10_000_000),
        ("10MB", 10_000_000),
        ("10MiB", 10 * 2**20),
        ("1.5GiB", 3 * 2**29),
        ("1.5G", 1_500_000_000),
        ("500k", 500_000),
        ("500kB", 500_000),
        ("2Ki", 2048),
        ("1e3", 1000),
        ("1e3k", 1_000_000),
        ("1T", 10**12),
        ("7B", 7),
        ("2 MB", 2_000_000),
        ("1.9", 1),
    ],
)
def test_a_size_is_read_in_decimal_or_binary_units(text, count):
    assert sizes(text, "bytes") == [count]


def test_lists_are_separated_by_commas_and_keep_their_order():
    assert sizes("10M, 1k", "bytes") == [10_000_000, 1000]
    assert numbers("0.1,1e-3,.5", "rtol") == [0.1, 1e-3, 0.5]
    assert numbers(None, "rtol") == sizes(None, "bytes") == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "1,,2",
        "10X",
        "M",
        "ten",
        "-1",
        "0",
        "0.5",
        "1iB",
        "1e99",
        "nan",
        "inf",
        "1_000",
        "1;2",
        "1mm",
        "9P" * 9,
    ],
)
def test_a_size_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="--bytes"):
        sizes(text, "bytes")


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--rtol", "0.1,"),
        ("--rtol", "0.1,two"),
        ("--rtol", "0"),
        ("--rtol", "1"),
        ("--rtol", "-0.1"),
        ("--rtol", "nan"),
        ("--rtol", "0.1 0.2"),
        ("--tol", "0.1,5"),
        ("--ratio", "0"),
        ("--ratio", "2,-3"),
        ("--ratio", "inf"),
        ("--bytes", "10M,x"),
    ],
)
def test_a_bad_list_is_refused_before_the_matrix_is_looked_for(lowrank, flag, text):
    assert flag.replace("--tol", "--rtol") in refusal(lowrank("plan", "no such file.npy", f"{flag}={text}"))


def test_a_tolerance_below_rounding_is_refused(lowrank, matrix):
    assert "rounding unit" in refusal(lowrank("plan", matrix, "--rtol", "1e-17"))


# What it says


def test_json_has_the_curve_the_answers_in_order_and_the_run(lowrank, matrix):
    result = lowrank("plan", matrix, "--rtol", "0.1,0.01", "--bytes", "5k", "--ratio", "4", "--json")
    report = json.loads(result.out)
    assert result.code == 0 and list(report)[:2] == ["schema", "command"] and report["schema"] == "lowrank.report/1"
    assert [(a["asked"], a["value"]) for a in report["answers"]] == [
        ("rtol", 0.1),
        ("rtol", 0.01),
        ("bytes", 5000),
        ("ratio", 4.0),
    ]
    assert set(report["curve"][0]) == {"rank", "error", "bytes", "apply_flops"}
    assert len(report["run"]["predicted_seconds"]) == 4 and report["run"]["input_path"] == matrix
    assert report["break_even"]["rank"] == 24


def test_every_face_shows_a_plan_and_numbers_survive_in_the_plain_ones(lowrank, matrix):
    report = json.loads(lowrank("plan", matrix, "--rtol", "0.1", "--json").out)
    for face in FACES:
        result = lowrank("plan", matrix, "--rtol", "0.1", "--report", face)
        assert result.code == 0 and repr(report["answers"][0]["error"]) in result.out


def test_tsv_has_a_line_for_every_rank_and_then_for_every_answer(lowrank, matrix):
    report = json.loads(lowrank("plan", matrix, "--ratio", "3,1000000", "--json").out)
    lines = list(csv.DictReader(io.StringIO(lowrank("plan", matrix, "--ratio", "3,1000000", "--report", "tsv").out), delimiter="\t"))  # fmt: skip  # noqa: E501
    curve = [line for line in lines if line["asked"] == "curve"]
    assert [(int(p["rank"]), float(p["error"]), int(p["bytes"])) for p in curve] == [
        (p["rank"], p["error"], p["bytes"]) for p in report["curve"]
    ]
    answered, impossible = lines[len(curve) :]
    assert answered["worth"] == "true" and int(answered["rank"]) == report["answers"][0]["rank"]
    assert impossible["rank"] == "" and "rank 1" in impossible["note"]


def test_the_table_says_plainly_what_is_not_worth_it(lowrank, tmp_path):
    np.save(tmp_path / "A.npy", np.eye(30))
    text = " ".join(lowrank("plan", str(tmp_path / "A.npy"), "--rtol", "0.1").out.split())
    assert "Not worth it: the factors take" in text


def test_the_table_of_a_plan_fits_eighty_columns(lowrank, matrix):
    for more in ([], ["--dry-run"], ["--bytes", "1k,1G"]):
        assert max(map(len, lowrank("plan", "-q", matrix, *more).out.splitlines()), default=0) == 0
        assert max(map(len, lowrank("plan", matrix, *more).out.splitlines())) <= 80 + len(matrix)


# Headers only


def test_a_dry_run_plans_a_matrix_no_memory_could_hold(lowrank, tmp_path):
    path = tmp_path / "huge.npy"
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": (2_000_000, 500_000)}
        )
        start = file.tell()
    try:
        os.truncate(path, start + 8 * 10**12)
    except OSError:
        pytest.skip("no sparse file of 8 TB here")
    result = lowrank("plan", str(path), "--dry-run", "--bytes", "100MB", "--json")
    report = json.loads(result.out)
    assert report["break_even"]["rank"] == 400_000
    assert report["answers"][0]["rank"] == 10**8 // (2_500_001 * 8) and report["answers"][0]["error"] is None
    assert report["answers"][0]["predicted"]["memory"] > 8 * 10**12
    assert "ledger" not in report and "predicted_seconds" not in report["run"]


def test_a_plan_says_whether_its_answers_fit_the_memory(lowrank, tmp_path, monkeypatch):
    """10^6 x 10^4: rank 37 in three gigabytes, the matrix in its file; not rank 1000 in two."""
    path = tmp_path / "big.npy"
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**4)})
        file.truncate(file.tell() + 8 * 10**10)
    monkeypatch.setattr("lowrank_cli.memory.available_memory", lambda: 3 * 10**9)
    run = json.loads(lowrank("plan", str(path), "--dry-run", "--bytes", "300M", "--json").out)["run"]
    assert run["memory"] == 3 * 10**9 and run["fits"] == [True] and run["takes"][0] < 3 * 10**9
    monkeypatch.setattr("lowrank_cli.memory.available_memory", lambda: 2 * 10**9)
    result = lowrank("plan", str(path), "--dry-run", "--bytes", "8G")
    assert result.code == 0 and "Does not fit" in result.out


def test_a_dry_run_does_not_look_at_the_values(lowrank, tmp_path):
    A = np.ones((20, 10))
    A[3, 3] = np.nan
    np.save(tmp_path / "A.npy", A)
    assert lowrank("plan", str(tmp_path / "A.npy"), "--dry-run").code == 0
    assert "row 3, column 3" in refusal(lowrank("plan", str(tmp_path / "A.npy")), 4)


@pytest.mark.parametrize("dtype", ["float16", "int32", ">f8", "complex64", "bool"])
def test_a_dry_run_agrees_with_the_plan_in_every_stored_dtype(lowrank, tmp_path, dtype):
    path = str(tmp_path / "A.npy")
    np.save(path, (np.arange(600).reshape(30, 20) % 7).astype(dtype))
    full, dry = (json.loads(lowrank("plan", path, "--bytes", "900", "--json", *more).out) for more in ([], ["--dry-run"]))  # fmt: skip  # noqa: E501
    assert dry["break_even"] == full["break_even"] and dry["input"]["shape"] == full["input"]["shape"]
    assert dry["answers"][0]["predicted"] == full["answers"][0]["predicted"]


def test_a_dry_run_cannot_answer_a_tolerance_and_says_so(lowrank, matrix):
    said = refusal(lowrank("plan", matrix, "--dry-run", "--rtol", "0.1"))
    assert "--rtol" in said and "--dry-run" in said


@pytest.fixture
def container(tmp_path) -> str:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["a/X"] = np.ones((30, 20))
        file["b"] = np.ones((5, 4), "float32")
        file["note"] = np.arange(3)
    return str(tmp_path / "two.h5")


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["plan", "dry"])
def test_a_container_of_several_matrices_wants_a_name(lowrank, container, dry):
    said = refusal(lowrank("plan", container, *dry), 4)
    assert "2 matrices" in said and f"{container}:/a/X" in said and f"{container}:/b" in said
    for named in ([f"{container}:/a/X"], [container, "-d", "/a/X"], [container, "-d", "a/X"]):
        assert json.loads(lowrank("plan", *named, *dry, "--json").out)["input"]["shape"] == [30, 20]
    assert lowrank("plan", container, "-d", "nothing", *dry).code == 4
    assert "twice" in refusal(lowrank("plan", f"{container}:/b", "-d", "a/X", *dry))
    assert lowrank("plan", container, "-d", "note", *dry).code == 4


def test_a_missing_file_is_exit_4(lowrank):
    for more in ([], ["--dry-run"]):
        assert "no such file" in refusal(lowrank("plan", "nothing.npy", *more), 4)
