"""Eckart and Young: no approximation of rank k is nearer than the truncated SVD, and its error is known beforehand.

|A - A_k|_F^2 = s_{k+1}^2 + s_{k+2}^2 + ..., after part 2 of Su Jianlin's articles on low-rank approximation.
"""

from __future__ import annotations

import numpy as np
from chart import Series, chart, tiles
from page import Page


def main() -> None:
    page = Page("svd", "The best approximation of a rank")
    page.say(__doc__)
    report = page.ask("lowrank spectrum camera.npy -k 512")
    s = np.array(report["values"])
    total = np.sum(s**2)
    curve = [float(np.sqrt(np.sum(s[k:] ** 2) / total)) for k in range(len(s))]
    ranks, measured, others = [5, 10, 20, 40, 80, 160], [], []
    page.say(
        "The curve foretold by the spectrum, the truncated SVD as measured against every pixel, and columns alone:"
    )
    for k in ranks:
        svd = page.ask(f"lowrank approx camera.npy -k {k}" + (f" -o camera.k{k}.npz" if k in (5, 20, 80) else ""))
        columns = page.ask(f"lowrank approx camera.npy -k {k} --method id")
        measured.append(svd["error"]["relative"])
        others.append(columns["error"]["relative"])
    page.table(
        ("rank", "foretold", "SVD, measured", "columns, measured"),
        [(str(k), curve[k], a, b) for k, a, b in zip(ranks, measured, others, strict=True)],
    )
    for k, error, other in zip(ranks, measured, others, strict=True):
        page.check(f"error of rank {k} and the tail of the spectrum", error, curve[k], 1e-3 * curve[k])
        page.holds(f"columns are no nearer at rank {k}", other >= curve[k])
    page.picture(
        chart(
            "A photograph by fewer numbers",
            "rank k",
            "relative error |A - A_k| / |A|",
            [
                Series("tail of the spectrum", range(len(curve)), curve),
                Series("SVD, measured", ranks, measured, line=False),
                Series("columns, measured", ranks, others, marks=True),
            ],
            log_y=True,
        ),
        "Relative error against rank",
    )
    pictures = [np.load(page.out / "camera.npy").astype(float)]
    for k in (80, 20, 5):
        saved = np.load(page.out / f"camera.k{k}.npz")
        pictures.append((saved["U"] * saved["s"]) @ saved["Vh"])
    small = [np.clip(p, 0, 255).reshape(64, 8, 64, 8).mean(axis=(1, 3)) for p in pictures]
    page.picture(tiles("All 512 singular values, then 80, 20 and 5", small, 4, pixel=3), "The photograph", "-photo")
    page.write()


if __name__ == "__main__":
    main()
