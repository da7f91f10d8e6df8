"""The closed taxonomy of what can go wrong between us and the target. Pure.

Every failure of a run is one of these classes; ``unknown`` would be a bug, so there is none. A class says what the
user of the target would have met, not which library raised what.
"""

from __future__ import annotations

DNS = "dns"
CONNECT_REFUSED = "connect_refused"
CONNECT_TIMEOUT = "connect_timeout"
CONNECT_UNREACHABLE = "connect_unreachable"
TLS_EXPIRED = "tls_expired"
TLS_WRONG_HOST = "tls_wrong_host"
TLS_UNKNOWN_CA = "tls_unknown_ca"
TLS_PROTOCOL = "tls_protocol"
RESET = "reset"
EOF = "eof"
TIMEOUT_REQUEST = "timeout_request"
TIMEOUT_MESSAGE = "timeout_message"
TIMEOUT_CLOSE = "timeout_close"
PROTOCOL = "protocol"
TOO_LARGE = "too_large"
RATE_LIMITED = "rate_limited"
LOCAL_RESOURCE = "local_resource"
"""Ours, not the target's: descriptors, ports or memory of this machine ran out."""

TIMEOUTS = frozenset({CONNECT_TIMEOUT, TIMEOUT_REQUEST, TIMEOUT_MESSAGE, TIMEOUT_CLOSE})
"""Classes that enter the latency series, at their limit (measurement.md §1.2)."""


def status_failure(status: int) -> str:
    """Return the class of an answer with a status that the recording did not have there, 400 or above."""
    return RATE_LIMITED if status == 429 else f"status_{status}"


def close_failure(code: int) -> str:
    """Return the class of a WebSocket that the server ended with ``code`` although the recording went on."""
    return f"ws_close_{code}"
