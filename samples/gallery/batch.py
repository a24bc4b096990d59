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


class Gradients:
    """Rows of G, one a sample; their mean g, and F = E[g g^T] as V S^2 V^T from the saved factors."""

    def __init__(self, page: Page):
        report = page.ask(f"lowrank approx gradients.npy -k {RANK} -o gradients.k{RANK}.npz")
        saved = np.load(page.out / f"gradients.k{RANK}.npz")
        self.G = np.load(page.out / "gradients.npy")
        self.N = len(self.G)
        self.s, self.V = saved["s"] / np.sqrt(self.N), saved["Vh"].T
        self.g = self.G.mean(axis=0)
        self.lost = report["error"]["relative"] ** 2
        squares = (self.G**2).mean(axis=0)
        self.variance, self.root = np.maximum(squares - self.g**2, 0), np.sqrt(squares)
        page.say(
            f"{self.N} gradients of {self.G.shape[1]} parameters; rank {RANK} holds them to a relative error of "
            f"{report['error']['relative']:.2e} ({report['error']['kind']})."
        )

    def bend(self, u: np.ndarray) -> float:
        """u^T F u, through the factors."""
        return float(np.sum((self.s * (self.V.T @ u)) ** 2))

    def bends(self, u: np.ndarray) -> np.ndarray:
        """u^T F u of each row, from all gradients."""
        return np.sum((u @ self.G.T) ** 2, axis=1) / self.N

    def terms(self, batch: float, epsilon: float, correlated: bool = True) -> tuple[float, float]:
        """(g^T E[u], E[u^T F u]); uncorrelated: noise of different parameters taken as independent."""
        m, second, d = moments(self.g, self.variance, batch, epsilon)
        along, bends = float(self.g @ m), self.bend(m)
        if not correlated:
            return along, bends + float(self.root**2 @ (second - m**2))
        M = self.s[:, None] * (self.V.T * d)
        together = float(np.sum((M @ (self.V * self.s)) ** 2)) - float(np.sum((M @ self.g) ** 2))
        rest = float(self.root**2 @ (second - m**2 - d**2 * self.variance / batch))
        return along, bends + together / batch + rest


def plain(page: Page, data: Gradients) -> Series:
    """SGD: E[u] = g, E[u u^T] = g g^T + Sigma / B."""
    page.say("## SGD")
    page.say("The best rate is eta(B) = eta_max / (1 + B_noise / B) with B_noise = tr(Sigma F) / g^T F g.")
    G, g, N = data.G, data.g, data.N
    gFg, trFF, gg = data.bend(g), float(np.sum(data.s**4)), float(g @ g)
    noise = (trFF - gFg) / gFg
    all_gFg, all_trFF = np.linalg.norm(G @ g) ** 2 / N, np.linalg.norm(G @ G.T / N) ** 2
    all_noise = float((all_trFF - all_gFg) / all_gFg)
    total = float(np.linalg.norm(G) ** 2 / N)
    kept = float(np.sum(data.s**2))
    page.table(
        ("scale", "from the factors", "from all gradients"),
        [
            ("simple, tr(Sigma) / |g|^2", (kept - gg) / gg, (total - gg) / gg),
            ("with curvature, tr(Sigma F) / g^T F g", noise, all_noise),
        ],
    )
    page.check("what the factors miss of tr(F), and the certified error", (total - kept) / total, data.lost, 1e-9)
    page.check("noise scale of the factors and of the file", noise, all_noise, 0.01 * noise)
    B = 64
    quadratic = data.bends(means(G, B))
    page.check(
        f"E[u^T F u] for batches of {B}, {DRAWS} drawn, within four standard errors",
        float(quadratic.mean()),
        float(all_gFg + (all_trFF - all_gFg) / B),
        4 * float(quadratic.std()) / DRAWS**0.5,
    )
    rates = (gg / gFg) / (1 + noise / BATCHES)
    return Series("SGD", BATCHES, rates / rates.max())


def preconditioned(page: Page, data: Gradients) -> None:
    """The noise scale after division by a fixed diagonal."""
    page.say("## Preconditioned")
    page.say(
        "With u = D^-1 (mean of the batch), D = diag(E[g_i^2])^(1/2) + epsilon held fixed, the scale becomes "
        "tr(Sigma P) / g^T P g with P = D^-1 F D^-1."
    )
    rows = []
    for epsilon in (1e-4, 1e-3, 1e-2, 1e-1):
        scales = []
        for root in (data.s[:, None] * data.V.T, data.G / np.sqrt(data.N)):
            # tr(F P) = |S V^T D^-1 V S|_F^2 and g^T P g = |S V^T D^-1 g|^2
            M = root / (data.root + epsilon)
            gPg = float(np.sum((M @ data.g) ** 2))
            scales.append((float(np.sum((root @ M.T) ** 2)) - gPg) / gPg)
        rows.append((f"epsilon {epsilon:g}", *scales))
        page.check(f"preconditioned scale, epsilon {epsilon:g}", scales[0], scales[1], 0.01 * scales[1])
    page.table(("preconditioner", "from the factors", "from all gradients"), rows)


def sign_like(page: Page, data: Gradients) -> list[Series]:
    """Curves of x / (x^2 + epsilon^2)^(1/2), by formula and as drawn."""
    page.say("## Sign-like, with epsilon")
    page.say(
        "u_i = x_i / (x_i^2 + epsilon^2)^(1/2) of the mean x of a batch: the sign where epsilon is small, linear where "
        "it is large. With x taken as normal, m = E[u] and slopes d_i = E[du_i / dx_i], the covariance of u is "
        "d_i d_j Sigma_ij / B to first order (Price's theorem), and exact on the diagonal. Through the factors "
        "tr(F D Sigma D) costs p k^2 operations instead of p^2."
    )
    size = float(np.sqrt(np.mean(data.g**2)))
    curves, largest = [], {}
    for share in (0.0, 1.0, 10.0):
        rates = np.array([np.divide(*data.terms(B, share * size)) for B in BATCHES])
        largest[share] = rates.max()
        curves.append(Series(f"{share:g} rms(g)", BATCHES, rates / largest[share]))
    drawn, alone, rows = [], [], []
    for B in BATCHES[::2]:
        x = means(data.G, int(B))
        u = x / np.hypot(x, size)
        found = float(np.mean(u @ data.g)), float(data.bends(u).mean())
        apart = data.terms(B, size, correlated=False)
        drawn.append(np.divide(*found) / largest[1.0])
        alone.append(np.divide(*apart) / largest[1.0])
        rows.append((f"{B:g}", *data.terms(B, size), *found, apart[1]))
    page.say(f"For epsilon = rms(g), the formulas against {DRAWS} batches drawn:")
    head = ("B", "g^T E[u]", "E[u^T F u]", "the first, drawn", "the second, drawn", "the second, as if independent")
    page.table(head, rows)
    for B, along, bends, along_drawn, bends_drawn, _ in rows[3:]:
        page.check(f"g^T E[u] at B = {B}", along_drawn, along, 0.05 * along)
        page.check(f"E[u^T F u] at B = {B}", bends_drawn, bends, 0.1 * bends)
    return [
        *curves,
        Series("1 rms(g), drawn", BATCHES[::2], drawn, line=False),
        Series("as if independent", BATCHES[::2], alone, dashed=True),
    ]


def main() -> None:
    page = Page("batch", "Batch size, learning rate and epsilon")
    page.say(__doc__.partition("\n\n")[2])
    data = Gradients(page)
    curves = [plain(page, data)]
    preconditioned(page, data)
    curves += sign_like(page, data)
    title = "Best learning rate against batch size, each over its own largest"
    page.picture(chart(title, "batch size B", "eta(B) / max eta", curves, log_x=True, log_y=True), title)
    page.write()


if __name__ == "__main__":
    main()
