"""Which bodies pass through chunk by chunk instead of being held until they are complete; pure.

A held body delays the page: a server-sent event stream or a long poll would hang (mitmproxy issue 4469). So a body is
held only where its length is known and small.
"""

from __future__ import annotations

HELD_LIMIT_BYTES = 1 << 20
"""Bodies of a known length up to this are held and recorded as one piece."""

_STREAMING_TYPES = ("text/event-stream", "application/grpc", "multipart/x-mixed-replace")
_BODILESS = frozenset({204, 304})


def is_streamed_request(content_type: str, content_length: str) -> bool:
    """Tell whether a request's body is passed on as it comes; a length that is not given counts as small."""
    return content_type.lower().startswith("application/grpc") or _is_large(content_length)


def is_streamed_response(method: str, status: int, content_type: str, content_length: str) -> bool:
    """Tell whether a response's body is passed on as it comes."""
    if method == "HEAD" or status < 200 or status in _BODILESS:
        return False
    is_streaming_type = content_type.lower().startswith(_STREAMING_TYPES)
    return is_streaming_type or not content_length or _is_large(content_length)


def _is_large(content_length: str) -> bool:
    stripped = content_length.strip()
    return stripped.isascii() and stripped.isdigit() and int(stripped[:19]) > HELD_LIMIT_BYTES
