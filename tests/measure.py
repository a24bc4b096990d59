"""What results are held against: errors recomputed in extended precision, distances from orthonormality, best errors.

Nothing here calls the library's own arithmetic, so that it cannot agree with itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

_DOUBLE = {"float32": np.float64, "complex64": np.complex128}


def dense(array: Any) -> np.ndarray:
    return array.toarray() if hasattr(array, "toarray") else np.asarray(array)


def wide(array: Any) -> np.ndarray:
    """The array in a precision well above its own: extended for double, double for single."""
    array = dense(array)
    complex_ = np.clongdouble if array.dtype.kind == "c" else np.longdouble
    return array.astype(_DOUBLE.get(str(array.dtype), complex_))


def eps(array: Any) -> float:
    return float(np.finfo(array.dtype).eps)


def product(factor: Any, widen: Callable[[Any], np.ndarray] = wide) -> np.ndarray:
    """The dense matrix that the named arrays stand for by the contract, in extended precision or as ``widen`` says."""
    a = {name: widen(array) for name, array in factor.arrays().items() if name not in ("cols", "rows", "index")}
    if factor.kind == "svd":
        return (a["U"] * a["s"]) @ a["Vh"]
    if factor.kind == "fd":
        return (a["Vh"].conj().T * a["s"] ** 2) @ a["Vh"]
    if factor.kind == "nystrom":
        return a["F"] @ a["F"].conj().T
    if factor.kind == "qb":
        return a["Q"] @ a["B"]
    if factor.kind == "lora":
        return (a["alpha"][0] / len(a["lora_A"])) * (a["lora_B"] @ a["lora_A"])
    if factor.kind == "id" and "S" in a:
        return a["W"] @ a["S"] @ a["Z"]
    if factor.kind == "kron":
        terms = zip(a["s"], *(np.split(a[name], len(a["s"])) for name in "BC"), strict=True)
        return sum(s * np.kron(B, C) for s, B, C in terms)
    if factor.kind == "cur":
        return gram_schmidt(a["C"]) @ a["G"] @ gram_schmidt(a["R"].conj().T).conj().T
    if factor.kind == "given":
        return a["L"] @ (a["W"] @ a["R"] if "W" in a else a["R"])
    if factor.kind == "vq":
        return _decoded(factor.codes, a["codebook"], getattr(factor, "starts", None))
    if factor.kind == "nmf":
        return a["W"] @ a["H"]
    if factor.kind == "diag-lowrank":
        return np.diag(a["d"]) + (a["U"] * a["s"]) @ a["Vh"]
    if factor.kind == "rank1-nonneg":
        return np.outer(a["r"], a["c"])
    if factor.kind == "id":
        return a["C"] @ a["Z"] if "C" in a else a["W"] @ a["R"]
    return a["C"] @ a["R"]


def gram_schmidt(C: np.ndarray) -> np.ndarray:
    """The orthonormal basis of the columns of C in their order, in the precision of C."""
    Q = np.array(C)
    for j in range(Q.shape[1]):
        for _ in range(3):
            Q[:, j] -= Q[:, :j] @ (Q[:, :j].conj().T @ Q[:, j])
            length = np.sqrt(np.sum(np.square(np.abs(Q[:, j]))))
            Q[:, j] /= length if length else 1
    return Q


def _decoded(codes: np.ndarray, book: np.ndarray, starts: np.ndarray | None) -> np.ndarray:
    if starts is None:
        return sum(level[chosen] for level, chosen in zip(np.split(book, codes.shape[1]), codes.T, strict=True))
    parts = np.split(book, starts[1:], axis=1)
    return np.hstack([part[chosen] for part, chosen in zip(parts, codes.T, strict=True)])


def norm(array: Any) -> float:
    """Frobenius norm, right at every scale a float64 holds."""
    return float(np.sqrt(np.sum(np.square(np.abs(wide(array))))))


def residual(A: Any, factor: Any) -> float:
    """|A - F|_F, recomputed."""
    return norm(wide(A) - product(factor))


def relative(A: Any, factor: Any) -> float:
    error, size = residual(A, factor), norm(A)
    return error / size if size else (math.inf if error else 0.0)


def best(s: np.ndarray, k: int) -> float:
    """The Frobenius error of the best approximation of rank k, from the singular values."""
    return float(np.sqrt(np.sum(np.square(s[k:].astype(np.longdouble)))))


def smallest_rank(s: np.ndarray, rtol: float) -> int:
    """The fewest columns any approximation within rtol can have."""
    squares = np.square(s.astype(np.longdouble))
    tails = np.append(np.cumsum(squares[::-1])[::-1], 0)
    return int(np.argmax(tails <= np.longdouble(rtol) ** 2 * tails[0]))


def from_orthonormal(Q: np.ndarray) -> float:
    """|I - Q^H Q| in the 1-norm, over eps times the rows of Q: LAPACK's test ratio."""
    Q = dense(Q)
    G = wide(Q).conj().T @ wide(Q) - np.eye(Q.shape[1])
    return float(np.abs(G).sum(axis=0).max(initial=0)) / (Q.shape[0] * eps(Q))


def geqp3_errors(A: np.ndarray) -> np.ndarray:
    """errors[k]: Frobenius error of the best fit by the first k columns LAPACK's pivoted QR chooses."""
    import scipy.linalg

    R = scipy.linalg.qr(A, mode="r", pivoting=True)[0]
    rows = np.sum(np.square(np.abs(R[: min(A.shape)])), axis=1)
    return np.sqrt(np.append(np.cumsum(rows[::-1])[::-1], 0.0))
