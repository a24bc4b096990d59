"""What matrix sign iterations do to a singular value: published coefficients and published tables."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from lowrank_cli.algorithms import polar_coefficients as coefficients
from lowrank_cli.algorithms.polar_coefficients import CUBIC, JORDAN, QUINTIC, deviation, image, polar_express

#: Amsel, Persson, Musco and Gower, arXiv 2505.16932: the triples of the reference implementation.
PUBLISHED = [
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
    (1.875, -1.25, 0.375),
]
#: Newton-Schulz from a smallest value to within 1e-8 of 1: steps of the cubic and of the quintic.
NEWTON_SCHULZ = {1e-1: (10, 7), 1e-2: (16, 10), 1e-3: (21, 14), 1e-4: (27, 18)}
#: QDWH steps to 1e-15 by condition number.
QDWH = {1.001: 2, 1.01: 2, 1.1: 2, 1.2: 3, 1.5: 3, 2: 3, 10: 4, 1e2: 4, 1e3: 4, 1e5: 5, 1e7: 5, 1e16: 6}


def optimal(low: float, steps: int) -> list:
    return list(itertools.islice(polar_express(low, cushion=0.0, safety=1.0), steps))


def sampled(triples, low: float) -> float:
    """The largest |1 - p| on a fine grid: never above the true one."""
    x = np.geomspace(low, 1.0, 200_001)
    for a, b, c in triples:
        x = x * (a + x * x * (b + x * x * c))
    return float(np.abs(1 - x).max())


@pytest.mark.parametrize("step", range(8))
def test_the_published_coefficients_come_out_of_the_generator(step):
    made = next(itertools.islice(polar_express(1e-3, safety=1.0), step, None))
    # the last two differ from Taylor's by no more than the fit resolves
    digits = 1e-13 if step < 6 else 1e-10 if step == 6 else 1e-8
    assert made == pytest.approx(PUBLISHED[step], rel=digits)


@pytest.mark.parametrize(
    ("steps", "best", "published", "jordan", "newton_schulz"),
    [
        (3, 8.60e-1, 8.66e-1, 9.59e-1, 9.93e-1),
        (4, 5.46e-1, 5.60e-1, 8.60e-1, 9.88e-1),
        (5, 1.13e-1, 1.24e-1, 5.29e-1, 9.77e-1),
        (6, 9.16e-4, 1.18e-3, 3.18e-1, 9.57e-1),
        (7, 4.8e-10, 1.0e-9, 3.18e-1, 9.19e-1),
        (8, 2e-16, 2e-16, 3.18e-1, 8.48e-1),
    ],
)
def test_the_largest_errors_from_a_thousandth_on_are_the_tabulated_ones(steps, best, published, jordan, newton_schulz):
    same = {"rel": 6e-3 if steps < 7 else 5e-2, "abs": 3e-16}
    assert deviation(optimal(1e-3, steps), 1e-3) == pytest.approx(best, **same)
    assert deviation(PUBLISHED[:steps], 1e-3) == pytest.approx(published, **same)
    assert deviation([JORDAN] * steps, 1e-3) == pytest.approx(jordan, rel=2e-3)
    assert deviation([QUINTIC] * steps, 1e-3) == pytest.approx(newton_schulz, rel=1e-3)


def test_the_largest_errors_from_a_millionth_on_are_those_of_the_paper():
    for steps, best in {9: 0.439, 10: 0.0566, 11: 1.1e-4, 12: 9.1e-13}.items():
        assert deviation(optimal(1e-6, steps), 1e-6) == pytest.approx(best, rel=3e-2), steps
    assert deviation([JORDAN] * 11, 1e-6) == pytest.approx(0.318, rel=2e-3)
    assert deviation([QUINTIC] * 17, 1e-6) == pytest.approx(0.956, rel=1e-3)


def test_the_polynomial_of_muon_has_an_attractor_and_no_limit():
    assert image(JORDAN, 0.0, 1.0) == pytest.approx((0.0, 1.2024), abs=5e-5)
    assert coefficients.value(JORDAN, 0.5545) == pytest.approx(1.2024, abs=5e-5)
    low, high = 3e-3, 1.0
    for step in range(200):
        low, high = image(JORDAN, low, high)
        if step == 4:
            assert (low, high) == pytest.approx((0.682, 1.202), abs=5e-4)
    assert (low, high) == pytest.approx((0.682, 1.134), abs=5e-4)
    assert coefficients.value(JORDAN, 1.0) == pytest.approx(0.701)


@pytest.mark.parametrize(("low", "steps"), NEWTON_SCHULZ.items())
def test_newton_schulz_takes_the_tabulated_steps(low, steps):
    counted = tuple(len(coefficients.until(m, low, 1e-8, 100)) for m in ("newton-schulz-cubic", "newton-schulz"))
    assert counted == steps


@pytest.mark.parametrize(("kappa", "steps"), QDWH.items())
def test_qdwh_takes_the_tabulated_steps(kappa, steps):
    assert len(coefficients.qdwh(1 / kappa, 1e-15)) == steps


@pytest.mark.parametrize("method", ["qdwh", "polar-express", "newton-schulz", "newton-schulz-cubic"])
def test_the_steps_in_docs_accuracy_are_counted(method, repository):
    page = (repository / "docs" / "accuracy.md").read_text()
    said = next(line.split("|")[3] for line in page.splitlines() if line.startswith(f"| `{method}` |"))
    lows = (1e-3, 1e-7, 1e-16)
    if method == "qdwh":
        counted = [len(coefficients.qdwh(low, 1e-15)) for low in lows]
    else:
        counted = [len(coefficients.until(method, low, 1e-15, 200)) for low in lows]
    assert said.strip() == ", ".join(map(str, counted))


def test_qdwh_reaches_one_from_the_rounding_of_double_precision_as_tabulated():
    low, left = 1e-16, []
    for _ in range(5):
        _, low = coefficients.qdwh_weights(low)
        left.append(1 - low)
    assert left[0] > 0.9999
    assert left[1:] == pytest.approx([0.943, 0.218, 2.3e-4, 1.9e-13], rel=5e-3)


def test_halley_steps_map_the_interval_into_itself_and_fix_one():
    for low in (1e-12, 1e-3, 0.3, 0.99):
        triple, after = coefficients.qdwh_weights(low)
        x = np.geomspace(low, 1, 10_001)
        a, b, c = triple
        mapped = x * (a + b * x * x) / (1 + c * x * x)
        assert coefficients.halley(triple, 1.0) == pytest.approx(1.0, abs=1e-15)
        assert mapped.min() >= after * (1 - 1e-12) and mapped.max() <= 1 + 1e-12
    assert coefficients.qdwh_weights(1.0)[0] == pytest.approx((3, 1, 3))


@pytest.mark.parametrize(("low", "high"), [(1e-3, 1.0), (0.05, 1.95), (0.3, 1.7), (0.9, 1.1)])
def test_the_best_quintic_alternates_four_times_and_none_near_it_is_better(low, high):
    best, error = coefficients.best_quintic(low, high)
    x = np.linspace(low, high, 100_001)

    def away(triple):
        a, b, c = triple
        return x * (a + x * x * (b + x * x * c)) - 1

    found = away(best)
    assert np.abs(found).max() == pytest.approx(error, rel=1e-7)
    signs = np.sign(found[np.abs(found) > 0.999 * error])
    assert 1 + np.count_nonzero(np.diff(signs)) == 4
    rng = np.random.default_rng(0)
    for _ in range(200):
        other = np.array(best) * (1 + 1e-3 * rng.standard_normal(3))
        assert np.abs(away(other)).max() > error


@pytest.mark.parametrize("method", ["polar-express", "newton-schulz", "newton-schulz-cubic"])
@pytest.mark.parametrize("low", [1e-16, 1e-7, 1e-3, 0.5])
def test_steps_until_a_tolerance_meet_it_everywhere_and_one_less_does_not(method, low):
    taken = coefficients.until(method, low, 1e-12, 200)
    assert sampled(taken, low) <= 1e-12 + 1e-15
    assert deviation(taken[:-1], low) > 1e-12


@pytest.mark.parametrize("low", [1e-16, 1e-10, 1e-3])
def test_what_rounding_lifts_above_the_interval_comes_back(low):
    """Without the safety factor a value of 1 + 1e-12 leaves for ever: the upper ends are steep."""

    def after(safety):
        x = 1 + 1e-12
        for triple in itertools.islice(polar_express(low, safety=safety), 40):
            x = coefficients.value(triple, min(x, 1e6))
        return abs(1 - x)

    assert after(coefficients.SAFETY) < 1e-15
    assert low > 1e-4 or after(1.0) > 0.1


@pytest.mark.parametrize("triple", [CUBIC, QUINTIC, JORDAN, PUBLISHED[0], PUBLISHED[2]])
def test_the_image_of_an_interval_is_that_of_its_points(triple):
    rng = np.random.default_rng(3)
    for _ in range(50):
        low, high = np.sort(rng.uniform(0, 1.5, 2))
        least, largest = image(triple, low, high)
        values = [coefficients.value(triple, x) for x in np.linspace(low, high, 2001)]
        assert least <= min(values) + 1e-12 and max(values) <= largest + 1e-12
        assert min(values) - least < 1e-4 and largest - max(values) < 1e-4


def test_a_step_more_never_hurts_the_optimum():
    errors = [deviation(optimal(1e-4, steps), 1e-4) for steps in range(1, 9)]
    assert all(after < before for before, after in itertools.pairwise(errors))
    # greedy minimax is no worse than repeating any one polynomial of the same degree
    assert errors[5] < min(deviation([t] * 6, 1e-4) for t in (QUINTIC, JORDAN, PUBLISHED[0]))
    assert math.isclose(errors[0], coefficients.best_quintic(1e-4, 1.0)[1], rel_tol=1e-9)
