"""What the TLS connections of one worker share: contexts, because they cost milliseconds, and sessions of users.

A context belongs to what is offered (ALPN is a property of the context); a session belongs to a user, a target and
an offer, because OpenSSL resumes it only in the context that it came from. A browser keys its sessions by the target
alone, so where HTTP and WebSockets offer different protocols, it may resume one more than we do.
"""

from __future__ import annotations

import ssl
from typing import Protocol

from captures.errors import ConfigError
from replayer.reach import Offers, TlsSettings
from replayer.targets import TargetSpec

_SessionKey = tuple[str, int, tuple[str, ...]]


class SessionSource(Protocol):
    """A connection whose handshake was a full one."""

    def session(self) -> ssl.SSLSession | None:
        """Return a copy of what can be resumed, if anything.

        Subtle: a copy costs as much as 100 requests, and 7 KiB, since it holds the server's certificate.
        """


_Kept = dict[_SessionKey, ssl.SSLSession | SessionSource]


class Keeper:
    """Keeps for a user what one connection can be resumed by.

    It is copied when it is asked for or the connection ends, or ``at_once``: what ends sockets ends many together, and
    a storm is no time for copies.
    """

    __slots__ = ("_at_once", "_kept", "_key")

    def __init__(self, kept: _Kept, key: _SessionKey, *, at_once: bool) -> None:
        self._kept = kept
        self._key = key
        self._at_once = at_once

    def opened(self, source: SessionSource) -> None:
        """Take note of a connection that has agreed on a new session."""
        self._kept[self._key] = source
        if self._at_once:
            _copy(self._kept, self._key, source)

    def closed(self, source: SessionSource) -> None:
        """Keep the session of that connection, unless there is a later one or the user is over."""
        if self._kept.get(self._key) is source:
            _copy(self._kept, self._key, source)


def _copy(kept: _Kept, key: _SessionKey, source: SessionSource) -> ssl.SSLSession | None:
    session = source.session()
    if session is None:
        del kept[key]
    else:
        kept[key] = session
    return session


def open_context(settings: TlsSettings, alpn: tuple[str, ...]) -> ssl.SSLContext:
    """Return a client context: it trusts the system's roots and those of ``ca_file``, TLS 1.2 at least.

    Raises:
        OSError: a file cannot be read, or is no PEM file (``ssl.SSLError``).
    """
    context = ssl.create_default_context()
    if settings.ca_file is not None:
        context.load_verify_locations(settings.ca_file)
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file is not None:
        # Subtle: without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(settings.cert_file, settings.key_file, settings.key_password or "")
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def check_files(tls: TlsSettings, *, password_variable: str) -> None:
    """Check the files of a run before a worker trips over them; ``password_variable`` opens an encrypted key.

    Raises:
        ConfigError: one of them cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if tls.ca_file is not None:
            context.load_verify_locations(tls.ca_file)
    except OSError as exc:
        raise ConfigError(f"--ca {tls.ca_file} cannot be used: {exc.strerror or exc}", "name a PEM file") from exc
    try:
        if tls.cert_file is not None:
            context.load_cert_chain(tls.cert_file, tls.key_file, tls.key_password or "")
    except OSError as exc:
        hint = f"name PEM files of a certificate and its key; {password_variable} opens an encrypted one"
        raise ConfigError(f"--cert {tls.cert_file} cannot be used: {exc.strerror or exc}", hint) from exc


class TlsContexts:
    """Contexts by offer, and sessions by user."""

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}
        self._kept: dict[int, _Kept] = {}

    def context(self, offers: Offers) -> ssl.SSLContext:
        """Return the context of an offer, made at the first call."""
        if offers.alpn not in self._contexts:
            self._contexts[offers.alpn] = open_context(self._settings, offers.alpn)
        return self._contexts[offers.alpn]

    def session(self, user: int, target: TargetSpec, offers: Offers) -> ssl.SSLSession | None:
        """Return what a user can resume with a target, if anything."""
        kept, key = self._kept.get(user, {}), _key(target, offers)
        found = kept.get(key)
        return found if found is None or isinstance(found, ssl.SSLSession) else _copy(kept, key, found)

    def keeper(self, user: int, target: TargetSpec, offers: Offers) -> Keeper | None:
        """Return what keeps a new session of a user; None where nobody resumes: ``user`` below 0 is nobody."""
        if user < 0 or not self._settings.resumes:
            return None
        is_socket = offers is Offers.WEBSOCKET
        return Keeper(self._kept.setdefault(user, {}), _key(target, offers), at_once=is_socket)

    def forget(self, user: int) -> None:
        """Drop the sessions of a user that is over; its connections may end later."""
        self._kept.pop(user, {}).clear()


def _key(target: TargetSpec, offers: Offers) -> _SessionKey:
    return target.host, target.port, offers.alpn
