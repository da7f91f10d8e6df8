"""Takes the secrets out of a stream of events, before they are written.

Theory of operation. Events go in as they happened and come out redacted, nearly all at once. Bodies are held until they
are whole (``held``), so that a secret across the border of two pieces is found; event streams go on line by line.
Encoded bodies are decoded, and stay so: the field ``encoding`` of their events says what was undone. ``size_bytes``
stays that of the wire; ``kept_bytes`` tells how much of it is there. The hash of a body that held a secret is replaced
by a keyed one, for a hash tells a short secret to whoever tries them all.

What became known as secret is replaced wherever it comes again. What had gone by in clear before that is counted
(``n_late``); ``files`` goes over the file again then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from captures.records import Event, EventType, Opcode, Peer
from captures.redact.binary import BinaryRedactor, is_packed
from captures.redact.bodies import BodyRedactor, changed, made_event
from captures.redact.censor import Censor, Finding
from captures.redact.headers import HeaderRedactor
from captures.redact.held import HeldBody, OpenExchange, is_text, without_open_end
from captures.redact.policy import Policy
from captures.redact.prose import Prose
from captures.redact.pseudonyms import Pseudonyms
from captures.redact.structure import Structure

_SWITCHING = 101
NOTE = "redaction"
"""Name of the note at a capture's end: replaced values by class, and the input columns."""


class Redactor:
    """Redacts the events of one capture, in their order.

    Args:
        key: 32 bytes.
        trusts_marks: leave stand-ins of an earlier redaction: for files.
        watch: told of every value that is replaced.

    Attributes:
        policy: the rules.
        censor: what is known and was counted.
    """

    def __init__(
        self,
        policy: Policy,
        key: bytes,
        *,
        trusts_marks: bool = False,
        watch: Callable[[Finding], None] | None = None,
    ) -> None:
        self.pseudonyms = Pseudonyms(key)
        self.censor = Censor(policy, self.pseudonyms, trusts_marks=trusts_marks, watch=watch)
        self.policy = policy
        self._prose = Prose(self.censor)
        self._structure = Structure(self.censor, self._prose)
        self._headers = HeaderRedactor(self.censor, self._prose, self._structure)
        self._binary = BinaryRedactor(self._prose, self._structure)
        self._bodies = BodyRedactor(self.censor, self._structure, self._binary)
        self._open: dict[int, OpenExchange] = {}

    def facts(self, facts: dict[str, object]) -> dict[str, object]:
        """Return a capture's facts without secrets, and with what is to be known of the redaction."""
        key_id = self.pseudonyms.key_id
        told = {"policy": self.policy.name, "policy_hash": self.policy.digest, "key_id": key_id}
        self.censor.place = "the header of the capture"
        url = facts.get("url")
        redacted = {"url": self._text(url, is_url=True)} if isinstance(url, str) else {}
        return {**facts, **redacted, "redaction": told}

    def redact(self, event: Event) -> Iterator[Event]:
        """Yield what is to be written for an event: itself, nothing yet, or also what waited for it."""
        step = _STEPS.get(event.type)
        if step is None:
            yield event
            return
        try:
            yield from step(self, event, cast("dict[str, Any]", event.fields))
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as exc:
            # What cannot be redacted is not written: a fault of ours must cost a recording an event, never a secret.
            value = f"{event.type.name.lower()}: {type(exc).__name__}"
            yield made_event(
                EventType.NOTE, event.t_ns, event.connection, event.exchange, {"name": "not_redacted", "value": value}
            )

    def finish(self) -> Iterator[Event]:
        """Yield what still waits: bodies that never ended."""
        for number, exchange in self._open.items():
            for event_type, body in _sides(exchange):
                yield from self._bodies.flush(event_type, number, exchange, body, is_cut=True)
        self._open.clear()

    def summary(self) -> dict[str, object]:
        """Return what was replaced, for the note at the end: counts by class, columns."""
        return {"counts": dict(sorted(self.censor.counts.items())), "columns": list(self.censor.columns)}

    @property
    def n_late(self) -> int:
        """Values that had been passed on in clear before they were known as secret."""
        return self.censor.known.n_late

    def forget(self) -> None:
        """Forget the key and all values."""
        self.pseudonyms.forget()
        self.censor.known.forget()

    # Heads.

    def _request_head(self, event: Event, fields: dict[str, Any]) -> Iterator[Event]:
        self._look_at(f"{fields['method']} {fields['target'].partition('?')[0]} request", is_sent=True)
        target = self._structure.url(fields["target"].encode("latin-1", "replace")).decode("latin-1")
        exchange = self._open[event.exchange] = OpenExchange(
            event.connection, f"{fields['method']} {target.partition('?')[0]}"
        )
        self.censor.place = f"{exchange.place} request"
        exchange.request.expect(fields["headers"])
        yield changed(event, target=target, headers=self._headers.redacted(fields["headers"]))

    def _response_head(self, event: Event, fields: dict[str, Any]) -> Iterator[Event]:
        exchange = self._exchange(event)
        self._look_at(f"{exchange.place} response", is_sent=False)
        exchange.is_socket = fields["status"] == _SWITCHING
        exchange.response.expect(fields["headers"])
        reason = self._text(fields["reason"])
        yield changed(event, reason=reason, headers=self._headers.redacted(fields["headers"]))

    def _exchange(self, event: Event) -> OpenExchange:
        return self._open.get(event.exchange) or self._open.setdefault(
            event.exchange, OpenExchange(event.connection, "?")
        )

    def _look_at(self, place: str, *, is_sent: bool) -> None:
        self.censor.place, self.censor.is_sent = place, is_sent

    def _body(self, event: Event, _fields: dict[str, Any]) -> Iterator[Event]:
        yield from self._bodies.take(event, self._exchange(event))

    def _end(self, event: Event, _fields: dict[str, Any]) -> Iterator[Event]:
        exchange = self._exchange(event)
        yield from self._bodies.end(event, exchange)
        # Subtle: the answer to a streamed request may end before the request does.
        if exchange.request.has_ended and exchange.response.has_ended and not exchange.is_socket:
            del self._open[event.exchange]

    # Sockets and the rest.

    def _socket(self, event: Event, fields: dict[str, Any]) -> Iterator[Event]:
        self._look_at(f"{self._exchange(event).place} socket", is_sent=False)
        yield changed(event, subprotocol=self._headers.protocols(fields["subprotocol"]))

    def _message(self, event: Event, fields: dict[str, Any]) -> Iterator[Event]:
        is_sent = fields["sender"] == Peer.CLIENT
        self._look_at(f"{self._exchange(event).place} message {'sent' if is_sent else 'received'}", is_sent=is_sent)
        data: bytes = fields["data"]
        if fields["opcode"] == Opcode.TEXT or (data and not is_packed(data) and is_text(b"", data)):
            whole = without_open_end(data) if len(data) < (fields.get("size_bytes") or 0) else data
            yield changed(event, data=self._structure.message(whole))
        else:
            yield changed(event, data=self._binary.redacted(data))

    def _control(self, event: Event, fields: dict[str, Any]) -> Iterator[Event]:
        self._look_at(f"{self._exchange(event).place} ping", is_sent=fields["sender"] == Peer.CLIENT)
        yield changed(event, data=self._prose.binary(fields["data"]))

    def _socket_close(self, event: Event, fields: dict[str, Any]) -> Iterator[Event]:
        self._look_at(f"{self._exchange(event).place} close", is_sent=fields["sender"] == Peer.CLIENT)
        yield changed(event, reason=self._text(fields["reason"]))
        self._open.pop(event.exchange, None)

    def _error(self, event: Event, fields: dict[str, Any]) -> Iterator[Event]:
        exchange = self._exchange(event)
        for event_type, body in _sides(exchange):
            yield from self._bodies.flush(event_type, event.exchange, exchange, body, is_cut=True)
        self._look_at(f"{exchange.place} error", is_sent=False)
        yield changed(event, message=self._text(fields["message"]))
        del self._open[event.exchange]

    def _note(self, event: Event, fields: dict[str, Any]) -> Iterator[Event]:
        self._look_at("note", is_sent=False)
        yield event if fields["name"] == NOTE else changed(event, value=self._plain(fields["value"]))

    def _connection(self, event: Event, fields: dict[str, Any]) -> Iterator[Event]:
        self._look_at("connection", is_sent=False)
        peer = fields["peer"]
        if isinstance(peer, str) and peer:
            ((_, value),) = self._headers.redacted(((b"x-forwarded-for", peer.rpartition(":")[0].encode()),)) or (
                (b"", b""),
            )
            peer = f"{value.decode('latin-1')}:{peer.rpartition(':')[2]}"
        yield changed(event, peer=peer)

    def _plain(self, value: object) -> object:
        match value:
            case str():
                return self._text(value)
            case list() | tuple():
                return [self._plain(item) for item in value]
            case dict():
                return {key: self._plain(item) for key, item in value.items()}
        return value

    def _text(self, text: str, *, is_url: bool = False) -> str:
        raw = text.encode("utf-8", "surrogateescape")
        new = self._structure.url(raw) if is_url else self._prose.redacted(raw)
        return text if new == raw else new.decode("utf-8", "surrogateescape")


def _sides(exchange: OpenExchange) -> Iterator[tuple[EventType, HeldBody]]:
    yield EventType.REQUEST_BODY, exchange.request
    yield EventType.RESPONSE_BODY, exchange.response


_STEPS: dict[EventType, Callable[[Redactor, Event, dict[str, Any]], Iterator[Event]]] = {
    EventType.CONNECTION_OPEN: Redactor._connection,
    EventType.REQUEST_HEAD: Redactor._request_head,
    EventType.REQUEST_BODY: Redactor._body,
    EventType.REQUEST_END: Redactor._end,
    EventType.RESPONSE_HEAD: Redactor._response_head,
    EventType.RESPONSE_BODY: Redactor._body,
    EventType.RESPONSE_END: Redactor._end,
    EventType.SOCKET_OPEN: Redactor._socket,
    EventType.MESSAGE: Redactor._message,
    EventType.CONTROL: Redactor._control,
    EventType.SOCKET_CLOSE: Redactor._socket_close,
    EventType.ERROR: Redactor._error,
    EventType.NOTE: Redactor._note,
}
"""What is done with each kind of event; the others hold nothing of anybody's."""
