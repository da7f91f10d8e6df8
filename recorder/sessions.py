"""Which session each connection belongs to: its port's, or that of the person who asks; pure.

By port, where each port has one browser: certain, and bound with the first request. By identity, where a port serves
whoever comes: see ``recorder.identities``.
"""

from __future__ import annotations

from captures.bodies import BodyError, decoded_body
from captures.records import Headers
from recorder.evidence import evidence_of, quoted_values, set_cookies
from recorder.headers import RawHeaders, header_value
from recorder.identities import Binding, Identities
from recorder.persons import Place, Rule

MAX_READ_BYTES = 256 << 10
"""Part of a JSON body, as it travels and decoded, that is searched for tokens."""
MAX_READ_MESSAGES = 4
"""A socket's client says early who it is, or never."""


class _Open:
    """An exchange that is not over."""

    __slots__ = ("headers", "n_said", "place", "site", "text")

    def __init__(self, place: Place, site: str) -> None:
        self.place = place
        self.site = site
        self.headers: Headers = ()
        self.text: bytearray | None = None
        self.n_said = 0


class Sessions:
    """Binds connections to sessions; told of requests, answers and messages as they come.

    Args:
        by_identity: tell people on one port apart; else each port, and each user that the proxy knows, is a session.
    """

    def __init__(self, *, by_identity: bool) -> None:
        self._by_identity = by_identity
        self._identities = Identities()
        self._ports: dict[tuple[int, str], int] = {}
        self._bound: set[int] = set()
        self._open: dict[int, _Open] = {}

    @property
    def n_sessions(self) -> int:
        """Sessions so far."""
        return self._identities.n_sessions if self._by_identity else len(self._ports)

    def asked(
        self,
        connection: int,
        exchange: int,
        *,
        came_by: tuple[int, str, str],
        scheme: str,
        host: str,
        target: bytes,
        headers: RawHeaders,
    ) -> list[Binding]:
        """Take a request.

        Args:
            came_by: the port, the other end's ``host:port``, and its name where the proxy knows it.
        """
        listener, peer, user = came_by
        if not self._by_identity:
            return self._by_port(connection, listener, user)
        address = peer.rpartition(":")[0]
        evidence = evidence_of(headers=headers, scheme=scheme, host=host, target=target, address=address)
        place = (connection, exchange if evidence.is_forwarded else 0)
        self._open[exchange] = _Open(place, evidence.site)
        if user:
            return self._identities.asked_by_name(place, user)
        return self._identities.asked(place, evidence)

    def answered(self, exchange: int, headers: RawHeaders) -> None:
        """Take the head of an answer."""
        if (known := self._open.get(exchange)) is None:
            return
        self._identities.answered(known.place, known.site, set_cookies(headers))
        if b"json" in header_value(headers, b"content-type").lower():
            known.headers = tuple((name, value) for name, value in headers)
            known.text = bytearray()

    def answer_came(self, exchange: int, data: bytes) -> None:
        """Take a piece of an answer's body."""
        known = self._open.get(exchange)
        if known is not None and known.text is not None and len(known.text) < MAX_READ_BYTES:
            known.text += data[: MAX_READ_BYTES - len(known.text)]

    def answer_ended(self, exchange: int) -> None:
        """Read what the answer handed out."""
        known = self._open.get(exchange)
        if known is None or not known.text:
            return
        try:
            text = decoded_body(known.headers, bytes(known.text), MAX_READ_BYTES)
        except BodyError:
            # Too large or damaged: it tells nothing, and is recorded all the same.
            return
        finally:
            known.text = None
        self._identities.handed_out(known.place, quoted_values(text))

    def said(self, exchange: int, data: bytes) -> list[Binding]:
        """Take a message of a socket's client."""
        known = self._open.get(exchange)
        if known is None or known.n_said >= MAX_READ_MESSAGES:
            return []
        known.n_said += 1
        return self._identities.said(known.place, quoted_values(data[:MAX_READ_BYTES]))

    def ended(self, exchange: int) -> None:
        """Forget an exchange that is over."""
        known = self._open.pop(exchange, None)
        if known is not None and known.place[1]:
            self._identities.left(known.place)

    def left(self, connection: int) -> None:
        """Forget a connection that is closed."""
        self._bound.discard(connection)
        self._identities.left((connection, 0))

    def _by_port(self, connection: int, listener: int, user: str) -> list[Binding]:
        if connection in self._bound:
            return []
        self._bound.add(connection)
        session = self._ports.setdefault((listener, user), len(self._ports) + 1)
        rule = Rule.PROXY_USER if user else Rule.LISTENER
        return [Binding(connection=connection, exchange=0, session=session, rule=rule.value)]
