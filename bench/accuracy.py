"""Figures for docs/accuracy.md: how often bounds fail, how far results are from the best, as Markdown tables.

    .venv/bin/python bench/accuracy.py [--seeds N] [--coverage N]

Counts accuracy, not time. The numbers depend on the seeds given and, in the last digits, on the BLAS.
"""

from __future__ import annotations

import argparse
import math
import platform
from collections.abc import Callable, Iterable

import numpy as np
import scipy.linalg

import lowrank_cli
from lowrank_cli.algorithms.svd import SVDOptions
from lowrank_cli.api import tiled
from lowrank_cli.certificates import probes
from lowrank_cli.engines.threads import engine_for
from lowrank_cli.factors.svd import SVD
from lowrank_cli.formats.memory import from_array
from lowrank_cli.matrices.metered import Metered
from lowrank_cli.streams import Streams

M, N = 600, 520
SPECTRA: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "1/i": lambda i: 1 / i,
    "1/i^2": lambda i: 1 / i**2,
    "i^-1/2": lambda i: i**-0.5,
    "exp(-i/20)": lambda i: np.exp(-i / 20),
    "stairs of 30": lambda i: 10 ** (-0.6 * ((i - 1) // 30)),
}


def orthonormal(m: int, k: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((m, k)))[0]


def with_spectrum(m: int, n: int, s: np.ndarray) -> np.ndarray:
    return (orthonormal(m, len(s), 1) * s) @ orthonormal(n, len(s), 2).T


def table(title: str, head: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    head = list(head)
    print(f"\n**{title}**\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(f'{x:.4g}' if isinstance(x, float) else str(x) for x in row)} |")


def coverage(seeds: int) -> None:
    """Failures of the probe bound on residuals of four kinds: rank one is the worst case."""
    m, n = 14, 9
    residuals = {
        "rank one": np.array([1.0]),
        "spike over a floor": np.array([1.0] + [0.15] * 8),
        "flat": np.ones(9),
        "geometric": 0.5 ** np.arange(9),
    }
    factor = SVD(orthonormal(m, 2, 3), np.array([3.0, 2.0]), orthonormal(n, 2, 4).T)
    rows = []
    for name, s in residuals.items():
        A = factor.reconstruct() + with_spectrum(m, n, s)
        matrix = Metered(tiled(from_array(A), engine_for(1)))
        squares = [probes.store(matrix, Streams(seed)).residual_square(factor) for seed in range(seeds)]
        for delta in (1e-2, 1e-3):
            bounds = np.array([probes.bound(x, delta, probes.COUNT) for x in squares])
            fro, spectral = (
                int(np.sum(bounds < np.linalg.norm(s) * (1 - 1e-12))),
                int(np.sum(bounds < s[0] * (1 - 1e-12))),
            )
            rows.append((name, f"{delta:g}", f"{seeds * delta:g}", fro, spectral))
    head = ("residual", "stated probability", "expected at most", "Frobenius failures", "spectral failures")
    table(f"Failures of bounds from {probes.COUNT} probes in {seeds} seeds", head, rows)


def optimality(seeds: int) -> None:
    """Error of the default svd over the best possible, and the width of the reported interval."""
    i = np.arange(1, N + 1.0)
    rows, k = [], 20
    for name, spectrum in SPECTRA.items():
        s = spectrum(i)
        A, best = with_spectrum(M, N, s), float(np.linalg.norm(s[k:]))
        ratios, widths, inside = [], [], 0
        for seed in range(seeds):
            found = lowrank_cli.approx(A, rank=k, seed=seed).certificate
            ratios.append((found.absolute or 0.0) / best)
            lower, upper = found.optimal_lower or 0.0, found.optimal_upper or math.inf
            widths.append(upper / lower if lower else math.inf)
            true = best / float(np.linalg.norm(s))
            inside += lower <= true * (1 + 1e-12) and true <= upper * (1 + 1e-12)
        rows.append((name, f"{min(ratios):.6f}", f"{max(ratios):.6f}", f"{max(widths):.4f}", f"{inside} of {seeds}"))
    head = ("singular values", "least error / best", "largest error / best", "upper / lower, largest", "optimum inside")
    table(f"svd, rank {k} of {M} x {N}, {seeds} seeds: Frobenius error over the best possible", head, rows)


def ranks(seeds: int) -> None:
    """Rank for a tolerance over the best possible one, exact and bounded, both norms."""
    i = np.arange(1, N + 1.0)
    rows = []
    for name, spectrum in SPECTRA.items():
        s = spectrum(i)
        A = with_spectrum(M, N, s)
        tails = np.sqrt(np.append(np.cumsum(s[::-1] ** 2)[::-1], 0))
        for norm, errors in (("fro", tails / tails[0]), ("spectral", np.append(s, 0) / s[0])):
            best = max(1, int(np.argmax(errors <= 0.1)))
            found = [
                max(
                    lowrank_cli.approx(A, rtol=0.1, norm=norm, certify=certify, seed=seed).factor.rank
                    for seed in range(seeds)
                )
                for certify in ("exact", "probes")
            ]
            rows.append((name, norm, best, *found))
    head = ("singular values", "norm", "best rank", "--certify exact", "--certify probes")
    table(f"svd, --rtol 0.1, {M} x {N}: largest rank over {seeds} seeds", head, rows)


def interpolation(seeds: int) -> None:
    """Error of the default id over that of LAPACK's pivoted QR."""
    i = np.arange(1, N + 1.0)
    rows, k = [], 50
    for name, spectrum in SPECTRA.items():
        s = spectrum(i)
        A = with_spectrum(M, N, s)
        R = scipy.linalg.qr(A, mode="r", pivoting=True)[0]
        geqp3, best = float(np.linalg.norm(R[k:, k:])), float(np.linalg.norm(s[k:]))
        done = [lowrank_cli.approx(A, method="id", rank=k, seed=seed) for seed in range(seeds)]
        found = [d.certificate.absolute or 0.0 for d in done]
        worst = max(float(d.facts["max_abs_Z"]) for d in done)
        rows.append((name, np.mean(found) / geqp3, max(found) / geqp3, max(found) / best, worst))
    head = ("singular values", "mean / geqp3", "largest / geqp3", "largest / best", "largest coefficient")
    table(f"id, rank {k} of {M} x {N}, {seeds} seeds: Frobenius error", head, rows)


def lapack_ratios() -> None:
    """LAPACK's own test ratios, in units of eps: its tests allow 30. Measured in double, so for float64 and complex128
    they include the rounding of the measurement."""
    rows = []
    for dtype in ("float32", "float64", "complex64", "complex128"):
        for shape, how in (((300, 200), "lapack"), ((M, N), "block krylov")):
            s = 1 / np.arange(1, min(shape) + 1.0)
            worst = [0.0, 0.0, 0.0]
            for exponent in (-30, -10, 0, 10, 30):
                A = (with_spectrum(*shape, s) * 10.0**exponent).astype(dtype)
                if dtype.startswith("c"):
                    A = A * np.asarray(np.exp(1j * np.arange(shape[1])), dtype)
                F = lowrank_cli.approx(A, rank=min(shape) if how == "lapack" else 30, certify="none").factor
                eps, (m, n) = float(np.finfo(dtype).eps), shape
                U, Vh = F.U.astype("complex128"), F.Vh.astype("complex128")
                # of a truncated SVD: A^H U = V S, the side that holds to rounding, instead of A = U S V^H
                wide = A.astype("complex128") / 10.0**exponent
                left = wide.conj().T @ U - Vh.conj().T * (F.s.astype(float) / 10.0**exponent)
                backward = np.linalg.norm(left, 1) / (np.linalg.norm(wide, 1) * max(m, n) * eps)
                sides = [
                    np.linalg.norm(Q.conj().T @ Q - np.eye(Q.shape[1]), 1) / (len(Q) * eps) for Q in (U, Vh.conj().T)
                ]
                worst = [max(pair) for pair in zip(worst, (float(backward), *map(float, sides)), strict=True)]
            rows.append((dtype, how, *worst))
    head = ("dtype", "way", "A^H U = V S", "U^H U = I", "V^H V = I")
    table("LAPACK's test ratios at scales 1e-30 to 1e30, the largest (LAPACK's own threshold is 30)", head, rows)


def bounds(seeds: int) -> None:
    """What a bound costs: its size over the true error."""
    s = 1 / np.arange(1, N + 1.0)
    A, k, rows = with_spectrum(M, N, s), 20, []
    U, sv, Vh = np.linalg.svd(A, full_matrices=False)
    E = A - (U[:, :k] * sv[:k]) @ Vh[:k]
    for norm, true in (("fro", np.linalg.norm(E) / np.linalg.norm(A)), ("spectral", np.linalg.norm(E, 2) / sv[0])):
        for delta in (1e-2, 1e-6, 1e-12):
            found = [
                lowrank_cli.approx(
                    A, rank=k, norm=norm, certify="probes", failure_probability=delta, seed=seed
                ).certificate.relative
                / true
                for seed in range(seeds)
            ]
            rows.append((norm, f"{delta:g}", min(found), float(np.median(found)), max(found)))
    head = ("norm", "failure probability", "least", "median", "largest")
    table(f"Bound from probes over the true error, singular values 1/i, rank {k}, {seeds} seeds", head, rows)


def single_pass(seeds: int) -> None:
    """What one look costs: the sketch of one pass against the best of that rank, for three widths of the sketch."""
    i, k, rows = np.arange(1, N + 1, dtype=float), 20, []
    for name, spectrum in SPECTRA.items():
        s = spectrum(i)
        A = with_spectrum(M, N, s)
        best, ratios = float(np.sqrt(np.sum(s[k:] ** 2))), []
        for width in (30, None, 200):
            how = SVDOptions(block=width)
            made = [lowrank_cli.approx(A, rank=k, passes=1, options=how, seed=seed) for seed in range(seeds)]
            errors = [float(np.linalg.norm(A - one.factor.reconstruct())) for one in made]
            assert all(e <= (one.certificate.absolute or 0.0) for e, one in zip(errors, made, strict=True))
            ratios += [float(np.mean(errors)) / best, max(errors) / best]
        rows.append([name, *ratios])
    table(
        f"One pass, svd, rank {k} of {M} x {N}, {seeds} seeds: Frobenius error over the best possible",
        ["singular values", "sketch 30: mean", "largest", "96 (default): mean", "largest", "200: mean", "largest"],
        rows,
    )
    A = with_spectrum(M, N, 10.0 ** (-0.5 * (i - 1)))
    floors = []
    for width in (30, None, 200):
        found = lowrank_cli.approx(A, rank=k, passes=1, options=SVDOptions(block=width))
        error = np.linalg.norm(A - found.factor.reconstruct()) / np.linalg.norm(A)
        facts = found.facts["single_pass"]
        floors.append([str(facts["sketch"]), str(facts["kept"]), float(error), facts["floor_relative"]])
    print(f"\nOf singular values 10^(-i/2) rank {k} is {math.sqrt(0.1) ** k:.1g} away; one pass stops at its floor:")
    table("The floor of one pass", ["sketch", "directions kept", "relative error", "floor reported"], floors)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument(
        "--seeds", type=int, default=20, help="seeds of each approximation; 15 times as many of the svd (20)"
    )
    arguments.add_argument("--coverage", type=int, default=20_000, help="seeds of the coverage counts (20000)")
    asked = arguments.parse_args()
    print(f"lowrank {lowrank_cli.__version__}, numpy {np.__version__}, {platform.machine()}")
    coverage(asked.coverage)
    bounds(asked.seeds)
    optimality(15 * asked.seeds)
    ranks(max(1, asked.seeds // 5))
    interpolation(asked.seeds)
    lapack_ratios()
    single_pass(asked.seeds)


if __name__ == "__main__":
    main()
