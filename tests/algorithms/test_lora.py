"""LoRA: the truncated SVD as adapter matrices in the type of the input, its error measured as it is rounded."""

from __future__ import annotations

import io
import json

import gallery
import measure
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import lowrank_cli
from lowrank_cli.algorithms.lora import rounded
from lowrank_cli.algorithms.outcome import Status
from lowrank_cli.cli.app import run
from lowrank_cli.cli.terminal import Terminal
from lowrank_cli.errors import NumericalError
from lowrank_cli.formats.saving import load_factors, load_headers

TYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32, "float64": np.float64}
#: Half the distance from 1 to the next number.
UNIT = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}
K = 12


def main(argv):
    """(exit code, standard output, standard error) of a command line."""
    out, err = io.StringIO(), io.StringIO()
    return run(argv, Terminal(out, err, None, argv)), out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """One matrix in each type, and the exact values of each."""
    path = tmp_path_factory.mktemp("lora") / "model.safetensors"
    A = gallery.with_spectrum(90, 60, gallery.exponential(60, 0.8), seed=3)[0]
    stored = {name: A.astype(dtype) for name, dtype in TYPES.items()}
    save_file(stored, path)
    return path, {name: array.astype(np.float64) for name, array in stored.items()}


def adapter(model, name, tmp_path, *more):
    out = f"{tmp_path}/{name}.safetensors"
    limits = more or ("-k", str(K))
    code, told, _ = main(["approx", f"{model[0]}:{name}", "--method", "lora", "-o", out, "--json", *limits])
    return code, out, json.loads(told)


@pytest.mark.parametrize("name", TYPES)
def test_an_adapter_has_the_names_and_the_type_of_its_input_for_every_other_reader(model, name, tmp_path):
    code, out, _ = adapter(model, name, tmp_path)
    held = load_file(out)
    assert code == 0 and set(held) == {"lora_A", "lora_B", "alpha"}
    assert held["lora_A"].shape == (K, 60) and held["lora_B"].shape == (90, K) and held["alpha"].shape == (1,)
    assert all(array.dtype == TYPES[name] for array in held.values()) and float(held["alpha"][0]) == K
    assert {info.dtype for info in load_headers(out).arrays.values()} == {name}
    assert main(["info", out])[0] == 0 and main(["verify", out, "--against", f"{model[0]}:{name}"])[0] == 0


@pytest.mark.parametrize("name", TYPES)
def test_the_error_told_is_that_of_what_is_in_the_file_and_the_svds_up_to_the_rounding_of_both_factors(
    model, name, tmp_path
):
    """|B A - b a| <= (2 u + u^2) |B| |A| in the Frobenius norm, and |B|^2 = |A|^2 = s_1 + ... + s_k."""
    _, out, report = adapter(model, name, tmp_path)
    told = report["error"]["absolute"]
    held, A = load_file(out), model[1][name]
    B, C = (held[part].astype(np.float64) for part in ("lora_B", "lora_A"))
    assert told == pytest.approx(np.linalg.norm(A - B @ C), rel=1e-5 if name != "float64" else 1e-9)
    s, u = np.linalg.svd(A, compute_uv=False), max(UNIT[name], 2.0**-24 if name != "float64" else 0)
    best, most = np.linalg.norm(s[K:]), (2 * u + u * u) * s[:K].sum()
    assert best * (1 - 1e-5) <= told <= best + 1.01 * most + 40 * u * s[0]
    for part in (B, C):
        assert np.linalg.norm(part) == pytest.approx(np.sqrt(s[:K].sum()), rel=2 * u + 1e-6)


def test_bfloat16_is_rounded_as_ml_dtypes_rounds_it_ties_to_even():
    rng = np.random.default_rng(1)
    X = rng.standard_normal(5000).astype(np.float32) * np.float32(2.0) ** rng.integers(-140, 120, 5000)
    X[:4] = np.array([0x3F808000, 0x3F818000, 0x00008000, 0x80000001], np.uint32).view(np.float32)
    expected = X.astype(ml_dtypes.bfloat16).astype(np.float32)
    assert rounded(X, "bfloat16").tobytes() == expected.tobytes()


def test_what_the_type_cannot_hold_is_an_error_and_no_infinity():
    with pytest.raises(NumericalError, match="overflows float16"):
        rounded(np.array([7e4], np.float32), "float16")
    with pytest.raises(NumericalError, match="overflows bfloat16"):
        rounded(np.array([np.finfo(np.float32).max]), "bfloat16")


def test_an_adapter_goes_through_every_container_and_back_to_the_same_bytes(model, tmp_path):
    for name in ("float16", "bfloat16"):
        _, out, _ = adapter(model, name, tmp_path)
        for suffix in (".npz", ".h5", "/"):
            between, back = f"{tmp_path}/{name}{suffix}", f"{tmp_path}/back.safetensors"
            assert main(["convert", out, between])[0] == main(["convert", between, back])[0] == 0
            assert open(back, "rb").read() == open(out, "rb").read()
            assert load_factors(between).factor.nbytes == load_factors(out).factor.nbytes == 2 * (150 * K + 1)


def test_a_container_without_float16_is_refused_before_anything_is_computed(model, tmp_path):
    out = str(tmp_path / "a.mat")
    code, _, said = main(["approx", f"{model[0]}:float16", "-m", "lora", "-k", "3", "-o", out])
    assert code == 2 and "float16" in said and not (tmp_path / "a.mat").exists()
    assert main(["approx", f"{model[0]}:bfloat16", "-m", "lora", "-k", "3", "-o", out])[0] == 0


@pytest.mark.parametrize(("name", "rtol"), [("float16", "0.01"), ("bfloat16", "0.02"), ("float64", "1e-3")])
def test_a_tolerance_is_met_by_the_rounded_factors(model, name, rtol, tmp_path):
    code, out, _ = adapter(model, name, tmp_path, "--rtol", rtol)
    held, A = load_file(out), model[1][name]
    F = held["lora_B"].astype(np.float64) @ held["lora_A"].astype(np.float64)
    assert code == 0 and np.linalg.norm(A - F) <= float(rtol) * np.linalg.norm(A) * (1 + 1e-5)


def test_a_tolerance_that_rounding_alone_exceeds_is_missed_and_said(model, tmp_path):
    code, _, report = adapter(model, "bfloat16", tmp_path, "--rtol", "1e-4")
    assert code == 3 and report["status"] == "stagnated"
    assert "rounding the factors to bfloat16" in report["method_facts"]["warnings"][0]


def test_an_alpha_that_the_type_has_not_is_kept_wider_so_that_the_scale_is_one(tmp_path):
    path = tmp_path / "A.safetensors"
    A = gallery.with_spectrum(280, 270, gallery.poly(270), seed=5, dtype="float32")[0]
    save_file({"A": A.astype(ml_dtypes.bfloat16)}, path)
    found = lowrank_cli.approx(path, method="lora", rank=257)
    assert float(found.factor.alpha[0]) == 257 and float(rounded(found.factor.alpha, "bfloat16")[0]) == 256


@pytest.mark.parametrize("exponent", [-1060, -300, 301, 1000])
def test_matrices_at_the_ends_of_the_range_keep_their_relative_error(exponent):
    A = gallery.with_spectrum(40, 30, gallery.poly(30), seed=6)[0]
    plain = lowrank_cli.approx(A, method="lora", rank=5)
    moved = lowrank_cli.approx(np.ldexp(A, exponent), method="lora", rank=5)
    assert moved.status is Status.CONVERGED
    close = 1e-2 if exponent < -1000 else 1e-9
    assert moved.certificate.relative == pytest.approx(plain.certificate.relative, rel=close)
    assert measure.norm(moved.factor.lora_A) == pytest.approx(measure.norm(moved.factor.lora_B), rel=1e-6)
