"""Which step waits for which, and how long it thinks."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replayer.plan.compile import compile_plan
from replayer.plan.records import Plan, Script, StepKind
from tests.fakes_captures import PAGE, Tape, capture_of
from tests.fakes_plans import step_of

PAGE_URL = str(PAGE) + "/"
FETCH = [("Referer", PAGE_URL), ("Sec-Fetch-Dest", "empty")]
NS_PER_MS = 1_000_000


def _script(tape: Tape) -> tuple[Plan, Script]:
    plan = compile_plan(capture_of(tape))
    return plan, plan.scripts[0]


def _needs(script: Script) -> list[tuple[int, ...]]:
    return [step.needs for step in script.steps]


def test_a_chain_waits_link_by_link_and_keeps_its_think_times() -> None:
    tape = Tape()
    tape.get("/a", at_ms=0, took_ms=100)
    tape.get("/b", at_ms=150, took_ms=50)
    tape.get("/c", at_ms=1200, took_ms=10)
    _, script = _script(tape)
    assert _needs(script) == [(), (0,), (1,)]
    assert [step.think_ns // NS_PER_MS for step in script.steps] == [0, 50, 1000]


def test_requests_sent_together_wait_for_what_the_first_of_them_waited_for() -> None:
    tape = Tape()
    tape.get("/", at_ms=0, took_ms=100, html="<p>", sent=[("Sec-Fetch-Dest", "document")])
    tape.get("/a", at_ms=110, took_ms=5, sent=FETCH)
    tape.get("/b", at_ms=111, took_ms=80, sent=FETCH)
    tape.get("/c", at_ms=130, took_ms=20, sent=FETCH)  # /a has ended by now, /b has not
    tape.get("/d", at_ms=300, took_ms=20, sent=FETCH)  # alone
    _, script = _script(tape)
    assert _needs(script) == [(), (0,), (0,), (0,), (2,)]


def test_parts_of_a_page_wait_for_the_page_and_not_for_each_other() -> None:
    tape = Tape()
    tape.get("/", at_ms=0, took_ms=20, html="<p>", sent=[("Sec-Fetch-Dest", "document")])
    for number in range(4):
        image = [("Referer", PAGE_URL), ("Sec-Fetch-Dest", "image")]
        tape.get(f"/i{number}.png", at_ms=100 + 100 * number, took_ms=20, sent=image)
    _, script = _script(tape)
    assert _needs(script) == [(), (0,), (0,), (0,), (0,)]


def test_a_part_of_a_page_that_is_still_loading_waits_for_what_the_page_waited_for() -> None:
    tape = Tape()
    tape.get("/login", at_ms=0, took_ms=20)
    tape.get("/", at_ms=100, took_ms=500, html="<p>", sent=[("Sec-Fetch-Dest", "document")])
    tape.get("/a.css", at_ms=200, took_ms=20, sent=[("Referer", PAGE_URL), ("Sec-Fetch-Dest", "style")])
    _, script = _script(tape)
    assert _needs(script) == [(), (0,), (0,)]


def _polls(gaps_ms: Sequence[float], took_ms: Sequence[float], *, is_timer: bool) -> Tape:
    """Polls every ``gaps_ms``; a timer counts from send to send, a chain from end to send."""
    tape = Tape()
    tape.get("/start", at_ms=0, took_ms=10)
    at_ms = 100.0
    for gap, took in zip(gaps_ms, took_ms, strict=True):
        tape.get("/poll", at_ms=at_ms, took_ms=took, answer_json={"n": 1}, sent=FETCH)
        at_ms += gap if is_timer else gap + took
    return tape


# Gaps, how long the answers took.
POLLS = [
    # A slow server: 200 ms to 700 ms.
    ([1000] * 8, [200, 700, 300, 650, 240, 500, 610, 280]),
    # A fast one, whose answers vary by a millisecond; timers jitter by as much.
    ([2000, 2001, 1999.5, 2000.5, 2000], [3, 4.5, 3.2, 5, 3.9]),
    # The bare minimum of repeats.
    ([500, 500, 500, 500], [20, 90, 40, 60]),
]


@pytest.mark.parametrize(("gaps_ms", "took_ms"), POLLS)
def test_ticks_of_a_timer_wait_for_nothing(gaps_ms: list[float], took_ms: list[float]) -> None:
    _, script = _script(_polls(gaps_ms, took_ms, is_timer=True))
    assert _needs(script)[2:] == [()] * (len(gaps_ms) - 1)


@pytest.mark.parametrize(("gaps_ms", "took_ms"), POLLS)
def test_a_chain_of_polls_is_no_timer(gaps_ms: list[float], took_ms: list[float]) -> None:
    _, script = _script(_polls(gaps_ms, took_ms, is_timer=False))
    assert _needs(script) == [(), *((number,) for number in range(len(gaps_ms)))]


def test_three_repeats_are_no_timer() -> None:
    _, script = _script(_polls([500] * 3, [20, 90, 40], is_timer=True))
    assert _needs(script) == [(), (0,), (1,), (2,)]


def test_what_a_person_repeats_is_no_timer() -> None:
    clicks = [700, 1900, 1200, 3100, 800, 2400]
    _, script = _script(_polls(clicks, [20, 30, 25, 40, 22, 28], is_timer=True))
    assert all(script.steps[number].needs for number in range(1, len(script.steps)))


def test_nobody_waits_for_a_tick() -> None:
    tape = _polls([1000] * 6, [200, 300, 250, 220, 280, 210], is_timer=True)
    tape.get("/click", at_ms=3350, took_ms=10, sent=FETCH)
    plan, script = _script(tape)
    assert step_of(plan, script, "GET /click").needs == (0,)


def test_a_timer_still_waits_for_its_token() -> None:
    token = "Zx81kQpTeyW0mBv7_JrXa-99sLwQ"
    tape = Tape()
    tape.post("/login", at_ms=0, took_ms=50, answer_json={"token": token})
    for number in range(5):
        tape.get(
            "/poll", at_ms=1000 * (number + 1), took_ms=20 + 13 * number, sent=[("Authorization", f"Bearer {token}")]
        )
    _, script = _script(tape)
    assert _needs(script) == [(), *[(0,)] * 5]
    assert [step.think_ns // NS_PER_MS for step in script.steps[1:]] == [950, 1950, 2950, 3950, 4950]


def test_a_request_waits_for_its_preflight_whatever_else_ended_later() -> None:
    asked = [("Origin", str(PAGE)), ("Access-Control-Request-Method", "PUT"), ("Referer", PAGE_URL)]
    tape = Tape()
    tape.request("OPTIONS", "/a", at_ms=0, took_ms=10, status=204, sent=asked)
    tape.request("OPTIONS", "/b", at_ms=1, took_ms=30, status=204, sent=asked)
    tape.request("PUT", "/a", at_ms=12, took_ms=40, sent=FETCH)
    tape.request("PUT", "/b", at_ms=60, took_ms=40, sent=FETCH)
    plan, script = _script(tape)
    assert [plan.routes[step.route].name for step in script.steps] == ["OPTIONS /a", "OPTIONS /b", "PUT /a", "PUT /b"]
    assert _needs(script) == [(), (), (0,), (1,)]


def test_a_redirect_is_waited_for_by_what_it_leads_to() -> None:
    tape = Tape()
    tape.post("/login", at_ms=0, took_ms=10, status=302, headers=[("Location", "/home")])
    tape.get("/ping", at_ms=5, took_ms=10)
    tape.get("/home", at_ms=20, took_ms=10, html="<p>", sent=[("Sec-Fetch-Dest", "document")])
    _, script = _script(tape)
    assert script.steps[2].needs == (0,)


def test_what_was_never_answered_is_waited_for_by_nobody() -> None:
    tape = Tape()
    tape.get("/hangs", at_ms=0, status=None)
    tape.get("/next", at_ms=500, took_ms=10)
    _, script = _script(tape)
    assert _needs(script) == [(), ()]


def test_sent_messages_keep_to_the_recorded_timeline_and_wait_for_their_socket_only() -> None:
    messages = [(30, ">", {"type": "watch", "what": "a"}), (700, ">", {"type": "watch", "what": "b"})]
    tape = Tape()
    tape.socket("/ws", messages, at_ms=0, close_ms=900)
    _, script = _script(tape)
    assert _needs(script) == [(), (0,), (0,), (0, 1, 2)]
    assert [step.think_ns // NS_PER_MS for step in script.steps] == [0, 20, 690, 200]


def test_a_message_sent_right_upon_an_answer_waits_for_it() -> None:
    messages = [
        (20, ">", {"type": "connection_init"}),
        (30, "<", {"type": "connection_ack"}),
        (35, ">", {"type": "subscribe", "id": "s1"}),
        (50, "<", {"type": "next", "id": "s1"}),
        (2000, ">", {"type": "unsubscribe", "id": "s1"}),
    ]
    tape = Tape()
    tape.socket("/ws", messages, at_ms=0, close_ms=3000)
    plan, script = _script(tape)
    names = [plan.message_kinds[s.message_kind].name if s.message_kind >= 0 else s.kind.name for s in script.steps]
    assert names == ["CONNECT", "connection_init", "connection_ack", "subscribe", "next", "unsubscribe", "CLOSE"]
    assert _needs(script)[3] == (0, 1, 2)
    assert 3 in _needs(script)[5], "what depends on answers keeps the order of messages"
    assert 2 not in _needs(script)[5] and 4 not in _needs(script)[5], "a person was slower than any reaction"


def test_a_socket_left_open_is_closed_when_the_recording_stops() -> None:
    tape = Tape()
    tape.socket("/ws", [(20, "<", {"type": "hello"})], at_ms=0)
    tape.get("/later", at_ms=5000, took_ms=100)
    _, script = _script(tape)
    close = script.steps[-1]
    assert (close.kind, close.close_code, close.at_ns // NS_PER_MS) == (StepKind.CLOSE, 1001, 5100)
    assert script.sockets[0].close_code == 1001


@given(st.integers(0, 10_000))
def test_every_need_is_an_earlier_step_that_had_ended(seed: int) -> None:
    dice = random.Random(seed)
    tape = Tape()
    for _ in range(dice.randrange(1, 25)):
        sent = FETCH if dice.random() < 0.7 else []
        status = None if dice.random() < 0.1 else dice.choice([200, 200, 302, 404])
        path = dice.choice(["/a", "/b", "/poll", "/x.png", "/"])
        tape.get(
            path,
            at_ms=dice.randrange(3000),
            took_ms=dice.randrange(1, 900),
            status=status,
            sent=sent,
            headers=[("Location", dice.choice(["/a", "/b"]))] if status == 302 else [],
        )
    _, script = _script(tape)
    assert [step.index for step in script.steps] == list(range(len(script.steps)))
    for step in script.steps:
        ends_ns = [script.steps[need].at_ns + script.steps[need].duration_ns for need in step.needs]
        assert all(need < step.index for need in step.needs)
        assert step.think_ns == (step.at_ns - max(ends_ns) if ends_ns else 0) >= 0
