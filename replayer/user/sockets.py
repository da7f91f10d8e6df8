"""One WebSocket of one virtual user: pairing of replies, awaited messages, heartbeats, its end. Pure.

A message is looked at only as far as somebody waits for what it says: its kind is found by one search for the
discriminator, and it is parsed only where a pairing, an extractor or a check within budget needs its inside.

A socket that a storm took stays this object; what it keeps until it is back lies in its ``comeback``. Connections it
had before may still say something: whoever is not the present connection is not listened to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.verification import SIZE
from captures.envelopes import Framing
from replayer import failures
from replayer.load.storms import How
from replayer.plan.records import Step, StepKind
from replayer.user.awaited import Awaited, Waiting
from replayer.user.comeback import Comeback
from replayer.user.framing import kind_of, reply_key
from replayer.user.inbox import SEARCHED_BYTES, Inbox, LinkedResponder, MessageFacts
from replayer.user.inspection import STRANGER, is_document
from replayer.user.port import Run, SocketConnection
from replayer.user.pushes import Hearing
from replayer.user.render import MissingValue
from replayer.user.slots import Answer
from replayer.user.tickers import Tickers

if TYPE_CHECKING:
    from replayer.load.storms import Strike
    from replayer.user.steps import User

GOING_AWAY = 1001
_PLAIN = Framing.PLAIN  # Named once: see ``replayer.user.slots``.
SILENT_NS = 1_000_000_000
"""A server that spoke first in the recording, and does not in so long a life of a socket, is silent."""
_DEAF: Hearing = {}
"""Stays empty: of sockets whose pushes nobody measures."""


class UserSocket:
    """Implements ``websocket.SocketOwner`` for one socket of a user's script.

    Attributes:
        connection: the present one, None where there is none.
        stated: SEND steps by which the server was told what a storm would make it forget; in order, None without any.
    """

    __slots__ = (
        "_closing",
        "_comeback",
        "_connect",
        "_greeted_ns",
        "_has_said_farewell",
        "_hearing",
        "_inbox",
        "_number",
        "_opened_ns",
        "_restoration",
        "_run",
        "_silenced",
        "_tickers",
        "_timed_out",
        "_tokens",
        "_user",
        "_waiting",
        "connection",
        "stated",
    )

    def __init__(self, user: User, run: Run, number: int) -> None:
        self._user = user
        self._run = run
        self._number = number
        self._inbox: Inbox = user.script.inboxes[number]
        self._tickers: Tickers | None = None
        self._hearing: Hearing = _DEAF
        self._opened_ns = 0  # Since when pushes are measured; 0 while they are not.
        self._greeted_ns = 0  # Since when the server's first message is awaited; 0 when it came, or is not.
        self._connect: tuple[int, int, int] | None = None  # step, intended, actual
        self._closing: tuple[int, int, int] | None = None
        self._timed_out = False
        self._has_said_farewell = False
        self._waiting = Waiting(run, self._late)
        storms = run.storms
        self._restoration = storms.restorations(user.script)[number] if storms is not None else None
        self._tokens = self._restoration.tokens if self._restoration is not None else {}
        self._comeback: Comeback | None = None
        self._silenced: SocketConnection | None = None
        self.connection: SocketConnection | None = None
        self.stated: dict[int, None] | None = None

    @property
    def number(self) -> int:
        """Of the socket in its script."""
        return self._number

    @property
    def user_number(self) -> int:
        """Whose TLS sessions its connection may resume."""
        return self._user.number

    def is_open(self) -> bool:
        """Tell whether messages can be sent, or will be when the socket has come back."""
        return self._comeback is not None or (self.connection is not None and self.connection.is_open())

    # What the user's steps do.

    def open(self, step: Step, intended_ns: int) -> None:
        """Begin the handshake of a CONNECT step.

        Raises:
            MissingValue: a slot of its target or headers has no value.
        """
        self._connect = (step.index, intended_ns, self._run.port.now_ns())
        self.stated = None
        self._has_said_farewell = False
        self.begin_handshake(step)

    def begin_handshake(self, step: Step) -> None:
        """Begin the handshake of a CONNECT step, for whomever.

        Raises:
            MissingValue: a slot of its target or headers has no value.
        """
        user, request = self._user, step.request
        handshake = user.script.handshakes[step.index]
        assert request is not None and handshake is not None
        target = handshake.target.render(user.memory.values)
        headers = [(name, value.render(user.memory.values)) for name, value in handshake.headers]
        self.connection = self._run.port.open_socket(
            self,
            step.origin,
            target,
            [(name, value) for name, value in headers if value],
            tuple(each.render(user.memory.values).decode("latin-1") for each in handshake.subprotocols)
            or request.subprotocols,
            offers_deflate=request.offers_deflate,
        )

    def send(self, step: Step, data: bytes, intended_ns: int) -> None:
        """Send the message of a SEND step; its reply, where it has one, is due from here on."""
        now_ns = self._run.port.now_ns()
        if not self._run.port.may_send(now_ns):
            return
        if step.reply >= 0:
            self._waiting.add(self.reply_due(step, data, intended_ns, now_ns))
        self.write(data, is_text=step.is_text)
        if step.index in self._user.script.farewells:
            self._has_said_farewell = True
        if self._restoration is not None and step.message_kind in self._restoration.kinds:
            self.stated = {**(self.stated or {}), step.index: None}

    def reply_due(self, step: Step, data: bytes, intended_ns: int, now_ns: int) -> Awaited:
        """Return what is due when the message ``data`` of a SEND step with a reply goes out."""
        script = self._user.script
        reply, key = script.steps[step.reply], script.reply_keys[step.index]
        if key is None:
            key = reply_key(data, reply.pairing.send_path if reply.pairing else (), self._inbox.framing)
        wait_ns = max(self._run.deadlines.message_ns, script.patience_ns[step.index])
        return Awaited(reply.index, reply.message_kind, key, intended_ns, now_ns, now_ns + wait_ns)

    def write(self, data: bytes, *, is_text: bool) -> None:
        """Send one message over the present connection."""
        assert self.connection is not None
        self.connection.send(data, is_text=is_text)
        self._run.meter.count("messages_out")
        self._run.meter.count("bytes_out", len(data))

    def expect(self, step: Step, intended_ns: int) -> None:
        """Wait for the message of a RECEIVE step that is no reply."""
        wait_ns = max(self._run.deadlines.message_ns, self._user.script.patience_ns[step.index])
        now_ns = self._run.port.now_ns()
        due = Awaited(step.index, step.message_kind, b"", intended_ns, now_ns, now_ns + wait_ns)
        if self._comeback is not None:
            self._comeback.postpone(due)
        else:
            self._waiting.add(due)

    def wait_for(self, due: Awaited) -> None:
        """Wait for a message that was postponed, or for the answer to what was sent again."""
        self._waiting.add(due)

    def is_left(self) -> bool:
        """Tell whether the server ended the socket on the message that said goodbye: a CLOSE step has nothing to do."""
        return self._has_said_farewell and not self.is_open()

    def close(self, step: Step, intended_ns: int) -> None:
        """Begin the close of a CLOSE step; it ends with the server's close, or by deadline."""
        assert self.connection is not None
        now_ns = self._run.port.now_ns()
        self._closing = (step.index, intended_ns, now_ns)
        self._stop_listening(now_ns)
        self._run.port.call_at(now_ns + self._run.deadlines.message_ns, self._expire_close, None)
        self.connection.close(step.close_code)

    def abandon(self) -> None:
        """End the connection because the user is over."""
        self._stop_listening(self._run.port.now_ns())
        if self._comeback is not None:
            self._comeback.cut()
        if self._silenced is not None:
            self._silenced.abort()
        if self.connection is not None:
            self.connection.close(GOING_AWAY)

    def abort(self) -> None:
        """End the connection at once."""
        if self.connection is not None:
            self.connection.abort()

    # Storms.

    def strike(self, strike: Strike, at_ns: int) -> None:
        """Lose the socket to a storm, if it is open, not being closed and not just coming back."""
        connection, storm = self.connection, strike.storm
        if connection is None or not connection.is_open() or self._closing is not None or self._comeback is not None:
            return
        self.connection = None
        noticed_ns = self._run.port.now_ns()
        self._stop_listening(noticed_ns)
        match storm.loss.how:
            case How.RST:
                connection.reset()
            case How.CLOSE:
                connection.close(storm.loss.close_code)
            case _:
                self._silence(connection)
                noticed_ns = at_ns + storm.notice_ns
        self._come_back(strike, lost_ns=at_ns, noticed_ns=noticed_ns)

    def _silence(self, connection: SocketConnection) -> None:
        """Leave the connection half-open for the server to find out; it goes when the user does."""
        if self._silenced is not None:
            self._silenced.abort()
        self._silenced = connection
        connection.silence()

    def _come_back(self, strike: Strike, *, lost_ns: int, noticed_ns: int) -> None:
        self._comeback = Comeback(self, self._user, self._run, strike, lost_ns=lost_ns)
        self._user.socket_struck()
        self._comeback.begin(self._waiting.take_all(), noticed_ns)

    def holds(self, index: int, intended_ns: int) -> bool:
        """Tell whether a SEND or CLOSE step has to wait until the socket is back; it is kept and begun then."""
        if self._comeback is None or self._user.script.steps[index].kind is StepKind.CONNECT:
            return False
        self._comeback.hold(index, intended_ns)
        return True

    def stop_recovering(self) -> None:
        """The run ends: no further attempt."""
        if self._comeback is not None:
            self._comeback.stop()

    def drop(self) -> list[Awaited]:
        """Abort the present connection and tell nobody; return what was awaited over it."""
        connection, self.connection = self.connection, None
        self._stop_listening(self._run.port.now_ns())
        if connection is not None:
            connection.abort()
        return self._waiting.take_all()

    def settled(self) -> None:
        """The comeback is over."""
        self._comeback = None

    def fail_awaited(self, due: Awaited, failure: str, end_ns: int) -> None:
        """A message that was due when its socket ended: after our own close it was never answered, at its limit."""
        if self._closing is not None:
            self._user.fail(due.step, failures.TIMEOUT_MESSAGE, due.intended_ns, due.actual_ns, due.deadline_ns)
        else:
            self._user.fail(due.step, failure, due.intended_ns, due.actual_ns, end_ns)

    # What the wire tells.

    def socket_opened(self, connection: SocketConnection, end_ns: int) -> None:
        if self._user.is_over or self._connect is None or connection is not self.connection:
            connection.close(GOING_AWAY)
            return
        if self._inbox.measures_pushes:
            self._hearing, self._opened_ns = {}, end_ns
        if self._user.script.tickers[self._number]:
            self._tickers = Tickers(self._user, self._run, self._number, connection)
        if self._comeback is not None:
            self._comeback.opened(connection.set_cookies, end_ns)
            return
        greeting = self._inbox.greeting
        if greeting is not None:
            self._greeted_ns = end_ns
            greeting.measure.planned += 1
        step, intended_ns, actual_ns = self._connect
        request = self._user.script.steps[step].request
        if request is not None and request.offers_deflate and not connection.is_deflated:
            self._run.meter.count("deflate_refused")
        self._user.take_handshake(step, connection.set_cookies, intended_ns, actual_ns, end_ns)
        self._user.finish(step, end_ns)

    def socket_refused(self, connection: SocketConnection, failure: str, status: int, end_ns: int) -> None:
        if connection is not self.connection:
            return
        self.connection = None
        if self._user.is_over or self._connect is None:
            return
        if self._comeback is not None:
            self._comeback.refused(failure, status, end_ns)
            return
        step, intended_ns, actual_ns = self._connect
        self._user.fail(step, failure, intended_ns, actual_ns, end_ns, status=status)

    def message_received(self, connection: SocketConnection, data: bytes, end_ns: int, *, is_text: bool) -> None:
        meter, n_bytes, inbox = self._run.meter, len(data), self._inbox
        meter.messages_in += 1
        meter.bytes_in += n_bytes
        if self._user.is_over or connection is not self.connection:
            return
        if self._greeted_ns:
            self._take_greeting(end_ns)
        answer: Answer | None = None
        if inbox.search is not None:
            found = inbox.search(data, 0, SEARCHED_BYTES)
            facts = inbox.facts.get(found[1] if found else b"")
        else:
            answer = Answer((), (), lambda: data, inbox.framing)
            facts = inbox.facts.get(self._opened_kind(answer))
        if facts is None:
            self._take_stranger(data, answer)
            return
        if facts.push is not None and self._opened_ns:
            facts.push.take(self._hearing, data, end_ns)
        if self._tickers is not None:
            self._tickers.received(facts.kind, data, end_ns)
        queue = self._waiting.queue(facts.kind)
        if queue or facts.responders or facts.kind in self._tokens:
            answer = answer or Answer((), (), lambda: data, inbox.framing)
            self._look_into(facts, data, answer, end_ns)
        measure = facts.recorder.measure
        measure.planned += 1
        measure.bytes_in += n_bytes
        mismatch = "" if facts.min_bytes <= n_bytes <= facts.max_bytes else SIZE
        if not mismatch and facts.inspection is not None:
            budget = self._run.budget
            if budget.left_ns > 0:
                answer = answer or Answer((), (), lambda: data, inbox.framing)
                mismatch = budget.check(measure, facts.inspection, answer)
            else:
                measure.eligible += 1
        if mismatch:
            measure.mismatches[mismatch] = measure.mismatches.get(mismatch, 0) + 1
        else:
            measure.ok += 1

    def _take_greeting(self, end_ns: int) -> None:
        assert self._inbox.greeting is not None
        self._inbox.greeting.ok(self._greeted_ns, self._greeted_ns, end_ns, 0)
        self._greeted_ns = 0

    def _take_stranger(self, data: bytes, answer: Answer | None) -> None:
        """Count a message of a kind never recorded: new is not wrong, unless it tells of an error or is cut."""
        inbox = self._inbox
        measure = inbox.strangers.measure
        measure.planned += 1
        measure.bytes_in += len(data)
        mismatch = ""
        if inbox.framing is Framing.PLAIN and data[:1] in (b"{", b"["):
            answer = answer or Answer((), (), lambda: data, inbox.framing)
            mismatch = self._run.budget.check(measure, STRANGER, answer)
        elif answer is not None and inbox.framing is not Framing.PLAIN and is_document(answer):
            mismatch = self._run.budget.check(measure, STRANGER, answer)
        if mismatch:
            measure.mismatches[mismatch] = measure.mismatches.get(mismatch, 0) + 1
        else:
            measure.ok += 1

    def socket_closed(self, connection: SocketConnection, code: int, end_ns: int) -> None:
        if connection is not self.connection:
            return
        self.connection = None
        self._stop_listening(end_ns)
        if self._user.is_over:
            return
        failure = connection.failure or failures.close_failure(code)
        if self._comeback is not None:
            self._comeback.ended(failure, self._waiting.take_all(), end_ns)
            return
        is_due = self._has_said_farewell or self._user.script.script.sockets[self._number].closed_by_server
        is_lost = self._closing is None and not is_due
        hook = self._run.storms.hook if self._run.storms is not None else None
        if is_lost and self._user.refresher is not None:
            self._user.refresher.take_close(self._user.script.script.sockets[self._number].connect, code, end_ns)
        if is_lost and hook is not None:
            self._come_back(hook, lost_ns=end_ns, noticed_ns=end_ns)
        else:
            self._end(failure, end_ns, is_lost=is_lost)

    def _end(self, failure: str, end_ns: int, *, is_lost: bool) -> None:
        user = self._user
        if is_lost:
            user.socket_lost(self._number, failure, end_ns)
        for due in self._waiting.take_all():
            self.fail_awaited(due, failure, end_ns)
            if user.is_over:
                return
        if self._closing is not None:
            step, intended_ns, actual_ns = self._closing
            if self._timed_out:
                user.fail(step, failures.TIMEOUT_CLOSE, intended_ns, actual_ns, end_ns)
            else:
                user.take_close(step, intended_ns, actual_ns, end_ns)
                user.finish(step, end_ns)

    # Messages.

    def _opened_kind(self, answer: Answer) -> bytes:
        place = self._user.script.script.sockets[self._number].discriminator
        if not place:
            return b""
        try:
            return kind_of(answer.json(), place)
        except ValueError:
            return b""

    def _look_into(self, facts: MessageFacts, data: bytes, answer: Answer, end_ns: int) -> None:
        """Answer, read and pair a message that somebody may be interested in."""
        for each in facts.responders:
            self._respond(each, answer)
        if facts.kind in self._tokens:
            self._user.memory.extract(self._tokens[facts.kind], answer)
        queue = self._waiting.queue(facts.kind)
        if queue:
            self._pair(list(queue), facts.kind, data, answer, end_ns)

    def _pair(self, dues: list[Awaited], kind: int, data: bytes, answer: Answer, end_ns: int) -> None:
        is_plain = self._inbox.framing is _PLAIN
        if is_plain and not any(not due.key.isalnum() or due.key in data for due in dues):
            return  # A plain key stands in a message as it is: no need to parse one without it.
        pairing = self._user.script.steps[dues[0].step].pairing
        key = reply_key(data, pairing.reply_path, self._inbox.framing) if pairing else b""
        for due in dues:
            if due.key == key:
                queue = self._waiting.queue(kind)
                if queue is not None:
                    queue.remove(due)
                self._take(due, answer, end_ns, len(data))
                return

    def _take(self, due: Awaited, answer: Answer, end_ns: int, n_bytes: int) -> None:
        if due.ends_step:
            self._user.take_message(due.step, answer, due.intended_ns, due.actual_ns, end_ns, n_bytes)
            self._user.finish(due.step, end_ns)
        else:
            self._user.memory.extract(self._user.script.steps[due.step].extractors, answer)
        if due.is_again and self._comeback is not None:
            self._comeback.answered(end_ns)

    def _late(self, due: Awaited, now_ns: int) -> None:
        if self._user.is_over:
            return
        if due.is_again and self._comeback is not None:
            self._comeback.unanswered([due, *self.drop()], now_ns)
        elif due.ends_step:
            self._user.fail(due.step, failures.TIMEOUT_MESSAGE, due.intended_ns, due.actual_ns, now_ns)

    def _expire_close(self, _argument: None, _due_ns: int) -> None:
        if self.connection is not None and not self._user.is_over:
            self._timed_out = True
            self.connection.abort()

    def _respond(self, linked: LinkedResponder, answer: Answer) -> None:
        user = self._user
        try:
            user.memory.extract(linked.responder.extractors, answer)
            user.memory.mint(linked.generated)
            data = linked.payload.render(user.memory.values)
        except MissingValue as exc:
            user.count_miss(exc.slot)
            return
        if self.connection is not None:
            self.write(data, is_text=linked.responder.is_text)

    def _stop_listening(self, now_ns: int) -> None:
        """The connection is over, or about to be: no heartbeats, and what it received is added up."""
        if self._greeted_ns and self._inbox.greeting is not None:
            if now_ns - self._greeted_ns >= SILENT_NS:
                greeted_ns = self._greeted_ns
                self._inbox.greeting.failed(failures.TIMEOUT_MESSAGE, greeted_ns, greeted_ns, now_ns)
            self._greeted_ns = 0
        if self._opened_ns:
            self._run.meter.pushes.end(self._hearing, self._inbox.pushed, self._opened_ns, now_ns)
            self._hearing, self._opened_ns = _DEAF, 0
        if self._tickers is not None:
            self._tickers.stop()
            self._tickers = None
