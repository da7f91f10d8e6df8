"""Notices: what a hook saw, on its way from the proxy's process to the writer's.

A notice is ``[kind, monotonic_ns, wall_ns, fields]``: two clock readings of the hook, and fields by name, listed at
each kind. ``at_s`` is the proxy's own wall-clock stamp in float seconds, or None. Notices travel in frames: 4 bytes of
length (big endian), then one msgpack array of notices. Knows neither mitmproxy nor the capture format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, cast

import msgpack

Notice = Sequence[Any]

_LENGTH = struct.Struct(">I")
_ARRAY32 = struct.Struct(">BI")
_ARRAY32_TAG = 0xDD


class Kind(IntEnum):
    """Kinds of notices and the names of their fields."""

    START = 1
    """facts, max_body_bytes, redaction (is_on, policy, key_file), rotation (size in bytes, age in ns; 0: none),
    by_identity: the first notice; its clock readings are the capture's anchor."""
    CONNECTED = 2
    """connection_id, listener (port), peer (``host:port``)."""
    DISCONNECTED = 3
    """connection_id."""
    REQUEST = 4
    """flow_id, at_s, browser (connection id, TLS version, ALPN, proxy user), method, origin (scheme, host, port),
    target, http_version, headers."""
    REQUEST_CHUNK = 5
    """flow_id, data."""
    REQUEST_DONE = 6
    """flow_id, at_s, data (None where chunks went before)."""
    RESPONSE = 7
    """flow_id, at_s, status, reason, http_version, headers, connect (at_s of the upstream connect's start and end)."""
    RESPONSE_CHUNK = 8
    """flow_id, data."""
    RESPONSE_DONE = 9
    """flow_id, at_s, data (None where chunks went before), is_upgrade (a WebSocket follows)."""
    SOCKET = 10
    """flow_id, extensions, subprotocol."""
    MESSAGE = 11
    """flow_id, at_s, sender, opcode, data, is_dropped."""
    CONTROL = 12
    """flow_id, line (of the proxy's log)."""
    SOCKET_DONE = 13
    """flow_id, at_s, sender (None where unknown), code, reason."""
    BROKEN = 14
    """flow_id, at_s, message."""
    LEFT_OUT = 15
    """origin (text)."""
    CA_REFUSED = 16
    """host."""
    CONNECT_FAILED = 17
    """address (``host:port``), message."""
    LOST = 18
    """flow_id (or empty), n_notices, n_bytes."""
    HOOK_FAILED = 19
    """hook, message."""
    STOP = 20
    """No fields: the proxy stops in good order."""
    TLS_FAILED = 21
    """host, message: a client's handshake failed for another reason than the CA."""


class NoticePacker:
    """Encodes notices one by one, in the thread of the hooks; characters that UTF-8 cannot hold become question marks.

    Subtle: one packer is kept, for msgpack's own buffer of a megabyte costs more than a notice does.
    """

    def __init__(self) -> None:
        self._pack = msgpack.Packer(unicode_errors="replace").pack

    def pack(self, notice: Notice) -> bytes:
        """One notice, as a frame holds it."""
        return cast("bytes", self._pack(notice))


def frame_head(packed: Sequence[bytes]) -> bytes:
    """What stands before packed notices so that together they are one frame: its length, and an array's beginning."""
    length = _ARRAY32.size + sum(map(len, packed))
    return _LENGTH.pack(length) + _ARRAY32.pack(_ARRAY32_TAG, len(packed))


def to_frame(notices: Sequence[Notice]) -> bytes:
    """Encode notices as one frame."""
    packed = list(map(NoticePacker().pack, notices))
    return frame_head(packed) + b"".join(packed)


class FrameBuffer:
    """Cuts a byte stream into frames; holds the incomplete rest."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[list[Notice]]:
        """Take bytes as they came; yield the notices of each frame that is complete, in order."""
        self._held += data
        while len(self._held) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._held)[0]
            if len(self._held) < end:
                return
            payload = bytes(memoryview(self._held)[_LENGTH.size : end])
            del self._held[:end]
            yield msgpack.unpackb(payload, strict_map_key=False)
