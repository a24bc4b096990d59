"""Which rows stand for all others: an interpolative decomposition chooses some, and writes the rest as combinations.

A ~ W R with R rows of A itself, so the factors keep names and units; after part 4 of Su Jianlin's articles on low-rank
approximation. The table counts RNA molecules of 507 genes in 1107 cells.
"""

from __future__ import annotations

import numpy as np
from chart import Series, chart
from page import Page

NAMES = "--names cells_10x.h5:/matrix/features/name"


def main() -> None:
    page = Page("id", "Rows that stand for all others")
    page.say(__doc__)
    line = f"lowrank approx cells_10x.h5 --method id --axis rows {NAMES}"
    page.run(f"{line} -k 8 --stability 5")
    ranks = [5, 10, 20, 40, 80]
    free = [page.ask(f"{line} -k {k}") for k in ranks]
    bound = [page.ask(f"{line} -k {k} --quality bound") for k in ranks]
    best = [page.ask(f"lowrank approx cells_10x.h5 -k {k}")["error"]["relative"] for k in ranks]
    page.table(
        ("genes", "error", "quality bound", "best of the rank"),
        [
            (str(k), a["error"]["relative"], b["error"]["relative"], c)
            for k, a, b, c in zip(ranks, free, bound, best, strict=True)
        ],
    )
    for k, a, b, c in zip(ranks, free, bound, best, strict=True):
        page.holds(
            f"{k} genes are no nearer than the SVD, and with --quality bound within {np.sqrt(k + 1):.2f} times of it",
            min(a["error"]["relative"], b["error"]["relative"]) >= c * (1 - 1e-9)
            and b["error"]["relative"] <= np.sqrt(k + 1) * c,
        )
    held = page.ask(f"{line} -k 40 --max-coefficient 2")
    page.holds(
        "with --max-coefficient 2 no coefficient is larger", held["method_facts"]["max_abs_Z"] <= 2 * (1 + 1e-12)
    )
    page.picture(
        chart(
            "A table of counts from some of its genes",
            "genes k",
            "relative error",
            [
                Series("genes", ranks, [r["error"]["relative"] for r in free], marks=True),
                Series("quality bound", ranks, [r["error"]["relative"] for r in bound], marks=True),
                Series("SVD", ranks, best, dashed=True),
            ],
            log_x=True,
        ),
        "Relative error against the number of genes",
    )
    page.write()


if __name__ == "__main__":
    main()
