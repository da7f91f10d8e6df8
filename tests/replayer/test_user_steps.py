"""The virtual user's state machine, without sockets: what it sends when, and what it counts."""

from __future__ import annotations

import dataclasses

import pytest

from analysis.series import UNASKED
from analysis.slots import SecondSlot
from captures.records import Origin
from replayer.plan.records import (
    Expectation,
    Extractor,
    RequestTemplate,
    Slot,
    SlotKind,
    Source,
    Step,
    StepKind,
    Template,
)
from replayer.user.ending import AtEnd
from replayer.user.pacing import Pacing
from replayer.wire.sse import ServerEvent
from tests.fakes_port import MS, FakeConnection, FakePort, Reply, plan_of, played, user_of

ANYTHING = Expectation()


def request(
    index: int,
    at_ms: int,
    *,
    needs: tuple[int, ...] = (),
    think_ms: int = 0,
    took_ms: int = 10,
    target: Template = (),
    method: bytes = b"GET",
    headers: tuple[tuple[bytes, Template], ...] = (),
    body: Template = (),
    extractors: tuple[Extractor, ...] = (),
    expectation: Expectation = ANYTHING,
) -> Step:
    return Step(
        index=index,
        kind=StepKind.REQUEST,
        route=index,
        origin=0,
        at_ns=at_ms * MS,
        duration_ns=took_ms * MS,
        needs=needs,
        think_ns=think_ms * MS,
        request=RequestTemplate(method=method, target=target or (b"/%d" % index,), headers=headers, body=body),
        extractors=extractors,
        expectation=expectation,
    )


def sent_at(port: FakePort) -> list[tuple[int, str]]:
    """(ms since the start, first line's target) of everything sent."""
    return [(ms - 1000, data.split(b" ")[1].decode()) for ms, data in port.sent]


def totals(slot: SecondSlot) -> dict[str, int]:
    measures = [m for key, m in slot.measures.items() if key[0] not in UNASKED]
    return {
        "planned": sum(m.planned for m in measures),
        "ok": sum(m.ok for m in measures),
        "failed": sum(sum(m.errors.values()) for m in measures),
        "mismatched": sum(sum(m.mismatches.values()) for m in measures),
        "not_sent": sum(n for name, n in slot.counts.items() if name.startswith("not_sent:")),
    }


CHAIN = plan_of(
    request(0, 0, took_ms=100),
    request(1, 150, needs=(0,), think_ms=50),
    request(2, 1000, took_ms=1),
)


@pytest.mark.parametrize(
    ("pacing", "speed", "sent"),
    [
        # think: the dependent step follows the live end (10 ms) plus its think time; the timer keeps its place.
        (Pacing.THINK, 1.0, [(0, "/0"), (60, "/1"), (1000, "/2")]),
        # speed divides think times and the timeline, never the 10 ms the server takes.
        (Pacing.THINK, 10.0, [(0, "/0"), (15, "/1"), (100, "/2")]),
        # timeline: its recorded place, but never before its need has ended.
        (Pacing.TIMELINE, 1.0, [(0, "/0"), (150, "/1"), (1000, "/2")]),
        (Pacing.TIMELINE, 100.0, [(0, "/0"), (10, "/1"), (10, "/2")]),
        # asap: recorded order, closed loop.
        (Pacing.ASAP, 1.0, [(0, "/0"), (10, "/1"), (20, "/2")]),
    ],
)
def test_pacing_decides_when_a_step_goes(pacing: Pacing, speed: float, sent: list[tuple[int, str]]) -> None:
    port = FakePort()
    slot = played(CHAIN, port, pacing=pacing, speed=speed)
    assert sorted(sent_at(port)) == sent
    assert totals(slot) == {"planned": 3, "ok": 3, "failed": 0, "mismatched": 0, "not_sent": 0}
    assert slot.counts["sessions_completed"] == 1


def test_max_gap_caps_think_times_and_the_timeline() -> None:
    port = FakePort()
    played(CHAIN, port, max_gap_ns=20 * MS)
    assert sorted(sent_at(port)) == [(0, "/0"), (30, "/1"), (40, "/2")]


def test_a_slow_need_delays_its_dependents_and_their_latency_is_not_charged_with_it() -> None:
    port = FakePort(answer=lambda data, connection: Reply(after_ms=700 if b"/0" in data else 10))
    slot = played(CHAIN, port)
    assert (750, "/1") in sent_at(port)
    assert slot.measures[("http", (("kind", "api"), ("route", "route 1")))].latency_max_us == 10_000


TOKEN = Extractor(slot=0, source=Source.JSON, path=("token",))
LOGIN = (
    request(0, 0, extractors=(TOKEN,), expectation=Expectation(statuses=(200,), required=(("token",),))),
    request(1, 10, needs=(0,), headers=((b"Authorization", (b"Bearer ", 0)),)),
)
TOKEN_SLOTS = (Slot(name="token", kind=SlotKind.EXTRACTED),)


def test_extracted_value_is_sent_by_the_step_that_uses_it() -> None:
    port = FakePort(answer=lambda data, connection: Reply(body=b'{"token": "t-1"}'))
    played(plan_of(*LOGIN, slots=TOKEN_SLOTS), port)
    assert b"Authorization: Bearer t-1\r\n" in port.sent[1][1]


@pytest.mark.parametrize(
    ("reply", "reason", "misses"),
    [
        # The producer failed: what depends on it is a consequence.
        (Reply(status=500), "producer_failed", 0),
        (Reply(failure="reset"), "producer_failed", 0),
        # The producer answered, the value is not there: a miss of ours until proven otherwise.
        (Reply(body=b'{"error": "wrong password"}'), "correlation_miss", 1),
    ],
)
def test_step_without_its_value_is_not_sent_and_says_why(reply: Reply, reason: str, misses: int) -> None:
    port = FakePort(answer=lambda data, connection: reply)
    slot = played(plan_of(*LOGIN, slots=TOKEN_SLOTS), port)
    assert len(port.sent) == 1
    assert slot.counts[f"not_sent:{reason}"] == 1
    assert slot.counts.get("correlation_misses", 0) == misses
    assert slot.counts["sessions_failed"] == 1
    counted = totals(slot)
    assert counted["planned"] == counted["ok"] + counted["failed"] + counted["mismatched"] + counted["not_sent"] == 2


def test_login_that_answers_200_with_an_error_page_is_a_mismatch() -> None:
    page = Reply(body=b"<h1>Sorry</h1>", content_type=b"text/html")
    expectation = Expectation(statuses=(200,), content_type=b"application/json")
    slot = played(plan_of(request(0, 0, expectation=expectation)), FakePort(answer=lambda d, c: page))
    measure = slot.measures[("http", (("kind", "api"), ("route", "route 0")))]
    assert measure.mismatches == {"content_type": 1} and not measure.latency and measure.ok == 0


def test_empty_list_that_was_never_empty_is_a_mismatch() -> None:
    expectation = Expectation(statuses=(200,), required=(("quotes",),), non_empty=(("quotes",),))
    empty = Reply(body=b'{"quotes": []}')
    slot = played(plan_of(request(0, 0, expectation=expectation)), FakePort(answer=lambda d, c: empty))
    assert slot.measures[("http", (("kind", "api"), ("route", "route 0")))].mismatches == {"empty": 1}
    assert slot.counts["verify_checked"] == slot.counts["verify_eligible"] == 1


def test_body_that_cannot_be_decoded_is_a_mismatch_and_no_error_of_ours() -> None:
    port = FakePort(answer=lambda data, connection: Reply(body=b"no gzip", content_encoding=b"gzip"))
    slot = played(plan_of(*LOGIN, slots=TOKEN_SLOTS), port)
    assert slot.measures[("http", (("kind", "api"), ("route", "route 0")))].mismatches == {"json": 1}
    assert slot.counts["answers_compressed"] == 1


def test_body_with_a_slot_has_the_length_of_what_is_sent() -> None:
    steps = (
        LOGIN[0],
        request(1, 10, needs=(0,), method=b"POST", body=(b'{"t":"', 0, b'"}')),
    )
    port = FakePort(answer=lambda data, connection: Reply(body=b'{"token": "12345"}'))
    played(plan_of(*steps, slots=TOKEN_SLOTS), port)
    assert port.sent[1][1].endswith(b'Content-Length: 13\r\n\r\n{"t":"12345"}')


def test_cookies_of_answers_come_back_and_expired_ones_do_not() -> None:
    slots = (Slot(name="cookies", kind=SlotKind.COOKIE_HEADER),)
    steps = [request(i, i * 1000, headers=((b"cookie", (0,)),)) for i in range(3)]
    cookies = {b"/0": (b"sid=a; Path=/; HttpOnly", b"brief=1; Max-Age=1"), b"/1": (b"sid=b",)}

    def answer(data: bytes, _: FakeConnection) -> Reply:
        return Reply(set_cookies=cookies.get(data.split(b" ")[1], ()))

    port = FakePort(answer=answer)
    played(plan_of(*steps, slots=slots), port)
    lines = [[line for line in data.split(b"\r\n") if line.lower().startswith(b"cookie")] for _, data in port.sent]
    assert lines == [[], [b"Cookie: sid=a; brief=1"], [b"Cookie: sid=b"]]


def test_minted_value_is_made_once_and_again_for_the_next_slot() -> None:
    slots = (
        Slot(name="first", kind=SlotKind.GENERATED, detail="uuid4"),
        Slot(name="second", kind=SlotKind.GENERATED, detail="uuid4"),
        Slot(name="origin", kind=SlotKind.ORIGIN, detail="0:origin"),
        Slot(name="redirect", kind=SlotKind.DERIVED, detail="2:percent"),
    )
    steps = [request(i, i * 100, target=(b"/?a=", a, b"&to=", 3)) for i, a in enumerate((0, 0, 1))]
    port = FakePort()
    played(plan_of(*steps, slots=slots), port)
    first, again, other = [target for _, target in sent_at(port)]
    assert first == again != other and first.endswith("&to=http%3A%2F%2F127.0.0.1%3A8080")


def test_value_with_a_line_break_cannot_split_the_request_it_goes_into() -> None:
    slots = (Slot(name="id", kind=SlotKind.EXTRACTED),)
    taken = Extractor(slot=0, source=Source.JSON, path=("id",))
    steps = [
        request(0, 0, extractors=(taken,)),
        request(1, 100, needs=(0,), target=(b"/orders/", 0), headers=((b"x-id", (0,)),)),
    ]
    port = FakePort(answer=lambda data, connection: Reply(body=b'{"id": "7\\r\\nHost: evil"}'))
    played(plan_of(*steps, slots=slots), port)
    assert port.sent[1][1].startswith(b"GET /orders/7%0D%0AHost: evil HTTP/1.1\r\n")
    assert b"x-id: 7%0D%0AHost: evil\r\n" in port.sent[1][1]


def test_stream_releases_the_step_that_uses_its_value_while_it_is_still_open() -> None:
    slots = (Slot(name="ticket", kind=SlotKind.EXTRACTED),)
    stream = dataclasses.replace(
        request(0, 0, took_ms=5_000, extractors=(Extractor(slot=0, source=Source.JSON, path=("ticket",)),)),
        kept_open=True,
    )
    port = FakePort(answer=lambda data, connection: None if b"/0 " in data else Reply())
    user = user_of(plan_of(stream, request(1, 200, needs=(0,), target=(b"/use/", 0)), slots=slots), port)
    user.start(port.clock_ns)
    port.play(until_ms=1_050)
    connection = port.connections[0]
    user.take_events(connection.index, (), (1_000 * MS, 1_000 * MS), 1_040 * MS)
    for number, data in enumerate((b"not json", b'{"other": 1}', b'{"ticket": "t-9"}')):
        port.clock_ns = (1_100 + number) * MS
        user.take_events(connection.index, [ServerEvent(b"message", data, b"")], (0, 0), port.clock_ns)
    port.play()
    assert sent_at(port) == [(0, "/0"), (102, "/use/t-9")]
    slot = user._run.meter.take_slot(0, {}, 0)
    counted = {name: measure.ok for (name, _), measure in slot.measures.items()}
    assert counted["sse.event"] == 3 and counted["sse.gap"] == 2 and counted["sse.first_event"] == 1
    opened = slot.measures["sse.connect", (("route", "route 0"),)]
    assert (opened.planned, opened.ok, opened.latency_max_us) == (1, 1, 40_000), "to the head, not to the first event"


def a_stream(took_ms: int = 5_000) -> Step:
    expectation = Expectation(statuses=(200,), content_type=b"text/event-stream")
    return dataclasses.replace(request(0, 0, took_ms=took_ms, expectation=expectation), kept_open=True)


@pytest.mark.parametrize(
    ("answer", "speed", "failed", "errors"),
    [
        (Reply(status=503), 1.0, 1, {"status_503": 1}),
        (Reply(failure="reset"), 1.0, 1, {"reset": 1}),
        (None, 1.0, 1, {"timeout_request": 1}),
        (None, 4.0, 0, {}),  # It had a quarter of the recorded time: too short to say anything.
    ],
)
def test_stream_that_never_begins_has_failed(
    answer: Reply | None, speed: float, failed: int, errors: dict[str, int]
) -> None:
    slot = played(plan_of(a_stream()), FakePort(answer=lambda data, connection: answer), speed=speed)
    assert totals(slot)["failed"] == failed
    connects = slot.measures.get(("sse.connect", (("route", "route 0"),)))
    assert (connects.errors if connects is not None else {}) == errors


def test_stream_that_began_may_be_silent_for_as_long_as_it_is_open() -> None:
    port = FakePort(answer=lambda data, connection: None)
    user = user_of(plan_of(a_stream()), port)
    user.start(port.clock_ns)
    port.play(until_ms=1_050)
    user.take_events(port.connections[0].index, (), (port.clock_ns, port.clock_ns), port.clock_ns)
    port.play()
    assert totals(user._run.meter.take_slot(0, {}, 0))["failed"] == 0


def test_stream_that_is_played_again_releases_its_dependents_again() -> None:
    slots = (Slot(name="ticket", kind=SlotKind.EXTRACTED),)
    taken = Extractor(slot=0, source=Source.JSON, path=("ticket",))
    stream = dataclasses.replace(a_stream(100), kept_open=False, extractors=(taken,))

    def stream_event(connection: FakeConnection, due_ns: int) -> None:
        event = ServerEvent(b"message", b'{"ticket": "t-%d"}' % connection.n_sent, b"")
        user.take_events(connection.index, (event,), (connection.intended_ns, connection.actual_ns), due_ns)

    def answer(data: bytes, connection: FakeConnection) -> Reply:
        if b"/0 " not in data:
            return Reply()
        port.call_at(port.clock_ns + 20 * MS, stream_event, connection)
        return Reply(after_ms=100, content_type=b"text/event-stream")

    port = FakePort(answer=answer)
    plan = plan_of(stream, request(1, 200, needs=(0,), target=(b"/use/", 0)), slots=slots)
    user = user_of(plan, port, at_end=AtEnd.REPEAT)
    user.start(port.clock_ns)
    port.play(until_ms=3_500)
    used = [target for _, target in sent_at(port) if target.startswith("/use/")]
    assert len(used) >= 2 and len(set(used)) == len(used), "every pass goes on with what its own stream brought"
    counted = {name: measure.ok for (name, _), measure in user._run.meter.take_slot(0, {}, 0).measures.items()}
    assert counted["sse.connect"] == counted["sse.first_event"] >= len(used) and "sse.gap" not in counted


def test_at_most_six_connections_and_the_rest_waits() -> None:
    steps = [request(i, 0, took_ms=1) for i in range(10)]
    port = FakePort()
    slot = played(plan_of(*steps), port)
    assert len(port.connections) == 6 and totals(slot)["ok"] == 10
    assert [ms - 1000 for ms, _ in port.sent] == [0] * 6 + [10] * 4
    waited = slot.measures[("http", (("kind", "api"), ("route", "route 9")))]
    assert waited.latency_max_us == 20_000 and waited.service_max_us == 10_000


def test_the_wait_of_a_request_is_split_into_pool_and_connect() -> None:
    port = FakePort(answer=lambda data, connection: Reply(after_ms=100), connect_ms=30)
    slot = played(plan_of(*(request(i, 0, took_ms=1) for i in range(7))), port)
    pool, connect = slot.measures["lag.pool", ()], slot.measures["lag.connect", ()]
    assert (pool.ok, connect.ok) == (7, 7)
    assert (connect.latency_sum_us, connect.latency_max_us) == (6 * 30_000, 30_000), "six connections were opened"
    assert (pool.latency_sum_us, pool.latency_max_us) == (130_000, 130_000), "the seventh had to wait for one"


def test_stale_connection_is_tried_once_more_for_get_and_never_for_post() -> None:
    def answer(data: bytes, connection: FakeConnection) -> Reply:
        return Reply(failure="eof", after_ms=0) if connection.n_sent > 1 else Reply()

    get = (request(0, 0), request(1, 1000))
    slot = played(plan_of(*get), FakePort(answer=answer))
    assert slot.counts["stale_reconnect"] == 1 and totals(slot)["ok"] == 2
    post = (request(0, 0), request(1, 1000, method=b"POST"))
    slot = played(plan_of(*post), FakePort(answer=answer))
    assert totals(slot)["failed"] == 1 and "stale_reconnect" not in slot.counts


def test_failures_in_a_row_end_the_user_and_every_step_is_accounted_for() -> None:
    steps = [request(i, i * 100, expectation=Expectation(statuses=(200,))) for i in range(20)]
    slot = played(plan_of(*steps), FakePort(answer=lambda d, c: Reply(status=503)), max_failures=3)
    assert totals(slot) == {"planned": 20, "ok": 0, "failed": 3, "mismatched": 0, "not_sent": 17}
    assert slot.counts["sessions_failed"] == 1 and slot.counts["not_sent:user_ended"] == 17


def test_request_without_an_answer_times_out_at_its_limit_and_enters_the_latency() -> None:
    slot = played(plan_of(request(0, 0)), FakePort(answer=lambda d, c: None))
    measure = slot.measures[("http", (("kind", "api"), ("route", "route 0")))]
    assert measure.errors == {"timeout_request": 1} and measure.latency_max_us == 60_000_000


def test_refused_connections_fail_each_request_once() -> None:
    steps = [request(i, 0) for i in range(3)]
    slot = played(plan_of(*steps), FakePort(refuse="connect_refused"))
    assert totals(slot) == {"planned": 3, "ok": 0, "failed": 3, "mismatched": 0, "not_sent": 0}


def test_local_exhaustion_is_ours_and_not_an_error_of_the_target() -> None:
    slot = played(plan_of(request(0, 0)), FakePort(refuse="local_resource"))
    assert totals(slot)["failed"] == 0 and slot.counts["not_sent:local_resource"] == 1


def test_stop_lets_what_is_in_flight_end_and_begins_nothing_more() -> None:
    port = FakePort(answer=lambda d, c: Reply(after_ms=100))
    user = user_of(plan_of(request(0, 0), request(1, 50), request(2, 500)), port)
    user.start(port.clock_ns)
    port.play(until_ms=1060)
    user._run.is_stopping = True
    user.stop()
    assert not user.is_over
    port.play()
    slot = user._run.meter.take_slot(0, {}, 0)
    assert totals(slot)["ok"] == 2 and slot.counts["sessions_cut"] == 1 and user.is_over


def test_recorded_host_owns_the_cookies() -> None:
    assert plan_of(request(0, 0)).origins == (Origin("http", "shop.example", 80),)
