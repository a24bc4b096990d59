"""Approximations as a file would hold them, and what verification says of them."""

from __future__ import annotations

import copy
import dataclasses

import gallery

from lowrank_cli import api
from lowrank_cli.algorithms.interpolative import IDOptions
from lowrank_cli.analysis.verify import verify
from lowrank_cli.budget import Budget
from lowrank_cli.formats.memory import from_array

SMALL, LARGE = (60, 50), (540, 530)


def made(A, method: str = "svd", times=None, options=None, seed: int = 0, **asked):
    """(factor, report) of an approximation, as a file would hold them."""
    job = api.Job("approx", method, Budget(**asked), options, seed)
    other = None if times is None else {"times": from_array(times)}
    done, report = api.run(job, from_array(A), other, digests=False)
    return done.factor, report


def held(factor, report, A=None, times=None, **how):
    loaded = [None if X is None else from_array(X) for X in (A, times)]
    return verify(factor, report, *loaded, **how)


def matrix(shape=SMALL, dtype="float64", seed=7):
    return gallery.with_spectrum(*shape, gallery.poly(min(shape)), seed=seed, dtype=dtype)[0]


def changed(factor, **arrays):
    return dataclasses.replace(factor, **arrays)


def claiming(report, relative: float):
    other = copy.deepcopy(report)
    other["error"]["relative"] = relative
    return other


KINDS = {
    "svd": {"method": "svd"},
    "id": {"method": "id"},
    "id rows": {"method": "id", "options": IDOptions(axis="rows")},
    "id both": {"method": "id", "options": IDOptions(axis="both")},
}
CLAIMS = {
    "exact": {},
    "bound": {"certify": "probes"},
    "spectral": {"norm": "spectral"},
    "spectral bound": {"norm": "spectral", "certify": "probes"},
}


def shifted(array, where, more):
    """A copy with one entry changed."""
    array = array.copy()
    array[where] += more
    return array
