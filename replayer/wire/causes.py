"""From what a library or the kernel raised to a class of the taxonomy.

Source: errno(3); OpenSSL's X509_V_ERR_* codes (x509_vfy.h); TLS alerts (RFC 8446 §6.2).
"""

from __future__ import annotations

import errno
import socket
import ssl

from replayer import failures
from replayer.wire.proxy import ProxyRefused
from replayer.wire.tls import AlpnRefused

_LOCAL_ERRNOS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EADDRINUSE}
)
_BY_ERRNO = {
    errno.ECONNREFUSED: failures.CONNECT_REFUSED,
    errno.ETIMEDOUT: failures.CONNECT_TIMEOUT,
    errno.ECONNRESET: failures.RESET,
    errno.EPIPE: failures.RESET,
    errno.ECONNABORTED: failures.RESET,
}
_BY_VERIFY_CODE = {
    2: failures.TLS_UNKNOWN_CA,  # unable to get issuer certificate
    9: failures.TLS_EXPIRED,  # not yet valid
    10: failures.TLS_EXPIRED,
    18: failures.TLS_UNKNOWN_CA,  # self-signed
    19: failures.TLS_UNKNOWN_CA,  # self-signed in the chain
    20: failures.TLS_UNKNOWN_CA,  # unable to get the issuer locally
    21: failures.TLS_UNKNOWN_CA,  # unable to verify the first certificate
    62: failures.TLS_WRONG_HOST,
    64: failures.TLS_WRONG_HOST,  # the IP address
}
_ABOUT_OURS = (
    "ALERT_CERTIFICATE_REQUIRED",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNKNOWN_CA",
    "ALERT_ACCESS_DENIED",
)
"""Alerts of the peer about the certificate that we showed, or did not show."""


def classify(exc: BaseException | None) -> str:
    """Return the class of an exception that a connection ended with; None is an orderly end of the stream."""
    if exc is None or isinstance(exc, EOFError | ssl.SSLEOFError):
        return failures.EOF
    if isinstance(exc, ssl.SSLError):
        return _classify_tls(exc)
    if isinstance(exc, socket.gaierror):
        return failures.DNS
    if isinstance(exc, AlpnRefused):
        return failures.TLS_ALPN
    if isinstance(exc, ProxyRefused):
        return failures.PROXY_REFUSED
    if isinstance(exc, TimeoutError) and exc.errno is None:
        return failures.CONNECT_TIMEOUT
    if isinstance(exc, OSError):
        if exc.errno in _LOCAL_ERRNOS:
            return failures.LOCAL_RESOURCE
        return _BY_ERRNO.get(exc.errno or 0, failures.CONNECT_UNREACHABLE)
    return failures.PROTOCOL


def _classify_tls(exc: ssl.SSLError) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return _BY_VERIFY_CODE.get(exc.verify_code, failures.TLS_CERTIFICATE)
    reason = exc.reason or ""
    if "alert no application protocol" in str(exc):  # Python knows no name for this reason and leaves it out.
        return failures.TLS_ALPN
    if reason.endswith(_ABOUT_OURS):
        return failures.TLS_CLIENT_CERTIFICATE
    return failures.TLS_PROTOCOL
