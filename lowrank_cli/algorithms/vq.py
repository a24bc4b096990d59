"""Vector quantization: rows replaced by the nearest of a few codewords, plainly, by parts, or level on level."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from ..errors import UsageError
from ..factors.base import Approximation
from ..factors.vq import Codes, ProductCodes
from ..lazy import np
from ..matrices.metered import Metered
from ..memory import require
from ..options import check, opt
from ..streams import Streams
from .lloyd import Clusters, cluster
from .method import Method
from .outcome import Outcome
from .refit import refit
from .scaling import bring_to_scale, check_rank, restored
from .tolerance import check_tolerance

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine

#: The most codewords tried for a tolerance alone.
_MOST = 32


@dataclasses.dataclass(frozen=True)
class VQOptions:
    """code: one codeword a row, one for each of P parts of the columns, or the sum of L. restarts from other seeds."""

    code: str = opt(
        "plain",
        "What a row is made of (vq): one codeword (plain), one for each of P parts of the columns (product:P), or the "
        "sum of L, each for what the ones before left (residual:L).",
    )
    restarts: int = opt(2, "Starts from other random seeds (vq); the best is kept.", min=1, max=1000)
    max_iterations: int = opt(200, "Most iterations.", min=1, max=100_000)

    def __post_init__(self) -> None:
        check(self)
        _parsed(self.code)


def _parsed(code: str) -> tuple[str, int]:
    """The form of a code, and its number of parts or levels."""
    found = re.fullmatch(r"(plain)|(product|residual):([1-9][0-9]{0,5})", code)
    if found is None:
        raise UsageError(f"--code {code!r} is not known", hint="write plain, product:8 or residual:2, with your number")
    return ("plain", 1) if found[1] else (found[2], int(found[3]))


def run(matrix: Metered, budget: Budget, options: VQOptions, streams: Streams) -> Outcome:
    """A ~ S C: every row is one of K codewords, S one-hot; the rank asked for is K.

    C holds the means of the rows that chose each codeword, so |A - S C|^2 = |A|^2 - sum_k n_k |c_k|^2; S C has rank K
    at most, so this is no less than the tail of the squared singular values (Drineas et al. 2004). Lloyd's iteration
    ends in a local minimum, see ``lloyd.cluster``. Product codes (Jegou, Douze and Schmid 2011) quantize P parts of the
    columns each by itself; residual codes what the levels before left. Codes are stored in the narrowest unsigned type.
    With a tolerance: numbers of codewords are tried, see ``refit``, up to 32. Cost: the matrix in memory, 2 m n K flops
    an iteration and restart, 2 m n K (2 + log K) for the seeds; two passes and one for the exact error.

    Raises UsageError (more codewords than rows), InputError (NaN, Inf), ResourceError.
    """
    m, n = matrix.shape
    form, count = _parsed(options.code)
    check_rank(budget.rank, m, f"{m} rows have codewords of their own: a {m}x{n} matrix")
    if form == "product" and count > n:
        raise UsageError(f"--code {options.code}: {n} columns have at most {n} parts")
    check_tolerance(budget, matrix.dtype)
    require(4 * m * n * matrix.dtype.itemsize, "the matrix and its distances", "there is no way around its copy yet")
    scaled = bring_to_scale(matrix)
    X = np.ascontiguousarray(scaled.matrix.whole())
    engine = matrix.engine

    def build(K: int) -> tuple[Approximation, dict[str, Any]]:
        factor, found = _BUILDERS[form](X, K, count, options, streams, engine)
        taken = sum(one.iterations for one in found)
        matrix.ledger.flops += 2 * m * n * K * taken
        return factor, {"iterations": taken, "settled": all(one.settled for one in found), **_rotations(X, factor)}

    done = refit(build, scaled, budget, _MOST, m, streams)
    facts = {"kernels": ["lloyd", f"sweep {scaled.facts.kernel}"], "codewords": done.factor.rank, **done.facts}
    if not facts["settled"]:
        facts["warnings"] = ["stopped before every row had its nearest codeword; see --max-iterations"]
    return Outcome(restored(done.factor, scaled.exponent), done.status, done.certificate, matrix.ledger, facts)


def _cluster(X: numpy.ndarray, K: int, options: VQOptions, streams: Streams, engine: Engine) -> Clusters:
    return cluster(X, K, options.restarts, options.max_iterations, streams, engine)


def _residual(
    X: numpy.ndarray, K: int, levels: int, options: VQOptions, streams: Streams, engine: Engine
) -> tuple[Codes, list[Clusters]]:
    """Level on level; plain is one level."""
    found: list[Clusters] = []
    left = X
    for level in range(levels):
        found.append(_cluster(left, K, options, streams.within(f"level {level}"), engine))
        if level + 1 < levels:
            left = left - found[-1].centers[found[-1].codes]
    book = np.concatenate(_filled(found))
    return Codes(_narrow(found, len(book) // levels), book), found


def _product(
    X: numpy.ndarray, K: int, parts: int, options: VQOptions, streams: Streams, engine: Engine
) -> tuple[ProductCodes, list[Clusters]]:
    """Part by part: as equal as they can be, the wider ones first."""
    n = X.shape[1]
    widths = [n // parts + (p < n % parts) for p in range(parts)]
    starts = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.int64)
    found = [
        _cluster(np.ascontiguousarray(X[:, a : a + w]), K, options, streams.within(f"part {p}"), engine)
        for p, (a, w) in enumerate(zip(starts, widths, strict=True))
    ]
    book = np.ascontiguousarray(np.hstack(_filled(found)))
    return ProductCodes(_narrow(found, len(book)), book, starts), found


_BUILDERS = {"plain": _residual, "residual": _residual, "product": _product}


def _filled(found: list[Clusters]) -> list[numpy.ndarray]:
    """Books of equal length; what a book lacks is zero, and named by no code."""
    words = max(len(one.centers) for one in found)
    return [np.pad(one.centers, ((0, words - len(one.centers)), (0, 0))) for one in found]


def _narrow(found: list[Clusters], words: int) -> numpy.ndarray:
    """The codes side by side in the narrowest unsigned type that names so many codewords."""
    return np.stack([one.codes for one in found], axis=1).astype(np.min_scalar_type(words - 1))


def _rotations(X: numpy.ndarray, factor: Approximation) -> dict[str, Any]:
    """How far the rotation trick turns each row e to what it is replaced by, q: the mean and the largest angle.

    R = I - 2 w w^T + 2 q^ e^T, w the unit vector along e^ + q^, is the rotation in the plane of e and q with R e^ = q^
    (Fifty et al. 2024); it has no meaning where either is zero or q^ = -e^.
    """
    angles = rotation_angles(X, factor.reconstruct())
    turned = angles[np.isfinite(angles)]
    if not len(turned):
        return {}
    return {"rotation_mean_angle": float(turned.mean()), "rotation_max_angle": float(turned.max())}


def rotation_angles(E: numpy.ndarray, Q: numpy.ndarray) -> numpy.ndarray:
    """The angle between each row of E and that of Q in radians, float64; NaN where either is zero.

    2 atan2(|e^ - q^|, |e^ + q^|), which keeps its digits for small angles and for those near pi (Kahan).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        e, q = (Y / np.linalg.norm(Y, axis=1, keepdims=True) for Y in (E, Q))
        return 2 * np.arctan2(np.linalg.norm(e - q, axis=1), np.linalg.norm(e + q, axis=1)).astype(np.float64)


METHOD = Method(
    name="vq",
    whole=True,
    options=VQOptions,
    run=run,
    identity="A ~ S C, S one-hot: rows are codewords; by parts or level on level",
    cost="2 m n K flops an iteration and restart, 3 passes",
    reference="Lloyd 1982; Arthur and Vassilvitskii 2007; Jegou, Douze and Schmid 2011",
    guarantee="a local minimum, no less than the best of rank K; seeds within 8 (ln K + 2) of the optimum on average",
    choose="rows that fall into groups; codes of a few bits a row",
)
