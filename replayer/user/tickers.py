"""Heartbeats that a client sends by itself for as long as its socket is open. Pure: told the time by its port.

A tick is no step: nothing waits for it, and it neither starts nor ends anything. Its answers are measured like other
replies, from the time at which the tick was due. Protocol timers keep their own time, whatever the speed of the run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from replayer import failures
from replayer.plan.records import Plan, Script, SlotKind, Ticker
from replayer.user.framing import reply_key
from replayer.user.labels import labels_of
from replayer.user.meter import Meter, Recorder
from replayer.user.port import Run, SocketConnection
from replayer.user.render import MissingValue, Rendered, link_template

if TYPE_CHECKING:
    from replayer.user.steps import User


class LinkedTicker(NamedTuple):
    """A ticker made ready for one run; ``replies`` is None where nothing answers it."""

    ticker: Ticker
    payload: Rendered
    generated: tuple[tuple[int, str], ...]
    sends: Recorder
    replies: Recorder | None


class _Due(NamedTuple):
    key: bytes
    intended_ns: int
    actual_ns: int


def link_tickers(
    plan: Plan, script: Script, meter: Meter, constants: Mapping[int, bytes]
) -> list[tuple[LinkedTicker, ...]]:
    """Return the tickers of a script, by socket."""
    return [
        tuple(_link(plan, script, ticker, labels_of(plan, socket.route), meter, constants) for ticker in socket.tickers)
        for socket in script.sockets
    ]


def _link(
    plan: Plan, script: Script, ticker: Ticker, labels: dict[str, str], meter: Meter, constants: Mapping[int, bytes]
) -> LinkedTicker:
    kinds = plan.message_kinds
    slots = {part for part in ticker.payload if isinstance(part, int)}
    sources = {
        int(slot.detail.partition(":")[0]) if slot.kind is SlotKind.DERIVED else number
        for number, slot in enumerate(script.slots)
        if number in slots
    }
    generated = tuple(
        (n, script.slots[n].detail) for n in sorted(sources) if script.slots[n].kind is SlotKind.GENERATED
    )
    replies = None
    if ticker.reply_kind >= 0:
        replies = meter.recorder("ws.reply", **labels, message=kinds[ticker.reply_kind].name)
    return LinkedTicker(
        ticker=ticker,
        payload=Rendered(link_template(ticker.payload, constants)),
        generated=generated,
        sends=meter.recorder("ws.send", **labels, message=kinds[ticker.message_kind].name),
        replies=replies,
    )


class Tickers:
    """The heartbeats of one open socket of one user.

    Args:
        number: of the socket in the user's script.
        connection: the open socket.
    """

    __slots__ = ("_connection", "_due", "_framing", "_is_on", "_run", "_tickers", "_user")

    def __init__(self, user: User, run: Run, number: int, connection: SocketConnection) -> None:
        self._user = user
        self._run = run
        self._connection = connection
        self._framing = user.script.script.sockets[number].framing
        self._tickers = user.script.tickers[number]
        self._due: list[deque[_Due]] = [deque() for _ in self._tickers]
        self._is_on = True
        now_ns = run.port.now_ns()
        for index, linked in enumerate(self._tickers):
            run.port.call_at(now_ns + linked.ticker.first_ns, self._tick, index)

    def stop(self) -> None:
        """Send no further tick; what is unanswered past its deadline has failed, what may still come is not counted."""
        self._is_on = False
        now_ns = self._run.port.now_ns()
        for index in range(len(self._tickers)):
            self._expire(index, now_ns)

    def received(self, kind: int, data: bytes, end_ns: int) -> None:
        """Take a message, which may answer a tick."""
        for linked, due in zip(self._tickers, self._due, strict=True):
            if linked.ticker.reply_kind != kind or linked.replies is None:
                continue
            pairing = linked.ticker.pairing
            key = reply_key(data, pairing.reply_path, self._framing) if pairing is not None else b""
            found = next((each for each in due if each.key == key), None)
            if found is not None:
                due.remove(found)
                linked.replies.measure.planned += 1
                linked.replies.ok(found.intended_ns, found.actual_ns, end_ns, len(data))
                return

    def _tick(self, index: int, due_ns: int) -> None:
        if not self._is_on or self._user.is_over or not self._connection.is_open():
            return
        linked = self._tickers[index]
        self._run.port.call_at(due_ns + linked.ticker.every_ns, self._tick, index)
        now_ns = self._run.port.now_ns()
        if not self._run.port.may_send(now_ns):
            return
        self._expire(index, now_ns)
        data = self._rendered(linked)
        if data is not None:
            self._send(index, linked, data, due_ns, now_ns)

    def _rendered(self, linked: LinkedTicker) -> bytes | None:
        memory = self._user.memory
        for slot, _ in linked.generated:
            memory.values[slot] = None
        memory.mint(linked.generated)
        try:
            return linked.payload.render(memory.values)
        except MissingValue as exc:
            self._user.count_miss(exc.slot)
            return None

    def _send(self, index: int, linked: LinkedTicker, data: bytes, due_ns: int, now_ns: int) -> None:
        self._connection.send(data, is_text=linked.ticker.is_text)
        self._run.meter.count("messages_out")
        self._run.meter.count("bytes_out", len(data))
        linked.sends.measure.planned += 1
        linked.sends.measure.ok += 1
        if linked.replies is not None:
            pairing = linked.ticker.pairing
            key = reply_key(data, pairing.send_path, self._framing) if pairing is not None else b""
            self._due[index].append(_Due(key, due_ns, now_ns))

    def _expire(self, index: int, now_ns: int) -> None:
        due, replies = self._due[index], self._tickers[index].replies
        while due and replies is not None and due[0].actual_ns + self._run.deadlines.message_ns <= now_ns:
            late = due.popleft()
            replies.measure.planned += 1
            end_ns = late.actual_ns + self._run.deadlines.message_ns
            replies.failed(failures.TIMEOUT_MESSAGE, late.intended_ns, late.actual_ns, end_ns)
