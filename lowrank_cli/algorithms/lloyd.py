"""K-means: seeds spread by their distances, then Lloyd's two steps in turn until no row changes its centre."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from ..lazy import np
from ..matrices.blocks import pieces
from ..streams import Streams

if TYPE_CHECKING:
    import numpy

    from ..engines.threads import Engine


@dataclasses.dataclass(frozen=True, eq=False)
class Clusters:
    """codes (m,) int64; centers (K, n), the means of their rows, none without any; square: |X - centers[codes]|^2.

    iterations of Lloyd's method, of the restart that was kept; settled: no row would change its centre.
    """

    codes: numpy.ndarray
    centers: numpy.ndarray
    square: float
    iterations: int
    settled: bool


def cluster(X: numpy.ndarray, K: int, restarts: int, most: int, streams: Streams, engine: Engine) -> Clusters:
    """The best of some restarts. X (m, n), C-ordered; K codewords, fewer when X has no more distinct rows.

    Greedy k-means++ seeds (Arthur and Vassilvitskii 2007), Lloyd's iteration with distances from one product a time.
    That loses the digits of small distances to cancellation, so those that matter, of the farthest rows and of the
    result, are computed anew. A centre that loses all rows moves to the row farthest from its own. The squared error
    never rises. Bits do not depend on threads: pieces of rows are summed in order. Cost: 2 m n K flops an iteration.
    """
    lengths = np.square(np.abs(X)).sum(axis=1, dtype=np.float64)
    found = [_lloyd(X, _seeds(X, lengths, K, streams, restart, engine), most, engine) for restart in range(restarts)]
    return min(found, key=lambda one: one.square)


def _seeds(
    X: numpy.ndarray, lengths: numpy.ndarray, K: int, streams: Streams, restart: int, engine: Engine
) -> numpy.ndarray:
    """Rows chosen with probability proportional to the squared distance from those before, the best of a few each."""
    draws = streams.generator(f"vq seeds {restart}")
    tries = 2 + int(math.log(K))
    eps = 8 * float(np.finfo(X.dtype).eps)
    chosen = [min(len(X) - 1, int(draws.random() * len(X)))]
    nearest = _distances(X, lengths, np.array(chosen), eps, engine)[:, 0]
    while len(chosen) < K:
        sums = np.cumsum(nearest)
        if not sums[-1] > 0:
            break
        picks = np.minimum(np.searchsorted(sums, draws.random(tries) * sums[-1], side="right"), len(X) - 1)
        after = np.minimum(nearest[:, None], _distances(X, lengths, picks, eps, engine))
        best = int(np.argmin(after.sum(axis=0)))
        chosen.append(int(picks[best]))
        nearest = np.ascontiguousarray(after[:, best])
    return X[chosen]


def _distances(
    X: numpy.ndarray, lengths: numpy.ndarray, picks: numpy.ndarray, eps: float, engine: Engine
) -> numpy.ndarray:
    """Squared distances of all rows from some of them, (m, picks); what rounding cannot tell from 0 is 0."""
    parts = pieces(len(X))
    across = np.ascontiguousarray(X[picks].conj().T)
    found = np.empty((len(X), len(picks)))

    def one(i: int) -> None:
        scale = lengths[parts[i], None] + lengths[picks]
        apart = scale - 2 * (X[parts[i]] @ across).real.astype(np.float64)
        apart[apart <= eps * scale] = 0
        found[parts[i]] = apart

    engine.map(one, len(parts))
    found[picks, np.arange(len(picks))] = 0
    return found


def _lloyd(X: numpy.ndarray, centers: numpy.ndarray, most: int, engine: Engine) -> Clusters:
    codes, settled, taken = np.full(len(X), -1), False, 0
    while not settled and taken < most:
        before = codes
        codes, sums = _assigned(X, centers, engine)
        counts = np.bincount(codes, minlength=len(centers))
        settled = bool(np.array_equal(codes, before))
        taken += 1
        if not settled:
            centers = _means(sums, counts, centers)
            empty = np.flatnonzero(counts == 0)
            if len(empty):
                distances = _exact(X, centers, codes, engine)
                farthest = np.argsort(-distances, kind="stable")[: len(empty)]
                farthest = farthest[distances[farthest] > 0]
                centers[empty[: len(farthest)]] = X[farthest]
    # centres without rows are dropped, the others numbered anew
    kept = np.flatnonzero(np.bincount(codes, minlength=len(centers)))
    codes = np.searchsorted(kept, codes)
    centers = np.ascontiguousarray(centers[kept])
    return Clusters(codes, centers, float(np.sum(_exact(X, centers, codes, engine))), taken, settled)


def _assigned(X: numpy.ndarray, centers: numpy.ndarray, engine: Engine) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The nearest centre of every row, the first of equals, and the sums of rows by centre in double precision."""
    parts = pieces(len(X))
    across = np.ascontiguousarray(centers.conj().T)
    halves = 0.5 * np.sum(np.square(np.abs(centers)), axis=1)
    codes = np.empty(len(X), np.int64)
    wide = np.result_type(X.dtype, np.float64)

    def one(i: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        rows = X[parts[i]]
        near = np.argmin(halves - (rows @ across).real, axis=1)
        codes[parts[i]] = near
        order = np.argsort(near, kind="stable")
        present, starts = np.unique(near[order], return_index=True)
        return present, np.add.reduceat(rows[order], starts, axis=0, dtype=wide)

    total = np.zeros(centers.shape, wide)
    for present, sums in engine.map(one, len(parts)):
        total[present] += sums
    return codes, total


def _means(sums: numpy.ndarray, counts: numpy.ndarray, centers: numpy.ndarray) -> numpy.ndarray:
    """The means of the rows by centre; a centre without rows stays."""
    return np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centers).astype(centers.dtype)


def _exact(X: numpy.ndarray, centers: numpy.ndarray, codes: numpy.ndarray, engine: Engine) -> numpy.ndarray:
    """Squared distances of rows from their centres, from differences."""
    parts = pieces(len(X))

    def one(i: int) -> numpy.ndarray:
        left = np.abs(X[parts[i]] - centers[codes[parts[i]]]).astype(np.float64)
        return np.sum(np.square(left, out=left), axis=1)

    return np.concatenate(engine.map(one, len(parts)))
