"""The pseudo-inverse: the best other factor when one is given, and least squares.

min over B of |A B - M|_F is reached by B = A^+ M, and among all minimizers it is the shortest; after part 1 of
Su Jianlin's articles on low-rank approximation.
"""

from __future__ import annotations

import numpy as np
from chart import Series, chart
from page import Page


def main() -> None:
    page = Page("pinv", "The best other factor")
    page.say(__doc__)
    page.say("## A given left factor")
    page.say("Left factors made of the k slowest cosines over the 512 rows of a photograph, and the best right factor:")
    M = np.load(page.out / "camera.npy").astype(float)
    counts, cosines, free = [4, 8, 16, 32, 64], [], []
    place = (np.arange(512)[:, None] + 0.5) / 512
    for k in counts:
        np.save(page.out / f"cosines{k}.npy", np.cos(np.pi * place * np.arange(k)))
        report = page.ask(f"lowrank approx camera.npy --left cosines{k}.npy -o camera.cos{k}.npz")
        cosines.append(report["error"]["relative"])
        free.append(page.ask(f"lowrank approx camera.npy -k {k}")["error"]["relative"])
    page.table(
        ("columns", "cosines given", "none given (SVD)"),
        [(str(k), a, b) for k, a, b in zip(counts, cosines, free, strict=True)],
    )
    for k, error, best in zip(counts, cosines, free, strict=True):
        page.holds(f"a given factor of {k} columns does no better than the SVD", error >= best)
    A = np.load(page.out / f"cosines{counts[-1]}.npy")
    B = np.linalg.lstsq(A, M, rcond=None)[0]
    page.check(
        "error with LAPACK's least squares", cosines[-1], float(np.linalg.norm(A @ B - M) / np.linalg.norm(M)), 1e-9
    )
    page.picture(
        chart(
            "A factor that was given, and the best one",
            "columns k",
            "relative error",
            [Series("cosines", counts, cosines, marks=True), Series("SVD", counts, free, marks=True)],
            log_x=True,
            log_y=True,
        ),
        "Relative error against the number of columns",
    )

    page.say("## Least squares")
    table = np.load(page.out / "digits.npy").astype(float)
    pixels, labels = table[:, :-1] / 16, table[:, -1].astype(int)
    np.save(page.out / "pixels.npy", pixels[:1200])
    np.save(page.out / "classes.npy", np.eye(10)[labels[:1200]])
    blank = np.flatnonzero(~pixels[:1200].any(axis=0))
    page.say(f"Pixels of 1200 digits, {len(blank)} of the 64 blank in all of them, against ten classes:")
    page.run("lowrank pinv pixels.npy --apply classes.npy -o weights.npy")
    X = np.load(page.out / "weights.npy")
    left = pixels[:1200].T @ (pixels[:1200] @ X - np.eye(10)[labels[:1200]])
    page.check("A^T (A X - B), which is zero at a minimum", float(np.abs(left).max()), 0.0, 1e-9)
    page.check("weights of the blank pixels, zero in the shortest solution", float(np.abs(X[blank]).max()), 0.0, 1e-9)
    right = float(np.mean((pixels[1200:] @ X).argmax(axis=1) == labels[1200:]))
    page.say(f"Of the 597 other digits {100 * right:.1f} % are told right by the largest of A X.")
    report = page.ask("lowrank pinv pixels.npy")
    page.table(("Penrose equation", "relative residual"), list(report["penrose"].items()))
    page.write()


if __name__ == "__main__":
    main()
