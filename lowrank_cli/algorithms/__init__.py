"""Floor 4: Matrix + Budget + Options -> Outcome. One file a method, one line in this table."""

from __future__ import annotations

from ..plugins import Table
from ..registry import Entry

OURS: dict[str, Entry] = {
    "svd": Entry(
        "lowrank_cli.algorithms.svd:METHOD",
        "truncated singular value decomposition, the best in every unitarily invariant norm",
    ),
    "id": Entry(
        "lowrank_cli.algorithms.interpolative:METHOD",
        "interpolative decomposition: the matrix from some of its own columns, or rows",
    ),
    "qb": Entry("lowrank_cli.algorithms.qb:METHOD", "projection on the leading directions of the columns"),
    "lora": Entry(
        "lowrank_cli.algorithms.lora:METHOD",
        "the truncated SVD as adapter matrices lora_A and lora_B, rounded to the type of the input",
    ),
    "cur": Entry(
        "lowrank_cli.algorithms.cur:METHOD",
        "CUR decomposition: the matrix from some of its own columns and rows, and a core between them",
    ),
    "kron": Entry(
        "lowrank_cli.algorithms.kron:METHOD", "a sum of Kronecker products B (x) C, shapes given or searched"
    ),
    "diag-lowrank": Entry(
        "lowrank_cli.algorithms.diag_lowrank:METHOD", "a square matrix as a diagonal plus a low rank"
    ),
    "rank1-nonneg": Entry(
        "lowrank_cli.algorithms.rank1_nonneg:METHOD", "a non-negative matrix from its row and column sums"
    ),
    "vq": Entry("lowrank_cli.algorithms.vq:METHOD", "vector quantization: rows replaced by codewords (k-means)"),
    "nystrom": Entry(
        "lowrank_cli.algorithms.nystrom:METHOD", "F F^H for a positive semidefinite matrix, from a sketch or columns"
    ),
    "nmf": Entry("lowrank_cli.algorithms.nmf:METHOD", "non-negative factorization: sums of parts, no differences"),
    "fd": Entry(
        "lowrank_cli.algorithms.frequent_directions:METHOD",
        "frequent directions of rows: A^H A from a sketch of fixed size, with a bound that is certain",
    ),
    "cr": Entry("lowrank_cli.algorithms.cr:METHOD", "a product X Y from sampled columns of X and rows of Y"),
    "given": Entry(
        "lowrank_cli.algorithms.given:METHOD",
        "one factor is given: the best other one, or the best one of a rank",
    ),
    "weighted": Entry(
        "lowrank_cli.algorithms.weighted:METHOD",
        "nearest on given data: activations, or their Gram matrix, weigh the error",
    ),
}
#: these, and those of other packages.
TABLE = Table(OURS, "lowrank.methods", "lowrank_cli.algorithms.method:Method", "method")
