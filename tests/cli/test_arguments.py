"""What the command line takes, what it refuses, and that every refusal is one line with exit 2."""

from __future__ import annotations

import os

import pytest

from . import standin
from .conftest import refusal


@pytest.mark.parametrize("text", ["0", "-1", "-99999999999999999999999"])
def test_d15_a_rank_below_one_is_refused(lowrank, matrix, text):
    assert "rank" in refusal(lowrank("approx", matrix, f"--rank={text}"))


@pytest.mark.parametrize(
    "text", ["1_000", "99999999999999999999999", "1.0", "1e3", "", " 5", "0x10", "five", "٣", "1" * 5000]
)
def test_d17_a_rank_that_is_no_plain_whole_number_is_refused(lowrank, matrix, text):
    assert "rank" in refusal(lowrank("approx", matrix, "-k", text))


@pytest.mark.parametrize("flag", ["--rtol", "--tol", "--atol"])
@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "1e-400", "1_0", "-0.5", "0", "", "1,5", "0x1p-3"])
def test_d18_a_tolerance_that_is_no_positive_finite_number_is_refused(lowrank, matrix, flag, text):
    assert "tol" in refusal(lowrank("approx", matrix, f"{flag}={text}"))


def test_a_relative_tolerance_of_one_or_more_is_refused(lowrank, matrix):
    assert "below 1" in refusal(lowrank("approx", matrix, "--rtol", "1"))


@pytest.mark.parametrize(
    "twice",
    [["-k", "1", "--rank", "2"], ["--rtol", "0.1", "--tol", "0.1"], ["--json", "--json"], ["--seed", "1", "--seed=2"]],
)
def test_d20_the_same_option_twice_is_refused(lowrank, matrix, twice):
    assert "given twice" in refusal(lowrank("approx", matrix, *twice))


def test_repeated_v_is_more_talk_and_not_a_mistake(lowrank, matrix):
    assert lowrank("approx", matrix, "-k", "1", "-v", "-v").code == 0


@pytest.mark.parametrize("seed", ["-1", str(2**64), "1.5", "x"])
def test_d21_a_seed_outside_64_bits_is_refused(lowrank, matrix, seed):
    assert "seed" in refusal(lowrank("approx", matrix, "--seed", seed))


def test_the_largest_seed_is_taken(lowrank, library, matrix):
    assert lowrank("approx", matrix, "--seed", str(2**64 - 1)).code == 0
    assert library.job.seed == 2**64 - 1


@pytest.mark.parametrize("count", ["0", "-2", "1025", "two", "1_0"])
def test_a_number_of_threads_that_makes_no_sense_is_refused(lowrank, matrix, count):
    assert "threads" in refusal(lowrank("approx", matrix, "--threads", count))


def test_threads_default_to_the_cores_we_may_run_on(lowrank, library, matrix):
    lowrank("approx", matrix)
    assert library.jobs[-1][3] == len(os.sched_getaffinity(0))


def test_d20_rank_and_tolerance_together_are_both_passed_on(lowrank, library, matrix):
    assert lowrank("approx", matrix, "-k", "3", "--tol", "1e-3").code == 0
    assert (library.job.budget.rank, library.job.budget.rtol) == (3, 1e-3)


def test_with_neither_rank_nor_tolerance_the_tolerance_is_one_percent(lowrank, library, matrix):
    assert lowrank("approx", matrix).code == 0
    assert library.job.budget.rtol == 0.01


def test_a_product_has_no_default_tolerance(lowrank, library, matrix):
    lowrank("product", matrix, matrix, "-r", "3")
    assert not library.job.budget.has_tolerance


def test_options_of_a_method_reach_it(lowrank, library, matrix):
    assert lowrank("approx", matrix, "--method", "id", "--axis", "rows", "--oversample", "0").code == 0
    assert library.job.options == standin.IDOptions(axis="rows", oversample=0)


def test_an_option_of_another_method_is_refused_with_its_owner(lowrank, matrix):
    said = refusal(lowrank("approx", matrix, "--axis", "rows"))
    assert "--axis" in said and "method id" in said


def test_a_value_out_of_an_options_range_is_refused(lowrank, matrix):
    said = refusal(lowrank("approx", matrix, "--max-passes", "1"))
    assert "--max-passes" in said and "at least 2" in said


@pytest.mark.parametrize("verb", [["approx", "--help"], ["product", "-h"]])
def test_help_has_the_panels_and_the_options_read_from_the_dataclasses(lowrank, verb):
    result = lowrank(*verb)
    assert result.code == 0
    for panel in ("Accuracy:", "Method:", "Resources:", "Output:", "Input:"):
        assert f"\n{panel}\n" in result.out
    assert "--scheme" in result.out
    assert ("--max-passes" in result.out) == (verb[0] == "approx")


def test_a_mistyped_command_is_answered_with_the_right_one(lowrank):
    assert "did you mean approx?" in refusal(lowrank("aprox", "A.npy"))


def test_a_mistyped_method_is_answered_with_the_right_one(lowrank, matrix):
    assert "did you mean svd?" in refusal(lowrank("approx", matrix, "--method", "svdd"))


def test_a_mistyped_option_is_answered_with_the_right_one(lowrank, matrix):
    assert "did you mean --rank?" in refusal(lowrank("approx", matrix, "--rnak", "3"))


@pytest.mark.parametrize("argv", [[], ["approx"], ["plan", "a", "b"], ["approx", "a", "-k"], ["list", "things"]])
def test_a_command_line_that_is_incomplete_or_too_long_is_one_line(lowrank, argv):
    assert refusal(lowrank(*argv))


def test_a_file_that_looks_like_an_option_is_explained(lowrank, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    standin.save_matrix(tmp_path / "-x.npy")
    assert "./-x.npy" in refusal(lowrank("approx", "-x.npy"))
    assert lowrank("approx", "-k", "1", "--", "-x.npy").code == 0


def test_a_product_method_needs_its_second_factor(lowrank, matrix):
    assert "--times" in refusal(lowrank("approx", matrix, "--method", "cr", "-k", "2"))


def test_a_second_factor_needs_a_product_method(lowrank, matrix):
    assert "--method cr" in refusal(lowrank("approx", matrix, "--times", matrix))


def test_product_is_short_for_approx_with_times(lowrank, library, tmp_path, matrix):
    other = standin.save_matrix(tmp_path / "Y.npy", (5, 3))
    assert lowrank("product", matrix, other, "-r", "2", "--scheme", "uniform").code == 0
    first = library.job
    assert lowrank("approx", matrix, "--times", other, "--method", "cr", "-k", "2", "--scheme", "uniform").code == 0
    second = library.job
    assert first.command == "product" and second.command == "approx"
    assert (first.method, first.budget, first.options, first.seed) == (
        second.method, second.budget, second.options, second.seed,
    )  # fmt: skip


def test_standard_input_is_read_only_once(lowrank):
    assert "only once" in refusal(lowrank("product", "-", "-", "-r", "2"))


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["-o", "out.txt"], ".npz"),
        (["-o", "out"], ".npz"),
        (["--part", "U"], "-o"),
        (["--part", "U", "-o", "U.pdf"], ".npy"),
        (["--part", "Q", "-o", "Q.npy"], "U, s, Vh, product"),
        (["--report", "xml"], "table"),
        (["--json", "--report", "tsv"], "contradict"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(lowrank, library, matrix, argv, word):
    assert word in refusal(lowrank("approx", matrix, *argv))
    assert library.jobs == []


def test_output_equal_to_input_is_refused_before_any_work(lowrank, library, tmp_path, matrix):
    link = tmp_path / "same.npz"
    link.symlink_to(matrix)
    assert "same file" in refusal(lowrank("approx", matrix, "-o", str(link)))
    assert library.jobs == []


def test_no_clobber_keeps_the_existing_output(lowrank, library, tmp_path, matrix):
    target = tmp_path / "out.npz"
    target.write_bytes(b"precious")
    assert lowrank("approx", matrix, "-o", str(target), "--no-clobber").code == 5
    assert target.read_bytes() == b"precious" and library.jobs == []


@pytest.mark.parametrize(
    "argv", [["product", "no-X.npy", "no-Y.npy"], ["approx", "no-X.npy", "--times", "no-Y.npy", "--method", "cr"]]
)
def test_a_product_without_a_rank_or_tolerance_is_refused_before_its_files_are_opened(lowrank, argv):
    said = refusal(lowrank(*argv))
    assert "--rank" in said and "tolerance" in said


def test_a_product_takes_a_tolerance(lowrank, library, matrix):
    assert lowrank("product", matrix, matrix, "--rtol", "0.1").code == 0
    assert (library.job.budget.rank, library.job.budget.rtol) == (None, 0.1)


@pytest.mark.parametrize("argv", [["approx", "A.npy", "-k"], ["verify", "F.npz", "--against"]])
def test_an_option_without_its_value_points_to_the_help_of_its_command(lowrank, argv):
    said = refusal(lowrank(*argv))
    assert argv[-1] in said and f"lowrank {argv[0]} --help" in said


def test_an_empty_output_name_is_refused(lowrank, matrix):
    assert "empty file name" in refusal(lowrank("approx", matrix, "-k", "1", "-o", ""))
