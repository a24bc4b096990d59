"""Hold saved factors against what they claim: their structure, their orthogonality, their error."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ..api import tiled
from ..budget import Budget
from ..errors import UsageError
from ..factors.base import Approximation, dense
from ..lazy import np
from ..streams import Streams

if TYPE_CHECKING:
    import numpy

    from ..algorithms.scaling import Scaled
    from ..engines.threads import Engine
    from ..formats.loaded import Loaded
    from ..matrices.facts import MatrixFacts
    from ..matrices.metered import Metered
    from ..matrices.protocols import Matrix

#: Orthogonality is judged as LAPACK's own tests judge it: |Q^H Q - I| / (length eps) at most this.
THRESHOLD = 30.0
#: Arrays of each kind that have orthonormal columns; of Vh it is the rows.
_ORTHONORMAL = {"svd": ("U", "Vh"), "qb": ("Q",), "diag-lowrank": ("U", "Vh"), "fd": ("Vh",)}
#: Kinds with an array s in the order of singular values, and kinds whose arrays have no negative entries.
_ORDERED, _NONNEGATIVE = ("svd", "kron", "diag-lowrank", "fd"), ("rank1-nonneg", "nmf")


def verify(
    factor: Approximation,
    report: dict[str, Any],
    matrix: Loaded | None = None,
    times: Loaded | None = None,
    *,
    sample: bool = False,
    orthogonality: bool = False,
    failure_probability: float = 1e-6,
    seed: int = 0,
    threads: int = 1,
    blas_pinned: bool = False,
) -> dict[str, Any]:
    """Whether a factorization holds: ``claimed``, ``measured`` (relative errors), ``holds``, ``reason``.

    Without a matrix: the structure of the kind alone (an SVD's values ordered, an ID's identity exact, the columns and
    rows of a CUR alike where they cross). With one: the error is recomputed, in the norm of the claim, with random
    numbers of its own. An exact claim holds when |measured - claimed| <= 1e-6 claimed + 4 sqrt(max(m, n)) eps, a bound
    when measured <= claimed; of a measured interval the end that speaks for the claim counts. sample: an interval from
    20 probes instead of a full comparison, which contains the error except with failure_probability. orthogonality: the
    ratios |Q^H Q - I| / (length eps) of an SVD or a QB, at most 30. Of a pseudo-inverse the four Penrose residuals are
    recomputed. ``passes``: over the matrix. Cost: two passes.
    """
    from ..algorithms.needs import within
    from ..engines.blas import single_threaded
    from ..engines.threads import engine_for

    inverse = report.get("command") == "pinv"
    error = {"relative": report["penrose"]["AXA"], "norm": "fro"} if inverse else claim_of(report)
    if sample and inverse:
        raise UsageError("the Penrose equations of a pseudo-inverse are measured, not sampled", hint="drop --sample")
    if sample and error.get("norm") == "spectral":
        raise UsageError(
            "a sample judges Frobenius errors, and these factors claim a spectral one", hint="drop --sample"
        )
    said: dict[str, Any] = {
        "claimed": error.get("relative"),
        "measured": None,
        "holds": False,
        "kind": error.get("kind"),
        "norm": error.get("norm"),
        "reason": None,
    }
    with single_threaded(blas_pinned):
        reasons = structure(factor)
        if orthogonality:
            said["orthogonality"] = ratios = orthogonality_ratios(factor)
            reasons += [f"{name} is not orthonormal: ratio {r:.3g}" for name, r in ratios.items() if not r <= THRESHOLD]
        if matrix is not None and not reasons:
            engine = engine_for(threads)
            parts = [tiled(loaded, engine) for loaded in (matrix, times) if loaded is not None]
            spectral = error.get("norm") == "spectral"
            needed = within(lambda _: _needs(factor, parts, spectral), parts, "verify", matrix.where)
            parts[0].watch.expects(needed, None)
            if inverse:
                reasons += _inverse_of(factor, report["penrose"], parts[0], said)
            else:
                reasons += _against(factor, parts, engine, said, sample, failure_probability, seed)
    said["holds"] = not reasons
    said["reason"] = "; ".join(reasons) or None
    return said


def _needs(factor: Approximation, parts: list[Matrix], spectral: bool) -> dict[str, int]:
    """Bytes of memory by component that the comparison takes beyond the factors themselves."""
    from ..algorithms.needs import read_buffers
    from ..certificates.spectral import STARTS, STEPS, affordable
    from ..matrices.grid import TILE

    (m, n), itemsize = factor.shape, np.dtype(factor.dtype).itemsize
    found = {
        "read buffers": sum(read_buffers(part) for part in parts),
        # the two that are multiplied, and the matrix's own columns and rows
        "factors": 2 * factor.nbytes,
        "tiles": 4 * parts[0].engine.threads * TILE * TILE * itemsize,
    }
    if spectral:
        found["spectral norm"] = (4 * m * n if affordable((m, n)) else 2 * min(m, n) * STARTS * STEPS) * itemsize
    return found


def claim_of(report: dict[str, Any]) -> dict[str, Any]:
    """What factors claim of their error against a matrix: recompressed ones the bound against the first matrix, and
    where there is none, the error against the factors they were made of."""
    return report.get("total") or report.get("error") or {}


def structure(factor: Approximation) -> list[str]:
    """What is wrong with the factors whatever the matrix; nothing when their structure is that of their kind."""
    arrays = factor.arrays()
    wrong = [f"{name} has entries that are not finite" for name, a in arrays.items() if not _finite(a)]
    if wrong:
        return wrong
    if factor.kind in _NONNEGATIVE:
        wrong += [f"{name} has negative entries" for name, a in arrays.items() if np.any(a < 0)]
    if factor.kind in _ORDERED:
        s = arrays["s"]
        if np.any(s < 0) or np.any(s[1:] > s[:-1]):
            wrong.append("the singular values are not non-negative and non-increasing")
    for index, side in (("cols", "Z"), ("rows", "W")):
        if index in arrays and side in arrays:
            chosen, Z = arrays[index], arrays[side] if side == "Z" else arrays[side].T
            if len(np.unique(chosen)) < len(chosen) or chosen.min() < 0 or chosen.max() >= Z.shape[1]:
                wrong.append(f"{index} does not name distinct {index}")
            elif not np.array_equal(Z[:, chosen], np.eye(len(chosen))):
                wrong.append(f"{side} is not the identity at {index}")
    return wrong + (_no_skeleton(arrays) if factor.kind == "cur" else [])


def _distinct(chosen: numpy.ndarray, limit: int) -> bool:
    """Whether these are different numbers from 0 to limit - 1, at least one."""
    return 0 < len(np.unique(chosen)) == len(chosen) and chosen.min() >= 0 and chosen.max() < limit


def _no_skeleton(arrays: dict[str, Any]) -> list[str]:
    """Why the arrays of a CUR cannot be columns and rows of one matrix with a core between them."""
    cols, rows, C, R = (arrays[name] for name in ("cols", "rows", "C", "R"))
    wrong = [
        f"{name} does not name distinct {name}"
        for name, chosen, limit in (("cols", cols, R.shape[1]), ("rows", rows, C.shape[0]))
        if chosen.ndim != 1 or chosen.dtype.kind != "i" or not _distinct(chosen, limit)
    ]
    sizes = (len(cols), len(rows))
    if (C.shape[1], R.shape[0]) != sizes or any(arrays[name].shape != sizes for name in "UG"):
        wrong.append(f"C, R and the cores are not those of {sizes[0]} columns and {sizes[1]} rows")
    if not wrong and not np.array_equal(dense(C[rows]), dense(R[:, cols])):
        wrong.append("C and R differ where they cross")
    return wrong


def _finite(array: Any) -> bool:
    values = array.data if hasattr(array, "indptr") else array
    return bool(np.all(np.isfinite(values)))


def orthogonality_ratios(factor: Approximation) -> dict[str, float]:
    """|Q^H Q - I| / (length eps), largest entry, for each factor that should be orthonormal."""
    arrays = factor.arrays()
    found = {}
    for name in _ORTHONORMAL.get(factor.kind, ()):
        Q = arrays[name].conj().T if name == "Vh" else arrays[name]
        deviation = float(np.abs(Q.conj().T @ Q - np.eye(Q.shape[1])).max(initial=0.0))
        found[name] = deviation / (Q.shape[0] * float(np.finfo(Q.dtype).eps))
    return found


def _against(
    factor: Approximation,
    parts: list[Matrix],
    engine: Engine,
    said: dict[str, Any],
    sample: bool,
    delta: float,
    seed: int,
) -> list[str]:
    """Measure the error and say what speaks against the claim."""
    from ..algorithms.scaling import bring_to_scale
    from ..matrices.metered import Metered

    shape = (parts[0].shape[0] if factor.kind != "fd" else parts[0].shape[1], parts[-1].shape[1])
    if shape != tuple(factor.shape):
        by = ["x".join(map(str, one)) for one in (factor.shape, shape)]
        return [f"the factors make a {by[0]} matrix, the matrix given is {by[1]}"]
    wrong = _not_its_own(factor, parts[0]) if len(parts) == 1 else []
    # as when the error was first measured, on a scale where no square and no product leaves the floats
    near = [bring_to_scale(Metered(part)) for part in parts]
    A, factor = _on_scale(near, factor, engine)
    facts = [one.work_facts for one in near] if factor.kind != "fd" else [A.sweep()]
    matrix = Metered(A)
    if sample:
        norm = facts[0] if len(parts) == 1 else A.sweep()
        lower, upper = _sampled(matrix, norm, factor, delta, seed)
        said |= {"measured": upper, "measured_lower": lower, "failure_probability": delta}
    elif said["norm"] == "spectral":
        lower, upper = _spectral(matrix, factor, delta, seed)
        said |= {"measured": upper, "measured_lower": lower}
    else:
        lower = upper = _exact(matrix, facts, factor)
        said["measured"] = upper
    said["passes"] = len(facts) + matrix.ledger.passes
    if factor.kind == "fd":
        wrong += _above(factor, A)
    claim = said["claimed"]
    if claim is None:
        return [*wrong, "the factors claim no error"]
    eps = float(np.finfo(np.result_type(A.dtype, factor.dtype)).eps)
    slack = 1e-6 * claim + 4 * math.sqrt(max(A.shape)) * eps
    if lower > claim + slack or (said["kind"] == "exact" and upper < claim - slack):
        wrong.append(f"the claimed relative error is {claim:.6g}, the measured one {upper:.6g}")
    return wrong


def _on_scale(near: list[Scaled], factor: Approximation, engine: Engine) -> tuple[Matrix, Approximation]:
    """What the factors stand for, made of matrices that were brought to scale, and the factors on that scale."""
    from ..matrices.product import Product, gram_of

    exponent = sum(one.exponent for one in near)
    inner = [one.matrix.inner for one in near]
    if factor.kind == "fd":
        exponent *= 2
        A: Matrix = gram_of(inner[0], engine)
    else:
        A = inner[0] if len(inner) == 1 else Product(inner[0], inner[1], engine)
    with np.errstate(over="ignore"):
        return A, factor.scaled(-exponent) if exponent else factor


def _above(factor: Approximation, A: Matrix) -> list[str]:
    """Why V s^2 V^H is not below A^H A, where that is small enough to see; rounding of either aside."""
    from ..certificates.spectral import affordable

    if not affordable(A.shape):
        return []
    every = slice(0, A.shape[0])
    G = A.block(every, every)
    values = np.linalg.eigvalsh(G - factor.reconstruct())
    slack = 4 * len(values) * float(np.finfo(factor.dtype).eps) * float(np.linalg.norm(G))
    return [f"A^H A minus the factors has the eigenvalue {values[0]:.6g}"] if values[0] < -slack else []


def _inverse_of(factor: Approximation, claims: dict[str, float], A: Matrix, said: dict[str, Any]) -> list[str]:
    """Measure the four Penrose equations and say which are off the claim by more than rounding: what A^+ A A^+, A A^+
    and A^+ A lack may grow with the condition number."""
    from ..algorithms.pseudoinverse import penrose
    from ..algorithms.scaling import bring_to_scale
    from ..factors.svd import SVD
    from ..matrices.metered import Metered

    if tuple(A.shape) != tuple(factor.shape[::-1]):
        (n, m), given = factor.shape, "x".join(map(str, A.shape))
        return [f"the factors are a pseudo-inverse of a {m}x{n} matrix, the matrix given is {given}"]
    matrix = Metered(A)
    found = dataclasses.asdict(penrose(bring_to_scale(matrix), SVD(**factor.arrays())))
    said |= {"measured": found["AXA"], "passes": matrix.ledger.passes}
    s = factor.arrays()["s"].astype(np.float64)
    rounding = 4 * math.sqrt(max(A.shape)) * float(np.finfo(np.result_type(A.dtype, factor.dtype)).eps)
    condition = float(s[0] / s[s > 0][-1]) if s[0] else 1.0
    slack = {name: rounding * (1.0 if name == "AXA" else condition) for name in found}
    off = [name for name in found if abs(found[name] - claims[name]) > 1e-6 * claims[name] + slack[name]]
    return [f"the claimed residual of {name} is {claims[name]:.6g}, the measured one {found[name]:.6g}" for name in off]


def _not_its_own(factor: Approximation, A: Matrix) -> list[str]:
    """Columns and rows that should be the matrix's own, bit for bit, and are not."""
    arrays = factor.arrays()
    wrong = []
    for name, read, what in (
        ("C", lambda: A.cols(arrays["cols"]), "the columns cols"),
        ("R", lambda: A.rows(arrays["rows"]), "the rows rows"),
        ("S", lambda: A.cols(arrays["cols"])[arrays["rows"]], "rows and columns"),
    ):
        if factor.kind in ("id", "cur") and name in arrays:
            kept, own = arrays[name], read()
            same = abs(kept - own).max() == 0 if hasattr(own, "indptr") else np.array_equal(kept, own)
            if not same:
                wrong.append(f"{name} is not {what} of the matrix")
    return wrong


def _exact(matrix: Any, facts: list[MatrixFacts], factor: Approximation) -> float:
    from ..certificates.residual import relative, residual, residual_and_norm

    if len(facts) == 1:
        return relative(residual(matrix, factor), facts[0])
    return relative(*residual_and_norm(matrix, factor))


def _sampled(matrix: Any, norm: MatrixFacts, factor: Approximation, delta: float, seed: int) -> tuple[float, float]:
    """An interval for the relative Frobenius error: it misses with probability at most delta, half on either side."""
    from ..certificates import probes

    G = probes.gaussian(Streams(seed), "verify", matrix.shape[1], probes.COUNT, matrix.dtype)
    square = probes.StoredProbes(G, matrix.matmat(G)).residual_square(factor)
    complex_ = G.dtype.kind == "c"
    total = norm.norm
    low, high = (probes.chi_square_quantile(d, probes.COUNT, complex_) for d in (delta / 2, 1 - delta / 2))
    if not total:
        return (0.0, 0.0) if square == 0 else (math.inf, math.inf)
    return math.sqrt(square / high) / total, math.sqrt(square / low) / total


def _spectral(matrix: Metered, factor: Approximation, delta: float, seed: int) -> tuple[float, float]:
    """An interval for the relative spectral error, over the same lower bound of the norm that claims are over."""
    from ..algorithms.assessment import Spectral
    from ..algorithms.scaling import bring_to_scale

    scaled = bring_to_scale(matrix)
    budget = Budget(norm="spectral", failure_probability=delta)
    found = Spectral(scaled, budget, Streams(seed).within("verify"))(factor.scaled(-scaled.exponent), None).certificate
    upper = found.relative or 0.0
    return (upper if found.relative_estimate is None else found.relative_estimate), upper
