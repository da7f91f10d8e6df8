"""Messages inside of messages: Socket.IO, SockJS, STOMP, Phoenix, SignalR, Jupyter's kernel protocol, MessagePack.

Each framing opens into one JSON-like document, whatever stands on the wire, so that whoever correlates, pairs or checks
messages knows only documents. ``framed_leaves`` gives the leaves of a document with their places in the message as it
was sent, so that templates are cut and secrets replaced without writing a message anew.

Documents of framings that name their messages have a key ``kind``. Knows nothing of who asks. Pure.

Sources: Engine.IO protocol 4, Socket.IO protocol 5, SockJS protocol 0.3.3, STOMP 1.2, Phoenix.Socket.V2 serializer,
SignalR hub protocol (JSON), Jupyter ``v1.kernel.websocket.jupyter.org``, MessagePack specification.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, NamedTuple

from captures.json_bytes import read_json
from captures.leaves import JsonPath, Leaf, json_leaves, looks_like_json
from captures.msgpack_leaves import msgpack_leaves

KIND = "kind"
"""Key of the name that a framing gives its messages."""
JUPYTER_SUBPROTOCOL = b"v1.kernel.websocket.jupyter.org"

# Words, versions, words with a number; a token has more digits, or changes case within a word.
_PROTOCOL_WORD = rb"(?:[A-Za-z]?[a-z]{1,13}\d{0,2}|[A-Z]{1,12}\d{0,2}|\d{1,4})"
_PROTOCOL_NAME = re.compile(_PROTOCOL_WORD + rb"(?:[-._+/]" + _PROTOCOL_WORD + rb"){0,8}")
_RECORD_END = b"\x1e"
_SOCKET_IO = re.compile(rb"4([0-6])(?:(\d+)-)?(?:(/[^,]*),)?(\d*)")
_SOCKET_IO_TYPES = ("connect", "disconnect", "event", "ack", "error", "event", "ack")
_ENGINE_IO = {0x30: "open", 0x31: "close", 0x32: "ping", 0x33: "pong", 0x35: "upgrade", 0x36: "noop"}
_PACKET = re.compile(rb"[0-6][-0-9,/A-Za-z]*[\[{]")
_EIO_QUERY = re.compile(r"[?&]EIO=\d")
_STOMP_COMMAND = re.compile(rb"[A-Z]{3,11}\r?\n")
_STOMP_HEADER = re.compile(rb"([^:\r\n]+):([^\r\n]*)\r?\n")
_STOMP_LENGTH = re.compile(rb"(?<=\n)content-length:\d+\r?\n", re.IGNORECASE)
_STOMP_ID = re.compile(r"(?<=[/.])(?:\d+|[0-9a-fA-F-]{8,})(?=[/.]|$)")
_SIGNALR_TYPES = {1: "invocation", 2: "item", 3: "completion", 4: "stream", 5: "cancel", 6: "ping", 7: "close"}
_PHOENIX_KEYS = ("join_ref", "ref", "topic", KIND, "payload")
_JUPYTER_PARTS = ("channel", "header", "parent_header", "metadata", "content")
_MAX_PARTS = 64
_SAMPLE = 40


class Framing(Enum):
    """What a socket wraps its messages in."""

    PLAIN = "plain"
    """JSON or text, in text or binary frames."""
    SOCKET_IO = "socket.io"
    SOCKJS = "sockjs"
    STOMP = "stomp"
    PHOENIX = "phoenix"
    SIGNALR = "signalr"
    JUPYTER = "jupyter"
    MSGPACK = "msgpack"


class Sample(NamedTuple):
    """A message that a framing is told by."""

    data: bytes
    is_text: bool
    is_sent: bool


def is_protocol_name(value: bytes) -> bool:
    """Tell whether a subprotocol is a name that somebody wrote: ``actioncable-v1-json``, ``graphql-transport-ws``."""
    return _PROTOCOL_NAME.fullmatch(value) is not None


def framing_of(subprotocol: bytes, target: str, messages: Sequence[Sample]) -> Framing:
    """Return the framing of a socket, by its handshake and what was said first.

    Args:
        subprotocol: that the server chose, b"" where none.
        target: path and query of the handshake.
        messages: of both sides, in order; the first are looked at.
    """
    chosen = subprotocol.strip().lower()
    if chosen == JUPYTER_SUBPROTOCOL:
        return Framing.JUPYTER
    if chosen.endswith(b".stomp"):
        return Framing.STOMP
    if _EIO_QUERY.search(target):
        return Framing.SOCKET_IO
    sample = messages[:_SAMPLE]
    texts = [message for message in sample if message.is_text and message.data.strip()]
    return next((framing for framing, is_meant in _TELLS if is_meant(sample, texts)), Framing.PLAIN)


def open_document(framing: Framing, data: bytes) -> Any:
    """Return the document of a message.

    Raises:
        ValueError: the message holds none.
    """
    try:
        return _OPENERS[framing](data)
    except (RecursionError, LookupError, TypeError, struct.error) as exc:
        raise ValueError(f"no {framing.value} message: {exc}") from exc


def framed_leaves(framing: Framing, data: bytes) -> list[Leaf]:
    """Return the leaves of a message's document, with their places in the message.

    Raises:
        ValueError: the message holds no document.
    """
    try:
        return list(_LEAVES[framing](data))
    except (RecursionError, LookupError, TypeError, struct.error) as exc:
        raise ValueError(f"no {framing.value} message: {exc}") from exc


# Telling framings apart.


def _is_sockjs(sample: Sequence[Sample], texts: Sequence[Sample]) -> bool:
    received = [message.data for message in texts if not message.is_sent]
    return bool(received) and received[0] == b"o" and all(data[:1] in b"ohacm" for data in received)


def _is_stomp(sample: Sequence[Sample], texts: Sequence[Sample]) -> bool:
    return bool(texts) and all(_STOMP_COMMAND.match(message.data) and b"\x00" in message.data for message in texts)


def _is_signalr(sample: Sequence[Sample], texts: Sequence[Sample]) -> bool:
    return bool(texts) and all(message.data.endswith(_RECORD_END) for message in texts)


def _is_phoenix(sample: Sequence[Sample], texts: Sequence[Sample]) -> bool:
    return bool(texts) and all(_phoenix_row(message.data) is not None for message in texts)


def _is_msgpack(sample: Sequence[Sample], texts: Sequence[Sample]) -> bool:
    if not sample or texts or all(looks_like_json(message.data) for message in sample):
        return False
    try:
        return all(isinstance(_open_msgpack(message.data), (dict, list)) for message in sample)
    except (ValueError, TypeError):
        return False


_TELLS: tuple[tuple[Framing, Callable[[Sequence[Sample], Sequence[Sample]], bool]], ...] = (
    (Framing.STOMP, _is_stomp),
    (Framing.SOCKJS, _is_sockjs),
    (Framing.SIGNALR, _is_signalr),
    (Framing.PHOENIX, _is_phoenix),
    (Framing.MSGPACK, _is_msgpack),
)


# Plain JSON, which stands in binary frames as well.


def _open_plain(data: bytes) -> Any:
    return read_json(data)


def _plain_leaves(data: bytes) -> Iterable[Leaf]:
    return json_leaves(data) if looks_like_json(data) else ()


def _moved(leaves: Iterable[Leaf], path: JsonPath, offset: int) -> Iterator[Leaf]:
    for leaf in leaves:
        yield leaf._replace(path=(*path, *leaf.path), start=leaf.start + offset, end=leaf.end + offset)


# Socket.IO over Engine.IO: ``42/chat,7["say",{"text":"hi"}]``.


def _open_socket_io(data: bytes) -> dict[str, Any]:
    match = _SOCKET_IO.match(data)
    if match is None:
        kind = _ENGINE_IO[data[0]]
        return {KIND: kind, "data": json.loads(data[1:])} if data[1:2] == b"{" else {KIND: kind}
    name = _SOCKET_IO_TYPES[int(match[1])]
    document: dict[str, Any] = {KIND: name}
    if match[3]:
        document["ns"] = match[3].decode()
    if match[4]:
        document["id"] = int(match[4])
    if data[match.end() :]:
        content = json.loads(data[match.end() :])
        if name == "event":
            document[KIND] = f"event {content[0]}"
            content = content[1:]
        document["data"] = content
    return document


def _socket_io_leaves(data: bytes) -> Iterator[Leaf]:
    match = _SOCKET_IO.match(data)
    if match is None:
        yield from _moved(json_leaves(data[1:]), ("data",), 1) if data[1:2] == b"{" else ()
        return
    if match[4]:
        yield Leaf(("id",), match[4], *match.span(4), is_text=False)
    is_event = _SOCKET_IO_TYPES[int(match[1])] == "event"
    for leaf in _moved(json_leaves(data[match.end() :]), (), match.end()) if data[match.end() :] else ():
        first = leaf.path[0] if leaf.path else None
        if is_event and isinstance(first, int):
            if first > 0:
                yield leaf._replace(path=("data", first - 1, *leaf.path[1:]))
        else:
            yield leaf._replace(path=("data", *leaf.path))


# Engine.IO over long polling: packets in one body of a request or answer, parted by 0x1e.


def is_polling(target: str) -> bool:
    """Tell whether a request is one of Engine.IO's long polling, by its target."""
    return _EIO_QUERY.search(target) is not None


def open_body(data: bytes) -> Any:
    """Return the document of an HTTP body: JSON, or the packets of Engine.IO's long polling by kind and number.

    Worked: ``431[{"id":7}]`` is ``{"ack 1": {"kind": "ack", "id": 1, "data": [{"id": 7}]}}``. Of packets of one name
    the first is there: how many come together is up to the network.

    Raises:
        ValueError: it holds neither.
    """
    try:
        return read_json(data)
    except (ValueError, RecursionError):
        if not _PACKET.match(data):
            raise
    packets: dict[str, Any] = {}
    for _, packet in _records(data):
        try:
            document = _open_socket_io(packet)
        except (ValueError, LookupError, TypeError, RecursionError):
            continue
        packets.setdefault(_packet_name(document), document)
    return packets


def _packet_name(document: dict[str, Any]) -> str:
    return f"{document[KIND]} {document['id']}" if "id" in document else str(document[KIND])


def polling_leaves(data: bytes) -> Iterator[Leaf]:
    """Yield the leaves of the packets in a body of Engine.IO's long polling, as those of messages."""
    for at, packet in _records(data):
        try:
            yield from _moved(_socket_io_leaves(packet), (), at)
        except (ValueError, RecursionError):
            continue


# SockJS: ``a["…"]`` from the server, ``["…"]`` from the client.


def _open_sockjs(data: bytes) -> Any:
    kinds = {b"o": "open", b"h": "heartbeat", b"c": "close"}
    if data[:1] in kinds:
        return {KIND: kinds[data[:1]]}
    inner = [_inside(text) for text in json.loads(data.removeprefix(b"a"))]
    return inner[0] if len(inner) == 1 and isinstance(inner[0], dict) else {KIND: "messages", "data": inner}


def _inside(text: Any) -> Any:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else b""
    if _STOMP_COMMAND.match(raw):
        return _open_stomp(raw)
    try:
        return json.loads(raw)
    except ValueError:
        return text


def _sockjs_leaves(data: bytes) -> Iterator[Leaf]:
    if data[:1] in (b"o", b"h", b"c"):
        return
    offset = 1 if data[:1] == b"a" else 0
    leaves = json_leaves(data[offset:])
    document = _open_sockjs(data)
    is_single = not (isinstance(document, dict) and document.get(KIND) == "messages")
    for leaf in _moved((leaf for leaf in leaves if leaf.is_nested), (), offset):
        yield leaf._replace(path=leaf.path[1:] if is_single else ("data", *leaf.path), is_nested=False)


# STOMP: a command, headers, an empty line, a body that ends with NUL.


def _open_stomp(data: bytes) -> dict[str, Any]:
    command, headers, body_at = _stomp_head(data)
    named = {name: data[start:end].decode("utf-8", "replace") for name, start, end in reversed(headers)}
    destination = _STOMP_ID.sub("{}", named.get("destination", ""))
    document: dict[str, Any] = {KIND: f"{command} {destination}".rstrip(), "headers": named}
    body = data[body_at:].partition(b"\x00")[0]
    if body:
        document["data"] = json.loads(body) if looks_like_json(body) else body.decode("utf-8", "replace")
    return document


def _stomp_head(data: bytes) -> tuple[str, list[tuple[str, int, int]], int]:
    """Return the command, the headers with the places of their values, and where the body begins."""
    command = _STOMP_COMMAND.match(data)
    if command is None:
        raise ValueError("no STOMP frame")
    headers = []
    at = command.end()
    while (match := _STOMP_HEADER.match(data, at)) is not None:
        headers.append((match[1].decode("utf-8", "replace"), *match.span(2)))
        at = match.end()
    end = re.compile(rb"\r?\n").match(data, at)
    return command.group().strip().decode(), headers, end.end() if end else at


def _stomp_leaves(data: bytes) -> Iterator[Leaf]:
    _, headers, body_at = _stomp_head(data)
    for name, start, end in headers:
        yield Leaf(("headers", name), data[start:end], start, end)
    body = data[body_at:].partition(b"\x00")[0]
    if looks_like_json(body):
        yield from _moved(json_leaves(body), ("data",), body_at)


def without_length(data: bytes) -> bytes:
    """Return a STOMP frame without ``content-length``, which a template of another length would make wrong.

    STOMP 1.2, "Header content-length": only bodies that contain NUL need it; those are returned as they are.
    """
    head_end = data.find(b"\n\n")
    if data.count(b"\x00") != 1 or head_end < 0:
        return data
    return _STOMP_LENGTH.sub(b"", data[: head_end + 1]) + data[head_end + 1 :]


# Phoenix: ``[join_ref, ref, topic, event, payload]``.


def _phoenix_row(data: bytes) -> list[Any] | None:
    try:
        row = json.loads(data) if data.lstrip()[:1] == b"[" else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, list) or len(row) != len(_PHOENIX_KEYS):
        return None
    return row if isinstance(row[2], str) and isinstance(row[3], str) else None


def _open_phoenix(data: bytes) -> dict[str, Any]:
    row = _phoenix_row(data)
    if row is None:
        raise ValueError("no Phoenix message")
    return dict(zip(_PHOENIX_KEYS, row, strict=True))


def _phoenix_leaves(data: bytes) -> Iterator[Leaf]:
    _open_phoenix(data)
    for leaf in json_leaves(data):
        first = leaf.path[0]
        if isinstance(first, int):
            yield leaf._replace(path=(_PHOENIX_KEYS[first], *leaf.path[1:]))


# SignalR: JSON records that end with 0x1e; a message may hold several.


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    for record in data.split(_RECORD_END):
        if record.strip():
            yield at, record
        at += len(record) + 1


def _open_signalr(data: bytes) -> dict[str, Any]:
    first, *others = [_signalr_record(record) for _, record in _records(data)]
    return {**first, "more": others} if others else first


def _signalr_record(record: bytes) -> dict[str, Any]:
    document = dict(json.loads(record))
    kind = _SIGNALR_TYPES.get(document.get("type", 0), "handshake")
    target = document.get("target")
    document[KIND] = f"{kind} {target}" if isinstance(target, str) else kind
    return document


def _signalr_leaves(data: bytes) -> Iterator[Leaf]:
    for number, (at, record) in enumerate(_records(data)):
        path: JsonPath = ("more", number - 1) if number else ()
        yield from _moved(json_leaves(record), path, at)


# Jupyter: u64 number of offsets, the offsets, then channel, header, parent header, metadata, content, buffers.


def jupyter_parts(data: bytes) -> list[tuple[int, int]]:
    """Return the places of a kernel message's parts.

    Raises:
        ValueError: it is no such message.
    """
    if len(data) < 8:
        raise ValueError("no kernel message")
    (n_offsets,) = struct.unpack_from("<Q", data)
    if not len(_JUPYTER_PARTS) < n_offsets <= _MAX_PARTS or len(data) < 8 * (n_offsets + 1):
        raise ValueError("no kernel message")
    offsets = struct.unpack_from(f"<{n_offsets}Q", data, 8)
    parts = list(zip(offsets, offsets[1:], strict=False))
    if offsets[0] != 8 * (n_offsets + 1) or any(a > b for a, b in parts) or offsets[-1] > len(data):
        raise ValueError("no kernel message")
    return parts


def jupyter_framed(parts: Sequence[bytes]) -> bytes:
    """Return the kernel message of these parts; the inverse of ``jupyter_parts``."""
    at = 8 * (len(parts) + 2)
    offsets = [at]
    for part in parts:
        at += len(part)
        offsets.append(at)
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(parts)


def _open_jupyter(data: bytes) -> dict[str, Any]:
    if looks_like_json(data):
        document: dict[str, Any] = dict(json.loads(data))
    else:
        texts = [data[start:end] for start, end in jupyter_parts(data)]
        document = {"channel": texts[0].decode()}
        document |= {name: json.loads(text) for name, text in zip(_JUPYTER_PARTS[1:], texts[1:], strict=False)}
    header = document.get("header")
    document[KIND] = str(header.get("msg_type", "")) if isinstance(header, dict) else ""
    return document


def _jupyter_leaves(data: bytes) -> Iterator[Leaf]:
    if looks_like_json(data):
        yield from json_leaves(data)
        return
    for name, (start, end) in zip(_JUPYTER_PARTS, jupyter_parts(data), strict=False):
        if name != "channel":
            yield from _moved(json_leaves(data[start:end]), (name,), start)


# MessagePack.


def _open_msgpack(data: bytes) -> Any:
    """Subtle: imported here, because the records of a plan, and so every command's help, import this module."""
    if looks_like_json(data):
        return read_json(data)
    import msgpack

    return msgpack.unpackb(data, raw=False, strict_map_key=False, object_pairs_hook=_named)


def _named(pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """Return a map whose keys are text, as paths have them: compact protocols number their fields."""
    return {
        key if type(key) is str else key.decode("utf-8", "replace") if type(key) is bytes else str(key): value
        for key, value in pairs
    }


def _msgpack_leaves(data: bytes) -> Iterable[Leaf]:
    return json_leaves(data) if looks_like_json(data) else msgpack_leaves(data)


_OPENERS: dict[Framing, Callable[[bytes], Any]] = {
    Framing.PLAIN: _open_plain,
    Framing.SOCKET_IO: _open_socket_io,
    Framing.SOCKJS: _open_sockjs,
    Framing.STOMP: _open_stomp,
    Framing.PHOENIX: _open_phoenix,
    Framing.SIGNALR: _open_signalr,
    Framing.JUPYTER: _open_jupyter,
    Framing.MSGPACK: _open_msgpack,
}
_LEAVES: dict[Framing, Callable[[bytes], Iterable[Leaf]]] = {
    Framing.PLAIN: _plain_leaves,
    Framing.SOCKET_IO: _socket_io_leaves,
    Framing.SOCKJS: _sockjs_leaves,
    Framing.STOMP: _stomp_leaves,
    Framing.PHOENIX: _phoenix_leaves,
    Framing.SIGNALR: _signalr_leaves,
    Framing.JUPYTER: _jupyter_leaves,
    Framing.MSGPACK: _msgpack_leaves,
}
