"""What is written together: in order, stamped when it is written, never many at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import h2.events

from replayer.wire import http2_frames as frames
from replayer.wire.outbox import MOST, Outbox
from tests.replayer.asking import Wanted
from tests.replayer.http2_peers import Pair, rendered


@dataclass
class World:
    """A loop whose turns a test ends, a clock that moves with every write, and what was written."""

    later: list[Callable[[], None]] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    clock_ns: int = 0

    def now_ns(self) -> int:
        return self.clock_ns

    def call_soon(self, call: Callable[[], None]) -> None:
        self.later.append(call)

    def end_turn(self) -> None:
        due, self.later = self.later, []
        for call in due:
            call()


class Letter:
    """Implements ``replayer.wire.outbox.Outgoing``."""

    def __init__(self, world: World, text: bytes) -> None:
        self._world = world
        self.unsent = text
        self.actual_ns = -1

    def write(self, data: bytes) -> None:
        self._world.written.append(data)
        self._world.clock_ns += 5


def test_requests_of_one_turn_are_written_in_order_at_its_end_each_with_the_time_of_its_write() -> None:
    world = World()
    outbox = Outbox(world.call_soon, world.now_ns)
    letters = [Letter(world, b"%d" % number) for number in range(3)]
    for letter in letters:
        outbox.add(letter)
    assert not world.written and len(world.later) == 1
    world.end_turn()
    assert world.written == [b"0", b"1", b"2"]
    assert [letter.actual_ns for letter in letters] == [0, 5, 10]


def test_many_requests_are_written_as_they_come_in_batches() -> None:
    world = World()
    outbox = Outbox(world.call_soon, world.now_ns)
    for _ in range(2 * MOST + 1):
        outbox.add(Letter(world, b"x"))
    assert len(world.written) == 2 * MOST
    world.end_turn()
    assert len(world.written) == 2 * MOST + 1


def test_http2_requests_of_one_turn_are_one_write() -> None:
    world = World()
    pair = Pair(outbox=Outbox(world.call_soon, world.now_ns))
    world.end_turn()
    pair.to_server()
    streams = [pair.stream() for _ in range(2)]
    for stream in streams:
        stream.send(rendered(), Wanted())
    assert not pair.wire.written
    world.clock_ns = 7
    world.end_turn()
    heads = [event for event in pair.to_server() if isinstance(event, h2.events.RequestReceived)]
    assert len(heads) == 2 and [stream.actual_ns for stream in streams] == [7, 7]
    streams[0].close()
    pair.session.close()
    assert pair.wire.ended == "aborted"  # One request was still in flight.


def test_an_http2_connection_says_its_last_words_at_once() -> None:
    world = World()
    pair = Pair(outbox=Outbox(world.call_soon, world.now_ns))
    pair.session.retire()
    assert pair.wire.take().endswith(frames.frame(frames.GOAWAY, 0, 0, bytes(8))) and pair.wire.ended == "closed"
    world.end_turn()
    assert not pair.wire.written
