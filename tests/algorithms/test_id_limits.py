"""Columns that must or must not be chosen, and how often others come with other seeds."""

from __future__ import annotations

import gallery
import measure
import numpy as np
import pytest

import lowrank_cli
from lowrank_cli.algorithms.id_limits import index_list
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.errors import InputError, UsageError

SHAPES = [(60, 45), (45, 60), (540, 510), (510, 540)]


def chosen(A, axis="cols", quality="balanced", rank=12, **options):
    asked = {"rank": rank, **{name: options.pop(name) for name in ("rtol", "seed") if name in options}}
    outcome = lowrank_cli.approx(A, method="id", options=IDOptions(axis=axis, quality=quality, **options), **asked)
    return outcome, outcome.factor.arrays()[axis]


def matrix(shape, dtype="float64"):
    return gallery.with_spectrum(*shape, gallery.poly(min(shape)), seed=11, dtype=dtype)[0]


def test_a_list_is_indices_and_ranges_in_their_order():
    assert index_list("7, 2:5,0", 8, "exclude").tolist() == [7, 2, 3, 4, 0]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "neither an index nor a range"),
        ("3,,4", "neither an index nor a range"),
        ("-1", "neither an index nor a range"),
        ("1.5", "neither an index nor a range"),
        ("weight", "neither an index nor a range"),
        ("8", "8 is out of range, the last index is 7"),
        ("0:9", "8 is out of range, the last index is 7"),
        ("0:999999999999999999", "out of range"),
        ("5:5", "the range 5:5 is empty"),
        ("5:2", "the range 5:2 is empty"),
        ("1,0:3", "names 1 twice"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused_by_its_flag(text, what):
    with pytest.raises(UsageError, match=what) as refusal:
        index_list(text, 8, "must_include")
    assert "--must-include" in refusal.value.what


def test_values_of_another_type_are_refused_by_their_flag():
    with pytest.raises(UsageError, match="--exclude must be text"):
        index_list([1, 2], 8, "exclude")
    with pytest.raises(UsageError, match="--stability must be a whole number"):
        IDOptions(stability=2.5)
    with pytest.raises(UsageError, match="--max-coefficient must be a number"):
        IDOptions(max_coefficient="2")


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", ["cols", "rows"])
@pytest.mark.parametrize("quality", ["fast", "balanced"])
def test_included_come_first_in_their_order_and_excluded_never(quality, axis, shape, dtype):
    A = matrix(shape, dtype)
    free = chosen(A, axis, quality)[1]
    barred = ",".join(map(str, free[:6]))
    included = [int(i) for i in np.setdiff1d(np.arange(40), free)[:3][::-1]]
    outcome, index = chosen(A, axis, quality, must_include=",".join(map(str, included)), exclude=barred)
    assert index[:3].tolist() == included and len(set(index.tolist())) == 12
    assert not set(index.tolist()) & set(free[:6].tolist())
    Z = outcome.factor.Z if axis == "cols" else outcome.factor.W.T
    assert np.array_equal(Z[:, index], np.eye(12, dtype=dtype))
    assert outcome.certificate.absolute == pytest.approx(measure.residual(A, outcome.factor), rel=1e-4)


def test_without_included_columns_the_rest_are_the_pivots_of_the_matrix_without_the_excluded():
    A = matrix((60, 45))
    left = np.setdiff1d(np.arange(45), [3, 4, 5, 30])
    _, index = chosen(A, exclude="3:6,30")
    assert index.tolist() == left[chosen(np.ascontiguousarray(A[:, left]))[1]].tolist()


def test_after_the_included_come_the_pivots_of_what_they_leave():
    A = matrix((60, 45))
    _, index = chosen(A, must_include="9,2")
    Q = np.linalg.qr(A[:, [9, 2]])[0]
    assert index[2:].tolist() == chosen(A - Q @ (Q.T @ A), rank=10)[1].tolist()


def test_coefficients_are_those_of_least_squares_for_the_excluded_too():
    A = matrix((60, 45))
    factor = chosen(A, must_include="9,2", exclude="0:2")[0].factor
    assert np.allclose(factor.Z, np.linalg.lstsq(factor.C, A)[0], atol=1e-10)


@pytest.mark.parametrize("shape", [(60, 45), (540, 510)])
@pytest.mark.parametrize("quality", ["fast", "balanced"])
def test_a_tolerance_is_met_and_all_included_are_there_even_if_fewer_would_do(quality, shape):
    A = matrix(shape)
    for rtol, many in ((0.15, 3), (0.6, 30)):
        outcome, index = chosen(A, quality=quality, rank=None, rtol=rtol, must_include=f"5:{5 + many}", exclude="0:5")
        assert outcome.status is Status.CONVERGED and measure.relative(A, outcome.factor) <= rtol
        assert index[:many].tolist() == list(range(5, 5 + many)) and index.min() >= 5
    assert outcome.factor.rank == 30


def test_a_tolerance_that_the_rest_cannot_meet_is_said():
    outcome, index = chosen(np.eye(20), rank=None, rtol=0.1, exclude="0:10")
    assert outcome.status is Status.STAGNATED and set(index.tolist()) <= set(range(10, 20))
    assert 10**0.5 <= outcome.certificate.absolute <= 1.05 * 10**0.5
    assert outcome.facts["warnings"] == ["the columns or rows that --exclude leaves do not reach the tolerance"]


def test_columns_already_spanned_by_the_included_are_not_chosen():
    A, _ = gallery.exact_rank(50, 40, 5)
    outcome, index = chosen(A, rank=9, must_include="30,31")
    assert len(index) == 5 and index[:2].tolist() == [30, 31] and outcome.certificate.relative <= 1e-13


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"must_include": "1,2", "exclude": "2:4"}, "both name 2"),
        ({"must_include": "0:13"}, "names 13, more than --rank 12"),
        ({"exclude": "0:34"}, "leaves 11 of 45, fewer than the 12"),
        ({"exclude": "0:45"}, "leaves 0 of 45"),
        ({"must_include": "45"}, "45 is out of range"),
        ({"axis": "rows", "exclude": "60"}, "60 is out of range, the last index is 59"),
    ],
)
def test_lists_that_cannot_be_followed_are_refused(options, what):
    with pytest.raises(UsageError, match=what):
        chosen(matrix((60, 45)), **options)


@pytest.mark.parametrize("asked", [{"must_include": "1"}, {"exclude": "1"}])
@pytest.mark.parametrize("options", [{"axis": "both"}, {"quality": "bound"}, {"max_coefficient": 2.0}])
def test_what_a_list_does_not_go_with_is_refused(asked, options):
    with pytest.raises(UsageError, match=r"--must-include|--exclude"):
        IDOptions(**asked, **options)


def test_included_columns_must_be_independent():
    A = matrix((60, 45)).copy()
    A[:, 7] = A[:, 3] - 2 * A[:, 5]
    with pytest.raises(InputError, match="--must-include is, to rounding, a combination"):
        chosen(A, must_include="3,5,7")
    A[:, 8] = 0
    with pytest.raises(InputError, match="8 of --must-include"):
        chosen(A, must_include="8")


# Stability


@pytest.mark.parametrize("axis", ["cols", "rows", "both"])
@pytest.mark.parametrize("quality", ["fast", "balanced"])
def test_stability_is_the_share_of_seeds_that_choose_each(axis, quality):
    A = matrix((540, 510))
    options = IDOptions(axis=axis, quality=quality)
    seeds = [lowrank_cli.approx(A, method="id", options=options, rank=20, seed=5 + i).factor for i in range(3)]
    options = IDOptions(axis=axis, quality=quality, stability=3)
    outcome = lowrank_cli.approx(A, method="id", options=options, rank=20, seed=5)
    for side in ("cols", "rows") if axis == "both" else (axis,):
        wanted = [sum(i in getattr(one, side) for one in seeds) / 3 for i in getattr(seeds[0], side)]
        assert outcome.facts["stability"][side] == pytest.approx(wanted)
        assert getattr(outcome.factor, side).tolist() == getattr(seeds[0], side).tolist()
    assert min(outcome.facts["stability"][side]) < 1


def test_columns_that_stand_out_are_chosen_by_every_seed():
    A = matrix((540, 510)).copy()
    A[:, [3, 100, 400]] *= 100
    shares = chosen(A, rank=20, stability=4)[0].facts["stability"]["cols"]
    assert shares[:3] == [1.0, 1.0, 1.0]


def test_where_no_random_numbers_are_drawn_every_seed_chooses_alike_and_none_is_run():
    outcome, _ = chosen(matrix((60, 45)), stability=1000)
    assert outcome.facts["stability"] == {"cols": [1.0] * 12} and outcome.ledger.passes == 3


def test_stability_costs_the_choice_for_every_further_seed():
    A = matrix((540, 510))
    once = chosen(A)[0].ledger.passes
    # all but the sweep and the error
    assert chosen(A, stability=3)[0].ledger.passes == once + 2 * (once - 2)
