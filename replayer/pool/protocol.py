"""What controller and workers say to each other: messages and their framing. Pure.

The conversation of one worker::

    controller → ASSIGN   everything the worker needs (``Assignment``), once
    worker     → READY    plan linked, descriptors checked; carries ``pid`` and warnings
    controller → GO       ``t0_ns``: the common start on CLOCK_MONOTONIC; given at most once per worker
    controller → LEASE    every 0.4 s: ``until_ns``; a worker whose lease has run out sends nothing more and ends
    worker     → SLOT     one second-slot, as soon as its second is over
    controller → STOP     start no further step, drain until ``drain_until_ns``, then DONE
    controller → ABORT    close everything at once
    worker     → DONE     the last message; its process ends after it
    worker     → FAILED   our own error, with text; its process ends after it

Messages are msgpack arrays ``[kind, body]``, framed by a 4-byte big-endian length. No pickle crosses this border.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any

import msgpack

LEASE_S = 2.0
"""How long a worker may go on without hearing from its controller (cluster_and_faults: fencing)."""
LEASE_RENEWAL_S = 0.4
MAX_FRAME_BYTES = 1 << 30

_LENGTH = struct.Struct("!I")


class Kind(IntEnum):
    """Kinds of messages."""

    ASSIGN = 1
    READY = 2
    GO = 3
    LEASE = 4
    SLOT = 5
    STOP = 6
    ABORT = 7
    DONE = 8
    FAILED = 9


def encode(kind: Kind, body: Any = None) -> bytes:
    """Return one framed message; ``body`` is anything msgpack can hold."""
    payload: bytes = msgpack.packb([int(kind), body], use_bin_type=True)
    return _LENGTH.pack(len(payload)) + payload


class FrameBuffer:
    """Cuts a byte stream into messages: feed it what arrived, in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[Kind, Any]]:
        """Return the messages that ``data`` completed, in order.

        Raises:
            ValueError: a frame is longer than ``MAX_FRAME_BYTES`` or is not a message.
        """
        self._buffer += data
        messages: list[tuple[Kind, Any]] = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME_BYTES:
                raise ValueError(f"frame of {length} bytes")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            kind, body = msgpack.unpackb(bytes(self._buffer[_LENGTH.size : end]), strict_map_key=False)
            del self._buffer[:end]
            messages.append((Kind(kind), body))
        return messages
