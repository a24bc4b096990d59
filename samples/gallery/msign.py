"""The matrix sign U V^T of a matrix U S V^T: every singular value becomes one, by products alone.

Muon takes a step of that kind. Its five iterations spread singular values around one and leave them there; Polar
Express chooses the polynomial of each iteration for the interval that is left, and converges. After the articles of
Su Jianlin on Muon; Amsel, Persson, Musco and Gower 2025.
"""

from __future__ import annotations

import numpy as np
from chart import Series, chart
from page import Page


def main() -> None:
    page = Page("msign", "The sign of a matrix")
    page.say(__doc__)
    page.say("The maps on the line, measured on a diagonal matrix of values from 1e-3 to 1:")
    s = np.geomspace(1e-3, 1, 240)
    np.save(page.out / "diagonal.npy", np.diag(s))
    curves = []
    for name, method, steps in (
        ("Muon, 5 steps", "muon", 5),
        ("Polar Express, 3", "polar-express", 3),
        ("Polar Express, 5", "polar-express", 5),
        ("Newton-Schulz, 5", "newton-schulz", 5),
    ):
        # the last value stands for the bound that iterations divide by
        lower = "--lower 1e-3 " if method != "muon" else ""
        page.ask(f"lowrank msign diagonal.npy --method {method} {lower}--steps {steps} -o sign.npy")
        curves.append(Series(name, s, np.diag(np.load(page.out / "sign.npy"))))
    page.picture(
        chart("What becomes of a singular value", "singular value", "after the iterations", curves, log_x=True),
        "What becomes of a singular value",
    )
    page.say("## A photograph")
    rows = []
    for method in ("svd", "qdwh", "polar-express", "newton-schulz", "muon"):
        report = page.ask(f"lowrank msign camera.npy --method {method}")
        rows.append((method, str(report["iterations"]), report["orthogonality"], report["backward_error"]))
    page.table(("method", "iterations", "orthogonality", "backward error"), rows)
    by_name = {row[0]: row for row in rows}
    for method in ("svd", "qdwh"):
        page.holds(f"{method} is orthogonal to 1e-10", by_name[method][2] <= 1e-10)
    page.holds("Muon's five steps are not", by_name["muon"][2] > 0.1)
    page.write()


if __name__ == "__main__":
    main()
