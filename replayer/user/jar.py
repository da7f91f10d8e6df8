"""The cookies of one virtual user. Pure: the time is an argument.

A browser's jar (RFC 6265 §5.3, §5.4) with two differences that mapping to a target forces: cookies belong to the
*recorded* host, because several recorded hosts may map to one address, and ``Secure`` is ignored, because staging is
often plain HTTP.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime

_NEVER_NS = 1 << 62
MAX_CACHED = 64
"""Paths whose cookies are remembered per user; a session rarely has more, and memory per user is what counts."""


class Jar:
    """Cookies by recorded host.

    ``header`` answers from a cache while no cookie changes or expires.
    """

    __slots__ = ("_cache", "_cookies", "_first_expiry_ns", "_has_paths")

    def __init__(self) -> None:
        # (name, host or domain, path) → (value, expiry, host_only)
        self._cookies: dict[tuple[bytes, str, bytes], tuple[bytes, int, bool]] = {}
        self._cache: dict[tuple[str, bytes], bytes] = {}  # by host and, where paths matter, path
        self._first_expiry_ns = _NEVER_NS
        self._has_paths = False

    def set(self, set_cookie: bytes, host: str, request_path: bytes, now_ns: int, wall_ns: int) -> tuple[bytes, bytes]:
        """Take one Set-Cookie header value; return the cookie's name and value.

        Args:
            set_cookie: the header's value.
            host: recorded host of the origin that answered.
            request_path: path of the request, for the default path.
            now_ns, wall_ns: monotonic and wall clock, for Max-Age and Expires.
        """
        pair, *attributes = set_cookie.split(b";")
        name, _, value = pair.strip().partition(b"=")
        domain, path, expiry_ns, host_only = host, _default_path(request_path), _NEVER_NS, True
        max_age_seen = False
        for attribute in attributes:
            key, _, raw = attribute.strip().partition(b"=")
            key = key.lower()
            if key == b"path" and raw.startswith(b"/"):
                path = raw
            elif key == b"domain" and raw:
                asked = raw.decode("latin-1").lower().lstrip(".")
                if host == asked or host.endswith("." + asked):
                    domain, host_only = asked, False
            elif key == b"max-age":
                max_age_seen = True
                expiry_ns = _max_age_ns(raw, now_ns)
            elif key == b"expires" and not max_age_seen:
                expiry_ns = _expires_ns(raw, now_ns, wall_ns)
        self._store((name.strip(), domain, path), (value.strip(), expiry_ns, host_only), now_ns)
        return name.strip(), value.strip()

    def put(self, name: bytes, value: bytes, host: str) -> None:
        """Place a session cookie with path ``/``."""
        self._store((name, host, b"/"), (value, _NEVER_NS, True), 0)

    def _store(self, key: tuple[bytes, str, bytes], entry: tuple[bytes, int, bool], now_ns: int) -> None:
        self._cache.clear()
        if entry[1] <= now_ns:
            self._cookies.pop(key, None)
            return
        self._cookies[key] = entry
        self._first_expiry_ns = min(self._first_expiry_ns, entry[1])
        self._has_paths = self._has_paths or key[2] != b"/"

    def header(self, host: str, path: bytes, now_ns: int) -> bytes:
        """Return the value of the Cookie header for a request, ``a=1; b=2``, or b"" where there is no cookie."""
        if now_ns >= self._first_expiry_ns:
            self._expire(now_ns)
        key = (host, path if self._has_paths else b"")
        if (cached := self._cache.get(key)) is not None:
            return cached
        found = [
            (-len(cookie_path), name + b"=" + value)
            for (name, domain, cookie_path), (value, _, host_only) in self._cookies.items()
            if _matches(host, domain, host_only=host_only) and _path_matches(path, cookie_path)
        ]
        found.sort(key=lambda item: item[0])  # RFC 6265 §5.4: longer paths first, else in order of creation.
        header = b"; ".join(pair for _, pair in found)
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[key] = header
        return header

    def _expire(self, now_ns: int) -> None:
        self._cookies = {key: entry for key, entry in self._cookies.items() if entry[1] > now_ns}
        self._first_expiry_ns = min((entry[1] for entry in self._cookies.values()), default=_NEVER_NS)
        self._cache.clear()


def _matches(host: str, domain: str, *, host_only: bool) -> bool:
    return host == domain or (not host_only and host.endswith("." + domain))


def _path_matches(path: bytes, cookie_path: bytes) -> bool:
    """RFC 6265 §5.1.4."""
    if not path.startswith(cookie_path):
        return False
    return cookie_path.endswith(b"/") or len(path) == len(cookie_path) or path[len(cookie_path)] in b"/?"


def _default_path(request_path: bytes) -> bytes:
    directory = request_path.partition(b"?")[0].rpartition(b"/")[0]
    return directory if directory.startswith(b"/") else b"/"


def _max_age_ns(raw: bytes, now_ns: int) -> int:
    try:
        return now_ns + int(raw) * 1_000_000_000
    except ValueError:
        return _NEVER_NS  # RFC 6265 §5.2.2: ignore the attribute.


def _expires_ns(raw: bytes, now_ns: int, wall_ns: int) -> int:
    try:
        expires = parsedate_to_datetime(raw.decode("latin-1")).timestamp()
    except (ValueError, OverflowError):
        return _NEVER_NS  # RFC 6265 §5.2.1: ignore the attribute.
    return now_ns + int(expires * 1e9) - wall_ns
