from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.series import Stat, Unit, format_series
from analysis.thresholds import (
    DEFAULT_EXPRESSIONS,
    DEFAULTS,
    Op,
    Threshold,
    check_labels,
    in_force,
    parse_threshold,
)
from captures.errors import ConfigError


def parts(text: str) -> tuple[object, ...]:
    threshold = parse_threshold(text)
    subject = threshold.subject
    return subject.metric, subject.labels, subject.stat, subject.quantile, threshold.op, threshold.limit.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http p95 < 200ms", ("http", (), Stat.QUANTILE, 0.95, Op.LT, 200.0)),
        ("http p99.9 <= 1.5s", ("http", (), Stat.QUANTILE, 0.999, Op.LE, 1500.0)),
        ("ws.reply p50<250us", ("ws.reply", (), Stat.QUANTILE, 0.5, Op.LT, 0.25)),
        ("http max < 2m", ("http", (), Stat.MAX, None, Op.LT, 120_000.0)),
        ("  http   avg  <  9 ms ", ("http", (), Stat.AVG, None, Op.LT, 9.0)),
        ("http errors < 1%", ("http", (), Stat.ERRORS, None, Op.LT, 1.0)),
        ("verify mismatch < 0.5 %", ("verify", (), Stat.MISMATCH, None, Op.LT, 0.5)),
        ("session complete >= 99%", ("session", (), Stat.COMPLETE, None, Op.GE, 99.0)),
        ("correlation misses == 0", ("correlation", (), Stat.MISSES, None, Op.EQ, 0.0)),
        ("http rate > 50/s", ("http", (), Stat.RATE, None, Op.GT, 50.0)),
        ("generator.lag p99 < 5ms", ("generator.lag", (), Stat.QUANTILE, 0.99, Op.LT, 5.0)),
        (
            'http{route="GET /api/quotes"} p95 < 300ms',
            ("http", (("route", "GET /api/quotes"),), Stat.QUANTILE, 0.95, Op.LT, 300.0),
        ),
        (
            'http { route = "GET /a, \\"b\\"" , kind="api" } count >= 10',
            ("http", (("kind", "api"), ("route", 'GET /a, "b"')), Stat.COUNT, None, Op.GE, 10.0),
        ),
    ],
)
def test_an_expression_is_read(text: str, expected: tuple[object, ...]) -> None:
    assert parts(text) == expected


def test_clauses_stand_behind_semicolons() -> None:
    threshold = parse_threshold("http p99 < 2s; abort; after 10s; min_samples 200", origin="ci.toml")
    assert (threshold.abort_after_s, threshold.min_samples, threshold.origin) == (10.0, 200, "ci.toml")
    assert parse_threshold("http p99 < 2s; abort").abort_after_s == 0.0
    assert parse_threshold("http p99 < 2s;min_samples 5").abort_after_s is None


# the column is where the caret stands, counted from 1
@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "begins with a metric"),
        ("htpp p95 < 200ms", 1, "did you mean http?"),
        ("ws p95 < 200ms", 1, "unknown metric ws"),
        ("http p95 < 200", 15, "a time needs a unit"),
        ("http p95 < 200kg", 15, "a time needs a unit"),
        ("http p95 200ms", 10, "a comparison is due"),
        ("http p95 != 200ms", 10, "means nothing here"),
        ("http p95 < ms", 12, "a number is due"),
        ("http p100 < 1s", 6, "no statistic p100"),
        ("http p0 < 1s", 6, "no statistic p0"),
        ("http median < 1s", 6, "http has p50 to p99.99"),
        ("http errors < 1", 16, "percent sign"),
        ("http errors < 1ms", 16, "percent sign"),
        ("http errors < 101%", 15, "at most 100%"),
        ("http rate > 5", 14, "per second"),
        ("session p95 < 1s", 9, "session has complete, failed, count"),
        ("correlation misses == 0%", 24, "only ; and a clause"),
        ('http{path="/a"} p95 < 1s', 6, "no label path"),
        ('session{route="a"} complete > 1%', 9, "it has none"),
        ("http{route=GET} p95 < 1s", 12, "double quotes"),
        ('http{route="GET p95 < 1s', 12, "this string has no end"),
        ('http{route="a" p95 < 1s', 16, "closing brace"),
        ('http{route="a",route="b"} p95 < 1s', 16, "twice"),
        ("http p95 < 1s; abrt", 16, "unknown clause abrt"),
        ("http p95 < 1s; abort; abort", 23, "twice"),
        ("http p95 < 1s; abort; after 10", 31, "needs a unit"),
        ("http p95 < 1s; after 10s", 25, "after says when abort"),
        ("http p95 < 1s; min_samples 0", 28, "from 1 on"),
        ("http p95 < 1s; min_samples 2.5", 28, "from 1 on"),
        ("http p95 < 1s http", 15, "only ; and a clause"),
        ("http p95 <= 1.2x baseline", 16, "needs --baseline"),
        ("http p95 <= 1.2x base", 18, "the word baseline"),
        ("http p95 < 1s; drop", 16, "unknown clause"),
        ("http\x1b[2J p95 < 1s", 5, "means nothing here"),
    ],
)
def test_an_error_points_at_its_column(text: str, column: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_threshold(text)
    first, shown, caret = str(caught.value).split("\n")
    assert first.startswith("--threshold: ")
    assert says in first
    assert f"(column {column})" in first
    assert caret == " " * (column + 1) + "^"
    assert shown.isprintable()


def test_a_baseline_is_a_limit_where_there_is_one() -> None:
    limit = parse_threshold("http p95 <= 1.2x baseline", has_baseline=True).limit
    assert (limit.factor, limit.unit) == (1.2, Unit.MS)


@given(st.text(max_size=40))
def test_any_text_is_a_threshold_or_a_config_error(text: str) -> None:
    try:
        assert isinstance(parse_threshold(text), Threshold)
    except ConfigError as error:
        assert "\x1b" not in str(error)


@given(st.text(max_size=20))
def test_any_route_can_be_named(route: str) -> None:
    expression = format_series("http", (("route", route),)) + " p95 < 1s"
    assert parse_threshold(expression).subject.labels == (("route", route),)


def test_the_expression_of_a_parsed_threshold_parses_to_the_same() -> None:
    for text in (*DEFAULT_EXPRESSIONS, "http  p99 <   2s ;abort;  after 10s"):
        once = parse_threshold(text)
        assert parse_threshold(once.expr) == once


def test_the_defaults_are_those_of_the_design() -> None:
    assert [threshold.expr for threshold in DEFAULTS] == list(DEFAULT_EXPRESSIONS)
    assert all(threshold.origin == "default" for threshold in DEFAULTS)


def test_an_own_threshold_replaces_the_default_on_the_same_subject_only() -> None:
    own = [parse_threshold("http p95 < 900ms"), parse_threshold("http p99 < 2s")]
    expressions = [threshold.expr for threshold in in_force(own)]
    assert "http p95 < 200ms" not in expressions
    assert expressions[-2:] == ["http p95 < 900ms", "http p99 < 2s"]
    assert len(expressions) == len(DEFAULTS) + 1


def test_a_label_the_plan_does_not_have_is_refused_before_the_run() -> None:
    known = {"route": ["GET /api/quotes", "POST /api/login"], "kind": ["api", "document"], "message": []}
    check_labels([parse_threshold('http{route="GET /api/quotes", kind="api"} p95 < 1s'), *DEFAULTS], known)
    with pytest.raises(ConfigError, match="did you mean GET /api/quotes"):
        check_labels([parse_threshold('http{route="GET /api/quote"} p95 < 1s')], known)
    with pytest.raises(ConfigError, match="the plan has no kind asset .*known are api, document"):
        check_labels([parse_threshold('http{kind="asset"} p95 < 1s')], known)
    with pytest.raises(ConfigError, match="no messages at all"):
        check_labels([parse_threshold('ws.reply{message="x"} p95 < 1s')], known)


@pytest.mark.parametrize(
    ("op", "below", "same", "above"),
    [
        (Op.LT, True, False, False),
        (Op.LE, True, True, False),
        (Op.GT, False, False, True),
        (Op.GE, False, True, True),
        (Op.EQ, False, True, False),
    ],
)
def test_comparisons(op: Op, below: bool, same: bool, above: bool) -> None:
    assert [op.holds(value, 2.0) for value in (1.0, 2.0, 3.0)] == [below, same, above]
