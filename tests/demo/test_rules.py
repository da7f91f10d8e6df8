"""Rate limit, faults and ledger: pure, told the time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.target.faults import FaultClock, Faults
from demo.target.gate import template_of
from demo.target.ledger import Ledger
from demo.target.limits import RateLimit

S = 1_000_000_000
MS = 1_000_000


def test_a_burst_of_twice_the_rate_passes_and_the_next_waits() -> None:
    limit = RateLimit(100.0)
    assert [limit.retry_after_s("a", 0) for _ in range(201)] == [0] * 200 + [1]
    assert limit.retry_after_s("a", 10 * MS) == 0
    assert limit.retry_after_s("a", 10 * MS) == 1


def test_one_who_asks_too_much_takes_nothing_from_others() -> None:
    limit = RateLimit(1.0)
    while not limit.retry_after_s("greedy", 0):
        pass
    assert limit.retry_after_s("modest", 0) == 0


def test_a_slow_rate_says_how_many_seconds_to_wait() -> None:
    limit = RateLimit(0.1)
    assert limit.retry_after_s("a", 0) == 0
    assert limit.retry_after_s("a", 0) == 10
    assert limit.retry_after_s("a", 10 * S) == 0


@given(st.lists(st.integers(0, 2 * S), max_size=300), st.floats(0.5, 50))
def test_never_more_pass_than_burst_and_rate_allow(gaps_ns: list[int], rate: float) -> None:
    limit = RateLimit(rate)
    now_ns = n_passed = 0
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        n_passed += limit.retry_after_s("a", now_ns) == 0
    assert n_passed <= max(1.0, 2 * rate) + rate * now_ns / S + 1e-6


def test_latency_is_added_to_every_answer() -> None:
    clock = FaultClock(Faults(latency_ns=300 * MS))
    assert [clock.delay_ns(now_ns) for now_ns in (0, 5 * S)] == [300 * MS, 300 * MS]


def test_a_stall_begins_after_the_first_request_and_ends_for_all_at_once() -> None:
    clock = FaultClock(Faults(stall_ns=2 * S, stall_after_ns=S))
    assert clock.stall_left_ns(50 * S) == 0
    assert clock.delay_ns(100 * S) == 0
    assert clock.delay_ns(101 * S) == 2 * S
    assert clock.delay_ns(102 * S) == S
    assert clock.delay_ns(103 * S) == 0


def test_an_ordered_stall_begins_when_it_is_ordered() -> None:
    clock = FaultClock(Faults())
    clock.delay_ns(0)
    clock.change(Faults(stall_ns=S), 10 * S)
    assert clock.stall_left_ns(10 * S) == S


def test_the_ledger_counts_everything_and_keeps_ids_without_gaps() -> None:
    ledger = Ledger()
    for status in (200, 200, 401):
        entry = ledger.open("GET", "/api/quotes", 0)
        entry.status = status
        ledger.close(entry)
    ledger.open("GET", "/api/quotes", 0)
    summary = ledger.summary(0, 100)
    assert (summary["seen"], summary["answered"]) == (4, 3)
    assert ledger.counts() == [
        {"method": "GET", "route": "/api/quotes", "status": 200, "n": 2},
        {"method": "GET", "route": "/api/quotes", "status": 401, "n": 1},
    ]
    assert [entry.id for entry in ledger.entries(1, 2)] == [2, 3]


def test_a_request_from_before_a_reset_is_not_counted_after_it() -> None:
    ledger = Ledger()
    early = ledger.open("GET", "/", 0)
    ledger.sockets.update(open=1, opened=1)
    ledger.reset()
    early.status = 200
    ledger.close(early)
    assert ledger.summary(0, 10)["seen"] == ledger.summary(0, 10)["answered"] == 0
    assert (ledger.sockets["open"], ledger.sockets["opened"]) == (1, 0)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", "/"),
        ("/api/quotes", "/api/quotes"),
        ("/api/quotes/KIT", "/api/quotes/{symbol}"),
        ("/api/orders/ab12", "/api/orders/{id}"),
        ("/page/app.js", "/page/{file}"),
        ("/api/quotes/", "(none)"),
        ("/api/quotes/KIT/more", "(none)"),
        ("/favicon.ico", "(none)"),
    ],
)
def test_the_ledger_names_routes_by_their_template(path: str, template: str) -> None:
    assert template_of(path) == template
