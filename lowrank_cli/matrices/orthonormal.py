"""Orthonormal bases of tall blocks: of all their columns, and of what they add to a basis that is there.

Like everything in ``blocks``: fixed row blocks, sums in a fixed tree, so no bit depends on threads or engine.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from ..engines.threads import Engine
from ..lazy import np
from .blocks import Columns, block_of, cross, each_piece, gram, parts_of, pieces, subtract_product, times, total_of
from .grid import FAN

if TYPE_CHECKING:
    import numpy

    from .blocks import Block


def householder(W: Columns | Block, engine: Engine, dtype: numpy.dtype | None = None) -> tuple[Any, numpy.ndarray]:
    """(Q, R) with W = Q R and Q^H Q = I to a few eps whatever the rank of W, for l <= m; in that dtype.

    Householder QR of each piece, then of eight triangles on one another, and so on up the tree (TSQR: Demmel, Grigori,
    Hoemmen and Langou 2012). The pieces are factored again for Q, which spares keeping it. Cost: 8 m l^2 flops.
    """
    parts = pieces(W.shape[0])
    blocks, _ = parts_of(W)

    def piece(i: int) -> numpy.ndarray:
        return np.hstack([block[parts[i]] for block in blocks]).astype(dtype or W.dtype, copy=False)

    triangles: list[Any] = each_piece(lambda i: np.linalg.qr(piece(i), mode="r"), blocks, engine)
    R, T = _tree_qr(triangles)
    made = block_of(lambda i: np.linalg.qr(piece(i))[0] @ T[i], blocks, engine, W.shape[1], dtype or W.dtype)
    return made, R


def _tree_qr(triangles: list[numpy.ndarray]) -> tuple[numpy.ndarray, list[numpy.ndarray]]:
    """(R, T) of triangles R_i below one another: R_i = T_i R, and the T_i below one another are orthonormal."""
    if len(triangles) == 1:
        return triangles[0], [np.eye(len(triangles[0]), dtype=triangles[0].dtype)]
    groups = [triangles[i : i + FAN] for i in range(0, len(triangles), FAN)]
    factored = [np.linalg.qr(np.vstack(group)) for group in groups]
    R, above = _tree_qr([R for _, R in factored])
    T = []
    for group, (Q, _), right in zip(groups, factored, above, strict=True):
        ends = list(itertools.accumulate(map(len, group)))
        T += [part @ right for part in np.split(Q, ends[:-1])]
    return R, T


def orthonormalize(W: Block, engine: Engine) -> tuple[Any, numpy.ndarray]:
    """(Q, R) with W = Q R, Q^H Q = I to a few eps, R (l, l); for l <= m, whatever the rank of W."""
    Q, T, R = nearly_orthonormal(W, engine)
    return (Q if T is None else times(Q, T, engine, out=None if Q is W else Q)), R


def nearly_orthonormal(W: Block, engine: Engine) -> tuple[Any, numpy.ndarray | None, numpy.ndarray]:
    """(Q, T, R) with W = Q T R for which Q T is what ``orthonormalize`` says: where a change of basis comes next, T may
    wait for it. T None is the identity. Q may be W.

    CholeskyQR repeated (Yamamoto et al. 2015), the first time with a shift when the Gram matrix is not numerically
    positive definite (Fukaya et al. 2020); columns are scaled to length 1 first, which removes the bad conditioning
    that comes from scaling alone. A W with (nearly) dependent columns goes to Householder QR, whose Q is
    orthonormal all the same. Cost: 4 m l^2 flops, 6 m l^2 shifted.
    """
    l = W.shape[1]
    if l == 0:
        return W, None, np.zeros((0, 0), W.dtype)
    wide = np.result_type(W.dtype, np.float64)
    eps = float(np.finfo(W.dtype).eps)
    R = np.eye(l, dtype=wide)
    Q, T = W, None
    for _ in range(4):
        if T is not None:
            Q = times(Q, T, engine, out=None if Q is W else Q)
        G = gram(Q, engine)
        lengths = np.sqrt(G.diagonal().real)
        # a column that all but vanished under the shift is noise, and dividing by its length would spread it
        if not lengths.min() > (0 if Q is W else 1e-6) or not np.all(np.isfinite(lengths)):
            break
        G /= np.outer(lengths, lengths)
        try:
            S = np.linalg.cholesky(G).conj().T
            shifted = False
        except np.linalg.LinAlgError:
            S = np.linalg.cholesky(G + 11 * (W.shape[0] + l) * l * eps * np.eye(l)).conj().T
            shifted = True
        S = S * lengths
        T = np.linalg.inv(S)
        if not np.all(np.isfinite(T)):
            break
        diagonal = S.diagonal().real / lengths
        if diagonal.min() < (1e-4 if shifted or eps > 1e-8 else 1e-7):
            # (nearly) dependent columns: R would carry the rounding of Q, divided by this
            break
        R = S @ R
        # the next Gram matrix would be I to rounding: CholeskyQR of a block this well conditioned is exact
        if not shifted and diagonal.min() > 0.9 and np.abs(G - np.eye(l)).max() < 0.01:
            return Q, T, R.astype(W.dtype)
    Q, R = householder(W, engine)
    return Q, None, R


def news(V: Columns | numpy.ndarray, Z: numpy.ndarray, floor: numpy.ndarray, engine: Engine) -> numpy.ndarray:
    """An orthonormal basis, orthogonal to V, of what the columns of Z add to V.

    Columns are weighed so that their rounding noise, of length floor, has length 1; directions that do not stand
    out of it are dropped. Then project and orthonormalise until V^H Q is noise.
    """
    if not isinstance(V, Columns):
        V = Columns(len(V), V.dtype, (V,) if V.shape[1] else ())
    tiny = float(np.finfo(Z.dtype).tiny)
    weights = np.where(floor > tiny, 1 / np.maximum(floor, tiny), 0.0)
    Q, G = _projected(Z, V, cross(V, Z, engine), weights, engine, Columns(len(Z), Z.dtype))
    seen = G.diagonal().real > 1
    # a column within its noise would only add noise
    if not np.all(seen):
        Q, G = np.ascontiguousarray(Q[:, seen]), G[np.ix_(seen, seen)]
    if not Q.shape[1]:
        return Q
    made = _at_once(V, Q, G, engine)
    return _in_rounds(V, Q, engine) if made is None else made


def _at_once(V: Columns, Q: numpy.ndarray, G: numpy.ndarray, engine: Engine) -> numpy.ndarray | None:
    """``_in_rounds`` for columns that are well apart from each other, from two readings: CholeskyQR twice, the second
    time less what V holds of them, whose Gram matrix is known without forming it (Carson, Lund, Rozloznik and Thomas
    2022). None for other columns. G: Q^H Q."""
    b = Q.shape[1]
    T = _inverse_factor(G)
    if T is None:
        return None
    first, S = _projected(Q, Columns(len(Q), Q.dtype), np.empty((0, b)), T, engine, V)
    H, G = S[:-b], S[-b:]
    if not max(np.abs(G - np.eye(b)).max(), np.abs(H).max(initial=0.0)) < 0.01:
        return None
    again = _inverse_factor(G - H.conj().T @ H)
    # the shortest direction is no shorter than 1 / |R^-1|_F
    if again is None or not np.linalg.norm(T @ again) * math.sqrt(b) < 1:
        return None
    return _projected(first, V, H, again, engine)[0]


def _inverse_factor(G: numpy.ndarray) -> numpy.ndarray | None:
    """R^-1 for G = R^H R; None where the columns of which it is the Gram matrix are nearly dependent."""
    long = np.sqrt(G.diagonal().real)
    try:
        R = np.linalg.cholesky(0.5 * (G + G.conj().T) / np.outer(long, long)).conj().T
    except np.linalg.LinAlgError:
        return None
    return np.linalg.inv(R * long) if R.diagonal().real.min() >= 1e-4 else None


def _in_rounds(V: Columns, Q: numpy.ndarray, engine: Engine) -> numpy.ndarray:
    """An orthonormal basis, orthogonal to V, of the left singular directions of Q that are longer than noise of unit
    length a column can be."""
    wide = np.result_type(Q.dtype, np.float64)
    Q, R = orthonormalize(Q, engine)
    R = R.astype(wide)
    if not np.all(R.diagonal()) or not np.linalg.norm(np.linalg.inv(R)) * math.sqrt(len(R)) < 1:
        P, s, _ = np.linalg.svd(R)
        Q = times(Q, P[:, s > math.sqrt(len(s))], engine)
    for _ in range(5):
        if not Q.shape[1]:
            break
        H = cross(V, Q, engine)
        subtract_product(Q, V, H, engine)
        Q = orthonormalize(Q, engine)[0]
        if float(np.abs(H).max(initial=0.0)) <= 0.5:
            break
    return Q


def _projected(
    Z: numpy.ndarray,
    V: Columns,
    H: numpy.ndarray,
    T: numpy.ndarray,
    engine: Engine,
    against: Columns | None = None,
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """(Q, S) for the array Q = (Z - V H) T, from one reading of all of them; T: a matrix, or a weight for each column.
    S is [against Q]^H Q, in double precision; where there is no against, nothing."""
    parts = pieces(len(Z))
    H, T = (np.ascontiguousarray(small, dtype=Z.dtype) for small in (H, T))
    Q = np.empty((len(Z), T.shape[-1]), Z.dtype)
    blocks, columns = parts_of(V)
    beside, _ = parts_of(against) if against is not None else ((), [])
    wide = np.result_type(Z.dtype, np.float64)

    def one(i: int) -> numpy.ndarray:
        piece = np.ascontiguousarray(Z[parts[i]])
        for block, at in zip(blocks, columns, strict=True):
            piece = piece - block[parts[i]] @ H[at]
        piece = Q[parts[i]] = piece * T if T.ndim == 1 else piece @ T
        if against is None:
            return np.empty((0, 0), wide)
        own = piece.astype(wide)
        return np.vstack([block[parts[i]].conj().T @ piece for block in beside] + [own.conj().T @ own])

    return Q, total_of(one, (Z,), engine, (0, 0), wide)
