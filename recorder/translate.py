"""Notices of the proxy become events of a capture; pure, and free of mitmproxy.

Theory of operation. Every notice yields its events at once: nothing waits for the end of an exchange, so whatever
happened before a crash is told. Flow and connection ids (uuid texts) become small ints, in order of appearance. A
connection is told with its first exchange, so the browser's unused preconnects leave no trace. Flows still open when
the recording stops are told as such, never finished by invention; an answer that the proxy made up never gets here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from captures.records import Anchor, Event, EventType, Opcode, Peer
from recorder.control_lines import parse_control_line
from recorder.counts import Counts
from recorder.headers import RawHeaders, header_value, recorded_headers
from recorder.identities import Binding
from recorder.meters import BodyMeter
from recorder.notices import Kind, Notice
from recorder.sessions import Sessions
from recorder.timeline import Timeline, connect_after_ns

# How the proxy words it when the browser ends a stream. Source: mitmproxy 11.0.2 and 12.2.3, proxy/layers/http.
_CLIENT_LEFT = ("client disconnected", "peer closed connection", "stream reset by client")


class Ending(Enum):
    """How a recording ended, as the capture's ``ending`` note says it."""

    COMPLETE = "complete"
    INTERRUPTED = "interrupted"


class _Flow:
    """What is remembered of a flow while it is open."""

    __slots__ = (
        "connection",
        "exchange",
        "is_asked",
        "is_event_stream",
        "is_socket",
        "request",
        "request_end_s",
        "response",
    )

    def __init__(self, exchange: int, connection: int, max_body_bytes: int) -> None:
        self.exchange = exchange
        self.connection = connection
        self.request = BodyMeter(max_body_bytes)
        self.response = BodyMeter(max_body_bytes)
        self.request_end_s: float | None = None
        self.is_asked = False
        self.is_event_stream = False
        self.is_socket = False


class Translator:
    """Turns notices into events; one per recording.

    Args:
        anchor: time zero; event times are int nanoseconds since then.
        max_body_bytes: bytes kept of each body and message, at least 0; size and hash are always of the whole.
        by_identity: tell people on one port apart, instead of taking each port for a session.
    """

    def __init__(self, anchor: Anchor, *, max_body_bytes: int, by_identity: bool = False) -> None:
        self.counts = Counts()
        self.left_out: Counter[str] = Counter()
        self.has_stopped = False
        self._timeline = Timeline(anchor)
        self._max_body_bytes = max_body_bytes
        self._flows: dict[str, _Flow] = {}
        self._connections: dict[str, int] = {}
        self._unused: dict[str, tuple[int, int, str]] = {}
        self._came_by: dict[int, tuple[int, str, str]] = {}
        self._sessions = Sessions(by_identity=by_identity)
        self._seq = 0

    def translate(self, notice: Notice) -> Iterator[Event]:
        """Yield the events that one notice stands for."""
        kind, monotonic_ns, wall_ns, fields = notice
        self._timeline.move(monotonic_ns, wall_ns)
        yield from _STEPS[kind](self, **fields)

    def finish(self, ending: Ending) -> Iterator[Event]:
        """Yield the last events: what is still open, what was left out or lost, and how the recording ended."""
        self.counts.n_open = len(self._flows)
        for flow in self._flows.values():
            yield self._told(
                flow, EventType.NOTE, None, name="open_at_stop", value="socket" if flow.is_socket else "exchange"
            )
        for origin, count in sorted(self.left_out.items()):
            yield self._note("left_out_origin", [origin, count])
        if self.counts.n_lost:
            yield self._note("lost_notices", self.counts.n_lost)
        yield self._note("ending", ending.value)

    # Events

    def _told(self, flow: _Flow, event_type: EventType, at_s: float | None, /, **fields: object) -> Event:
        return self._event(event_type, self._timeline.time_of(at_s), flow.connection, flow.exchange, fields)

    def _note(self, name: str, value: object) -> Event:
        return self._event(EventType.NOTE, self._timeline.now_ns, 0, 0, {"name": name, "value": value})

    def _event(
        self, event_type: EventType, t_ns: int, connection: int, exchange: int, fields: dict[str, object]
    ) -> Event:
        self._seq += 1
        return Event(type=event_type, seq=self._seq, t_ns=t_ns, connection=connection, exchange=exchange, fields=fields)

    # Connections

    def _connected(self, *, connection_id: str, listener: int, peer: str) -> Iterator[Event]:
        self._unused[connection_id] = (self._timeline.now_ns, listener, peer)
        yield from ()

    def _disconnected(self, *, connection_id: str) -> Iterator[Event]:
        self._unused.pop(connection_id, None)
        if connection := self._connections.pop(connection_id, 0):
            self._sessions.left(connection)
            del self._came_by[connection]
            yield self._event(EventType.CONNECTION_CLOSE, self._timeline.now_ns, connection, 0, {})

    def _first_use(self, connection_id: str, tls: str, alpn: str, user: str) -> Iterator[Event]:
        now_ns = self._timeline.now_ns
        t_ns, listener, peer = self._unused.pop(connection_id, (now_ns, 0, ""))
        self.counts.n_connections += 1
        connection = self._connections[connection_id] = self.counts.n_connections
        fields: dict[str, object] = {"listener": listener, "peer": peer, "tls": tls, "alpn": alpn}
        yield self._event(EventType.CONNECTION_OPEN, t_ns, connection, 0, fields)
        self._came_by[connection] = (listener, peer, user)

    def _bound(self, bindings: list[Binding]) -> Iterator[Event]:
        self.counts.n_sessions = self._sessions.n_sessions
        for binding in bindings:
            fields: dict[str, object] = {"session": binding.session, "rule": binding.rule}
            now_ns = self._timeline.now_ns
            yield self._event(EventType.SESSION, now_ns, binding.connection, binding.exchange, fields)

    # Exchanges

    def _request(
        self,
        *,
        flow_id: str,
        at_s: float | None,
        browser: Sequence[str],
        method: str,
        origin: Sequence[Any],
        target: bytes,
        http_version: str,
        headers: RawHeaders,
    ) -> Iterator[Event]:
        connection_id = browser[0]
        if connection_id not in self._connections:
            yield from self._first_use(*browser)
        self.counts.n_exchanges += 1
        flow = _Flow(self.counts.n_exchanges, self._connections[connection_id], self._max_body_bytes)
        self._flows[flow_id] = flow
        scheme, host, port = origin
        came_by = self._came_by[flow.connection]
        bindings = self._sessions.asked(
            flow.connection,
            flow.exchange,
            came_by=came_by,
            scheme=scheme,
            host=host,
            target=target,
            headers=headers,
        )
        yield from self._bound(bindings)
        yield self._told(
            flow,
            EventType.REQUEST_HEAD,
            at_s,
            method=method,
            scheme=scheme,
            host=host.lower(),
            port=port,
            # Subtle: latin-1 keeps every byte of a target apart, UTF-8 would not.
            target=target.decode("latin-1"),
            http_version=http_version,
            headers=recorded_headers(headers, http_version),
        )

    def _request_chunk(self, *, flow_id: str, data: bytes) -> Iterator[Event]:
        if flow := self._flows.get(flow_id):
            yield from self._body(flow, EventType.REQUEST_BODY, flow.request, None, data)

    def _request_done(self, *, flow_id: str, at_s: float | None, data: bytes | None) -> Iterator[Event]:
        if not (flow := self._flows.get(flow_id)):
            return
        flow.is_asked = True
        flow.request_end_s = at_s
        yield from self._body(flow, EventType.REQUEST_BODY, flow.request, at_s, data or b"")
        yield self._end(flow, EventType.REQUEST_END, flow.request, at_s)

    def _response(
        self,
        *,
        flow_id: str,
        at_s: float | None,
        status: int,
        reason: str,
        http_version: str,
        headers: RawHeaders,
        connect: Sequence[float | None],
    ) -> Iterator[Event]:
        if not (flow := self._flows.get(flow_id)):
            return
        self._sessions.answered(flow.exchange, headers)
        flow.is_event_stream = header_value(headers, b"content-type").lower().startswith(b"text/event-stream")
        yield self._told(
            flow,
            EventType.RESPONSE_HEAD,
            at_s,
            status=status,
            reason=reason,
            http_version=http_version,
            headers=recorded_headers(headers, "HTTP/1.1"),
            connect_ns=connect_after_ns(flow.request_end_s, *connect),
        )

    def _response_chunk(self, *, flow_id: str, data: bytes) -> Iterator[Event]:
        if flow := self._flows.get(flow_id):
            self._sessions.answer_came(flow.exchange, data)
            yield from self._body(flow, EventType.RESPONSE_BODY, flow.response, None, data)

    def _response_done(
        self, *, flow_id: str, at_s: float | None, data: bytes | None, is_upgrade: bool
    ) -> Iterator[Event]:
        if not (flow := self._flows.get(flow_id)):
            return
        flow.is_socket = is_upgrade
        self._sessions.answer_came(flow.exchange, data or b"")
        self._sessions.answer_ended(flow.exchange)
        if not is_upgrade:
            self._forget(flow_id)
        yield from self._body(flow, EventType.RESPONSE_BODY, flow.response, at_s, data or b"")
        yield self._end(flow, EventType.RESPONSE_END, flow.response, at_s)

    def _body(
        self, flow: _Flow, event_type: EventType, meter: BodyMeter, at_s: float | None, data: bytes
    ) -> Iterator[Event]:
        self.counts.n_body_bytes += len(data)
        if kept := meter.take(data):
            yield self._told(flow, event_type, at_s, data=kept)

    def _end(self, flow: _Flow, event_type: EventType, meter: BodyMeter, at_s: float | None) -> Event:
        return self._told(flow, event_type, at_s, size_bytes=meter.size_bytes, hash=meter.digest())

    def _broken(self, *, flow_id: str, at_s: float | None, message: str) -> Iterator[Event]:
        if not (flow := self._forget(flow_id)):
            return
        if flow.is_event_stream and message.lower().startswith(_CLIENT_LEFT):
            # A page ends an event stream by leaving it: that is how such streams end, not an error.
            yield self._told(flow, EventType.NOTE, at_s, name="closed_by", value="client")
            yield self._end(flow, EventType.RESPONSE_END, flow.response, at_s)
        else:
            self.counts.n_errors += 1
            yield self._told(flow, EventType.ERROR, at_s, message=message)

    def _forget(self, flow_id: str) -> _Flow | None:
        flow = self._flows.pop(flow_id, None)
        if flow is not None:
            self._sessions.ended(flow.exchange)
        return flow

    # Sockets

    def _socket(self, *, flow_id: str, extensions: bytes, subprotocol: bytes) -> Iterator[Event]:
        if flow := self._flows.get(flow_id):
            self.counts.n_sockets += 1
            yield self._told(flow, EventType.SOCKET_OPEN, None, extensions=extensions, subprotocol=subprotocol)

    def _message(
        self, *, flow_id: str, at_s: float | None, sender: int, opcode: int, data: bytes, is_dropped: bool
    ) -> Iterator[Event]:
        if flow := self._flows.get(flow_id):
            if sender == Peer.CLIENT:
                yield from self._bound(self._sessions.said(flow.exchange, data))
            self.counts.n_messages += 1
            self.counts.n_body_bytes += len(data)
            yield self._told(
                flow,
                EventType.MESSAGE,
                at_s,
                sender=Peer(sender),
                opcode=Opcode(opcode),
                data=data[: self._max_body_bytes],
                size_bytes=len(data),
                dropped=is_dropped,
            )

    def _control(self, *, flow_id: str, line: str) -> Iterator[Event]:
        flow, control = self._flows.get(flow_id), parse_control_line(line)
        if flow and control:
            yield self._told(
                flow, EventType.CONTROL, None, sender=control.sender, opcode=control.opcode, data=control.data
            )

    def _socket_done(
        self, *, flow_id: str, at_s: float | None, sender: int | None, code: int | None, reason: str
    ) -> Iterator[Event]:
        if flow := self._forget(flow_id):
            closed_by = None if sender is None else Peer(sender)
            yield self._told(flow, EventType.SOCKET_CLOSE, at_s, sender=closed_by, code=code, reason=reason)

    # What is not traffic

    def _left_out(self, *, origin: str) -> Iterator[Event]:
        self.left_out[origin] += 1
        yield from ()

    def _ca_refused(self, *, host: str) -> Iterator[Event]:
        self.counts.n_ca_refused += 1
        yield self._note("ca_refused", host)

    def _tls_failed(self, *, host: str, message: str) -> Iterator[Event]:
        self.counts.n_tls_failed += 1
        yield self._note("tls_failed", [host, message])

    def _connect_failed(self, *, address: str, message: str) -> Iterator[Event]:
        self.counts.n_connect_failed += 1
        yield self._note("connect_failed", [address, message])

    def _lost(self, *, flow_id: str, n_notices: int, n_bytes: int) -> Iterator[Event]:
        self.counts.n_lost += n_notices
        if flow := self._flows.get(flow_id):
            meter = flow.response if flow.is_asked else flow.request
            meter.skip(n_bytes)
            yield self._told(flow, EventType.NOTE, None, name="lost", value=[n_notices, n_bytes])

    def _hook_failed(self, *, hook: str, message: str) -> Iterator[Event]:
        self.counts.n_lost += 1
        yield self._note("hook_failed", [hook, message])

    def _stop(self) -> Iterator[Event]:
        self.has_stopped = True
        yield from ()


_STEPS: Mapping[int, Callable[..., Iterator[Event]]] = {
    Kind.CONNECTED: Translator._connected,
    Kind.DISCONNECTED: Translator._disconnected,
    Kind.REQUEST: Translator._request,
    Kind.REQUEST_CHUNK: Translator._request_chunk,
    Kind.REQUEST_DONE: Translator._request_done,
    Kind.RESPONSE: Translator._response,
    Kind.RESPONSE_CHUNK: Translator._response_chunk,
    Kind.RESPONSE_DONE: Translator._response_done,
    Kind.SOCKET: Translator._socket,
    Kind.MESSAGE: Translator._message,
    Kind.CONTROL: Translator._control,
    Kind.SOCKET_DONE: Translator._socket_done,
    Kind.BROKEN: Translator._broken,
    Kind.LEFT_OUT: Translator._left_out,
    Kind.CA_REFUSED: Translator._ca_refused,
    Kind.CONNECT_FAILED: Translator._connect_failed,
    Kind.LOST: Translator._lost,
    Kind.HOOK_FAILED: Translator._hook_failed,
    Kind.STOP: Translator._stop,
    Kind.TLS_FAILED: Translator._tls_failed,
}
