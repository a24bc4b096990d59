"""Floor 3: results of factorizations. Frozen, named arrays; each is an operator; none knows a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..registry import Entry

#: kind -> its forms. A kind with several forms is told apart by the names of its arrays.
TABLE: Mapping[str, tuple[Entry, ...]] = {
    "svd": (Entry("lowrank_cli.factors.svd:SVD", "U diag(s) Vh"),),
    "qb": (Entry("lowrank_cli.factors.qb:QB", "Q B, Q orthonormal"),),
    "lora": (Entry("lowrank_cli.factors.lora:LoRA", "(alpha / k) lora_B lora_A"),),
    "id": (
        Entry("lowrank_cli.factors.interpolative:ColumnID", "C Z, C = A[:, cols]"),
        Entry("lowrank_cli.factors.interpolative:RowID", "W R, R = A[rows, :]"),
        Entry("lowrank_cli.factors.interpolative:TwoSidedID", "W S Z, S = A[rows, cols]"),
    ),
    "cur": (Entry("lowrank_cli.factors.cur:CUR", "C U R, C = A[:, cols] and R = A[rows, :]"),),
    "kron": (Entry("lowrank_cli.factors.kron:KroneckerSum", "sum_i s_i B_i (x) C_i"),),
    "diag-lowrank": (Entry("lowrank_cli.factors.diag_lowrank:DiagonalPlusLowRank", "diag(d) + U diag(s) Vh, square"),),
    "rank1-nonneg": (Entry("lowrank_cli.factors.rank1:Marginals", "r c^T, row and column sums"),),
    "vq": (
        Entry("lowrank_cli.factors.vq:Codes", "codewords of a book for every row, or sums of several"),
        Entry("lowrank_cli.factors.vq:ProductCodes", "codewords for parts of every row"),
    ),
    "nystrom": (
        Entry("lowrank_cli.factors.nystrom:Nystrom", "F F^H"),
        Entry("lowrank_cli.factors.nystrom:ColumnNystrom", "F F^H, F from columns cols of A"),
    ),
    "nmf": (Entry("lowrank_cli.factors.nmf:NMF", "W H without negative entries"),),
    "fd": (Entry("lowrank_cli.factors.directions:Directions", "V diag(s)^2 Vh ~ A^H A"),),
    "cr": (Entry("lowrank_cli.factors.cr:CR", "C R, sampled columns times sampled rows"),),
    "given": (
        Entry("lowrank_cli.factors.given:Given", "L R, one of them given"),
        Entry("lowrank_cli.factors.given:GivenReduced", "L W R, L or R given, of reduced rank"),
    ),
}


def assemble(kind: str, arrays: dict[str, Any]) -> Any:
    """The factorization of this kind made of these arrays. Raises InputError when they do not fit."""
    if kind not in TABLE:
        raise InputError(f"factorization of unknown kind {kind!r}", hint=f"known kinds: {', '.join(TABLE)}")
    forms = [entry.load() for entry in TABLE[kind]]
    fitting = [f for f in forms if {field.name for field in dataclasses.fields(f)} == set(arrays)]
    return (fitting or forms)[0].from_arrays(arrays)
