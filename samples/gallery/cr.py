"""A product from some of its terms: X Y is a sum of columns of X times rows of Y, and a few of them may do.

Drawn with probabilities like |x_i| |y_i| and weighted, the sum is right on average and its squared error is foretold,
(Z^2 - |X Y|^2) / r, before anything is multiplied; after part 3 of Su Jianlin's articles on low-rank approximation.
"""

from __future__ import annotations

import numpy as np
from chart import Series, chart
from page import Page

SEEDS = 8


def main() -> None:
    page = Page("cr", "A product from some of its terms")
    page.say(__doc__)
    page.say("59 snapshots of a flow: how velocities go with pressures, summed over 3067 points of the mesh.")
    exact = np.load(page.out / "flow_vx.npy") @ np.load(page.out / "flow_p_t.npy")
    s = np.linalg.svd(exact, compute_uv=False)
    counts = [50, 200, 800, 1600]
    foretold, found, chosen = [], [], []
    for r in counts:
        line = f"lowrank product flow_vx.npy flow_p_t.npy -r {r}"
        runs = [page.ask(f"{line} --scheme optimal --seed {seed}") for seed in range(SEEDS)]
        foretold.append(runs[0]["method_facts"]["predicted_relative"])
        found.append(float(np.sqrt(np.mean([run["error"]["relative"] ** 2 for run in runs]))))
        chosen.append(page.ask(line))
    page.table(
        ("pairs", "foretold", f"root mean square of {SEEDS} draws", "scheme auto", "its error"),
        [
            (str(r), a, b, c["method_facts"]["scheme"], c["error"]["relative"])
            for r, a, b, c in zip(counts, foretold, found, chosen, strict=True)
        ],
    )
    for r, a, b in zip(counts, foretold, found, strict=True):
        page.check(f"errors of {SEEDS} draws of {r} pairs and the forecast, within 45 %", b, a, 0.45 * a)
    best = float(np.sqrt(np.sum(s[5:] ** 2) / np.sum(s**2)))
    page.say(
        f"The product itself is {exact.shape[0]} x {exact.shape[1]}; its truncated SVD of rank 5 has a relative error "
        f"of {best:.2e}: where the product can be formed, sampling is the wrong tool."
    )
    page.picture(
        chart(
            "Forecast and measurement",
            "sampled pairs r",
            "relative error",
            [
                Series("foretold", counts, foretold, dashed=True),
                Series(f"{SEEDS} draws", counts, found, line=False),
                Series("scheme auto", counts, [c["error"]["relative"] for c in chosen], marks=True),
            ],
            log_x=True,
            log_y=True,
        ),
        "Relative error against the number of pairs",
    )
    page.write()


if __name__ == "__main__":
    main()
