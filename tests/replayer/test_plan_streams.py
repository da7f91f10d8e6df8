"""Values that an event stream brings while it is open."""

from __future__ import annotations

from captures.records import Peer
from replayer.plan.compile import compile_plan
from replayer.plan.records import Plan, Script, SlotKind
from replayer.user.slots import Answer
from tests.fakes_captures import NS_PER_MS, Tape, capture_of
from tests.fakes_plans import Player, literals_of

JOB = "5f0c9a3be1d24c77aa01"
OTHER = "aK3xP9mQ2rT7vZ5cD8fG"


def _stream(tape: Tape, *events: tuple[float, str]) -> None:
    """Record a stream: (ms after the start, data of an event)."""
    parts = [f"event: job\ndata: {data}\n\n".encode() for _, data in events]
    headers = [("Content-Type", "text/event-stream")]
    stream = tape.get("/events", at_ms=0, took_ms=5000, headers=headers, answer=b"".join(parts))
    stream.chunks = [(round(at * NS_PER_MS), len(part)) for (at, _), part in zip(events, parts, strict=True)]


def _compiled(tape: Tape) -> tuple[Plan, Script, Player]:
    plan = compile_plan(capture_of(tape))
    return plan, plan.scripts[0], Player(plan.scripts[0])


def test_a_value_of_an_event_is_used_while_the_stream_goes_on() -> None:
    tape = Tape()
    _stream(tape, (50, '{"hello": 1}'), (300, f'{{"job": {{"id": "{JOB}"}}}}'), (900, '{"tick": 2}'))
    tape.get(f"/api/jobs/{JOB}", at_ms=400, answer_json={"state": "done"})
    plan, script, player = _compiled(tape)
    stream, job = script.steps
    assert stream.kept_open and job.needs == (stream.index,)
    assert job.think_ns == 100 * NS_PER_MS, "after the event, not after the stream"
    (extractor,) = stream.extractors
    live = Answer((), (), lambda: b'{"job": {"id": "live"}}').find(extractor)
    assert live == b"live"
    player.fill(extractor.slot, live)
    assert player.target(job) == b"/api/jobs/live"
    assert JOB.encode() not in literals_of(plan)


def test_a_value_that_an_earlier_event_has_too_is_not_taken_for_this_one() -> None:
    tape = Tape()
    _stream(tape, (50, f'{{"id": "{OTHER}"}}'), (300, f'{{"id": "{JOB}"}}'))
    tape.get(f"/api/jobs/{JOB}", at_ms=400, answer_json={"state": "done"})
    _, script, _ = _compiled(tape)
    assert not [slot for slot in script.slots if slot.kind is SlotKind.EXTRACTED]


def test_what_an_earlier_value_set_off_is_not_waited_for() -> None:
    tape = Tape()
    _stream(tape, (50, f'{{"first": "{OTHER}"}}'), (600, f'{{"second": "{JOB}"}}'))
    tape.post("/api/start", at_ms=100, send_json={"first": OTHER})
    tape.post("/api/stop", at_ms=700, send_json={"second": JOB})
    _, script, _ = _compiled(tape)
    (slot,) = [slot for slot in script.slots if slot.kind is SlotKind.EXTRACTED]
    assert slot.recorded == OTHER.encode()


def test_a_page_goes_on_after_the_last_event_that_it_had() -> None:
    tape = Tape()
    headers = [("Content-Type", "text/event-stream")]
    first, second = b"id: u1-1\ndata: one\n\n", b"id: u1-2\ndata: two\n\n"
    stream = tape.get("/events", at_ms=0, took_ms=900, headers=headers, answer=first + second)
    stream.chunks = [(50 * NS_PER_MS, len(first)), (500 * NS_PER_MS, len(second))]
    stream.ended_by = Peer.CLIENT
    tape.get("/events", at_ms=1000, headers=headers, sent=[("Last-Event-ID", "u1-2")], answer=b"id: u1-3\ndata: 3\n\n")
    _, script, player = _compiled(tape)
    (extractor,) = script.steps[0].extractors
    assert Answer(((b"last-event-id", b"u7-5"),), (), lambda: b"five").find(extractor) == b"u7-5"
    player.fill(extractor.slot, b"u7-5")
    assert player.header(script.steps[1], "last-event-id") == b"u7-5"


def test_a_stream_that_the_page_left_is_left_again_and_nobody_waits_for_its_end() -> None:
    for ended_by, is_open in ((Peer.CLIENT, True), (None, False)):
        tape = Tape()
        _stream(tape, (50, '{"tick": 1}'))
        tape.exchanges[0].ended_by = ended_by
        tape.get("/api/later", at_ms=9000, answer_json={"ok": True})
        _, script, _ = _compiled(tape)
        assert script.steps[0].kept_open is is_open
