"""How the best learning rate grows with the batch: SGD, preconditioned, and sign-like with Adam's epsilon.

After the articles of Su Jianlin on batch size and learning rate, and McCandlish et al. 2018. One step theta - eta u
of a loss with gradient g and curvature H lowers it by eta g^T u - eta^2 u^T H u / 2, so the best rate is
eta(B) = g^T E[u] / E[u^T H u], where u is made of a batch of B samples. Curvature here is the second moment of the
gradients, F = E[g g^T] (the empirical Fisher matrix).
"""

from __future__ import annotations

import math

import numpy as np
from chart import Series, chart
from page import Page

BATCHES = 2.0 ** np.arange(0, 15)
RANK = 150
#: Batches drawn for a direct measurement, and nodes of the trapezoidal rule over normal means of batches.
DRAWS, NODES = 1000, 2001


def moments(g: np.ndarray, variance: np.ndarray, B: float, epsilon: float) -> tuple[np.ndarray, ...]:
    """By coordinates, for u = x / (x^2 + epsilon^2)^(1/2) and x ~ N(g, variance / B): E[u], E[u^2] and E[du/dx]."""
    spread = np.sqrt(variance / B)
    moves = spread > 0
    if epsilon == 0:
        # the sign; a parameter whose gradient is always zero stays where it is
        at = np.divide(g, spread, out=np.zeros_like(g), where=moves)
        density = np.exp(-(at**2) / 2) * math.sqrt(2 / math.pi)
        slope = np.divide(density, spread, out=np.zeros_like(g), where=moves)
        return np.array([math.erf(x / math.sqrt(2)) for x in at]), moves.astype(float), slope
    nodes = np.linspace(-8, 8, NODES)
    weights = np.exp(-(nodes**2) / 2)
    weights /= weights.sum()
    x = g[:, None] + spread[:, None] * nodes
    u = x / np.hypot(x, epsilon)
    # Stein's identity: E[z u(g + spread z)] = spread E[du/dx]
    slope = np.divide(u @ (weights * nodes), spread, out=np.zeros_like(g), where=moves)
    return u @ weights, u**2 @ weights, slope


def means(G: np.ndarray, B: int) -> np.ndarray:
    """Means of DRAWS batches of B rows of G, drawn with replacement."""
    counts = np.random.default_rng(B).multinomial(B, np.full(len(G), 1 / len(G)), size=DRAWS)
    return counts @ G / B


def main() -> None:
    page = Page("batch", "Batch size, learning rate and epsilon")
    page.say(__doc__.partition("\n\n")[2])
    report = page.ask(f"lowrank approx gradients.npy -k {RANK} -o gradients.k{RANK}.npz")
    G = np.load(page.out / "gradients.npy")
    saved = np.load(page.out / f"gradients.k{RANK}.npz")
    N = len(G)
    s, V = saved["s"] / np.sqrt(N), saved["Vh"].T
    g = G.mean(axis=0)
    page.say(
        f"{N} gradients of {G.shape[1]} parameters; rank {RANK} holds them to a relative error of "
        f"{report['error']['relative']:.2e} ({report['error']['kind']})."
    )

    # SGD: E[u] = g, E[u u^T] = g g^T + Sigma / B, and F = V S^2 V^T
    direct = np.linalg.norm(G @ g) ** 2 / N, np.linalg.norm(G @ G.T / N) ** 2
    gFg, trFF = float(np.sum((s * (V.T @ g)) ** 2)), float(np.sum(s**4))
    tr_sigma, gg = float(np.linalg.norm(G) ** 2 / N - g @ g), float(g @ g)
    noise = (trFF - gFg) / gFg
    page.say("## SGD")
    page.say("The best rate is eta(B) = eta_max / (1 + B_noise / B) with B_noise = tr(Sigma F) / g^T F g.")
    page.table(
        ("scale", "from the factors", "from all gradients"),
        [
            ("simple, tr(Sigma) / |g|^2", tr_sigma / gg, tr_sigma / gg),
            ("with curvature, tr(Sigma F) / g^T F g", noise, (direct[1] - direct[0]) / direct[0]),
        ],
    )
    page.check("noise scale of the factors and of the file", noise, (direct[1] - direct[0]) / direct[0], 0.01 * noise)
    sgd = (gg / gFg) / (1 + noise / BATCHES)
    B = 64
    quadratic = np.sum((means(G, B) @ G.T) ** 2, axis=1) / N
    expected = direct[0] + (direct[1] - direct[0]) / B
    page.check(
        f"E[u^T F u] for batches of {B}, {DRAWS} drawn, within four standard errors",
        float(quadratic.mean()),
        expected,
        4 * float(quadratic.std()) / DRAWS**0.5,
    )

    page.say("## Preconditioned")
    page.say(
        "With u = D^-1 (mean of the batch), D = diag(E[g_i^2])^(1/2) + epsilon held fixed, the scale becomes "
        "tr(Sigma P) / g^T P g with P = D^-1 F D^-1."
    )
    variance = np.maximum((G**2).mean(axis=0) - g**2, 0)
    root = np.sqrt((G**2).mean(axis=0))
    rows = []
    for epsilon in (1e-4, 1e-3, 1e-2, 1e-1):
        d = root + epsilon
        low, full = s[:, None] * (V / d[:, None]).T, (G / d) / np.sqrt(N)
        # tr(F P) = |S V^T D^-1 V S|_F^2 and g^T P g = |S V^T D^-1 g|^2
        scales = []
        for M, by in ((low, s[:, None] * V.T), (full, G / np.sqrt(N))):
            gPg = float(np.sum((M @ g) ** 2))
            scales.append((float(np.sum((by @ M.T) ** 2)) - gPg) / gPg)
        rows.append((f"epsilon {epsilon:g}", *scales))
        page.check(f"preconditioned scale, epsilon {epsilon:g}", scales[0], scales[1], 0.01 * scales[1])
    page.table(("preconditioner", "from the factors", "from all gradients"), rows)

    page.say("## Sign-like, with epsilon")
    page.say(
        "u_i = x_i / (x_i^2 + epsilon^2)^(1/2) of the mean x of a batch: the sign where epsilon is small, linear where "
        "it is large. With x taken as normal, m = E[u] and slopes d_i = E[du_i / dx_i], the covariance of u is "
        "d_i d_j Sigma_ij / B to first order (Price's theorem), and exact on the diagonal. Through the factors "
        "tr(F D Sigma D) costs p k^2 operations instead of p^2."
    )

    def quadratic_term(batch: float, epsilon: float, correlated: bool = True) -> tuple[float, float]:
        """(g^T E[u], E[u^T F u]); uncorrelated: noise of different parameters taken as independent."""
        m, second, d = moments(g, variance, batch, epsilon)
        bends = float(np.sum((s * (V.T @ m)) ** 2))
        if not correlated:
            return float(g @ m), bends + float(root**2 @ (second - m**2))
        M = s[:, None] * (V.T * d)
        together = float(np.sum((M @ (V * s)) ** 2)) - float(np.sum((M @ g) ** 2))
        return float(g @ m), bends + together / batch + float(root**2 @ (second - m**2 - d**2 * variance / batch))

    size = float(np.sqrt(np.mean(g**2)))
    curves = [Series("SGD", BATCHES, sgd / sgd.max())]
    for share in (0.0, 1.0, 10.0):
        rates = np.array([np.divide(*quadratic_term(B, share * size)) for B in BATCHES])
        curves.append(Series(f"{share:g} rms(g)", BATCHES, rates / rates.max()))
        if share == 1:
            largest = rates.max()
    alone = [np.divide(*quadratic_term(B, size, correlated=False)) / largest for B in BATCHES]
    drawn, rows = [], []
    for B in BATCHES[::2]:
        x = means(G, int(B))
        u = x / np.hypot(x, size)
        along, bends = float(np.mean(u @ g)), float(np.mean(np.sum((u @ G.T) ** 2, axis=1)) / N)
        drawn.append(along / bends / largest)
        rows.append((f"{B:g}", *quadratic_term(B, size), along, bends, quadratic_term(B, size, correlated=False)[1]))
    curves += [
        Series("1 rms(g), drawn", BATCHES[::2], drawn, line=False),
        Series("as if independent", BATCHES, alone, dashed=True),
    ]
    page.say(f"For epsilon = rms(g), the formulas against {DRAWS} batches drawn:")
    page.table(("B", "g^T E[u]", "E[u^T F u]", "drawn", "drawn", "as if independent"), rows)
    for B, along, bends, along_drawn, bends_drawn, _ in rows[3:]:
        page.check(f"g^T E[u] at B = {B}", along_drawn, along, 0.05 * along)
        page.check(f"E[u^T F u] at B = {B}", bends_drawn, bends, 0.1 * bends)
    page.picture(
        chart(
            "Best learning rate against batch size, each over its own largest",
            "batch size B",
            "eta(B) / max eta",
            curves,
            log_x=True,
            log_y=True,
        ),
        "Best learning rate against batch size",
    )
    page.write()


if __name__ == "__main__":
    main()
