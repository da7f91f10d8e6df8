"""Whose request it is, where a file has no connections: by token, by cookie, by address. Pure."""

from __future__ import annotations

import re

from captures.bodies import header
from captures.records import Headers

RULE = "token, cookie or address"

_TOKEN_BYTES = 12
_MAX_NAMES = 1 << 20
_COOKIE = re.compile(rb"([^=;\s]+)=([^;]*)")

Name = tuple[bytes, bytes]


class People:
    """Tells sessions apart. Requests come in order; a token or cookie once seen stands for one session.

    A request that carries no token known here belongs to whoever was seen at its address (and browser) last, unless it
    carries one of its own and that session has one already; then it begins a session.
    """

    def __init__(self) -> None:
        self._by_name: dict[Name, int] = {}
        self._by_address: dict[bytes, int] = {}
        self._named: set[int] = set()
        self._n_sessions = 0

    def session_of(self, headers: Headers) -> int:
        """The session of a request."""
        names, address = _names(headers), _address(headers)
        session = next((self._by_name[name] for name in names if name in self._by_name), 0)
        if not session:
            near = self._by_address.get(address, 0)
            session = near if near and not (names and near in self._named) else self._new()
        self._learn(session, names)
        self._by_address[address] = session
        return session

    def answered(self, session: int, headers: Headers) -> None:
        """Learn the cookies that a response sets."""
        values = [value for name, value in headers if name.lower() == b"set-cookie"]
        self._learn(session, [name for value in values for name in _cookies(value.partition(b";")[0])])

    def _new(self) -> int:
        self._n_sessions += 1
        return self._n_sessions

    def _learn(self, session: int, names: list[Name]) -> None:
        for name in names:
            if len(self._by_name) < _MAX_NAMES:
                self._by_name[name] = session
                self._named.add(session)


def _names(headers: Headers) -> list[Name]:
    names = [(b"authorization", value) for key, value in headers if key.lower() == b"authorization"]
    for key, value in headers:
        if key.lower() == b"cookie":
            names += _cookies(value)
    return names


def _cookies(value: bytes) -> list[Name]:
    """Cookies whose value is long enough to be nobody else's."""
    return [(match[1], match[2]) for match in _COOKIE.finditer(value) if len(match[2]) >= _TOKEN_BYTES]


def _address(headers: Headers) -> bytes:
    forwarded = header(headers, b"x-real-ip") or (header(headers, b"x-forwarded-for") or b"").partition(b",")[0]
    return forwarded.strip() + b" " + (header(headers, b"user-agent") or b"")
