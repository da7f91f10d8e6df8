"""The closed taxonomy of what can go wrong between us and the target. Pure; users and wires both speak it.

Every failure of a run is one of these classes; ``unknown`` would be a bug, so there is none. A class says what the
user of the target would have met, not which library raised what. ``status_<code>`` and ``ws_close_<code>`` are made
by the functions below; mismatches are no failures and have kinds of their own (``replayer.user.checks``).
"""

from __future__ import annotations

DNS = "dns"
CONNECT_REFUSED = "connect_refused"
CONNECT_TIMEOUT = "connect_timeout"
"""Nobody accepted in time: the packets were lost, or the accept queue was full."""
CONNECT_UNREACHABLE = "connect_unreachable"
PROXY_REFUSED = "proxy_refused"
"""The proxy answered CONNECT with something else than 2xx."""
TLS_EXPIRED = "tls_expired"
TLS_WRONG_HOST = "tls_wrong_host"
TLS_UNKNOWN_CA = "tls_unknown_ca"
TLS_CERTIFICATE = "tls_certificate"
"""The target's certificate has another flaw: revoked, made for another purpose, with too weak a key."""
TLS_CLIENT_CERTIFICATE = "tls_client_certificate"
"""The target wants a certificate of ours, or another one than ``--cert`` gave."""
TLS_ALPN = "tls_alpn"
"""The target does not speak the HTTP version that the run is to use."""
TLS_PROTOCOL = "tls_protocol"
"""No common version or cipher, or what came was no TLS."""
RESET = "reset"
EOF = "eof"
TIMEOUT_PROXY = "timeout_proxy"
TIMEOUT_TLS = "timeout_tls"
"""Accepted, but the handshake did not end in time."""
TIMEOUT_UPGRADE = "timeout_upgrade"
"""Connected, but no answer to the WebSocket handshake in time."""
TIMEOUT_REQUEST = "timeout_request"
TIMEOUT_MESSAGE = "timeout_message"
TIMEOUT_CLOSE = "timeout_close"
SEND_OVERFLOW = "send_overflow"
"""The server does not read: what was written to a WebSocket waits unsent beyond the limit, as a browser's full buffer
(HTML: "flag the WebSocket as full")."""
PROTOCOL = "protocol"
TOO_LARGE = "too_large"
RATE_LIMITED = "rate_limited"
LOCAL_RESOURCE = "local_resource"
"""Ours, not the target's: descriptors, ports or memory of this machine ran out."""

TIMEOUTS = frozenset(
    {
        CONNECT_TIMEOUT,
        TIMEOUT_PROXY,
        TIMEOUT_TLS,
        TIMEOUT_UPGRADE,
        TIMEOUT_REQUEST,
        TIMEOUT_MESSAGE,
        TIMEOUT_CLOSE,
    }
)
"""Classes that enter the latency series, at their limit (measurement.md §1.2)."""

FIXED = TIMEOUTS | {
    DNS,
    CONNECT_REFUSED,
    CONNECT_UNREACHABLE,
    PROXY_REFUSED,
    TLS_EXPIRED,
    TLS_WRONG_HOST,
    TLS_UNKNOWN_CA,
    TLS_CERTIFICATE,
    TLS_CLIENT_CERTIFICATE,
    TLS_ALPN,
    TLS_PROTOCOL,
    RESET,
    EOF,
    SEND_OVERFLOW,
    PROTOCOL,
    TOO_LARGE,
    RATE_LIMITED,
    LOCAL_RESOURCE,
}
"""Every class whose name holds no number."""


def status_failure(status: int) -> str:
    """Return the class of an answer with a status that the recording did not have there, 400 or above."""
    return RATE_LIMITED if status == 429 else f"status_{status}"


def close_failure(code: int) -> str:
    """Return the class of a WebSocket that the server ended with ``code`` although the recording went on."""
    return f"ws_close_{code}"


def is_known(failure: str) -> bool:
    """Tell whether a class belongs to the taxonomy."""
    prefix, _, number = failure.rpartition("_")
    return failure in FIXED or (prefix in ("status", "ws_close") and number.isdecimal())
