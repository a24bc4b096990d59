"""A method, a format and a report face for lowrank, as a package of its own."""

import dataclasses

import numpy as np

from lowrank_cli.algorithms.assessment import assessor
from lowrank_cli.algorithms.completion import Ordered, complete
from lowrank_cli.algorithms.method import Method
from lowrank_cli.algorithms.outcome import Outcome
from lowrank_cli.algorithms.scaling import bring_to_scale, check_rank
from lowrank_cli.algorithms.tolerance import check_tolerance, target_square
from lowrank_cli.errors import InputError
from lowrank_cli.factors.qb import QB
from lowrank_cli.formats.loaded import Format, Item, Loaded
from lowrank_cli.formats.memory import from_array
from lowrank_cli.matrices.tiles import scale_exactly
from lowrank_cli.options import opt
from lowrank_cli.reports.text import safe


@dataclasses.dataclass(frozen=True)
class EvenlyOptions:
    stride: int = opt(7, "Columns from one that is taken to the next.", min=1)


def run(matrix, budget, options, streams):
    """A ~ Q Q^H A, Q an orthonormal basis of columns taken at even distances."""
    m, n = matrix.shape
    check_rank(budget.rank, min(m, n), f"a {m}x{n} matrix")
    check_tolerance(budget, matrix.dtype)
    scaled = bring_to_scale(matrix)
    assess = assessor(scaled, budget, streams)
    target = None if assess is None else target_square(budget, scaled, assess.norm)
    order = np.concatenate([np.arange(start, n, options.stride) for start in range(min(options.stride, n))])
    chosen = order[: budget.rank or min(m, n)]
    Q = np.linalg.qr(scaled.matrix.cols(chosen))[0]
    B = scaled.matrix.rmatmat(Q).conj().T
    gains = np.square(np.abs(B)).sum(axis=1)
    pieces = Ordered(lambda k: QB(Q[:, :k], B[:k]), gains, max(0.0, scaled.squares - float(gains.sum())))
    done = complete(pieces, scaled, budget, target, assess)
    factor = QB(Q[:, : done.rank], scale_exactly(B[: done.rank], scaled.exponent))
    return Outcome(factor, done.status, done.certificate, matrix.ledger, {"kernels": ["qr numpy"]})


METHOD = Method(
    name="evenly",
    options=EvenlyOptions,
    run=run,
    identity="A ~ Q B, Q a basis of every so-many-th column",
    cost="2 m n k flops in 4 passes",
    reference="none",
    guarantee="measured, not foreseen",
    choose="an example of a method",
)


def matches(head, name):
    return head.startswith(b"grid ")


def header(path):
    with open(path, encoding="ascii", errors="replace") as file:
        words = file.readline().split()
    if len(words) != 3 or not all(word.isdigit() for word in words[1:]):
        raise InputError("its first line is not: grid ROWS COLS", where=path)
    return int(words[1]), int(words[2])


def items(path):
    rows, cols = header(path)
    return [Item(None, (rows, cols), "float64", None, 8 * rows * cols)]


def load(path, item):
    shape = header(path)
    if item is not None:
        raise InputError(f"no item {item!r}", where=path, hint="a grid holds one matrix")
    try:
        values = np.loadtxt(path, skiprows=1, ndmin=2)
    except ValueError as error:
        raise InputError(f"is no table of numbers ({error})", where=path) from error
    if values.shape != shape:
        raise InputError(f"its first line says {shape}, but it holds {values.shape}", where=path)
    return Loaded(from_array(values).array, path, "grid", items(path)[0])


FORMAT = Format("grid", (".grid",), matches, items, load)


def render(reports, style):
    return "".join(_one(report) for report in reports)


def _one(report):
    path = safe((report.get("run") or {}).get("input_path"))
    return f"{path}: {report['command']}, rank {report.get('rank', 'none')}\n"
