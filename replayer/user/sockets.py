"""One WebSocket of one virtual user: pairing of replies, awaited messages, heartbeats, its end. Pure.

A message is looked at only as far as somebody waits for what it says: its kind is found by one search for the
discriminator, and it is parsed only where a pairing, an extractor or a check within budget needs its inside.
"""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from replayer import failures
from replayer.plan.records import Responder, Step
from replayer.user.checks import check_size, is_parsed
from replayer.user.link import reply_key
from replayer.user.port import Run, SocketConnection
from replayer.user.render import MissingValue, Rendered
from replayer.user.slots import Answer

if TYPE_CHECKING:
    from replayer.user.steps import User

_SEARCHED_BYTES = 4096
"""How far into a message its discriminator is looked for."""


class Awaited(NamedTuple):
    """A message that is due: ``intended_ns`` and ``actual_ns`` of the send it answers, or of when it was waited for."""

    step: int
    key: bytes
    intended_ns: int
    actual_ns: int
    deadline_ns: int


class UserSocket:
    """Implements ``websocket.SocketOwner`` for one socket of a user's script."""

    __slots__ = (
        "_awaited",
        "_closing",
        "_connect",
        "_is_watched",
        "_number",
        "_run",
        "_timed_out",
        "_user",
        "connection",
    )

    def __init__(self, user: User, run: Run, number: int) -> None:
        self._user = user
        self._run = run
        self._number = number
        self.connection: SocketConnection | None = None
        self._connect: tuple[int, int, int] | None = None  # step, intended, actual
        self._closing: tuple[int, int, int] | None = None
        self._timed_out = False
        self._awaited: dict[int, deque[Awaited]] = {}  # by message kind, oldest first
        self._is_watched = False

    @property
    def user_number(self) -> int:
        """Whose TLS sessions its connection may resume."""
        return self._user.number

    def is_open(self) -> bool:
        """Tell whether messages can be sent."""
        return self.connection is not None and self.connection.is_open()

    def open(self, step: Step, intended_ns: int) -> None:
        """Begin the handshake of a CONNECT step.

        Raises:
            MissingValue: a slot of its target or headers has no value.
        """
        user, request = self._user, step.request
        handshake = user.script.handshakes[step.index]
        assert request is not None and handshake is not None
        target = handshake.target.render(user.memory.values)
        headers = [(name, value.render(user.memory.values)) for name, value in handshake.headers]
        now_ns = self._run.port.now_ns()
        self._connect = (step.index, intended_ns, now_ns)
        self.connection = self._run.port.open_socket(
            self,
            step.origin,
            target,
            [(name, value) for name, value in headers if value],
            request.subprotocols,
            offers_deflate=request.offers_deflate,
        )

    def send(self, step: Step, data: bytes, intended_ns: int) -> None:
        """Send the message of a SEND step; its reply, where it has one, is due from here on."""
        assert self.connection is not None
        now_ns = self._run.port.now_ns()
        if not self._run.port.may_send(now_ns):
            return
        if step.reply >= 0:
            reply = self._user.script.steps[step.reply]
            key = self._user.script.reply_keys[step.index]
            if key is None:
                key = reply_key(data, reply.pairing.send_path if reply.pairing else ())
            deadline_ns = now_ns + self._run.deadlines.message_ns
            self._await(reply.message_kind, Awaited(reply.index, key, intended_ns, now_ns, deadline_ns))
        self.connection.send(data, is_text=step.is_text)
        self._run.meter.count("messages_out")
        self._run.meter.count("bytes_out", len(data))

    def expect(self, step: Step, intended_ns: int) -> None:
        """Wait for the message of a RECEIVE step that is no reply: at least three times its recorded wait."""
        wait_ns = max(self._run.deadlines.message_ns, 3 * step.think_ns)
        now_ns = self._run.port.now_ns()
        self._await(step.message_kind, Awaited(step.index, b"", intended_ns, now_ns, now_ns + wait_ns))

    def close(self, step: Step, intended_ns: int) -> None:
        """Begin the close of a CLOSE step; it ends with the server's close, or by deadline."""
        assert self.connection is not None
        now_ns = self._run.port.now_ns()
        self._closing = (step.index, intended_ns, now_ns)
        self._run.port.call_at(now_ns + self._run.deadlines.message_ns, self._expire_close, None)
        self.connection.close(step.close_code)

    def abandon(self) -> None:
        """End the connection because the user is over."""
        if self.connection is not None:
            self.connection.close(1001)

    def abort(self) -> None:
        """End the connection at once."""
        if self.connection is not None:
            self.connection.abort()

    # What the wire tells.

    def socket_opened(self, connection: SocketConnection, end_ns: int) -> None:
        if self._user.is_over or self._connect is None:
            connection.close(1001)
            return
        step, intended_ns, actual_ns = self._connect
        self._user.take_handshake(step, connection.set_cookies, intended_ns, actual_ns, end_ns)
        self._user.finish(step, end_ns)

    def socket_refused(self, connection: SocketConnection, failure: str, status: int, end_ns: int) -> None:
        self.connection = None
        if self._user.is_over or self._connect is None:
            return
        step, intended_ns, actual_ns = self._connect
        self._user.fail(step, failure, intended_ns, actual_ns, end_ns, status=status)

    def message_received(self, connection: SocketConnection, data: bytes, end_ns: int, *, is_text: bool) -> None:
        meter = self._run.meter
        meter.count("messages_in")
        meter.count("bytes_in", len(data))
        if self._user.is_over:
            return
        kind = self._kind_of(data)
        if kind < 0:
            return
        answer = Answer((), (), lambda: data)
        for responder in self._user.script.script.sockets[self._number].responders:
            if responder.message_kind == kind:
                self._respond(responder, answer)
        if self._awaited.get(kind):
            self._take_awaited(kind, data, answer, end_ns)
        self._check(kind, data, answer)

    def socket_closed(self, connection: SocketConnection, code: int, end_ns: int) -> None:
        self.connection = None
        user = self._user
        if user.is_over:
            return
        expected = user.script.script.sockets[self._number].closed_by_server
        if self._closing is None and not expected:
            user.socket_lost(self._number, failures.close_failure(code), end_ns)
        for kind in list(self._awaited):
            for due in self._awaited.pop(kind):
                self._fail_awaited(due, code, end_ns)
                if user.is_over:
                    return
        if self._closing is not None:
            step, intended_ns, actual_ns = self._closing
            if self._timed_out:
                user.fail(step, failures.TIMEOUT_CLOSE, intended_ns, actual_ns, end_ns)
            else:
                user.take_close(step, intended_ns, actual_ns, end_ns)
                user.finish(step, end_ns)

    # Awaited messages.

    def _fail_awaited(self, due: Awaited, code: int, end_ns: int) -> None:
        """A message that was due when its socket ended: after our own close it was never answered, at its limit."""
        if self._closing is not None:
            self._user.fail(due.step, failures.TIMEOUT_MESSAGE, due.intended_ns, due.actual_ns, due.deadline_ns)
        else:
            self._user.fail(due.step, failures.close_failure(code), due.intended_ns, due.actual_ns, end_ns)

    def _await(self, kind: int, due: Awaited) -> None:
        self._awaited.setdefault(kind, deque()).append(due)
        self._watch()

    def _watch(self) -> None:
        """Keep one timer per socket, for the earliest deadline, however many messages are due."""
        deadlines = [queue[0].deadline_ns for queue in self._awaited.values() if queue]
        if deadlines and not self._is_watched:
            self._is_watched = True
            self._run.port.call_at(min(deadlines), self._expire, None)

    def _expire(self, _argument: None, _due_ns: int) -> None:
        self._is_watched = False
        now_ns = self._run.port.now_ns()
        for queue in list(self._awaited.values()):
            while queue and queue[0].deadline_ns <= now_ns:
                due = queue.popleft()
                self._user.fail(due.step, failures.TIMEOUT_MESSAGE, due.intended_ns, due.actual_ns, now_ns)
                if self._user.is_over:
                    return
        self._watch()

    def _expire_close(self, _argument: None, _due_ns: int) -> None:
        if self.connection is not None and not self._user.is_over:
            self._timed_out = True
            self.connection.abort()

    def _take_awaited(self, kind: int, data: bytes, answer: Answer, end_ns: int) -> None:
        queue = self._awaited[kind]
        pairing = self._user.script.steps[queue[0].step].pairing
        key = reply_key(data, pairing.reply_path) if pairing else b""
        for due in queue:
            if due.key == key:
                queue.remove(due)
                self._user.take_message(due.step, answer, due.intended_ns, due.actual_ns, end_ns, len(data))
                self._user.finish(due.step, end_ns)
                return

    def _respond(self, responder: Responder, answer: Answer) -> None:
        user = self._user
        try:
            user.memory.extract(responder.extractors, answer)
            user.memory.mint(user.script.generated_by(responder.payload))
            data = Rendered(responder.payload).render(user.memory.values)
        except MissingValue as exc:
            user.count_miss(exc.slot)
            return
        if self.connection is not None:
            self.connection.send(data, is_text=responder.is_text)
            self._run.meter.count("messages_out")
            self._run.meter.count("bytes_out", len(data))

    def _kind_of(self, data: bytes) -> int:
        kinds = self._user.script.socket_kinds[self._number]
        path = self._user.script.script.sockets[self._number].discriminator
        if not path:
            return kinds.get(b"", -1)
        found = _discriminator(str(path[-1])).search(data, 0, _SEARCHED_BYTES)
        return kinds.get(found.group(1) if found else b"", -1)

    def _check(self, kind: int, data: bytes, answer: Answer) -> None:
        expectation = self._run.plan.message_kinds[kind].expectation
        mismatch = check_size(expectation, len(data))
        if not mismatch and is_parsed(expectation):
            mismatch = self._run.budget.check(self._user.script.messages[kind].measure, expectation, answer.json)
        recorder = self._user.script.messages[kind]
        recorder.measure.planned += 1
        recorder.measure.bytes_in += len(data)
        if mismatch:
            recorder.measure.mismatches[mismatch] = recorder.measure.mismatches.get(mismatch, 0) + 1
        else:
            recorder.measure.ok += 1


@lru_cache(maxsize=256)
def _discriminator(key: str) -> re.Pattern[bytes]:
    """A search for ``"key": "value"`` or ``"key": 42``; group 1 is the value as written."""
    return re.compile(rb'"%s"\s*:\s*"?([^",}\]\s]*)' % re.escape(key.encode()))
