"""The report as plain data is what ARCHITECTURE.md section 6 promises."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lowrank_cli.budget import Budget
from lowrank_cli.factors.cr import CR
from lowrank_cli.factors.interpolative import RowID
from lowrank_cli.reports import Style, facts, render

from . import samples


def test_keys_come_in_the_order_of_the_contract():
    report = samples.report()
    assert list(report) == [
        "schema", "command", "method", "status", "rank", "input", "error", "optimal", "compression", "method_facts",
        "ledger", "options", "seed", "versions",
    ]  # fmt: skip
    assert report["schema"] == "lowrank.report/1"
    assert list(report["error"]) == [
        "norm", "relative", "absolute", "kind", "relative_estimate", "failure_probability", "probes",
    ]  # fmt: skip


def test_a_product_names_its_second_factor_and_counts_both_inputs():
    m, k, n, r = 6, 5, 4, 2
    factor = CR(np.arange(r), np.ones(r), np.ones((m, r)), np.ones((r, n)))
    times = samples.matrix_input(k, n)
    report = samples.report(factor=factor, times=times, shape=(m, k))
    assert report["times"] == times
    assert report["compression"]["bytes_in"] == 8 * (m * k + k * n)
    assert report["compression"]["bytes_out"] == factor.nbytes
    assert report["compression"]["apply_flops_ratio"] == pytest.approx((m * k + k * n) / (m * r + r * n))


def test_a_sparse_matrix_is_charged_its_stored_entries():
    report = samples.report(shape=(6, 5), nnz=7)
    assert report["compression"]["apply_flops_ratio"] == pytest.approx(7 / (6 * 2 + 2 * 5))


def test_numbers_that_are_not_finite_become_null():
    report = samples.report(relative=float("nan"), facts={"max_abs_Z": np.float64("inf")})
    assert report["error"]["relative"] is None
    assert report["method_facts"]["max_abs_Z"] is None
    json.loads(render("json", [report], Style()), parse_constant=pytest.fail)


def test_a_row_decomposition_lists_its_first_rows_and_their_number():
    k, m, n = 12, 20, 15
    factor = RowID(np.arange(k)[::-1].copy(), np.ones((k, n)), np.ones((m, k)))
    chosen = samples.report(factor=factor, shape=(m, n))["method_facts"]["chosen"]
    assert chosen == {"rows": {"count": 12, "first": [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]}}


def test_options_hold_the_budget_and_the_options_of_the_method():
    report = samples.report(budget=Budget(rtol=0.5), options=samples.Options(block=32))
    assert report["options"]["rtol"] == 0.5
    assert report["options"]["block"] == 32


def test_the_run_block_is_added_last_and_leaves_the_rest_alone():
    report = samples.report()
    full = facts.with_run(report, argv=["lowrank"], seconds=1.5, threads=2)
    assert "run" not in report
    assert list(full)[-1] == "run"
    assert full["run"]["seconds"] == 1.5 and full["run"]["memory"] is None
    assert {k: v for k, v in full.items() if k != "run"} == report
