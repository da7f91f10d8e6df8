from __future__ import annotations

from collections.abc import Mapping

import pytest

from analysis.evaluate import Confidence, Evidence, Outcome, Result, evaluate, wilson_interval
from analysis.slots import Measure
from analysis.thresholds import parse_threshold
from analysis.verification import Tally
from tests.analysis.runs import measured


def held(
    text: str,
    measure: Measure | None = None,
    *,
    counts: Mapping[str, int] | None = None,
    strict: bool = False,
    duration_s: float = 10.0,
) -> Result:
    evidence = Evidence(
        measure=measure or Measure(), counts=counts or {}, lag={200: 100}, loop={90: 100}, duration_s=duration_s
    )
    return evaluate(parse_threshold(text, has_baseline=True), evidence, strict=strict)


def outcomes(text: str, measure: Measure) -> tuple[str, str, str]:
    """The outcome, its confidence, and the outcome when strict."""
    loose = held(text, measure)
    return loose.outcome.value, loose.confidence.value, held(text, measure, strict=True).outcome.value


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        # enough samples, all on one side
        (measured(*[50.0] * 300), ("pass", "high", "pass")),
        (measured(*[500.0] * 300), ("fail", "high", "fail")),
        # few samples: even the largest meets the limit
        (measured(50.0, 60.0), ("pass", "low", "pass")),
        # few samples, the point estimate passes but one value does not meet the limit
        (measured(*[50.0] * 30, 900.0), ("pass", "low", "inconclusive")),
        # few samples, the point estimate fails and the interval is open
        (measured(*[50.0] * 15, 900.0, 900.0), ("fail", "low", "inconclusive")),
        # few samples, but even the interval lies beyond the limit
        (measured(*[900.0] * 30), ("fail", "high", "fail")),
        # enough samples, p95 just at the edge: 5.1 % are too slow
        (measured(*[50.0] * 949, *[900.0] * 51), ("fail", "low", "inconclusive")),
        (measured(*[50.0] * 955, *[900.0] * 45), ("pass", "low", "inconclusive")),
    ],
)
def test_a_quantile_is_decided_by_samples_and_interval(measure: Measure, expected: tuple[str, str, str]) -> None:
    assert outcomes("http p95 < 200ms", measure) == expected


def test_no_samples_are_never_a_pass() -> None:
    for text in ("http p95 < 200ms", "http max < 1s", "http errors < 1%", "http mismatch < 1%"):
        result = held(text)
        assert (result.outcome, result.value, result.confidence) == (Outcome.INCONCLUSIVE, None, Confidence.NONE)


def test_failures_without_a_success_leave_the_percentile_open_and_break_the_error_rate() -> None:
    refused = measured(errors={"connect_refused": 500})
    assert held("http p95 < 200ms", refused).outcome is Outcome.INCONCLUSIVE
    assert held("http errors < 1%", refused).outcome is Outcome.FAIL


def test_min_samples_takes_the_place_of_the_usual_number() -> None:
    measure = measured(*[50.0] * 149, 900.0)
    assert held("http p95 < 200ms", measure).confidence is Confidence.LOW
    assert held("http p95 < 200ms; min_samples 100", measure).confidence is Confidence.HIGH
    assert held("http avg < 200ms; min_samples 200", measure).confidence is Confidence.LOW


def test_a_lower_limit_of_a_time_looks_at_the_smallest_value() -> None:
    assert held("http p50 > 10ms", measured(50.0, 60.0)).outcome is Outcome.PASS
    assert held("http p50 > 10ms", measured(5.0, 5.0)).outcome is Outcome.FAIL


def test_a_value_never_exceeds_the_largest_that_was_measured() -> None:
    result = held("http p99 < 2s", measured(*[1001.0] * 20))
    assert result.value == 1001.0
    assert held("http max < 2s", measured(1001.0)).value == 1001.0


@pytest.mark.parametrize(
    ("ok", "errors", "expected"),
    [
        (5000, 0, ("pass", "high", "pass")),
        (5000, 500, ("fail", "high", "fail")),
        (20, 0, ("pass", "low", "pass")),  # few, none of them bad
        (99, 1, ("fail", "low", "inconclusive")),  # few, and 0.2 % to 5.4 % are possible
        (0, 20, ("fail", "high", "fail")),  # few, but all of them bad
        (9910, 90, ("pass", "low", "inconclusive")),  # 0.9 %, could be 1.1 %
    ],
)
def test_a_share_is_decided_by_its_interval(ok: int, errors: int, expected: tuple[str, str, str]) -> None:
    assert outcomes("http errors < 1%", Measure(ok=ok, errors={"reset": errors} if errors else {})) == expected


def test_sessions_cut_by_the_end_of_the_run_are_neither_complete_nor_failed() -> None:
    counts = {"sessions_started": 100, "sessions_completed": 60, "sessions_cut": 40}
    assert held("session complete >= 99%", counts=counts).outcome is Outcome.PASS
    retired = {"sessions_started": 100, "sessions_completed": 60, "sessions_retired": 40}  # the load went down
    assert held("session complete >= 99%", counts=retired).outcome is Outcome.PASS
    lost = {"sessions_started": 100, "sessions_completed": 60}
    assert held("session complete >= 99%", counts=lost).outcome is Outcome.FAIL
    none_ended = {"sessions_started": 40, "sessions_cut": 40}
    assert held("session complete >= 99%", counts=none_ended).outcome is Outcome.INCONCLUSIVE


def test_wrong_answers_are_held_against_those_that_were_checked() -> None:
    evidence = Evidence(
        measure=Measure(),
        counts={},
        lag={},
        loop={},
        duration_s=10.0,
        tallies=(Tally(what="http answers", wrong=30, of=1000), Tally(what="parsed documents", wrong=0, of=5000)),
    )
    result = evaluate(parse_threshold("verify mismatch < 1%"), evidence)
    assert (result.outcome, result.value, result.note) == (Outcome.FAIL, 3.0, "30 of 1000 http answers")
    assert held("verify mismatch < 1%").outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [
        ({"sessions_started": 5}, Outcome.PASS),
        ({"sessions_started": 5, "correlation_misses": 1}, Outcome.FAIL),
        ({}, Outcome.INCONCLUSIVE),  # nobody played, so nothing could be missed
    ],
)
def test_correlation_misses_count_only_where_somebody_played(counts: dict[str, int], outcome: Outcome) -> None:
    assert held("correlation misses == 0", counts=counts).outcome is outcome


def test_counts_and_rates_are_numbers() -> None:
    measure = measured(*[1.0] * 40, errors={"reset": 10})
    assert held("http count >= 50", measure).outcome is Outcome.PASS
    assert held("http rate >= 5/s", measure).value == 5.0
    assert held("http rate >= 5/s", measure, duration_s=0.0).outcome is Outcome.INCONCLUSIVE
    assert held("session count == 3", counts={"sessions_started": 3}).outcome is Outcome.PASS


def test_the_generator_has_series_of_its_own() -> None:
    assert held("generator.lag p99 < 5ms").value == 0.2
    assert held("generator.loop max < 5ms").value == 0.09
    assert held("generator.lag avg < 5ms").value == pytest.approx(0.2)


def test_a_limit_relative_to_a_baseline_is_open_without_one() -> None:
    assert held("http p95 <= 1.2x baseline", measured(1.0)).outcome is Outcome.INCONCLUSIVE


def test_values_out_of_range_are_told() -> None:
    note = held("http p95 < 2s", measured(*[4_000_000.0] * 3)).note
    assert "3 values above 60 min" in note


def test_the_worked_value_of_wilsons_interval() -> None:
    low, high = wilson_interval(1, 20)
    assert (round(low, 3), round(high, 3)) == (0.009, 0.236)
    assert wilson_interval(0, 5)[0] == 0.0
    assert wilson_interval(5, 5)[1] == 1.0
