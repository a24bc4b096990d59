"""What a budget and the options of methods accept, and how they refuse the rest."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowrank_cli.algorithms import TABLE
from lowrank_cli.algorithms.cr import CROptions
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.algorithms.svd import SVDOptions
from lowrank_cli.budget import DEFAULT_RTOL, Budget
from lowrank_cli.errors import LowrankError, UsageError
from lowrank_cli.options import check, described, flag, opt

NAN, INF = math.nan, math.inf


def refusal(make) -> str:
    """The one line of a usage error that is also a ValueError."""
    with pytest.raises(UsageError) as caught:
        make()
    line = caught.value.line()
    assert caught.value.exit_code == 2 and isinstance(caught.value, ValueError)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("rank", [1, 7, 10**9, np.int64(3), np.int32(3)])
def test_a_rank_is_a_whole_number_of_any_kind(rank):
    assert Budget(rank=rank).rank == int(rank)


@pytest.mark.parametrize("rank", [0, -1, -(10**9)])
def test_a_rank_below_one_is_refused(rank):
    said = refusal(lambda: Budget(rank=rank))
    assert "rank" in said and str(rank) in said


@pytest.mark.parametrize("rank", [True, 1.5, 2.0, "3", NAN, [1], 1j])
def test_a_rank_that_is_no_whole_number_is_refused(rank):
    assert "rank" in refusal(lambda: Budget(rank=rank))


@pytest.mark.parametrize("name", ["rtol", "atol"])
@pytest.mark.parametrize("value", [0.0, -0.0, -1e-3, NAN, INF, -INF, 0, -1])
def test_a_tolerance_that_is_no_positive_finite_number_is_refused(name, value):
    assert f"--{name}" in refusal(lambda: Budget(**{name: value}))


@pytest.mark.parametrize("name", ["rtol", "atol"])
@pytest.mark.parametrize("value", ["0.1", True, 1j, [0.1]])
def test_a_tolerance_that_is_no_number_is_refused(name, value):
    assert f"--{name}" in refusal(lambda: Budget(**{name: value}))


@pytest.mark.parametrize("value", [1, 1.0, 1.5, 1e300])
def test_a_relative_tolerance_of_one_or_more_is_refused_and_an_absolute_one_taken(value):
    said = refusal(lambda: Budget(rtol=value))
    assert "--rtol" in said and "below 1" in said
    assert Budget(atol=value).atol == value


@given(st.floats(min_value=5e-324, max_value=1, exclude_max=True))
def test_every_positive_tolerance_below_one_is_taken_as_it_is(value):
    budget = Budget(rtol=value)
    assert budget.rtol == value and budget.has_tolerance


@pytest.mark.parametrize("name", ["norm", "certify"])
@pytest.mark.parametrize("value", ["", "Fro", "exact ", 3])
def test_an_unknown_norm_or_certificate_is_refused_with_the_known_ones(name, value):
    choices = described(Budget)[name][1].choices
    said = refusal(lambda: Budget(**{name: value}))
    assert f"--{name}" in said and all(word in said for word in choices)


def test_with_nothing_asked_for_the_tolerance_is_one_percent():
    assert DEFAULT_RTOL == 0.01
    assert Budget().with_defaults().rtol == 0.01 and Budget().rtol is None
    for asked in ({"rank": 3}, {"atol": 1.0}, {"rtol": 0.2}):
        assert Budget(**asked).with_defaults() == Budget(**asked)


def test_a_budget_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Budget(rank=3).rank = 4


# Options of methods


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: SVDOptions(block=0), "--block"),
        (lambda: SVDOptions(block=4097), "--block"),
        (lambda: SVDOptions(max_blocks=0), "--max-blocks"),
        (lambda: SVDOptions(max_blocks=1001), "--max-blocks"),
        (lambda: IDOptions(axis="diagonal"), "--axis"),
        (lambda: CROptions(scheme="best"), "--scheme"),
    ],
)
def test_an_option_out_of_its_range_is_refused_by_its_flag(make, word):
    assert word in refusal(make)


def test_options_at_the_ends_of_their_ranges_are_taken():
    assert SVDOptions(block=1, max_blocks=1000) and SVDOptions(block=4096, max_blocks=1)
    assert IDOptions(axis="cols") and IDOptions(axis="rows")


@pytest.mark.parametrize("name", sorted(TABLE))
def test_the_default_of_every_option_is_in_its_range(name):
    options = TABLE[name].load().options
    check(options())
    for field, spec in described(options).values():
        assert dataclasses.replace(options(), **{field.name: field.default}) == options()
        assert spec.choices is None or field.default in spec.choices


def test_the_flag_of_a_field_is_its_name_with_dashes():
    assert flag("power_iters") == "--power-iters"


@dataclasses.dataclass(frozen=True)
class Ranged:
    whole: int = opt(3, "Between two and five.", min=2, max=5)
    above: float | None = opt(None, "Above one.", above=1.0)
    plain: str = "no option"


def test_limits_are_inclusive_and_above_is_not():
    for good in (Ranged(), Ranged(whole=2), Ranged(whole=5), Ranged(above=1.0000001)):
        check(good)
    for bad in (Ranged(whole=1), Ranged(whole=6), Ranged(above=1.0), Ranged(above=NAN), Ranged(above=INF)):
        assert "--" in refusal(lambda bad=bad: check(bad))
    assert list(described(Ranged)) == ["whole", "above"]


# Errors


def test_every_error_says_what_where_and_what_to_do_in_one_line():
    def tree(kind):
        yield kind
        for child in kind.__subclasses__():
            yield from tree(child)

    codes = {}
    for kind in tree(LowrankError):
        error = kind("what", where="where", hint="hint")
        assert error.line() == str(error) == "where: what; hint"
        assert kind("what").line() == "what"
        codes[kind.__name__] = int(error.exit_code)
    assert codes["UsageError"] == 2 and codes["InputError"] == 4 and codes["OutputError"] == 5
    assert codes["DependencyError"] == 6 and codes["ResourceError"] == 7 and codes["NumericalError"] == 1
