"""WebSocket frames: their numbers, those of a client as bytes, and close codes. Pure.

Source: RFC 6455 §5 and §7.4.
"""

from __future__ import annotations

import struct

try:
    from websockets.speedups import apply_mask
except ImportError:  # A build of websockets without its C extension.
    from websockets.utils import apply_mask

CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Hard cap of one message, after inflation, where ``--max-message`` says nothing else."""

FIN = 0x80
RSV1 = 0x40
RSV2_OR_3 = 0x30

NO_STATUS = 1005
"""RFC 6455 §7.4.1: the close frame had no code."""
ABNORMAL_CLOSURE = 1006
"""RFC 6455 §7.4.1: the connection ended without a close frame."""
PROTOCOL_ERROR = 1002
INVALID_DATA = 1007
MESSAGE_TOO_BIG = 1009

_MASKED = 0x80
_CODE = struct.Struct("!H")
_HEADER_16 = struct.Struct("!BBH")
_HEADER_64 = struct.Struct("!BBQ")


class Breach(Exception):
    """The peer did what the protocol forbids; ``code`` is the close code that tells it so (RFC 6455 §7.4.1)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason} ({self.code})"


def check_utf8(data: bytes) -> None:
    """Raise Breach where ``data`` is no UTF-8 (RFC 6455 §8.1)."""
    try:
        data.decode()
    except UnicodeDecodeError:
        raise Breach(INVALID_DATA, "text that is no UTF-8") from None


def client_frame(head: int, payload: bytes, key: bytes) -> bytes:
    """Return one masked frame (RFC 6455 §5.2, §5.3).

    Args:
        head: the first byte: FIN, RSV1 and opcode.
        key: the masking key, 4 bytes.
    """
    length = len(payload)
    if length < 126:
        return bytes((head, _MASKED | length)) + key + apply_mask(payload, key)
    if length < 65536:
        return _HEADER_16.pack(head, _MASKED | 126, length) + key + apply_mask(payload, key)
    return _HEADER_64.pack(head, _MASKED | 127, length) + key + apply_mask(payload, key)


def message_head(*, is_text: bool, is_deflated: bool) -> int:
    """Return the first byte of an unfragmented message."""
    return FIN | (RSV1 if is_deflated else 0) | (TEXT if is_text else BINARY)


def control_head(opcode: int) -> int:
    """Return the first byte of a control frame."""
    return FIN | opcode


def may_be_sent(code: int) -> bool:
    """Tell whether a close code may stand in a frame (RFC 6455 §7.4, IANA's registry up to 1014)."""
    return 1000 <= code <= 1014 and code not in (1004, NO_STATUS, ABNORMAL_CLOSURE) or 3000 <= code < 5000


def close_code(payload: bytes) -> int:
    """Return the code of a close frame's payload, 1005 where it has none.

    Raises:
        Breach: half a code, one that may not be sent, or a reason that is no UTF-8.
    """
    if not payload:
        return NO_STATUS
    if len(payload) == 1:
        raise Breach(PROTOCOL_ERROR, "half a close code")
    code: int = _CODE.unpack_from(payload)[0]
    if not may_be_sent(code):
        raise Breach(PROTOCOL_ERROR, f"close code {code}, which may not be sent")
    check_utf8(payload[2:])
    return code


def close_payload(code: int) -> bytes:
    """Return the payload of a close frame; a code that may not be sent is left out, which the peer reads as 1005."""
    return _CODE.pack(code) if may_be_sent(code) else b""
