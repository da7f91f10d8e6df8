"""Header blocks as a capture keeps them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from captures.records import Headers

RawHeaders = Iterable[Sequence[bytes]]

_FOR_PROXIES = frozenset({b"proxy-authorization", b"proxy-authenticate", b"proxy-connection"})


def recorded_headers(headers: RawHeaders, http_version: str) -> Headers:
    """Keep names, values and order; join the cookie crumbs of HTTP/2 and 3 with ``; `` where the first one stands.

    What a proxy is told to let a request through is left out: it is no word to the server. Source: RFC 9113 §8.2.3.
    """
    pairs = tuple((name, value) for name, value in headers if name.lower() not in _FOR_PROXIES)
    crumbs = [value for name, value in pairs if name.lower() == b"cookie"]
    if len(crumbs) < 2 or http_version.startswith("HTTP/1"):
        return pairs
    first = next(place for place, (name, _) in enumerate(pairs) if name.lower() == b"cookie")
    joined = (pairs[first][0], b"; ".join(crumbs))
    return (*pairs[:first], joined, *(pair for pair in pairs[first:] if pair[0].lower() != b"cookie"))


def header_value(headers: RawHeaders, wanted: bytes) -> bytes:
    """Give the values of one header (name in lower case) joined with ``, ``, or nothing."""
    return b", ".join(value for name, value in headers if name.lower() == wanted)
