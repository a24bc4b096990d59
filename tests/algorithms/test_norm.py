"""Norms against closed forms and each other, intervals that hold, and a gradient that differences confirm."""

from __future__ import annotations

import functools
import math

import gallery
import numpy as np
import pytest
import scipy.io
from algorithms.test_spectrum_ranks import found as made_spectrum
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import hadamard
from scipy.sparse import csr_array

from lowrank_cli.algorithms import leading as leading_module
from lowrank_cli.algorithms import norms as algorithm
from lowrank_cli.algorithms.norms import NormOptions, parse, schatten
from lowrank_cli.analysis.norm import norm
from lowrank_cli.engines.blas import single_threaded
from lowrank_cli.errors import InputError, NumericalError, UsageError
from lowrank_cli.formats.memory import from_array
from lowrank_cli.formats.opening import open_matrix

EVERY = "fro,spectral,nuclear,schatten:1.5,schatten:4,max,1,inf"
EPS = float(np.finfo(float).eps)


@pytest.fixture(autouse=True)
def one_blas_thread():
    with single_threaded():
        yield


@pytest.fixture
def by_krylov(monkeypatch):
    """What is beyond LAPACK's default size of itself has its leading 12 values from a basis."""
    monkeypatch.setattr(algorithm, "affordable", lambda shape: False)
    monkeypatch.setattr(algorithm, "DEFAULT_COUNT", 12)


def report_of(A, kind=EVERY, **asked):
    return norm(from_array(A), NormOptions(kind=kind, **asked), digests=False)[1]


def norms(A, kind=EVERY, **asked):
    return {row["norm"]: row for row in report_of(A, kind, **asked)["norms"]}


def gradient(A, what="spectral", **asked):
    factor, report = norm(from_array(A), NormOptions(gradient=what, **asked), digests=False)
    return factor, report["gradient"]


def truth(s, name: str) -> float:
    s = np.asarray(s, dtype=np.longdouble)
    p = {"fro": 2.0, "nuclear": 1.0}.get(name) or (math.inf if name == "spectral" else float(name.partition(":")[2]))
    if p == math.inf or not s[0]:
        return float(s[0])
    return float(s[0] * np.sum((s / s[0]) ** p) ** (1 / np.longdouble(p)))


@functools.cache
def large(name: str, dtype: str = "float64"):
    return gallery.with_spectrum(600, 520, gallery.SPECTRA[name](520), seed=3, dtype=dtype)


# Closed forms


def rank_one_update(n: int):
    """I + u v^T: n - 2 ones, and the roots of t^2 - (2 + 2 u.v + |u|^2 |v|^2) t + (1 + u.v)^2, squared values."""
    rng = np.random.default_rng(3)
    u, v = rng.standard_normal((2, n))
    d, w = float(u @ v), float((u @ u) * (v @ v))
    big, small = np.roots([1.0, -(2 + 2 * d + w), (1 + d) ** 2])
    return np.eye(n) + np.outer(u, v), np.sort(np.r_[np.ones(n - 2), np.sqrt([big, small])])[::-1]


@pytest.mark.parametrize(
    ("A", "s"),
    [
        gallery.hilbert(5),
        gallery.hilbert(10),
        gallery.lower_triangular_ones(60),
        gallery.path_difference(40),
        gallery.dft(24),
        gallery.clement(15),
        (hadamard(16).astype(float), np.full(16, 4.0)),
        (np.eye(7), np.ones(7)),
        rank_one_update(12),
        gallery.all_equal(12, 17),
        gallery.zero(5, 3),
    ],
    ids=["hilbert5", "hilbert10", "lower", "path", "dft", "clement", "hadamard", "eye", "I+uv", "equal", "zero"],
)
def test_norms_of_singular_values_are_those_of_the_closed_form(A, s):
    for name, row in norms(A, "fro,spectral,nuclear,schatten:1,schatten:1.5,schatten:2,schatten:30").items():
        assert row["kind"] == "exact" and row["lower"] == row["value"] == row["upper"], name
        assert row["value"] == pytest.approx(truth(s, name), rel=1e-13), name


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("make", [np.asarray, np.asfortranarray, csr_array])
def test_norms_of_entries_are_sums_and_largest_entries(make, dtype):
    rng = np.random.default_rng(1)
    A = rng.standard_normal((700, 60)).astype(dtype)
    if np.dtype(dtype).kind == "c":
        A += 1j * rng.standard_normal((700, 60))
    A[rng.random(A.shape) < 0.5] = 0
    found = norms(make(A), "max,1,inf,fro")
    size = np.abs(A.astype(complex))
    assert found["max"]["value"] == pytest.approx(size.max(), rel=1e-6)
    assert found["1"]["value"] == pytest.approx(size.sum(axis=0).max(), rel=1e-6)
    assert found["inf"]["value"] == pytest.approx(size.sum(axis=1).max(), rel=1e-6)
    assert found["fro"]["value"] == pytest.approx(math.sqrt((size**2).sum()), rel=1e-6)
    assert all(row["kind"] == "exact" for row in found.values())


def test_norms_of_integers_are_exact_to_the_bit():
    A = np.array([[3, -4, 0], [0, 12, -5]])
    found = norms(A, "max,1,inf,fro")
    assert [found[n]["value"] for n in ("max", "1", "inf")] == [12.0, 16.0, 17.0]
    assert found["fro"]["value"] == math.sqrt(194)


def test_entries_need_no_singular_values_and_one_pass_more_than_the_sweep():
    report = report_of(np.ones((2000, 30)), "fro,max,1,inf")
    assert report["method"] == "entries" and report["ledger"]["passes"] == 2
    assert report_of(np.ones((2000, 30)), "fro")["ledger"]["passes"] == 1


@settings(max_examples=40, deadline=None)
@given(gallery.matrices(max_side=25))
def test_the_inequalities_between_norms_hold(specimen):
    A, _ = specimen
    v = {name: row["value"] for name, row in norms(A).items()}
    m, n = A.shape
    r = min(m, n)
    slack = 1 + 100 * float(np.finfo(A.dtype).eps)
    pairs = [
        ("max", "spectral", 1),
        ("spectral", "schatten:4", 1),
        ("schatten:4", "fro", 1),
        ("fro", "schatten:1.5", 1),
        ("schatten:1.5", "nuclear", 1),
        ("nuclear", "fro", math.sqrt(r)),
        ("fro", "spectral", math.sqrt(r)),
        ("1", "spectral", math.sqrt(m)),
        ("inf", "spectral", math.sqrt(n)),
        ("1", "max", m),
    ]
    for low, high, factor in pairs:
        assert v[low] <= v[high] * factor * slack, (low, high)
    assert v["spectral"] ** 2 <= v["1"] * v["inf"] * slack
    assert v["fro"] ** 2 <= v["spectral"] * v["nuclear"] * slack  # Hoelder


def test_a_gaussian_matrix_is_about_as_large_as_it_should_be():
    G = np.random.default_rng(0).standard_normal((400, 100))
    assert norms(G)["spectral"]["value"] == pytest.approx(math.sqrt(400) + math.sqrt(100), rel=0.05)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-150, 1e150, 1e200, 1e300])
def test_no_scale_changes_more_than_the_scale(scale):
    A, _ = gallery.with_spectrum(30, 20, gallery.poly(20))
    one = norms(A)
    for name, row in norms(A * scale).items():
        for end in ("value", "lower", "upper"):
            assert row[end] == pytest.approx(one[name][end] * scale, rel=1e-12), name
    sparse = norms(csr_array(A * scale), "max,1,inf,fro")
    assert all(sparse[name]["value"] == pytest.approx(one[name]["value"] * scale, rel=1e-12) for name in sparse)


def test_a_norm_beyond_the_largest_float_is_refused_by_name():
    for kind in ("1", "fro", "nuclear"):
        with pytest.raises(NumericalError, match=f"the {kind} norm overflows"):
            report_of(np.full((20, 20), 1e308), kind)
    assert norms(np.full((20, 20), 1e308), "max")["max"]["value"] == 1e308


@pytest.mark.parametrize("dtype", gallery.DTYPES)
def test_sparse_and_dense_agree(dtype):
    A, _ = gallery.with_spectrum(60, 40, gallery.exponential(40), dtype=dtype)
    A[np.abs(A) < np.quantile(np.abs(A), 0.7)] = 0
    dense, sparse = norms(A), norms(csr_array(A))
    for name, row in dense.items():
        assert sparse[name]["value"] == pytest.approx(row["value"], rel=1e-5 if dtype[-2:] in ("32", "64") else 1e-12)
        assert sparse[name]["kind"] == "exact"


# Intervals


@pytest.mark.parametrize("name", sorted(gallery.SPECTRA))
def test_intervals_from_the_leading_values_hold_whatever_the_decay(name, by_krylov):
    A, s = large(name)
    for kind, row in norms(A, "spectral,nuclear,schatten:1,schatten:1.5,schatten:3,schatten:10").items():
        true = truth(s, kind)
        assert row["lower"] <= true * (1 + 1e-14) and true * (1 - 1e-14) <= row["upper"], kind
        assert row["kind"] == "interval" and row["failure_probability"] in (1e-6, 2e-6)
        assert row["value"] is None or row["value"] == pytest.approx(true, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_intervals_hold_in_every_precision(dtype, by_krylov):
    A, _ = large("poly_1", dtype)
    s = np.linalg.svd(A.astype(np.result_type(dtype, float)), compute_uv=False)
    for kind, row in norms(A, "spectral,nuclear,schatten:4").items():
        assert row["kind"] == "interval" and row["lower"] < truth(s, kind) < row["upper"], kind


@pytest.mark.parametrize("name", ["flat", "step", "stairs", "inverse_sqrt"])
def test_the_spectral_norm_alone_is_known_to_three_percent_at_least(name, by_krylov):
    A, s = large(name)
    row = norms(A, "spectral")["spectral"]
    assert row["lower"] <= s[0] * (1 + 1e-14) and s[0] <= row["upper"] <= 1.04 * s[0]
    # where it decays the deflated values say more: ten digits
    if name == "inverse_sqrt":
        assert row["upper"] / row["lower"] - 1 < 1e-10


def test_the_sums_of_schatten_norms_are_those_of_norms_for_one_and_two(by_krylov):
    A, _ = large("poly_2")
    found = norms(A, "schatten:1,nuclear,schatten:2,fro")
    assert found["schatten:2"] | {"norm": "fro"} == found["fro"]
    for end in ("lower", "upper"):
        assert found["schatten:1"][end] == pytest.approx(found["nuclear"][end], rel=1e-8)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=30),
    st.integers(1, 29),
    st.sampled_from([1.0, 1.2, 1.9, 2.0, 2.5, 4.0, 50.0]),
    st.booleans(),
)
def test_a_schatten_interval_holds_for_any_rest(values, k, p, capped):
    s = np.sort(values)[::-1]
    k = min(k, len(s) - 1)
    interval = schatten(made_spectrum(s, k, cap=s[k] if capped else math.inf), p)
    assert interval.lower <= truth(s, f"schatten:{p}") * (1 + 1e-12)
    assert truth(s, f"schatten:{p}") <= interval.upper * (1 + 1e-12)


def test_a_schatten_interval_is_sharp_where_the_rest_is_as_bad_as_it_may_be():
    """Equal values beyond the known: for p < 2 the upper end is met; capped by themselves, both are."""
    s = np.r_[2.0, np.ones(9)]
    for p in (1.0, 1.5, 3.0, 6.0):
        loose, tight = (schatten(made_spectrum(s, 1, cap=cap), p) for cap in (math.inf, 1.0))
        true = truth(s, f"schatten:{p}")
        assert tight.lower == pytest.approx(true, rel=1e-10) and tight.upper == pytest.approx(true, rel=1e-10)
        assert (loose.upper if p < 2 else loose.lower) == pytest.approx(true, rel=1e-10)


def test_a_large_exponent_ends_at_the_spectral_norm_and_overflows_nothing():
    s = np.r_[2.0, np.ones(9)]
    for p in (1e3, 1e6):
        assert schatten(made_spectrum(s, 1), p).lower == pytest.approx(2.0)
        assert 2.0 <= schatten(made_spectrum(s, 1, cap=math.inf), p).upper <= np.linalg.norm(s) * (1 + 1e-12)
        assert norms(np.diag(s), f"schatten:{p:g}")[f"schatten:{p:.15g}"]["value"] == pytest.approx(2.0)


def test_all_makes_every_norm_exact(by_krylov):
    A, s = large("inverse_sqrt")
    for name, row in norms(A, "spectral,nuclear,schatten:3", all=True).items():
        assert row["kind"] == "exact" and row["value"] == pytest.approx(truth(s, name), rel=1e-12)


def test_intervals_of_a_power_grid_hold_the_published_singular_values(data):
    """1138_bus, too large for LAPACK by default: its values as the collection publishes them."""
    s = scipy.io.loadmat(data("1138_bus_SVD.mat"))["S"]["s"][0, 0].ravel()
    loaded = open_matrix(str(data("1138_bus.mtx")))
    options = NormOptions(kind="fro,spectral,nuclear,schatten:4,1,inf", gradient="spectral")
    factor, report = norm(loaded, options, digests=False)
    found = {row["norm"]: row for row in report["norms"]}
    for name in ("fro", "spectral", "nuclear", "schatten:4"):
        assert found[name]["lower"] <= truth(s, name) * (1 + 1e-12), name
        assert truth(s, name) <= found[name]["upper"] * (1 + 1e-12), name
    assert found["spectral"]["upper"] / found["spectral"]["lower"] - 1 < 1e-9
    assert found["1"]["value"] == found["inf"]["value"]  # it is symmetric
    A = loaded.array
    assert float((factor.U.T @ (A @ factor.Vh.T))[0, 0]) == pytest.approx(s[0], rel=1e-12)
    assert report["gradient"]["uncertainty"] < 1e-8 and report["gradient"]["failure_probability"] == 1e-6


def test_the_norms_of_well1033_are_those_its_makers_gave_it(data):
    """Columns scaled to length one, so |A|_F^2 is their number; condition number 166.1."""
    report = norm(open_matrix(str(data("well1033.mtx"))), NormOptions(effective_ranks=True), digests=False)[1]
    assert report["norms"][0]["value"] == pytest.approx(math.sqrt(320), rel=1e-9)
    assert report["norms"][1]["value"] / report["gap"]["above"] == pytest.approx(166.13, abs=0.01)


# The gradient


def differences(A, E, f):
    h = 1e-6
    return (f(A + h * E) - f(A - h * E)) / (2 * h)


def first(A):
    return float(np.linalg.svd(A, compute_uv=False)[0])


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("shape", [(12, 9), (7, 15), (1, 6), (6, 1)])
def test_the_gradient_is_what_differences_of_the_norm_say(shape, complex_):
    rng = np.random.default_rng(5)
    A, E = rng.standard_normal((2, *shape))
    if complex_:
        A, E = A + 1j * rng.standard_normal(shape), E + 1j * rng.standard_normal(shape)
    for what, f in (("spectral", first), ("decay", lambda X: 0.5 * first(X) ** 2)):
        factor, _ = gradient(A, what)
        slope = float(np.vdot(factor.reconstruct(), E).real)
        assert slope == pytest.approx(differences(A, E, f), abs=1e-8 * np.linalg.norm(E) * first(A)), what


def test_the_gradient_of_half_the_square_is_s_times_that_of_s():
    A, s = gallery.with_spectrum(30, 20, gallery.poly(20) * 7)
    plain, decay = gradient(A)[0], gradient(A, "decay")[0]
    assert plain.s[0] == 1.0 and decay.s[0] == pytest.approx(s[0], rel=1e-13)
    assert plain.U.tobytes() == decay.U.tobytes() and plain.Vh.tobytes() == decay.Vh.tobytes()
    assert plain.kind == "svd" and plain.rank == 1 and np.real(plain.U[np.argmax(np.abs(plain.U))]) > 0
    # a step of weight decay along it lowers the largest value and no other
    step = np.linalg.svd(A - 0.01 * decay.reconstruct(), compute_uv=False)
    assert step == pytest.approx(np.r_[0.99 * s[0], s[1:]], rel=1e-12)


@pytest.mark.parametrize("dtype", gallery.DTYPES)
@pytest.mark.parametrize("way", ["lapack", "krylov", "all"])
def test_the_gradient_is_as_near_to_the_true_one_as_the_report_says(dtype, way, monkeypatch):
    rng = np.random.default_rng(11)
    m, n, complex_ = 600, 520, np.dtype(dtype).kind == "c"
    if way == "lapack":
        m, n = 50, 40
    U, V = (gallery.orthonormal(x, 30, rng, complex_=complex_) for x in (m, n))
    A = ((U * gallery.poly(30)) @ V.conj().T).astype(dtype)
    if way != "lapack":
        monkeypatch.setattr(algorithm, "affordable", lambda shape: False)
        monkeypatch.setattr(leading_module, "DENSE_SIDE", 100)
    factor, facts = gradient(A, all=way == "all")
    true = np.outer(U[:, 0], V[:, 0].conj())
    eps = float(np.finfo(dtype).eps)
    # the matrix itself was rounded: by Davis and Kahan that moves its vectors by |A - rounded| / gap
    moved = 4 * eps * np.linalg.norm(A) / 0.5
    assert factor.dtype == dtype
    assert np.linalg.norm(factor.reconstruct() - true) <= facts["uncertainty"] + moved
    assert facts["uncertainty"] <= 4000 * eps and facts["warning"] is None
    assert facts["s_1"] == pytest.approx(1, rel=100 * eps) and facts["s_2"] == pytest.approx(0.5, rel=100 * eps)
    assert 0.49 <= facts["gap"] <= 0.5 * (1 + 100 * eps)


@pytest.mark.parametrize("scale", [1e-250, 1e250])
@pytest.mark.parametrize("way", ["lapack", "krylov", "all"])
def test_the_gradient_is_blind_to_scale(scale, way, monkeypatch):
    A, _ = (gallery.with_spectrum(30, 20, gallery.poly(20))) if way == "lapack" else large("poly_1")
    if way != "lapack":
        monkeypatch.setattr(algorithm, "affordable", lambda shape: False)
        monkeypatch.setattr(leading_module, "DENSE_SIDE", 100)
    plain, scaled = gradient(A)[0], gradient(A * scale, "decay", all=way == "all")
    assert scaled[0].s[0] == pytest.approx(scale, rel=1e-12) and scaled[1]["s_2"] == pytest.approx(scale / 2, rel=1e-9)
    assert np.linalg.norm(scaled[0].U * scaled[0].Vh - plain.U * plain.Vh) <= 1e-9


@pytest.mark.parametrize("A", [np.eye(6), gallery.dft(16)[0], np.diag([1.0, -1.0, 0.5]), np.diag([1.0, 1 - 1e-15])])
def test_a_multiple_largest_value_has_no_single_gradient(A):
    factor, facts = gradient(A)
    assert facts["uncertainty"] is None and "not unique" in facts["warning"]
    # what is given is a subgradient all the same: <G, A> = s_1, and G has nuclear norm 1
    assert abs(np.vdot(factor.reconstruct(), A)) == pytest.approx(first(A), rel=1e-12)


def test_a_multiple_largest_value_of_a_large_matrix_is_not_told_apart_either(by_krylov):
    for name in ("flat", "step", "stairs"):
        _, facts = gradient(large(name)[0])
        assert facts["uncertainty"] is None and "not unique" in facts["warning"], name


def test_a_small_gap_is_warned_of_with_its_size_and_a_large_one_is_not():
    _, facts = gradient(np.diag([1.0, 1 - 1e-4, 0.3]))
    assert "within 0.0001 of s_1" in facts["warning"] and facts["gap"] == pytest.approx(1e-4, rel=1e-6)
    assert facts["uncertainty"] == pytest.approx(0, abs=1e-10) and facts["failure_probability"] is None
    assert gradient(np.diag([1.0, 0.99]))[1]["warning"] is None


def test_the_gradient_turns_when_the_matrix_changes_by_half_the_gap():
    gap = 1e-4
    A = np.diag([1.0, 1 - gap])
    turned = A + 0.51 * gap * np.diag([-1.0, 1.0])
    assert gradient(A)[0].reconstruct() == pytest.approx(np.diag([1.0, 0.0]))
    assert gradient(turned)[0].reconstruct() == pytest.approx(np.diag([0.0, 1.0]))


def test_the_gradient_of_a_zero_matrix_is_zero_and_said_to_be_none():
    factor, facts = gradient(np.zeros((4, 3), np.float32))
    assert not factor.reconstruct().any() and "no gradient" in facts["warning"] and factor.dtype == np.float32
    assert gradient(np.zeros((4, 3)), "decay")[1]["warning"] is None


def test_a_gradient_too_large_for_its_dtype_is_refused():
    # entries of 3e38 fit float32; their largest singular value does not
    with pytest.raises(NumericalError, match="overflows float32"):
        gradient(np.full((20, 20), 3e38, np.float32), "decay")


# Effective ranks


def test_the_effective_ranks_of_four_known_values_are_the_tabulated_ones():
    report = report_of(np.diag([4.0, 2.0, 1.0, 0.5]), "fro", effective_ranks=True)
    table = {"renyi_inf": 1.875, "renyi_2": 2.647, "entropy": 3.117}
    table |= {"stable": 1.328, "participation": 1.654, "energy_entropy": 2.063}
    for name, value in table.items():
        assert report["effective_ranks"][name] == pytest.approx(value, abs=5e-4), name
    # 16, 4, 1, 1/4 of 21.25: 75.3 %, 94.1 %, 98.8 %
    assert report["energy_ranks"] == {"0.9": 2, "0.99": 4, "0.999": 4} and report["numeric_rank"] == 4


def test_all_effective_ranks_of_an_isometry_are_its_size():
    report = report_of(np.eye(9), "fro", effective_ranks=True)
    assert all(value == pytest.approx(9) for value in report["effective_ranks"].values())
    assert report["numeric_rank"] == 9 and report["energy_ranks"]["0.999"] == 9


def test_effective_ranks_are_those_of_the_spectrum(by_krylov):
    from lowrank_cli.analysis.spectrum import spectrum

    A, _ = large("poly_1")
    report, other = report_of(A, "nuclear", effective_ranks=True), spectrum(from_array(A), k=12, digests=False)
    for name in ("effective_ranks", "numeric_rank", "gap", "definitions"):
        assert report[name] == other[name]
    assert all(other["intervals"][name] == ends for name, ends in report["intervals"].items())
    nuclear = report["norms"][0]
    assert [nuclear["lower"], nuclear["upper"]] == other["intervals"]["nuclear"]
    assert report["energy_ranks"]["0.999"] is None  # more than the 12 that are known


# Bits


@pytest.mark.parametrize("way", ["lapack", "krylov"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
def test_no_bit_depends_on_threads_or_storage(way, dtype, monkeypatch):
    A = (
        large("poly_1", dtype)[0]
        if way == "krylov"
        else gallery.with_spectrum(70, 90, gallery.poly(70), dtype=dtype)[0]
    )
    if way == "krylov":
        monkeypatch.setattr(algorithm, "affordable", lambda shape: False)
        monkeypatch.setattr(algorithm, "DEFAULT_COUNT", 12)
    options = NormOptions(kind=EVERY, gradient="decay", effective_ranks=True)

    def found(array, threads):
        factor, report = norm(from_array(array), options, threads=threads)
        return factor.U.tobytes(), factor.s.tobytes(), factor.Vh.tobytes(), report

    wanted = found(A, 1)
    for threads, other in ((3, np.asfortranarray(A)), (2, A.astype(A.dtype.newbyteorder(">")))):
        again = found(other, threads)
        assert again[:3] == wanted[:3]
        assert {**again[3], "input": None} == {**wanted[3], "input": None}


def test_another_seed_draws_other_numbers_and_encloses_the_same_norm(by_krylov):
    A, s = large("flat")
    rows = [norm(from_array(A), NormOptions(kind="spectral"), seed=x, digests=False)[1]["norms"][0] for x in (0, 1)]
    assert all(row["lower"] <= s[0] * (1 + 1e-14) <= row["upper"] * (1 + 1e-14) for row in rows)


# Refusals


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no norm"),
        ("frobenius", "no norm"),
        ("fro,", "no norm"),
        ("fro,spectral,FRO", "fro twice"),
        ("schatten:2,schatten:2.0", "twice"),
        ("schatten:0.5", "at least 1"),
        ("schatten:", "number"),
        ("schatten:nan", "number"),
        ("schatten:1e999", "finite"),
        ("schatten:inf", "number"),
        ("2", "no norm"),
    ],
)
def test_what_is_no_norm_is_refused_by_name(text, word):
    with pytest.raises(UsageError, match=word):
        NormOptions(kind=text)


def test_names_of_norms_are_read_in_any_case_and_order():
    assert parse("INF, Schatten:3.50 ,fro") == ("inf", "schatten:3.5", "fro")


def test_nan_is_refused_with_its_place():
    with pytest.raises(InputError, match="row 2, column 1"):
        report_of(np.where(np.arange(12).reshape(4, 3) == 7, np.inf, 1.0))


def test_one_norm_may_be_asked_for_without_the_others():
    for kind in parse(EVERY):
        assert list(norms(np.diag([2.0, 1.0]), kind)) == [kind]
