"""What of a recorded request belongs to the application, and what to its connection or its browser's cache. Pure."""

from __future__ import annotations

from captures.bodies import BodyError, decoded_body, header
from captures.records import Exchange, Headers

MAX_DECODED_BYTES = 16 * 1024 * 1024
"""Bodies that decode to more are not looked into."""

# Made anew by the wire, or of one hop only. Source: RFC 9110 §7.6.1, RFC 9113 §8.2.2, RFC 6455 §4.1, RFC 9218 §5.
_OF_THE_CONNECTION = frozenset(
    {
        b"alt-used",
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"priority",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# They ask whether the recorded browser's cache is still good; a virtual user has none. ``If-Match`` guards a write and
# stays. Source: RFC 9110 §13.1, §13.1.5.
_OF_THE_CACHE = frozenset({b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since"})


def is_dropped(name: bytes) -> bool:
    """Tell whether a header, by its lower-case name, is left out of templates."""
    return name in _OF_THE_CONNECTION or name in _OF_THE_CACHE or name.startswith((b":", b"proxy-", b"sec-websocket-"))


def kept_headers(headers: Headers) -> list[int]:
    """Return the positions of the headers that belong into a template, those named by ``Connection`` left out."""
    named = {
        token.strip().lower() for name, value in headers if name.lower() == b"connection" for token in value.split(b",")
    }
    return [
        number for number, (name, _) in enumerate(headers) if not is_dropped(name.lower()) and name.lower() not in named
    ]


def is_conditional(headers: Headers) -> bool:
    """Tell whether the browser asked only for what its cache did not have."""
    return any(name.lower() in _OF_THE_CACHE for name, _ in headers)


def is_upgrade(exchange: Exchange) -> bool:
    """Tell whether a request asks for a WebSocket (RFC 6455 §4.1)."""
    return (header(exchange.request_headers, b"upgrade") or b"").lower() == b"websocket"


def is_preflight(exchange: Exchange) -> bool:
    """Tell whether a request is a CORS preflight."""
    asked = header(exchange.request_headers, b"access-control-request-method")
    return exchange.method == "OPTIONS" and asked is not None


def decoded_response(exchange: Exchange) -> bytes:
    """Return the decoded body of a response, b"" where it cannot be decoded."""
    try:
        return decoded_body(exchange.response_headers, exchange.response_body.data, MAX_DECODED_BYTES)
    except BodyError:
        return b""
