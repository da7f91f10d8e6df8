"""The frames of HTTP/2: their numbers, how ours are written, how SETTINGS are read. Pure.

A rendered request (``replayer.user.render_http2``) is one bytes object: the first five bytes of its HEADERS frame
(length, type, flags), the header block, and the body. The stream's number goes between the fifth and the sixth byte
when it is sent, so that a request without a body needs no more than that.

Source: RFC 9113; sections are named where they matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER = Struct(">IBI")
"""Length (24 bits) and type in one number, flags, stream with its reserved bit (§4.1)."""
HEADER_BYTES = 9
ID = Struct(">I")
PAIR = Struct(">II")
_SETTING = Struct(">HI")
_PREFIX = Struct(">IB")

# Types (§6).
DATA = 0
HEADERS = 1
PRIORITY = 2
RST_STREAM = 3
SETTINGS = 4
PUSH_PROMISE = 5
PING = 6
GOAWAY = 7
WINDOW_UPDATE = 8
CONTINUATION = 9

# Flags.
END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITISED = 0x20

# Settings (§6.5.2).
HEADER_TABLE_SIZE = 1
ENABLE_PUSH = 2
MAX_CONCURRENT_STREAMS = 3
INITIAL_WINDOW_SIZE = 4
MAX_FRAME_SIZE = 5
MAX_HEADER_LIST_SIZE = 6

# Error codes (§7).
NO_ERROR = 0
PROTOCOL_ERROR = 1
FLOW_CONTROL_ERROR = 3
STREAM_CLOSED = 5
FRAME_SIZE_ERROR = 6
REFUSED_STREAM = 7
CANCEL = 8
COMPRESSION_ERROR = 9
ENHANCE_YOUR_CALM = 11

MAX_WINDOW = (1 << 31) - 1
DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_BYTES = 16_384
LARGEST_FRAME_BYTES = (1 << 24) - 1
MAX_STREAM = (1 << 31) - 1
BLOCK_PREFIX_BYTES = 5
"""What precedes the header block in a rendered request."""


class Fault(Exception):
    """A connection error (§5.4.1): the code to say goodbye with, the failure class of ``stream`` (0: of nobody more
    than of others), and why."""

    def __init__(self, code: int, text: str, *, failure: str = "", stream: int = 0) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.failure = failure
        self.stream = stream


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a whole frame."""
    return HEADER.pack(len(payload) << 8 | kind, flags, stream) + payload


def settings_frame(values: Mapping[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values.items()))


def request_prefix(block_bytes: int, *, has_body: bool) -> bytes:
    """Return the first five bytes of a rendered request."""
    return _PREFIX.pack(block_bytes << 8 | HEADERS, END_HEADERS if has_body else END_HEADERS | END_STREAM)


def read_settings(payload: bytes) -> dict[int, int]:
    """Return the settings of a frame that is no acknowledgement, unknown ones too; the last of equal ones counts.

    Raises:
        Fault: the frame or a value is not what it may be.
    """
    if len(payload) % _SETTING.size:
        raise Fault(FRAME_SIZE_ERROR, "SETTINGS are cut")
    values = dict(_SETTING.iter_unpack(payload))
    if values.get(ENABLE_PUSH, 0) != 0:
        raise Fault(PROTOCOL_ERROR, "a server enables push")
    if values.get(INITIAL_WINDOW_SIZE, 0) > MAX_WINDOW:
        raise Fault(FLOW_CONTROL_ERROR, "a window is too large")
    if not DEFAULT_FRAME_BYTES <= values.get(MAX_FRAME_SIZE, DEFAULT_FRAME_BYTES) <= LARGEST_FRAME_BYTES:
        raise Fault(PROTOCOL_ERROR, "the largest frame is out of range")
    return values


def unpadded(payload: bytes, flags: int) -> bytes:
    """Return the payload of a DATA or HEADERS frame without padding and priority.

    Raises:
        Fault: the padding is as long as the frame, or longer.
    """
    start, end = 0, len(payload)
    if flags & PADDED:
        if not payload:
            raise Fault(FRAME_SIZE_ERROR, "a padded frame is empty")
        start, end = 1, end - payload[0]
    if flags & PRIORITISED:
        start += 5
    if start > end:
        raise Fault(PROTOCOL_ERROR, "a frame holds more padding than bytes")
    return payload[start:end]
