"""What adaptive optimizers keep of E[g g^T]: a diagonal, a low rank beside it, Kronecker products, sums of squares.

From per-sample gradients of a small network; after the articles of Su Jianlin on the Hessian approximations behind
adaptive optimizers. The second moment of a layer's gradients is approximated by each structure: which is nearest, and
at what cost?
"""

from __future__ import annotations

import json

import numpy as np
from chart import Series, chart
from page import Page


def main() -> None:
    page = Page("hessian", "What adaptive optimizers keep")
    page.say(__doc__)
    shapes = json.loads((page.out / "shapes.json").read_text(encoding="utf-8"))
    m, n = shapes["W2"]
    G = np.load(page.out / "gradients_W2.npy")
    np.save(page.out / "second.npy", G.T @ G / len(G))
    np.save(page.out / "squares.npy", (G**2).mean(axis=0).reshape(m, n))
    page.say(f"The last layer has {m} x {n} weights, so the second moment is {m * n} x {m * n}.")
    kept = "lowrank approx second.npy --method"
    ways = {
        "diagonal and rank 1": f"{kept} diag-lowrank -k 1",
        "diagonal and rank 5": f"{kept} diag-lowrank -k 5",
        "diagonal and rank 20": f"{kept} diag-lowrank -k 20",
        "1 Kronecker product": f"{kept} kron --shape {m}x{m} -k 1",
        "5 Kronecker products": f"{kept} kron --shape {m}x{m} -k 5",
        "20 Kronecker products": f"{kept} kron --shape {m}x{m} -k 20",
        "rank 5": f"{kept} svd -k 5",
        "rank 20": f"{kept} svd -k 20",
    }
    H = np.load(page.out / "second.npy")
    norm = float(np.linalg.norm(H))
    reports = {name: page.ask(line) for name, line in ways.items()}
    alone = float(np.linalg.norm(H - np.diag(np.diag(H))) / norm)
    rows = [("diagonal", alone, str(8 * m * n))]
    rows += [(name, r["error"]["relative"], str(r["compression"]["bytes_out"])) for name, r in reports.items()]
    page.table(("structure", "relative error", "bytes"), rows)
    rearranged = H.reshape(m, n, m, n).transpose(0, 2, 1, 3).reshape(m * m, n * n)
    s = np.linalg.svd(rearranged, compute_uv=False)
    for terms, name in ((1, "1 Kronecker product"), (5, "5 Kronecker products"), (20, "20 Kronecker products")):
        tail = float(np.sqrt(np.sum(s[terms:] ** 2)) / norm)
        page.check(
            f"error of {name} and the tail of the rearranged matrix", reports[name]["error"]["relative"], tail, 1e-6
        )
    page.holds(
        "a low rank beside the diagonal is nearer than the diagonal, and the more the nearer",
        alone > rows[1][1] > rows[2][1] > rows[3][1],
    )
    page.say("## Adafactor")
    page.say("Of the squares alone, as a matrix of the layer's shape, row and column sums:")
    page.run("lowrank approx squares.npy --method rank1-nonneg")
    groups = {
        "diagonal and rank": [r for r in rows if r[0].startswith("diagonal")],
        "Kronecker products": [r for r in rows if "Kronecker" in r[0]],
        "rank": [r for r in rows if r[0].startswith("rank")],
    }
    page.picture(
        chart(
            "Structures of a second moment",
            "bytes",
            "relative error",
            [
                Series(name, [float(r[2]) for r in some], [r[1] for r in some], marks=True)
                for name, some in groups.items()
            ],
            log_x=True,
        ),
        "Relative error against bytes",
    )
    page.write()


if __name__ == "__main__":
    main()
