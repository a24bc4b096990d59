"""What the commands print, write and return."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from lowrank_cli import __version__
from lowrank_cli.algorithms import TABLE as METHODS
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.cli import TABLE
from lowrank_cli.errors import InputError, NumericalError, OutputError, ResourceError
from lowrank_cli.formats import MATRICES, WRITERS, saving
from lowrank_cli.formats import TABLE as FORMATS

from . import standin


def test_version_is_one_line(lowrank):
    result = lowrank("--version")
    assert (result.code, result.out) == (0, f"lowrank {__version__}\n")


@pytest.mark.parametrize("verb", [None, *TABLE])
def test_every_command_explains_itself(lowrank, verb):
    result = lowrank(*([] if verb is None else [verb]), "--help")
    assert result.code == 0 and result.out.startswith("Usage: lowrank") and result.err == ""


def test_usage_lines_name_the_arguments_plainly(lowrank):
    assert lowrank("product", "--help").out.startswith("Usage: lowrank product [OPTIONS] X Y\n")
    assert lowrank("info", "--help").out.startswith("Usage: lowrank info [OPTIONS] FILE...\n")


def test_help_fits_eighty_columns(lowrank):
    for verb in TABLE:
        assert max(map(len, lowrank(verb, "--help").out.splitlines())) <= 80


def test_the_root_help_lists_every_command(lowrank):
    text = lowrank("-h").out
    for name, entry in TABLE.items():
        assert name in text and entry.summary.split()[0] in text


def test_json_on_stdout_is_the_report_with_its_run(lowrank, matrix):
    result = lowrank("approx", matrix, "-k", "2", "--json")
    report = json.loads(result.out)
    assert next(iter(report)) == "schema" and report["input"]["shape"] == [6, 5]
    assert report["run"]["argv"] == ["lowrank", "approx", matrix, "-k", "2", "--json"]
    assert report["run"]["input_path"] == matrix and report["run"]["bytes_read"] == 240
    assert result.err == ""


def test_the_output_holds_the_factors_and_the_report_without_the_run(lowrank, matrix, tmp_path):
    target = tmp_path / "out.npz"
    assert lowrank("approx", matrix, "-k", "2", "-o", str(target)).code == 0
    saved = saving.load_factors(str(target))
    assert saved.kind == "svd" and "run" not in saved.report and saved.report["method"] == "svd"


def test_one_part_is_written_as_npy(lowrank, matrix, tmp_path):
    target = tmp_path / "P.npy"
    assert lowrank("approx", matrix, "-k", "2", "--part", "product", "-o", str(target)).code == 0
    assert np.array_equal(np.load(target), np.full((6, 5), 2.0))


def test_quiet_prints_nothing_and_verbose_talks_on_stderr(lowrank, matrix):
    quiet = lowrank("approx", matrix, "-q")
    assert (quiet.out, quiet.err) == ("", "")
    loud = lowrank("approx", matrix, "-v")
    for word in ("method svd", "float64", "passes", "kernels", " s\n"):
        assert word in loud.err
    assert "info" not in loud.out


def test_a_missed_tolerance_exits_3_with_output_written_and_one_warning(lowrank, library, matrix, tmp_path):
    library.status, target = Status.RANK_REACHED, tmp_path / "out.npz"
    result = lowrank("approx", matrix, "-k", "1", "--rtol", "1e-9", "-o", str(target))
    assert result.code == 3
    assert result.err.count("\n") == 1 and result.err.startswith("lowrank: warning: ")
    assert saving.load_factors(str(target)).report["status"] == "rank_reached"


def test_a_rank_alone_cannot_be_missed(lowrank, library, matrix):
    library.status = Status.RANK_REACHED
    assert lowrank("approx", matrix, "-k", "1").code == 0


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("has a NaN", where="A", hint="clean it"), 4, "lowrank: error: A: has a NaN; clean it\n"),
        (OutputError("is full", where="B"), 5, "lowrank: error: B: is full\n"),
        (ResourceError("too big"), 7, "lowrank: error: too big\n"),
        (NumericalError("gesdd"), 1, "lowrank: error: gesdd\n"),
        (MemoryError(), 7, "not enough memory"),
        (RuntimeError("two\nlines\x1b[31m"), 1, "internal error: RuntimeError: two\\nlines\\x1b[31m; please report"),
        (EOFError(), 1, "internal error: EOFError; please report"),
        (KeyError("x"), 1, "--debug"),
        (OSError(28, "No space"), 1, "internal error"),
    ],
)
def test_every_exception_is_one_line_and_its_exit_code(lowrank, library, matrix, error, code, words):
    library.error = error
    result = lowrank("approx", matrix, "--json")
    assert result.code == code and result.out == ""
    assert words in result.err and result.err.count("\n") == 1


@pytest.mark.parametrize("text", ["x\x1b[31m", "x\ny", "x\u202ey", "x\udcff"])
def test_a_hostile_name_in_an_error_is_escaped(lowrank, text):
    result = lowrank("info", text)
    assert result.code == 4 and result.err.count("\n") == 1
    assert result.err.rstrip("\n").isprintable()


def test_a_broken_pipe_is_quiet_and_141(lowrank, library, matrix):
    library.error = BrokenPipeError()
    result = lowrank("approx", matrix)
    assert (result.code, result.out, result.err) == (141, "", "")


def test_list_shows_the_tables(lowrank):
    assert [m["name"] for m in json.loads(lowrank("list", "methods", "--json").out)["methods"]] == list(METHODS)
    formats = json.loads(lowrank("list", "formats", "--json").out)["formats"]
    assert [f["name"] for f in formats] == [*FORMATS, *WRITERS, *MATRICES]
    for name in FORMATS:
        assert name in lowrank("list", "formats").out


def test_list_tables_load_without_rich(lowrank, monkeypatch):
    for name in [n for n in sys.modules if n == "rich" or n.startswith("rich.")]:
        monkeypatch.delitem(sys.modules, name)
    assert lowrank("list", "methods").code == 0
    assert "rich" not in sys.modules


def test_info_tells_matrices_from_headers(lowrank, matrix):
    report = json.loads(lowrank("info", matrix, "--json").out)
    assert report["format"] == "npy"
    (item,) = report["items"]
    assert {n: item[n] for n in ("path", "shape", "dtype", "nnz", "bytes")} == {
        "path": None, "shape": [6, 5], "dtype": "float64", "nnz": None, "bytes": 240,
    }  # fmt: skip


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_info_tells_factors_from_their_stored_report(lowrank, matrix, tmp_path, suffix):
    target = f"{tmp_path}/F{suffix}"
    assert lowrank("approx", matrix, "-k", "2", "-o", target).code == 0
    report = json.loads(lowrank("info", target, "--json").out)
    assert report["factors"]["kind"] == "svd" and report["factors"]["rank"] == 2
    assert report["factors"]["shape"] == [6, 5]
    assert {i["path"]: i["bytes"] for i in report["items"]} == {"U": 96, "s": 16, "Vh": 80}
    assert report["stored"]["error"]["relative"] == 1 / 3
    text = lowrank("info", target).out
    assert "rank 2" in text and repr(1 / 3) in text


def test_info_of_several_files_is_one_tsv_line_each(lowrank, matrix, tmp_path):
    targets = [str(tmp_path / name) for name in ("a.npz", "b.h5")]
    for target in targets:
        lowrank("approx", matrix, "-k", "2", "-o", target)
    lines = lowrank("info", *targets, "--report", "tsv").out.splitlines()
    header = lines[0].split("\t")
    rows = [dict(zip(header, line.split("\t"), strict=True)) for line in lines[1:]]
    assert [row["file"] for row in rows] == targets
    assert all(row["kind"] == "svd" and row["rank"] == "2" and row["rows"] == "6" for row in rows)


def test_info_of_a_bad_file_among_good_ones_reports_both(lowrank, matrix, tmp_path):
    missing = str(tmp_path / "missing.npy")
    result = lowrank("info", missing, matrix, "--keep-going", "--report", "jsonl")
    first, second = (json.loads(line) for line in result.out.splitlines())
    assert result.code == 1 and first["error"]["exit"] == 4 and "missing.npy" in first["error"]["message"]
    assert second["items"][0]["shape"] == [6, 5]
    assert lowrank("info", missing, matrix).code == 4
    assert lowrank("info", missing, "--json").out == ""


def test_reconstruct_multiplies_the_factors_out(lowrank, matrix, tmp_path):
    factors, dense = str(tmp_path / "F.h5"), tmp_path / "A2.npy"
    lowrank("approx", matrix, "-k", "2", "-o", factors)
    assert lowrank("reconstruct", factors, "-o", str(dense)).code == 0
    assert np.array_equal(np.load(dense), np.full((6, 5), 2.0))


def test_reconstruct_needs_to_know_where_to(lowrank, tmp_path):
    assert lowrank("reconstruct", "F.npz").code == 2
    assert lowrank("reconstruct", "F.npz", "-o", str(tmp_path / "A.pdf")).code == 2


@pytest.mark.parametrize(("holds", "code"), [(True, 0), (False, 8)])
def test_verify_exits_8_when_the_claim_does_not_hold(lowrank, matrix, tmp_path, monkeypatch, holds, code):
    factors = str(tmp_path / "F.npz")
    lowrank("approx", matrix, "-k", "2", "-o", factors)
    claim = {"claimed": 0.25, "measured": 0.5, "holds": holds}
    monkeypatch.setattr(
        "lowrank_cli.analysis.verify.verify",
        lambda *args, **more: {**claim, "reason": None if holds else "it is larger"},
    )
    result = lowrank("verify", factors, "--against", matrix)
    assert result.code == code
    for word in ("0.25", "0.5", "yes" if holds else "it is larger"):
        assert word in result.out
    assert json.loads(lowrank("verify", factors, "--against", matrix, "--json").out)["run"]["against_path"] == matrix


def test_verify_of_a_product_needs_both_matrices(lowrank, matrix, tmp_path):
    product, single = str(tmp_path / "P.npz"), str(tmp_path / "F.npz")
    lowrank("product", matrix, matrix, "-k", "2", "-o", product)
    lowrank("approx", matrix, "-k", "2", "-o", single)
    missing = lowrank("verify", product, "--against", matrix)
    assert missing.code == 2 and "--times" in missing.err
    extra = lowrank("verify", single, "--against", matrix, "--times", matrix)
    assert extra.code == 2 and "--times" in extra.err


@pytest.mark.parametrize("extra", [["--sample"], ["--times", "Y.npy"]])
def test_only_a_matrix_can_be_sampled(lowrank, extra):
    result = lowrank("verify", "F.npz", *extra)
    assert result.code == 2 and "--against" in result.err


def test_warmup_names_the_kernels(lowrank, monkeypatch):
    monkeypatch.setattr("lowrank_cli.kernels.jit.warm_up", lambda: ["sweep float64"])
    monkeypatch.setattr("lowrank_cli.kernels.jit.not_kept", lambda: None)
    done = lowrank("warmup", "--json")
    assert json.loads(done.out)["kernels"] == ["sweep float64"] and done.err == ""


def test_warmup_says_that_kernels_are_not_kept_and_why(lowrank, monkeypatch):
    monkeypatch.setattr("lowrank_cli.kernels.jit.warm_up", lambda: ["sweep float64"])
    monkeypatch.setattr("lowrank_cli.kernels.jit.not_kept", lambda: "/cache: No space left on device")
    said = lowrank("warmup").err
    assert said.count("\n") == 1 and "not kept" in said and said.endswith("/cache: No space left on device\n")


def test_public_names_resolve_lazily():
    import lowrank_cli

    for name in lowrank_cli.__all__:
        assert getattr(lowrank_cli, name) is not None
    with pytest.raises(AttributeError):
        _ = lowrank_cli.nothing
    assert standin.SVD.name == "svd"
