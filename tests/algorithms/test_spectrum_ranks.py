"""Effective ranks: definitions, the inequalities between them, intervals that hold whatever the unknown values."""

from __future__ import annotations

import math
from types import SimpleNamespace

import gallery
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lowrank_cli.algorithms import spectrum_ranks as ranks
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.algorithms.spectrum import FAILURE_PROBABILITY, Spectrum
from lowrank_cli.analysis.spectrum import spectrum
from lowrank_cli.engines.blas import single_threaded
from lowrank_cli.formats.memory import from_array


@pytest.fixture(autouse=True)
def one_blas_thread():
    with single_threaded():
        yield


def of(A, **asked):
    return spectrum(from_array(A), digests=False, **asked)


def found(s, k=None, cap=math.inf, coupling=0.0):
    """What the algorithm would say of the leading k of the values s of a square matrix."""
    s = np.asarray(s, dtype=float)
    k = len(s) if k is None else k
    matrix = SimpleNamespace(shape=(len(s), len(s)), dtype=np.dtype(float), nnz=None)
    scaled = SimpleNamespace(matrix=matrix, squares=float(np.sum(s**2)))
    rest = float(np.sqrt(np.sum(s[k:] ** 2)))
    return Spectrum(
        values=s[:k],
        radii=np.zeros(k),
        listed=k,
        scaled=scaled,
        status=Status.CONVERGED,
        method="made",
        remainder=rest,
        remainder_error=1e-14 * float(np.linalg.norm(s)),
        coupling=coupling,
        cap=cap,
        failure_probability=FAILURE_PROBABILITY,
    )


def truths(s):
    """Straight from the definitions, in extended precision."""
    s = np.asarray(s, dtype=np.longdouble)
    s = s[s > 0]
    p, q = s / s.sum(), s**2 / (s**2).sum()
    return {
        "stable": float((s**2).sum() / s[0] ** 2),
        "participation": float(1 / (q**2).sum()),
        "energy_entropy": float(np.exp(-(q * np.log(q)).sum())),
        "renyi_inf": float(1 / p[0]),
        "renyi_2": float(1 / (p**2).sum()),
        "entropy": float(np.exp(-(p * np.log(p)).sum())),
    }


# Definitions


def test_the_effective_ranks_of_four_known_values_are_the_tabulated_ones():
    report = of(np.diag([4.0, 2.0, 1.0, 0.5]))
    table = {"renyi_inf": 1.875, "renyi_2": 2.647, "entropy": 3.117}
    table |= {"stable": 1.328, "participation": 1.654, "energy_entropy": 2.063}
    for name, value in table.items():
        assert report["effective_ranks"][name] == pytest.approx(value, abs=5e-4), name
    assert report["numeric_rank"] == 4 and report["condition"] == pytest.approx(8.0)


@pytest.mark.parametrize("n", [1, 7, 40])
def test_every_effective_rank_of_an_identity_is_its_size(n):
    report = of(np.eye(n))
    assert all(value == pytest.approx(n) for value in report["effective_ranks"].values())
    assert report["numeric_rank"] == n


def test_every_effective_rank_of_a_rank_one_matrix_is_one():
    report = of(np.outer(np.arange(1.0, 9), np.arange(1.0, 6)))
    assert all(value == pytest.approx(1.0, abs=1e-12) for value in report["effective_ranks"].values())
    assert report["numeric_rank"] == 1


def test_a_zero_matrix_has_rank_zero_and_no_condition():
    report = of(np.zeros((7, 5)))
    assert report["values"] == [0.0] * 5 and report["numeric_rank"] == 0 and report["condition"] is None
    assert set(report["effective_ranks"].values()) == {0.0}
    assert report["norms"] == {"fro": 0.0, "spectral": 0.0, "nuclear": 0.0}
    assert report["tail"] == [0.0] * 5


@given(gallery.matrices())
def test_the_families_are_ordered_as_renyi_says(specimen):
    A, _ = specimen
    report = of(A)
    e = report["effective_ranks"]
    slack = 1 + 1e-9
    assert 1 <= e["renyi_inf"] <= e["renyi_2"] * slack <= e["entropy"] * slack**2 <= min(A.shape) * slack**3
    assert 1 <= e["stable"] <= e["participation"] * slack <= e["energy_entropy"] * slack**2
    assert e["stable"] <= e["renyi_inf"] * slack


@given(gallery.matrices(dtypes=st.sampled_from(["float64", "complex128"])))
def test_the_ranks_are_those_of_the_values(specimen):
    A, _ = specimen
    report = of(A)
    for name, truth in truths(np.array(report["values"])).items():
        assert report["effective_ranks"][name] == pytest.approx(truth, rel=1e-9), name
    values = np.array(report["values"])
    assert report["norms"]["nuclear"] == pytest.approx(values.sum())
    assert report["norms"]["fro"] == pytest.approx(np.sqrt(np.sum(values**2)))


def test_energy_and_tail_share_the_squared_norm():
    report = of(gallery.GALLERY["poly_1_40x30"]()[0])
    energy, tail = np.array(report["energy"]), np.array(report["tail"])
    assert energy + tail**2 == pytest.approx(np.ones(30))
    assert np.all(np.diff(energy) >= 0) and energy[-1] == pytest.approx(1.0) and tail[-1] == 0.0


def test_a_small_tail_is_not_lost_to_cancellation():
    A, s = gallery.with_spectrum(600, 520, gallery.stairs(520, 4, 1e-3), seed=1)
    report = of(A, k=8)
    assert report["method"] == "block krylov"
    best = math.sqrt(np.sum(s[8:] ** 2) / np.sum(s**2))
    assert report["tail"][-1] == pytest.approx(best, rel=1e-6)
    assert best < 1e-5


# Intervals


spectra = st.lists(st.floats(1e-12, 1.0), min_size=2, max_size=25).map(lambda v: sorted(v, reverse=True))


@given(spectra, st.data())
def test_intervals_contain_the_truth_whatever_the_values_nobody_computed(s, data):
    k = data.draw(st.integers(1, len(s) - 1))
    cap = data.draw(st.sampled_from([math.inf, s[k], 1.5 * s[k]]))
    known = found(s, k, cap)
    for name, interval in ranks.effective_ranks(known).items():
        assert interval.lower * (1 - 1e-9) <= truths(s)[name] <= interval.upper * (1 + 1e-9), name
    sizes = ranks.norms(known)
    assert sizes["nuclear"].lower <= sum(s) * (1 + 1e-12) and sum(s) <= sizes["nuclear"].upper * (1 + 1e-12)
    assert sizes["spectral"].lower <= s[0] <= sizes["spectral"].upper
    rank = ranks.numeric_rank(known)
    assert rank.lower <= sum(v > rank.threshold for v in s) <= rank.upper
    condition = ranks.condition_number(known)
    assert condition.lower * (1 - 1e-12) <= s[0] / s[-1] and condition.upper == math.inf


@given(spectra, st.data())
def test_the_nuclear_interval_is_no_wider_than_its_formula(s, data):
    k = data.draw(st.integers(1, len(s) - 1))
    nuclear = ranks.norms(found(s, k))["nuclear"]
    t, S = sum(v * v for v in s[k:]), sum(s[:k])
    slack = 1e-11 * sum(s)
    assert nuclear.lower >= S + math.sqrt(t) - slack
    assert nuclear.upper <= S + math.sqrt((len(s) - k) * t) + slack


@given(spectra)
def test_more_values_make_no_interval_wider(s):
    assume(len(s) > 3)
    few, many = ranks.norms(found(s, 1))["nuclear"], ranks.norms(found(s, len(s) - 1))["nuclear"]
    slack = 1e-11 * sum(s)
    assert many.lower >= few.lower - slack and many.upper <= few.upper + slack


def test_nothing_is_claimed_of_a_number_that_the_leading_values_leave_open():
    A, _ = gallery.with_spectrum(600, 520, gallery.exponential(520, 0.02), seed=2)
    report = of(A, k=10)
    assert report["method"] == "block krylov" and report["failure_probability"] == 1e-6
    for name in ("participation", "entropy", "renyi_2", "renyi_inf"):
        low, high = report["intervals"][name]
        assert report["effective_ranks"][name] is None and low < high
    assert report["norms"]["nuclear"] is None and report["numeric_rank"] is None and report["condition"] is None
    assert report["norms"]["fro"] == pytest.approx(np.linalg.norm(A))


def test_a_rank_below_the_number_of_values_sought_settles_everything():
    A, s = gallery.exact_rank(600, 520, 5)
    report = of(A, k=20)
    assert report["method"] == "block krylov"
    assert report["numeric_rank"] == 5 and report["gap"]["ratio"] > 1e10
    assert report["norms"]["nuclear"] == pytest.approx(s.sum(), rel=1e-6)
    low, high = report["intervals"]["nuclear"]
    assert low <= s.sum() <= high


@pytest.mark.parametrize("name", sorted(gallery.SPECTRA))
@pytest.mark.parametrize("k", [1, 8])
def test_intervals_from_a_real_basis_contain_the_truth(name, k):
    A, _ = gallery.with_spectrum(530, 510, gallery.SPECTRA[name](510), seed=4)
    s = np.linalg.svd(A, compute_uv=False)
    report = of(A, k=k)
    assert report["method"] == "block krylov"
    expected = {**truths(s), "nuclear": s.sum(), "spectral": s[0], "numeric": np.sum(s > report["gap"]["threshold"])}
    for what, truth in expected.items():
        low, high = report["intervals"][what]
        assert low * (1 - 1e-9) <= truth <= high * (1 + 1e-9), what


def test_no_value_beyond_those_found_exceeds_the_cap():
    """One matrix with values close together, many seeds: the bound may fail once in a million runs."""
    from lowrank_cli.algorithms.spectrum import spectrum_of
    from lowrank_cli.engines.threads import SerialEngine
    from lowrank_cli.matrices.dense import TiledMatrix
    from lowrank_cli.matrices.metered import Metered
    from lowrank_cli.streams import Streams

    A, s = gallery.with_spectrum(520, 510, gallery.poly(510), seed=6)
    for seed in range(10):
        made = spectrum_of(Metered(TiledMatrix(A, SerialEngine())), 3, False, Streams(seed))
        assert made.method == "block krylov" and s[3] <= made.cap < 2 * s[3]


def test_entropies_differ_by_no_more_than_audenaert_allows():
    rng = np.random.default_rng(0)
    for _ in range(200):
        d = int(rng.integers(2, 30))
        p, q = rng.dirichlet(np.full(d, 0.3)), rng.dirichlet(np.full(d, 0.3))
        q = p + rng.uniform(0, 1) * (q - p)
        distance = 0.5 * np.abs(p - q).sum()
        assert abs(ranks._shannon(p) - ranks._shannon(q)) <= ranks._continuity(distance, d) + 1e-12


@given(spectra, st.floats(1e-6, 1.0), st.floats(1.0, 1e6), st.integers(1, 30))
def test_no_total_of_the_rest_gives_an_entropy_outside_its_range(known, low, ratio, count):
    known, high = np.array(known), low * ratio
    least, most = ranks._entropy_range(known, (low, high), math.inf, count)
    for total in np.geomspace(low, high, 40):
        for cells in (1, count):
            made = ranks._shannon(np.append(known, np.full(cells, total / cells)))
            assert least - 1e-9 <= made <= most + 1e-9
