"""Runs against a baseline: what decides, how sure that is, and how often it is wrong (measurement method §10)."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from analysis.baseline import MAX_PLAIN_GATES, compare_runs
from analysis.comparing import make_chooser
from analysis.comparison import Change, Comparison
from analysis.gates import GATED, default_gates
from analysis.run import Run
from analysis.thresholds import parse_subject
from tests.analysis.noisy import noisy_run

N_TRIALS = 20
N_RUNS = 5
P95 = parse_subject("http p95")


@cache
def a_side(first_seed: int, slower: float = 1.0) -> tuple[Run, ...]:
    return tuple(noisy_run(first_seed + number, slower=slower, n_replies=200) for number in range(N_RUNS))


def outcomes(slower: float) -> Counter[Change]:
    found: Counter[Change] = Counter()
    for trial in range(N_TRIALS):
        base, runs = a_side(1_000 * trial), a_side(1_000 * trial + 500, slower)
        found[compare_runs(base, runs, make_chooser, gated=[P95])[0].outcome] += 1
    return found


def test_of_twenty_comparisons_of_a_build_with_itself_at_most_one_finds_a_regression() -> None:
    assert outcomes(1.0)[Change.REGRESSED] <= 0.05 * N_TRIALS


def test_a_p95_that_doubled_is_found_nine_times_out_of_ten() -> None:
    assert outcomes(2.0)[Change.REGRESSED] >= 0.9 * N_TRIALS


def by_subject(found: tuple[Comparison, ...]) -> dict[str, Comparison]:
    return {each.subject: each for each in found}


def test_a_default_gate_moves_to_the_quantile_that_the_samples_carry() -> None:
    few, fewer, most = noisy_run(1, n_replies=300), noisy_run(2, n_replies=30), noisy_run(3, n_replies=1_000)
    assert parse_subject("ws.reply p99") in default_gates([most], [most])
    assert parse_subject("ws.reply p95") in default_gates([few], [most])
    assert parse_subject("ws.reply p50") in default_gates([few], [fewer])
    found = by_subject(compare_runs([few], [few], make_chooser, gated=default_gates([few], [few])))
    assert found["ws.reply p95"].is_gated
    assert not found["ws.reply p99"].is_gated


def test_what_was_asked_for_decides_and_all_else_is_shown() -> None:
    found = compare_runs(a_side(0), a_side(500), make_chooser, gated=[parse_subject("http p99")])
    assert [each.subject for each in found if each.is_gated] == ["http p99"]
    assert {"http p95", "http p50", 'http{route="GET /api/quotes"} p95'} <= by_subject(found).keys()


def test_more_than_five_times_are_held_to_wider_intervals() -> None:
    many = [parse_subject(f"http p{quantile}") for quantile in (50, 60, 70, 80, 90, 95)]
    assert len(many) == MAX_PLAIN_GATES + 1
    base, same = a_side(0), a_side(500)
    wide = by_subject(compare_runs(base, same, make_chooser, gated=many))["http p95"]
    plain = by_subject(compare_runs(base, same, make_chooser, gated=many[1:]))["http p95"]
    assert wide.low is not None
    assert plain.low is not None
    assert wide.level > plain.level == 0.95
    assert wide.low <= plain.low


def test_thresholds_relative_to_the_baseline_count_as_gates_too() -> None:
    many = [parse_subject(f"http p{quantile}") for quantile in (50, 60, 70, 80, 90, 95)]
    found = by_subject(compare_runs(a_side(0), a_side(500), make_chooser, gated=(), also=many))
    assert found["http p95"].level > 0.95
    assert not found["http p95"].is_gated


def test_what_is_said_of_one_statistic_does_not_depend_on_the_others() -> None:
    alone = compare_runs(a_side(0), a_side(500), make_chooser, gated=[P95])[0]
    among = by_subject(compare_runs(a_side(0), a_side(500), make_chooser, gated=GATED))["http p95"]
    assert alone == among


@pytest.mark.parametrize("slower", [1.0, 4.0])
def test_a_single_run_beside_many_differs_as_those_do(slower: float) -> None:
    found = compare_runs(a_side(0), [noisy_run(99, slower=slower)], make_chooser, gated=[P95])[0]
    assert found.drawn.value == "the runs of the other side"
    assert found.is_low
    assert (found.outcome is Change.REGRESSED) == (slower > 1)
