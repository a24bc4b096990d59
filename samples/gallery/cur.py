"""A matrix from some of its own columns and rows: A ~ C U R, in the units of the data and as sparse as they are.

Part 5 of Su Jianlin's articles on low-rank approximation announces it. The matrix is a power network.
"""

from __future__ import annotations

from chart import Series, chart
from page import Page


def main() -> None:
    page = Page("cur", "A matrix from its own columns and rows")
    page.say(__doc__)
    page.run("lowrank approx bus_1138.mtx --method cur -k 40 -o bus.cur.npz")
    ranks = [10, 20, 40, 80, 160]
    ways = {
        "SVD": "",
        "columns (id)": " --method id",
        "cur": " --method cur",
        "cur, deim": " --method cur --select deim",
        "cur, core from the crossing": " --method cur --core intersection --row-rank {k}",
    }
    found = {
        name: [page.ask(f"lowrank approx bus_1138.mtx -k {k}{flags.format(k=k)}") for k in ranks]
        for name, flags in ways.items()
    }
    errors = {name: [report["error"]["relative"] for report in reports] for name, reports in found.items()}
    size = {name: [report["compression"]["bytes_out"] for report in reports] for name, reports in found.items()}
    page.table(("way", *(f"rank {k}" for k in ranks)), [(name, *row) for name, row in errors.items()])
    page.table(("bytes", *(f"rank {k}" for k in ranks)), [(name, *map(str, row)) for name, row in size.items()])
    for place, k in enumerate(ranks):
        best = errors["SVD"][place]
        page.holds(
            f"at rank {k} nothing is nearer than the SVD, and the core from the crossing no nearer than the best",
            min(row[place] for row in errors.values()) >= best * (1 - 1e-9)
            and errors["cur, core from the crossing"][place] >= errors["cur"][place] * (1 - 1e-9),
        )
    page.picture(
        chart(
            "Error against bytes",
            "bytes of the factors",
            "relative error",
            [Series(name, size[name], errors[name], marks=True) for name in ways],
            log_x=True,
            log_y=True,
        ),
        "Relative error against bytes",
    )
    page.write()


if __name__ == "__main__":
    main()
