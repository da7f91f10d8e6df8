"""Which cookies a session's responses set and which the browser brought along. Pure.

Cookies that a response set come from the virtual user's jar. The others are consumers like headers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from captures.bodies import header
from captures.leaves import cookie_leaves
from captures.records import Exchange
from replayer.plan.records import RouteKind
from replayer.plan.routes import is_unsafe
from replayer.plan.selection import Track


class CookieLog:
    """The Set-Cookie headers of one session.

    Attributes:
        names: of all cookies that some response set.
    """

    def __init__(self, track: Track) -> None:
        self.names: set[str] = set()
        self._first_ns: dict[str, int] = {}
        self._setters: dict[str, list[tuple[int, int]]] = {}
        for at_ns, position, exchange in sorted(_answered(track.exchanges), key=lambda row: row[:2]):
            for name in _names_set(exchange):
                is_first = name not in self.names
                self.names.add(name)
                self._first_ns.setdefault(name, exchange.response_start_ns or at_ns)
                if is_first or is_unsafe(exchange, None) or track.kinds[position] is RouteKind.DOCUMENT:
                    self._setters.setdefault(name, []).append((at_ns, position))

    def setters(self, exchange: Exchange) -> Iterator[int]:
        """Yield the positions of the exchanges whose cookies a request carries, one per cookie.

        Subtle: many servers set a cookie anew with every answer. Only a page, a write and the first answer count, or
        every request would wait for whatever happened to be answered before.
        """
        for name in cookie_names(exchange):
            setters = self._setters.get(name, [])
            found = bisect_right(setters, (exchange.start_ns, 1 << 62)) - 1
            if found >= 0:
                yield setters[found][1]

    def is_from_jar(self, name: str) -> bool:
        """Tell whether a virtual user has the cookie in its jar."""
        return name in self.names

    def is_brought(self, name: str, at_ns: int) -> bool:
        """Tell whether the browser had a cookie before any recorded response set it."""
        return at_ns < self._first_ns.get(name, 1 << 62)


def cookie_names(exchange: Exchange) -> Iterator[str]:
    """Yield the names of the cookies that a request carries."""
    value = header(exchange.request_headers, b"cookie")
    if value is not None:
        yield from (str(leaf.path[0]) for leaf in cookie_leaves(value))


def _answered(exchanges: Sequence[Exchange]) -> Iterator[tuple[int, int, Exchange]]:
    for position, exchange in enumerate(exchanges):
        at_ns = exchange.socket.open_ns if exchange.socket is not None else exchange.end_ns
        if at_ns is not None:
            yield at_ns, position, exchange


def _names_set(exchange: Exchange) -> Iterator[str]:
    for name, value in exchange.response_headers:
        if name.lower() == b"set-cookie":
            yield value.partition(b"=")[0].strip().decode("latin-1")
