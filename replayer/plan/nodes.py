"""From a session's exchanges and messages to nodes: what will be a step, when, and what is left out. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urljoin

from captures.bodies import header, media_type
from captures.records import Exchange, Peer, Socket
from replayer.plan.dependencies import Node
from replayer.plan.pairing import Paired, ResponderRule
from replayer.plan.reading import Reading
from replayer.plan.records import RouteKind, StepKind
from replayer.plan.requests import is_preflight, is_upgrade
from replayer.plan.values import EventRef

LONG_POLL_NS = 10_000_000_000
"""Answers that took longer were waited for on purpose. Source: measurement.md §2.2, last paragraph."""
_LONG_POLL_MAX_BYTES = 1_000_000
CLOSE_MESSAGE = 1 << 40
"""Stands for the position of a CLOSE among a socket's messages: after all of them."""
_GOING_AWAY = 1001
# Codes that are never sent (RFC 6455 §7.4.1): 1004, 1005, 1006, 1015.
_SENDABLE = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})
_AT_THE_END_NS = 1_000_000_000
"""What ended within a second of its session was ended by it: the closing browser, or the export of the file."""


@dataclass(slots=True, kw_only=True)
class Nodes:
    """The nodes of one session, in order.

    Attributes:
        close_codes: of CLOSE nodes, by position of the handshake.
        last_ns: when the last thing of the session happened.
        notes: what was left out and why.
    """

    nodes: list[Node] = field(default_factory=list)
    close_codes: dict[int, int] = field(default_factory=dict)
    last_ns: int = 0
    notes: list[str] = field(default_factory=list)


def nodes_of(
    reading: Reading,
    *,
    routes: Sequence[int],
    responders: dict[int, dict[int, ResponderRule]],
    replies: dict[int, list[Paired]],
    awaited: set[EventRef],
) -> Nodes:
    """Return the nodes of a session.

    Args:
        routes: by position of the exchange.
        responders, replies: by position of the handshake.
        awaited: received messages whose values are used.
    """
    out = Nodes()
    exchanges = reading.track.exchanges
    out.last_ns = max(_last_ns(exchange) for exchange in exchanges)
    for position, exchange in enumerate(exchanges):
        if exchange.socket is not None:
            out.nodes.append(_connect(exchange, exchange.socket, position, routes[position]))
            out.nodes += _message_nodes(
                reading, position, responders.get(position, {}), replies.get(position, []), awaited
            )
            close = _close(exchange.socket, position, routes[position], out)
            if close is not None:
                out.nodes.append(close)
        elif is_upgrade(exchange):
            status = exchange.status if exchange.status is not None else "none"
            out.notes.append(f"left out: {exchange.target} asked for a WebSocket and was refused (status {status})")
        else:
            out.nodes.append(_request(exchange, position, routes[position], reading.track.kinds[position]))
            out.notes += _unusual(exchange)
            if exchange.response_body.is_cut and reading.track.kinds[position] is not RouteKind.ASSET:
                out.notes.append(_cut(exchange))
    out.nodes.sort(key=lambda node: (node.at_ns, _order_at_once(node), node.event))
    return out


def _order_at_once(node: Node) -> int:
    """Of what happened at one instant, what arrived comes before what was sent."""
    return 0 if node.kind is StepKind.RECEIVE else 1


def _last_ns(exchange: Exchange) -> int:
    times = [exchange.request_end_ns, exchange.end_ns or 0]
    if exchange.socket is not None:
        times += [exchange.socket.close_ns or 0, *(message.t_ns for message in exchange.socket.messages[-1:])]
    return max(times)


def _url(exchange: Exchange) -> str:
    return f"{exchange.origin}{exchange.target}"


def _request(exchange: Exchange, position: int, route: int, kind: RouteKind) -> Node:
    headers = exchange.request_headers
    location = header(exchange.response_headers, b"location") if 300 <= (exchange.status or 0) < 400 else None
    asked = header(headers, b"access-control-request-method") if is_preflight(exchange) else None
    return Node(
        event=(position, -1),
        kind=StepKind.REQUEST,
        at_ns=exchange.start_ns,
        end_ns=exchange.end_ns if exchange.status is not None else None,
        group=route,
        method=exchange.method,
        url=_url(exchange),
        referer=(header(headers, b"referer") or b"").decode("latin-1"),
        redirect=urljoin(_url(exchange), location.decode("latin-1")).partition("#")[0] if location else "",
        preflight=asked.decode("latin-1") if asked else "",
        is_asset=kind is RouteKind.ASSET,
        is_document=kind is RouteKind.DOCUMENT,
    )


def _connect(exchange: Exchange, socket: Socket, position: int, route: int) -> Node:
    return Node(
        event=(position, -1),
        kind=StepKind.CONNECT,
        at_ns=exchange.start_ns,
        end_ns=max(socket.open_ns, exchange.start_ns),
        group=route,
        method="GET",
        url=_url(exchange),
        socket=position,
    )


def _message_nodes(
    reading: Reading,
    position: int,
    responders: dict[int, ResponderRule],
    replies: Sequence[Paired],
    awaited: set[EventRef],
) -> Iterator[Node]:
    log = reading.logs[position]
    socket = reading.track.exchanges[position].socket
    answers = {paired.received: paired.sent for paired in replies}
    t_ns = socket.open_ns if socket is not None else 0
    for entry in log.entries:
        t_ns = max(t_ns + 1, entry.t_ns)
        event = (position, entry.position)
        if entry.is_sent:
            if entry.kind in responders:
                continue
            kind, reply_to = StepKind.SEND, None
        elif entry.position in answers:
            kind, reply_to = StepKind.RECEIVE, (position, answers[entry.position])
        elif event in awaited:
            kind, reply_to = StepKind.RECEIVE, None
        else:
            continue
        yield Node(
            event=event, kind=kind, at_ns=t_ns, end_ns=t_ns, group=entry.kind, socket=position, reply_to=reply_to
        )


def _close(socket: Socket, position: int, route: int, out: Nodes) -> Node | None:
    """Return the close from our side: the client's, or that of the end of the recording."""
    if socket.closed_by is Peer.SERVER:
        return None
    code = socket.close_code if socket.close_code in _SENDABLE else None
    if socket.close_ns is None:
        out.notes.append("a socket was open when the recording stopped; it is closed at its end with 1001")
        code = _GOING_AWAY
    elif code is None:
        code = 1000 if socket.close_code == 1005 else _GOING_AWAY
    out.close_codes[position] = code
    at_ns = max(socket.close_ns if socket.close_ns is not None else out.last_ns, _last_message_ns(socket))
    return Node(
        event=(position, CLOSE_MESSAGE),
        kind=StepKind.CLOSE,
        at_ns=at_ns,
        end_ns=at_ns,
        group=route,
        socket=position,
    )


def _last_message_ns(socket: Socket) -> int:
    """Messages are moved apart by at most one nanosecond each."""
    last_ns = max((message.t_ns for message in socket.messages), default=socket.open_ns)
    return max(last_ns, socket.open_ns) + len(socket.messages) + 1


def is_kept_open(exchange: Exchange, last_ns: int) -> bool:
    """Tell whether an answer streamed or was waited for on purpose, or the page gave up waiting for it.

    Args:
        last_ns: when the last thing of the session happened.
    """
    if media_type(exchange.response_headers) == "text/event-stream":
        # A stream that its server ended while the session went on is an answer like any other: its end is due. One
        # that the page left goes on for as long as it did then.
        is_left = exchange.ended_by is Peer.CLIENT or bool(exchange.error)
        return exchange.end_ns is None or is_left or last_ns - exchange.end_ns < _AT_THE_END_NS
    if exchange.error:
        return is_given_up(exchange)
    took_ns = (exchange.end_ns if exchange.end_ns is not None else last_ns) - exchange.request_end_ns
    return took_ns > LONG_POLL_NS and exchange.response_body.size_bytes < _LONG_POLL_MAX_BYTES


def is_given_up(exchange: Exchange) -> bool:
    """Tell whether it was the page that ended an exchange: a navigation, an abort, a closed tab."""
    error = exchange.error.lower()
    return any(word in error for word in ("client", "peer closed", "cancel", "abort"))


def _cut(exchange: Exchange) -> str:
    body = exchange.response_body
    kept = body.kept_bytes or len(body.data)
    what = f"{exchange.method} {exchange.path}"
    return f"{what}: of its answer {kept} of {body.size_bytes} bytes were recorded; no values are taken from the rest"


def _unusual(exchange: Exchange) -> Iterator[str]:
    what = f"{exchange.method} {exchange.path}"
    if exchange.status is None:
        how = f"ended with: {exchange.error}" if exchange.error else "was still open when the recording stopped"
        yield f"{what} was never answered ({how}); it is sent, and nothing is expected of the answer"
    elif exchange.end_ns is None:
        yield f"{what} was still being answered when the recording stopped; its body is not checked"
    if exchange.request_body.is_cut:
        body = exchange.request_body
        yield f"{what}: of its body {len(body.data)} of {body.size_bytes} bytes were recorded; only these are sent"
