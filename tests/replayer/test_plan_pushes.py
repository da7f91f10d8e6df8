"""What a recording says of messages that the server pushes: rhythm, stamps, broadcasts, echoes."""

from __future__ import annotations

import random

import pytest

from captures.records import Message, Opcode, Peer, Socket
from replayer.plan.pairing import Entry, Hit, Paired, Pairings, ResponderRule, SocketLog
from replayer.plan.push import Push
from replayer.plan.pushes import echo_key, pushes_of
from replayer.plan.records import Pairing
from replayer.plan.sizes import items_of
from replayer.plan.stamps import stamp_key, stamp_ns

S, MS = 1_000_000_000, 1_000_000
WALL = 1_795_492_000 * S
QUOTE, ACK = 0, 1
NOTHING = Pairings(responders={}, replies=[[]])


def a_socket(times_s: list[float], close_s: float, text: str = '{"n":%d}') -> tuple[SocketLog, Socket]:
    """Return a socket that received these messages of one kind and closed."""
    messages = []
    for number, t_s in enumerate(times_s):
        data = (text % number if "%" in text else text).encode()
        messages.append(
            Message(t_ns=round(t_s * S), sender=Peer.SERVER, opcode=Opcode.TEXT, data=data, size_bytes=len(data))
        )
    entries = [Entry(number, message.t_ns, False, QUOTE) for number, message in enumerate(messages)]
    socket = Socket(open_ns=0, messages=messages, close_ns=round(close_s * S))
    return SocketLog(messages=messages, entries=entries), socket


def push_of(*sockets: tuple[SocketLog, Socket]) -> Push:
    return pushes_of(sockets, Pairings(responders={}, replies=[[] for _ in sockets]), wall_ns=WALL)[QUOTE]


def test_a_clock_is_due_once_per_period_whenever_the_socket_closes() -> None:
    for close_s in (60.0, 60.5, 60.99):
        push = push_of(a_socket([float(n) for n in range(1, 61)], close_s))
        assert push.due_ns == pytest.approx(S, rel=0.001) and push.gap_cv == 0.0
    assert (push.wait_ns, push.longest_gap_ns, push.n) == (S, S, 60)


def test_the_silence_at_the_end_of_a_clock_counts_beyond_one_period() -> None:
    push = push_of(a_socket([float(n) for n in range(1, 61)], 90.0))
    assert push.due_ns == pytest.approx(89 / 60 * S, rel=0.001)


def test_a_poisson_stream_has_its_rate_and_no_rhythm() -> None:
    rng = random.Random(4)
    sockets = []
    for _ in range(40):
        t_s, times = 0.0, []
        while (t_s := t_s + rng.expovariate(2.0)) < 20:
            times.append(t_s)
        sockets.append(a_socket(times, 20.0))
    push = push_of(*sockets)
    assert push.due_ns == pytest.approx(0.5 * S, rel=0.05) and 0.9 < push.gap_cv < 1.1


def test_bursts_have_no_rate() -> None:
    push = push_of(a_socket([1, 1.01, 1.02, 1.03, 30, 30.01, 30.02, 30.03], 60))
    assert push.due_ns == 0 and push.gap_cv > 1.2


def test_few_messages_are_events_and_no_stream() -> None:
    assert pushes_of([a_socket([1, 2], 3)], NOTHING, wall_ns=WALL) == {}


def test_what_answers_the_client_is_no_push() -> None:
    log, socket = a_socket([1, 2, 3, 4], 5)
    replies = [Paired(number, number, Pairing()) for number in range(3)]
    assert pushes_of([(log, socket)], Pairings(responders={}, replies=[replies]), wall_ns=WALL) == {}
    asked = Pairings(responders={9: ResponderRule(9, QUOTE, (), 3)}, replies=[[]])
    assert pushes_of([(log, socket)], asked, wall_ns=WALL) == {}


def test_what_others_say_is_a_push_although_some_of_it_answers_the_client() -> None:
    log, socket = a_socket([1, 2, 3, 4, 5], 6)
    pairings = Pairings(responders={}, replies=[[Paired(0, 0, Pairing()), Paired(1, 1, Pairing())]])
    assert QUOTE in pushes_of([(log, socket)], pairings, wall_ns=WALL)


def test_equal_bytes_on_one_socket_are_no_broadcast() -> None:
    assert push_of(a_socket([1, 2, 3, 4], 5)).is_distinct
    assert not push_of(a_socket([1, 2, 3, 4], 5, '{"same":1}')).is_distinct


def test_a_stamp_follows_the_arrivals_and_a_birthday_does_not() -> None:
    sent_ms = [WALL // MS + 1000 * n - 3 for n in range(1, 5)]
    messages = [f'{{"born":1795492003123,"ts":{ms}}}'.encode() for ms in sent_ms]
    examples = [(data, (ms + 3) * MS) for data, ms in zip(messages, sent_ms, strict=True)]
    assert stamp_key(examples) == "ts"
    assert stamp_key([(b'{"ts":1795492001}', 1795492001 * S)] * 4) == "", "whole seconds say nothing of 100 ms"
    assert stamp_key(examples[:2]) == "", "two are no evidence"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1795492031281", 1_795_492_031_281 * MS),
        (b"1795492031281007", 1_795_492_031_281_007_000),
        (b"1795492031281007009", 1_795_492_031_281_007_009),
        (b"1795492031.28", 1_795_492_031_280 * MS),
        (b"2026-11-24T00:00:31.281Z", 1_795_478_431_281 * MS),
        (b"2026-11-24T01:00:31.281+01:00", 1_795_478_431_281 * MS),
        (b"1795492031", None),  # Whole seconds.
        (b"2026-11-24T00:00:31Z", None),
        (b"2026-13-24T00:00:31.2Z", None),
        (b"12345", None),
        (b"", None),
    ],
)
def test_times_are_read_in_the_forms_that_servers_write(text: bytes, expected: int | None) -> None:
    assert stamp_ns(text) == expected


def test_a_push_that_repeats_what_the_client_made_is_triggered_by_it() -> None:
    value = b"5f2b7c1e-4d3a-4f6b-9a8e-0c1d2e3f4a5b"
    log, _ = a_socket([2.0], 3, '{"type":"filled","order":"' + value.decode() + '"}')
    log.hits[0] = [Hit(value, ("order",), "order")]
    assert echo_key(log, log.entries[0], {value: 1 * S}) == "order"
    assert echo_key(log, log.entries[0], {value: 3 * S}) == "", "it was sent later"
    assert echo_key(log, log.entries[0], {}) == ""


def test_items_are_those_of_the_arrays_that_are_in_no_array() -> None:
    assert items_of({"rows": [{"tags": [1, 2]}, {}], "page": {"links": [1]}}) == 3
    assert items_of([1, 2, 3]) == 3
    assert items_of({"a": {"b": {"c": {"too_deep": [1]}}}}) == items_of("text") == items_of(None) == 0
