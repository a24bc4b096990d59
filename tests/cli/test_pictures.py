"""--plot: every picture says what its report says, stays on its paper, and is written like every other output."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import gallery
import numpy as np
import pytest

from lowrank_cli.formats.memory import from_array
from lowrank_cli.reports import Style, facts, plot, render
from lowrank_cli.reports.figure import Edge, Figure, Series, axes
from lowrank_cli.reports.layout import Dot, Words, shapes

SVG = "{http://www.w3.org/2000/svg}"


def report_of(A, path="A.npy", **asked):
    from lowrank_cli.analysis.spectrum import spectrum

    return facts.with_run(spectrum(from_array(A), **asked), input_path=path, seconds=0.5, threads=2)


def svg(report) -> str:
    return plot.picture(plot.figure(report)).decode()


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def words_of(text: str) -> list[str]:
    return [t.text for t in parsed(text).iter(f"{SVG}text")]


@pytest.fixture
def hilbert(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "H.npy", gallery.hilbert(10)[0])
    return "H.npy"


# The picture of a spectrum


def test_the_plot_marks_every_value_from_top_to_bottom():
    root = parsed(svg(report_of(gallery.hilbert(8)[0])))
    marks = root.findall(f"{SVG}circle")
    assert len(marks) == 8
    x, y = ([float(m.get(c)) for m in marks] for c in ("cx", "cy"))
    assert x == sorted(x) and y == sorted(y)
    # on a log axis: steps as the logarithms of the values
    s = np.log10(np.linalg.svd(gallery.hilbert(8)[0], compute_uv=False))
    assert (np.array(y) - y[0]) / (y[-1] - y[0]) == pytest.approx((s - s[0]) / (s[-1] - s[0]), abs=1e-2)


def test_the_plot_is_labelled_and_knows_light_and_dark():
    text = svg(report_of(gallery.exact_rank(30, 20, 5)[0]))
    words = [t.text for t in parsed(text).iter(f"{SVG}text")]
    for label in ("Singular values of A.npy", "index i", "singular value s_i", "numeric rank 5", "1"):
        assert label in words
    assert "prefers-color-scheme: dark" in text


def test_many_values_are_a_line_of_bounded_length():
    report = report_of(np.eye(3))
    report |= {"values": list(np.geomspace(1, 1e-9, 20_000)), "count": 20_000}
    root = parsed(svg(report))
    points = root.find(f"{SVG}polyline[@class='line0']").get("points").split()
    assert 1000 <= len(points) <= 2000 and not root.findall(f"{SVG}circle")


@pytest.mark.parametrize(
    "A",
    [
        np.zeros((4, 3)),
        np.eye(5),
        np.ones((1, 1)),
        np.diag([1.0, 0.0]),
        1e-320 * np.eye(3),
        1e307 * np.eye(3),
        np.diag(np.geomspace(1e300, 1e-300, 30)),
        np.diag([1.0, 1 + 1e-13]),
        np.diag([1.0, 1e-3]),
    ],
)
def test_no_spectrum_leaves_the_paper(A):
    root = parsed(svg(report_of(A)))
    for mark in root.findall(f"{SVG}circle"):
        assert 84 <= float(mark.get("cx")) <= 776 and 56 <= float(mark.get("cy")) <= 424
    labels = [t for t in root.iter(f"{SVG}text") if t.get("text-anchor") == "end"]
    assert len(labels) <= 16 and (A.any() <= (len(labels) >= 2))


def test_an_empty_picture_says_why_it_is_empty():
    assert "nothing above zero to show" in words_of(svg(report_of(np.zeros((4, 3)))))


def test_zeros_are_counted_where_a_log_axis_cannot_show_them():
    assert "2 of them zero, not shown" in svg(report_of(np.diag([1.0, 0.0, 0.0])))


@pytest.mark.parametrize("path", ["<script>.npy", 'a&"b.npy', "\u202eevil.npy", "x\x00y", "n" * 300])
def test_a_name_cannot_act_in_the_plot(path):
    text = svg(report_of(np.eye(2), path=path))
    parsed(text)
    assert "<script" not in text and "\u202e" not in text and "\x00" not in text and "n" * 61 not in text


def test_the_same_report_draws_the_same_plot():
    first, second = (svg(report_of(gallery.hilbert(8)[0])) for _ in range(2))
    assert first == second


# The pictures of the other commands


def test_the_picture_of_an_approximation_shows_where_it_was_cut(command, hilbert):
    done = command("approx", hilbert, "-k", "3", "--json", "--plot", "A.svg")
    assert done.code == 0, done.err
    run = json.loads(done.out)["run"]
    assert run["plot"] == "A.svg" and run["singular_values"] == pytest.approx(gallery.hilbert(10)[1], abs=1e-13)
    drawn = parsed(open("A.svg").read())
    assert len(drawn.findall(f"{SVG}circle")) == 10 + 2  # and two in the legend
    said = words_of(open("A.svg").read())
    assert {"rank 3", "kept", "left out, at least", "Approximation of H.npy"} <= set(said)


@pytest.mark.parametrize("method", ["svd", "qb"])
def test_the_terminal_sees_the_cut_among_the_values(command, hilbert, method):
    seen = command("approx", hilbert, "-k", "3", "-m", method).out
    row = next(line for line in seen.splitlines() if "log plot" in line)
    assert re.search(r"@..\|#", row)


def test_values_seen_are_printed_and_never_stored(command, hilbert):
    from lowrank_cli.formats import saving

    command("approx", hilbert, "-k", "3", "-o", "F.npz")
    assert "singular_values" not in json.dumps(saving.load_headers("F.npz").report)


def test_a_plan_marks_its_answers_on_the_curve(command, hilbert):
    assert command("plan", hilbert, "--rtol", "0.1,1e-6", "--bytes", "500", "--plot", "P.svg").code == 0
    said = " ".join(words_of(open("P.svg").read()))
    assert "rtol 0.1: rank 2" in said and "500 bytes: rank 2" in said and "break-even, rank 4" in said


def test_a_plan_from_a_header_draws_bytes(command, hilbert):
    assert command("plan", hilbert, "--dry-run", "--plot", "P.svg").code == 0
    said = words_of(open("P.svg").read())
    assert "size of the factors" in said and "the matrix" in said


def test_a_comparison_names_every_structure(command, hilbert):
    done = command("compare", hilbert, "-k", "3", "--plot", "C.svg", "--json")
    rows = json.loads(done.out)["rows"]
    said = ", ".join(words_of(open("C.svg").read())).split(", ")
    assert {row["structure"] for row in rows} <= set(said)
    marked = sum(row["pareto"] for row in rows)
    joined = parsed(open("C.svg").read()).findall(f"{SVG}polyline[@class='line0']")
    assert len(joined[0].get("points").split()) <= marked


def test_a_structure_without_error_is_said_where_a_log_axis_cannot_show_it(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("A.npy", np.ones((6, 5)))
    assert command("compare", "A.npy", "-k", "1", "--plot", "C.svg").code == 0
    assert "exact and not shown" in open("C.svg").read()


# The paper


def boxes(figure: Figure) -> list[tuple[str, float, float, float, float]]:
    """Words beside points, as the rectangles that they cover."""
    found = []
    for shape in shapes(figure):
        if isinstance(shape, Words) and shape.text.startswith("structure"):
            width = 6.5 * len(shape.text)
            left = {"start": shape.x, "middle": shape.x - width / 2, "end": shape.x - width}[shape.anchor]
            found.append((shape.text, left, left + width, shape.y - 10, shape.y + 2))
    return found


def test_names_of_crowded_points_cover_neither_each_other_nor_a_point():
    rng = np.random.default_rng(0)
    points = [(float(10 ** rng.uniform(3, 6)), float(10 ** rng.uniform(-3, 0))) for _ in range(14)]
    names = [f"structure {i}" for i in range(14)]
    series = Series("all", points, line=False, marks=True, names=names)
    figure = Figure("t", "", "x", "y", [series], log_x=True, log_y=True)
    placed = boxes(figure)
    assert len(placed) == 14
    for i, (_, left, right, top, bottom) in enumerate(placed):
        for _, left2, right2, top2, bottom2 in placed[:i]:
            assert right < left2 or right2 < left or bottom < top2 or bottom2 < top
        for dot in (s for s in shapes(figure) if isinstance(s, Dot)):
            assert not (left < dot.x < right and top < dot.y < bottom)


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(1, 0.0)],
        [(1, 5.0)],
        [(1, 1e-300), (2, 1e300)],
        [(1, 1.0), (2, float("nan")), (3, 0.0)],
        [(i, 1.0) for i in range(3000)],
    ],
)
@pytest.mark.parametrize("log", [True, False])
def test_no_figure_leaves_its_paper(points, log):
    edges = [Edge("x", 1e9, "far"), Edge("y", 0.0, "zero"), Edge("y", 1.0, "one")]
    figure = Figure("t", "c", "x", "y", [Series("", points, marks=True)], log_y=log, units=("count", ""), edges=edges)
    for shape in shapes(figure):
        if isinstance(shape, Dot):
            assert 84 <= shape.x <= 776 and 56 <= shape.y <= 424
    parsed(plot.picture(figure).decode())


def test_an_axis_of_bytes_speaks_of_sizes_and_a_count_begins_with_the_first():
    across, up = axes(Figure("", "", "", "", [Series("", [(1, 2e5), (40, 9e5)])], units=("count", "bytes")))
    assert [across.words(v) for v in across.ticks()] == ["1", "5", "10", "15", "20", "25", "30", "35", "40"]
    assert "400 kB" in [up.words(v) for v in up.ticks()]


# The file


def test_the_picture_is_written_beside_the_report(command, hilbert):
    done = command("spectrum", hilbert, "--plot", "H.svg", "--json")
    run = json.loads(done.out)["run"]
    assert done.code == 0 and run["plot"] == "H.svg" and run["plot_bytes"] == len(open("H.svg").read().encode())
    parsed(open("H.svg").read())


def test_a_png_holds_the_same_picture_and_the_same_bytes(command, hilbert):
    for name in ("1.png", "2.png"):
        assert command("spectrum", hilbert, "--plot", name, "-q").code == 0
    first, second = (open(name, "rb").read() for name in ("1.png", "2.png"))
    assert first == second and first.startswith(b"\x89PNG") and first[16:24] == (1600).to_bytes(4) + (960).to_bytes(4)


def test_a_png_without_matplotlib_names_the_extra(command, hilbert, monkeypatch, tmp_path):
    for name in ("matplotlib", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    done = command("spectrum", hilbert, "--plot", "H.png")
    assert done.code == 6 and "lowrank-cli[plot]" in done.err and done.err.count("\n") == 1
    assert not done.out and sorted(p.name for p in tmp_path.iterdir()) == ["H.npy"]


@pytest.mark.parametrize(
    ("argv", "code", "what"),
    [
        (["spectrum", "H.npy", "--plot", "H.gif"], 2, ".svg or .png"),
        (["spectrum", "H.npy", "--plot", "missing/H.svg"], 5, "missing/H.svg"),
        (["approx", "H.npy", "-m", "id", "-k", "2", "--plot", "H.svg"], 2, "lowrank spectrum --plot"),
        (["plan", "H.npy", "--plot", "H.npy"], 2, ".svg"),
        (["compare", "H.npy", "--plot", "/"], 2, ".svg"),
    ],
)
def test_a_picture_that_cannot_be_is_one_line(command, hilbert, tmp_path, argv, code, what):
    done = command(*argv)
    assert done.code == code and what in done.err and done.err.count("\n") == 1 and not done.out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["H.npy"]


def test_no_clobber_keeps_a_picture(command, hilbert):
    open("H.svg", "w").write("mine")
    done = command("spectrum", hilbert, "--plot", "H.svg", "--no-clobber")
    assert done.code == 5 and open("H.svg").read() == "mine"


def test_a_picture_goes_into_a_pipe_and_the_report_to_stderr(hilbert):
    call = [sys.executable, "-m", "lowrank_cli", "spectrum", hilbert, "--plot", "-", "--json"]
    done = subprocess.run(call, capture_output=True, timeout=120, text=True)
    assert done.returncode == 0
    parsed(done.stdout)
    assert len(json.loads(done.stderr)["values"]) == 10


def test_data_and_a_picture_do_not_share_a_pipe(hilbert):
    call = [sys.executable, "-m", "lowrank_cli", "approx", hilbert, "-k", "2", "-o", "-", "--plot", "-"]
    done = subprocess.run(call, capture_output=True, timeout=120, text=True)
    assert done.returncode == 2 and not done.stdout and "both write to standard output" in done.stderr


# The page


def test_a_page_holds_its_picture_and_needs_nothing_else():
    text = render("html", [report_of(gallery.hilbert(8)[0])], Style())
    drawn = parsed(text[text.index("<svg ") : text.index("</svg>") + 6])
    assert len(drawn.findall(f"{SVG}circle")) == 8
    assert "<script" not in text and not re.search(r"(src|href)=|url\(|@import", text)
    assert text.count("prefers-color-scheme: dark") == 2


@pytest.mark.parametrize("path", ["<script>alert(1)</script>", '"><img src=x>', "a&b", "</td></table>"])
def test_a_page_escapes_what_is_foreign(path):
    text = render("html", [report_of(np.eye(2), path=path)], Style())
    assert "<script" not in text and "<img" not in text and text.count("</table>") == 1
    assert parsed(text[text.index("<table>") : text.index("</table>") + 8]) is not None


def test_a_page_for_an_ascii_stream_is_ascii():
    assert render("html", [report_of(np.eye(2), path="é.npy")], Style(ascii=True)).isascii()
