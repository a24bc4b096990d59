"""The gradient of the spectral norm is u_1 v_1^T; that of half its square, the spectral weight decay, s_1 u_1 v_1^T.

After the articles of Su Jianlin on the gradient of the spectral norm. Held against finite differences, and where the
largest singular value is double there is none.
"""

from __future__ import annotations

import numpy as np
from chart import Series, chart
from page import Page


def main() -> None:
    page = Page("gradient", "The gradient of the spectral norm")
    page.say(__doc__)
    page.run("lowrank norm flow_vx.npy --kind fro,spectral,nuclear --gradient spectral -o gradient.npy")
    page.ask("lowrank norm flow_vx.npy --gradient decay -o decay.npy")
    A, G, D = (np.load(page.out / f"{name}.npy") for name in ("flow_vx", "gradient", "decay"))
    rng = np.random.default_rng(0)
    E = rng.standard_normal(A.shape)
    slope, bend = float(np.sum(G * E)), float(np.sum(D * E))
    steps, errors = 10.0 ** -np.arange(1, 8), []
    for h in steps:
        up, down = (np.linalg.norm(A + sign * h * E, 2) for sign in (1, -1))
        errors.append(abs((up - down) / (2 * h) - slope) / abs(slope))
    h = 1e-3
    up, down = (np.linalg.norm(A + sign * h * E, 2) for sign in (1, -1))
    page.check("slope of s_1 along a random direction", float((up - down) / (2 * h)), slope, 1e-6 * abs(slope))
    page.check("slope of s_1^2 / 2", float((up**2 - down**2) / (4 * h)), bend, 1e-6 * abs(bend))
    page.picture(
        chart(
            "Finite differences reach the gradient, until rounding takes over",
            "step h",
            "relative difference",
            [Series("central difference", steps, errors, marks=True)],
            log_x=True,
            log_y=True,
        ),
        "Finite differences",
    )
    page.say("## No gradient")
    np.save(page.out / "double.npy", np.diag([2.0, 2.0, 1.0]))
    warning = page.ask("lowrank norm double.npy --gradient spectral")["gradient"]["warning"]
    page.say(f"With s_1 = s_2 the report says: {warning}.")
    page.holds("a double singular value is warned of", bool(warning))
    page.write()


if __name__ == "__main__":
    main()
