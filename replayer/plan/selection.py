"""Which recorded exchanges are compiled: those of the page's origin and of mapped ones; the rest is counted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from captures.records import Exchange, Origin, Session
from replayer.plan.records import RouteKind
from replayer.plan.routes import kind_of

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One session's exchanges that are compiled, in order of their start, with what each serves and where it went."""

    session: int
    exchanges: list[Exchange]
    origins: list[int]
    kinds: list[RouteKind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What of a capture is compiled.

    Attributes:
        origins: the page's first, then mapped ones in order.
        dropped: (origin, exchanges) of all others, in order.
    """

    origins: tuple[Origin, ...]
    tracks: list[Track]
    dropped: tuple[tuple[str, int], ...]


def select(sessions: Sequence[Session], *, url: object, mapped: frozenset[Origin]) -> Selected:
    """Choose what is compiled.

    Args:
        url: the page that was recorded, as the capture's header has it; anything else than its URL is ignored.
        mapped: further origins that the run has a target for.
    """
    counts = Counter(exchange.origin for session in sessions for exchange in session.exchanges)
    if not counts:
        return Selected(origins=(), tracks=[], dropped=())
    page = _page(sessions, url, counts)
    origins = (page, *sorted(origin for origin in mapped if origin != page and origin in counts))
    numbers = {origin: number for number, origin in enumerate(origins)}
    tracks = []
    for session in sessions:
        exchanges = [exchange for exchange in session.exchanges if exchange.origin in numbers]
        if exchanges:
            own = [numbers[exchange.origin] for exchange in exchanges]
            kinds = [kind_of(exchange) for exchange in exchanges]
            tracks.append(Track(session=session.id, exchanges=exchanges, origins=own, kinds=kinds))
    dropped = sorted((str(origin), count) for origin, count in counts.items() if origin not in numbers)
    return Selected(origins=origins, tracks=tracks, dropped=tuple(dropped))


def _page(sessions: Sequence[Session], url: object, counts: Counter[Origin]) -> Origin:
    """Return the origin of the recorded page, or the busiest where that one only redirected or never answered."""
    page = origin_of_url(url) if isinstance(url, str) else None
    if page is not None and any(
        exchange.origin == page and exchange.status is not None and not 300 <= exchange.status < 400
        for session in sessions
        for exchange in session.exchanges
    ):
        return page
    return min(counts, key=lambda origin: (-counts[origin], origin))


def origin_of_url(url: str) -> Origin | None:
    """Return the origin of a URL, sockets under their http twin; None where it has none."""
    try:
        parts = urlsplit(url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        if scheme not in ("http", "https") or not parts.hostname:
            return None
        return Origin(scheme, parts.hostname.lower(), parts.port or _PORTS[scheme])
    except ValueError:
        return None
