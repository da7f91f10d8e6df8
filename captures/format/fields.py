"""What each field of an event may hold, and how a value out of a file is checked. Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from captures.format.container import Flaw
from captures.format.values import check_plain
from captures.records import EventType, Opcode, Peer


class Kind(Enum):
    """What a field may hold, and what a reader puts where it is missing (see ``DEFAULTS``)."""

    SCALAR = "null, bool, int, float, text or bytes"
    TEXT = "text"
    BYTES = "bytes"
    INT = "int"
    BOOL = "bool"
    HEADERS = "array of [name, value] pairs of bytes"
    PEER = "1 client, 2 server"
    OPCODE = "1 text, 2 binary, 9 ping, 10 pong"
    CODE = "int or null"
    ANY = "any plain value"


TYPES: dict[Kind, tuple[type, ...]] = {
    Kind.SCALAR: (bool, int, float, str, bytes),
    Kind.TEXT: (str,),
    Kind.BYTES: (bytes,),
    Kind.INT: (int,),
    Kind.BOOL: (bool,),
    Kind.HEADERS: (tuple, list),
    Kind.PEER: (int,),
    Kind.OPCODE: (int,),
    Kind.CODE: (int,),
    Kind.ANY: (bool, int, float, str, bytes, tuple, list, dict),
}
DEFAULTS: dict[Kind, object] = {Kind.TEXT: "", Kind.BYTES: b"", Kind.INT: 0, Kind.BOOL: False, Kind.HEADERS: ()}

# Kinds of the fields of ``records.SCHEMA``, in the same order.
KINDS: dict[EventType, tuple[Kind, ...]] = {
    EventType.CONNECTION_OPEN: (Kind.SCALAR, Kind.SCALAR, Kind.SCALAR, Kind.SCALAR),
    EventType.CONNECTION_CLOSE: (),
    EventType.REQUEST_HEAD: (Kind.TEXT, Kind.TEXT, Kind.TEXT, Kind.INT, Kind.TEXT, Kind.TEXT, Kind.HEADERS),
    EventType.REQUEST_BODY: (Kind.BYTES, Kind.TEXT),
    EventType.REQUEST_END: (Kind.INT, Kind.BYTES, Kind.INT),
    EventType.RESPONSE_HEAD: (Kind.INT, Kind.TEXT, Kind.TEXT, Kind.HEADERS, Kind.INT),
    EventType.RESPONSE_BODY: (Kind.BYTES, Kind.TEXT),
    EventType.RESPONSE_END: (Kind.INT, Kind.BYTES, Kind.INT),
    EventType.SOCKET_OPEN: (Kind.BYTES, Kind.BYTES),
    EventType.MESSAGE: (Kind.PEER, Kind.OPCODE, Kind.BYTES, Kind.INT, Kind.BOOL),
    EventType.CONTROL: (Kind.PEER, Kind.OPCODE, Kind.BYTES),
    EventType.SOCKET_CLOSE: (Kind.PEER, Kind.CODE, Kind.TEXT),
    EventType.ERROR: (Kind.TEXT,),
    EventType.SESSION: (Kind.INT, Kind.TEXT),
    EventType.NOTE: (Kind.TEXT, Kind.ANY),
}

_PEERS = {int(peer): peer for peer in Peer}
_OPCODES = {int(opcode): opcode for opcode in Opcode}


def _headers(value: Any) -> Any:
    for pair in value:
        if type(pair) is not tuple or len(pair) != 2 or type(pair[0]) is not bytes or type(pair[1]) is not bytes:
            raise Flaw("headers that are not pairs of bytes")
    return value


def _peer(value: Any) -> Any:
    if value is not None and value not in _PEERS:
        raise Flaw("a peer that is neither client nor server")
    return _PEERS.get(value)


def _opcode(value: Any) -> Any:
    if value is not None and value not in _OPCODES:
        raise Flaw("an unknown opcode")
    return _OPCODES.get(value)


def _any(value: Any) -> Any:
    try:
        return check_plain(value)
    except (TypeError, ValueError) as exc:
        raise Flaw("a note that is not plain") from exc


ENUMS = frozenset({Kind.PEER, Kind.OPCODE})
"""Kinds whose check does nothing but put a number in words."""
CHECKS: dict[Kind, Callable[[Any], Any]] = {
    Kind.HEADERS: _headers,
    Kind.PEER: _peer,
    Kind.OPCODE: _opcode,
    Kind.ANY: _any,
}
