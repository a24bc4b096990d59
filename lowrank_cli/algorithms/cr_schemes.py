"""How pairs of a product are chosen and weighted: one function a scheme, and what is known of its error beforehand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..kernels import jit, priority, pursuit, sampling
from ..lazy import np
from ..streams import BLOCK_ROWS, Streams
from .cr_errors import Pairs, Systematic, Weighted

if TYPE_CHECKING:
    import numpy


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Chosen pairs and their weights: X Y ~ sum_t weights_t X[:, index_t] Y[index_t, :].

    Its expected squared Frobenius error (where nothing is random, the error itself) is plain + slope q, q the square
    it asks of ``Pairs``, that of the product where it asks nothing. kind: whether that is the error or only a bound of
    it. facts: what the report says of this scheme alone.
    """

    index: numpy.ndarray
    weights: numpy.ndarray
    asks: Weighted | Systematic | None = None
    plain: float = 0.0
    slope: float = 1.0
    kind: str = "exact"
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)

    def predicted(self, product_square: float, answers: Mapping[Weighted | Systematic, float]) -> float:
        """The expected squared error."""
        if self.slope == 0:
            return self.plain
        return max(0.0, self.plain + self.slope * (product_square if self.asks is None else answers[self.asks]))

    def coefficients(self, l: int) -> numpy.ndarray:
        """c (l,) with error sum_i c_i x_i y_i: the weights less one."""
        return np.bincount(self.index, weights=self.weights, minlength=l) - 1.0

    def shrunk(self, factor: float) -> Sample:
        """All weights times a factor; what was known of the error no longer holds."""
        return dataclasses.replace(self, weights=self.weights * factor)


@dataclasses.dataclass(frozen=True)
class Scheme:
    """draw(pairs, r, streams) gives the sample of r pairs; unbiased: its mean over the random numbers is the product;
    exact: all l pairs make the product.

    extra(m, n, l, r): flops beyond the lengths of the pairs, or the time of as many; auto leaves the scheme out where
    they are too many.
    needs_gram: it is a walk over the Gram matrix. path(pairs, cap, goal): the squared errors at ranks 1, 2, ... up to
    cap, or up to the first that is at most goal, all from one walk over the Gram matrix, for schemes that have one.
    """

    draw: Callable[[Pairs, int, Streams], Sample]
    unbiased: bool = True
    exact: bool = True
    extra: Callable[[int, int, int, int], int] = lambda m, n, l, r: 0
    needs_gram: bool = False
    path: Callable[[Pairs, int, float], numpy.ndarray] | None = None


def _positive(f: numpy.ndarray) -> int:
    return int(np.count_nonzero(f))


def _all_that_count(f: numpy.ndarray) -> Sample:
    """Every pair that is not zero, as it is: the product itself. Where all are zero, the first, which any other
    could be."""
    index = np.flatnonzero(f) if f.any() else np.zeros(1, np.int64)
    return Sample(index.astype(np.int64), np.ones(len(index)), slope=0.0)


def _nothing(r: int) -> Sample:
    """The product is zero; any pairs will do."""
    return Sample(np.arange(r, dtype=np.int64), np.ones(r), slope=0.0)


def _descending(f: numpy.ndarray) -> numpy.ndarray:
    return np.argsort(-f, kind="stable").astype(np.int64)


def _optimal(pairs: Pairs, r: int, streams: Streams) -> Sample:
    """r draws with replacement, p_i = f_i / Z: (Z^2 - |XY|^2) / r, the least that any probabilities give."""
    f = pairs.f
    if not f.any():
        return _nothing(r)
    index, weights = _draws(f, r, streams.generator("cr optimal").random(r))
    return Sample(index, weights, plain=float(f.sum()) ** 2 / r, slope=-1.0 / r)


def _draws(f: numpy.ndarray, r: int, u: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
    p = f / float(f.sum())
    index = sampling.with_replacement(p, u, compiled=jit.pays(sampling.seconds_saved(len(f))))
    return index, 1.0 / (r * p[index])


def _without_replacement(pairs: Pairs, r: int, streams: Streams) -> Sample:
    """r distinct pairs, inclusion probabilities min(1, f_i / tau): Madow's systematic sample in a random order."""
    f = pairs.f
    l = len(f)
    if not f.any():
        return _nothing(r)
    pi = sampling.inclusion_probabilities(f, min(r, _positive(f)))
    generator = streams.generator("cr without replacement")
    order = generator.permutation(l)
    u = float(generator.random())
    index = sampling.systematic(pi, order, u, compiled=jit.pays(sampling.seconds_saved(l)))
    return Sample(index, 1.0 / pi[index], Systematic(pi, order))


def _uniform(pairs: Pairs, r: int, streams: Streams) -> Sample:
    """r distinct pairs, all alike: l^2 / r (1 - r / l) (sum f^2 - |XY|^2 / l) / (l - 1)."""
    f = pairs.f
    l = len(f)
    index = sampling.uniform_without_replacement(l, r, streams.generator("cr uniform").random(r))
    if r == l:
        return Sample(index, np.ones(r), slope=0.0)
    spread = l**2 / r * (1 - r / l) / (l - 1)
    return Sample(index, np.full(r, l / r), plain=spread * float(np.sum(f**2)), slope=-spread / l)


def _poisson_error(f: numpy.ndarray, pi: numpy.ndarray) -> float:
    """sum of (1 - pi) / pi f^2: the squared error of independent choices, the pairs' products cancelling in none."""
    some = pi > 0
    return float(np.sum((1.0 - pi[some]) * f[some] * (f[some] / pi[some])))


def _threshold(pairs: Pairs, r: int, streams: Streams) -> Sample:
    """Each pair by itself with probability min(1, f_i / tau), r on average: sum over f < tau of f (tau - f)."""
    f = pairs.f
    said = {"expected_pairs": r}
    if _positive(f) <= r:
        return dataclasses.replace(_all_that_count(f), facts=said)
    pi = sampling.inclusion_probabilities(f, r)
    index = sampling.poisson(pi, streams.generator("cr threshold").random(len(f)))
    plain = _poisson_error(f, pi)
    if not len(index):
        # a draw of no pair is the zero matrix, stored as a pair of weight 0
        return Sample(np.array([int(np.argmax(f))]), np.zeros(1), plain=plain, slope=0.0, facts=said)
    return Sample(index, 1.0 / pi[index], plain=plain, slope=0.0, facts=said)


def _priority(pairs: Pairs, r: int, streams: Streams) -> Sample:
    """The r of highest priority f_i / u_i, weights max(1, tau / f_i).

    Known of its error: at most that of threshold sampling with one pair fewer (Szegedy 2006). For one pair it is
    infinite.
    """
    f = pairs.f
    if _positive(f) <= r:
        return _all_that_count(f)
    state = priority.priorities(np.arange(0), f[:0], f[:0], r)
    for block, start in enumerate(range(0, len(f), BLOCK_ROWS)):
        part = np.arange(start, min(start + BLOCK_ROWS, len(f)))
        u = streams.generator("cr priority", block).random(len(part))
        state = priority.merge(state, priority.priorities(part, f[part], u, r), r)
    index, weights = priority.estimate(state, r)
    bound = math.inf if r == 1 else _poisson_error(f, sampling.inclusion_probabilities(f, r - 1))
    return Sample(index, weights, plain=bound, slope=0.0, kind="bound")


def _winners(pairs: Pairs, r: int, streams: Streams) -> Sample:
    """The c largest as they are, r - c draws with replacement from the rest: ((sum f)^2 - |sum x y|^2) / (r - c) over
    the rest. c minimizes that where there is a Gram matrix, else sum f / (r - c) (Liu et al., NeurIPS 2023)."""
    f = pairs.f
    if _positive(f) <= r:
        return _all_that_count(f)
    order = _descending(f)
    # sums of the rest, from the smallest up, for c = 0 .. r - 1
    sums = np.cumsum(f[order[::-1]])[::-1][:r]
    worth = sums if pairs.G is None else np.maximum(0.0, np.square(sums) - tails(pairs.G, order)[:r])
    c = int(np.argmin(worth / np.arange(r, 0, -1)))
    rest = np.zeros(len(f))
    rest[order[c:]] = 1.0
    drawn, weights = _draws(f * rest, r - c, streams.generator("cr wta").random(r - c))
    index = np.concatenate([order[:c], drawn])
    plain, slope = float(sums[c]) ** 2 / (r - c), -1.0 / (r - c)
    return Sample(index, np.concatenate([np.ones(c), weights]), Weighted(rest), plain, slope, facts={"kept": c})


def tails(G: numpy.ndarray, order: numpy.ndarray) -> numpy.ndarray:
    """(l + 1,) squares |sum of the pairs from the c-th on|^2 along the order, for c = 0 .. l, added from the last
    on."""
    l = len(order)
    H = G[np.ix_(order, order)]
    # what pair c adds to the sum of those after it
    own = np.array([H[c, c] + 2.0 * float(H[c, c + 1 :].sum()) for c in range(l)])
    return np.append(np.maximum(0.0, np.cumsum(own[::-1])[::-1]), 0.0)


def _top(pairs: Pairs, r: int, streams: Streams) -> Sample:
    """The r largest as they are: biased, not random."""
    index = np.sort(_descending(pairs.f)[:r])
    left_out = np.ones(len(pairs.f))
    left_out[index] = 0.0
    return Sample(index, np.ones(r), Weighted(left_out))


def _top_path(pairs: Pairs, cap: int, goal: float) -> numpy.ndarray:
    assert pairs.G is not None
    return tails(pairs.G, _descending(pairs.f))[1 : cap + 1]


def _least_squares(pairs: Pairs, r: int, streams: Streams) -> Sample:
    """The r largest, their weights the best there are: never worse than as they are."""
    if _positive(pairs.f) <= r:
        return _all_that_count(pairs.f)
    return _best_weights(pairs, np.sort(_descending(pairs.f)[:r]))


def _greedy(pairs: Pairs, r: int, streams: Streams) -> Sample:
    """One pair after another, each the one that lowers the error most, with the best weights."""
    if pairs.G is None:
        raise UsageError(
            "--scheme greedy walks over the Gram matrix of all pairs, which is too dear for an inner dimension of "
            f"{len(pairs.f)} here",
            hint="use --scheme least-squares or top",
        )
    if _positive(pairs.f) <= r:
        return _all_that_count(pairs.f)
    return _best_weights(pairs, pursuit.pursue(pairs.G, r, -math.inf)[0])


def _greedy_path(pairs: Pairs, cap: int, goal: float) -> numpy.ndarray:
    assert pairs.G is not None
    return pursuit.pursue(pairs.G, cap, goal)[1]


def _best_weights(pairs: Pairs, index: numpy.ndarray) -> Sample:
    """The real weights of these pairs that give the least error: 1 + d, G_SS d the products of these pairs with the
    sum of the others."""
    G, g, eps = pairs.among(index)
    # of G, with a diagonal of ones: eigenvalues below are those of dependent pairs and their rounding
    least = max(1e-10, 16 * len(index) * eps)
    lengths = np.sqrt(G.diagonal())
    lengths[lengths == 0] = 1.0
    G, g = G / np.outer(lengths, lengths), g / lengths
    try:
        steady = float(np.linalg.cholesky(G).diagonal().min()) ** 2 > 100 * least
    except np.linalg.LinAlgError:
        steady = False
    if steady:
        d = np.linalg.solve(G, g)
    else:
        # such pairs share a weight: the part of d that G cannot see is left out
        values, vectors = np.linalg.eigh(G)
        seen = values > least * values[-1]
        d = vectors[:, seen] @ ((vectors[:, seen].T @ g) / values[seen])
    weights = 1.0 + d / lengths
    sample = Sample(index, weights)
    return dataclasses.replace(sample, asks=Weighted(sample.coefficients(len(pairs.f))))


#: A product with a vector, which is bound by memory, takes the time of about this many times its flops in a product.
_SLOW = 16

#: The order decides between schemes that are equally good.
TABLE: Mapping[str, Scheme] = {
    "greedy": Scheme(
        _greedy, unbiased=False, extra=lambda m, n, l, r: _SLOW * 2 * l * r**2, needs_gram=True, path=_greedy_path
    ),
    "least-squares": Scheme(_least_squares, unbiased=False, extra=lambda m, n, l, r: 2 * l * r * (m + n) + r**3),
    "top": Scheme(_top, unbiased=False, path=_top_path),
    "wta": Scheme(_winners),
    "without-replacement": Scheme(_without_replacement),
    "threshold": Scheme(_threshold),
    "priority": Scheme(_priority),
    "optimal": Scheme(_optimal, exact=False),
    "uniform": Scheme(_uniform),
}
#: Stores a random number of pairs, so it serves no one who asked for at most r.
RANDOM_SIZE = "threshold"
