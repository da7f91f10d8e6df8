"""What of a request or an answer tells who is asking: cookies, tokens, and the peer with its User-Agent; pure.

Values are kept as short digests: this is the one place that looks at them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import unquote

from recorder.headers import RawHeaders, header_value

Digest = bytes

MIN_VALUE_BYTES = 16
MIN_NAMED_VALUE_BYTES = 6
"""Shortest value that tells one browser from another: of any name, and of a name that says so."""

_MIN_KINDS_OF_BYTES = 8
_SESSION_NAME = re.compile(rb"sess|sid$|auth|token|jwt|login|remember|xsrf|csrf", re.IGNORECASE)
_TOKEN_HEADER = re.compile(rb"authorization|(?:x-)?(?:auth|access|session|user|csrf|xsrf)[a-z-]*-?(?:token|id)")
_TOKEN_QUERY = re.compile(
    rb"(?:access|auth|id|session)?[_-]?(?:token|ticket|jwt)|auth|sid|session(?:_?id)?", re.IGNORECASE
)
# A handshake's own challenge and answer: different at every connection of the same user.
_CHALLENGES = frozenset({b"negotiate", b"ntlm", b"digest"})
_QUOTED = re.compile(rb'"(?:[A-Za-z]{1,16} )?([!#-\[\]-~]{16,4096})"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """One cookie of a request or an answer.

    Attributes:
        value: digest, empty where the answer deletes the cookie.
        is_telling: whether its value tells one browser from another.
        is_session: whether a browser has just one value of it at a time, which the server gave it.
        is_expected: whether a browser that holds it shows it with every navigation on its host.
        is_encrypted: it is shown over TLS only.
        path: below which it is shown.
    """

    name: bytes
    value: Digest
    is_telling: bool
    is_session: bool
    is_expected: bool = False
    is_encrypted: bool = False
    path: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one request says about who sent it.

    Attributes:
        peer: address and User-Agent.
        is_forwarded: it came through another proxy, so its connection proves nothing.
        site: host asked.
        is_encrypted: asked over TLS.
        is_navigation: a browser opens a page or a socket, and shows every cookie that it holds.
        is_own: sent by the site itself, so that whoever keeps cookies shows them.
    """

    peer: tuple[str, bytes]
    is_forwarded: bool
    site: str
    is_encrypted: bool
    path: str
    cookies: tuple[Cookie, ...]
    tokens: tuple[Digest, ...]
    is_navigation: bool
    is_own: bool


def evidence_of(*, headers: RawHeaders, scheme: str, host: str, target: bytes, address: str) -> Evidence:
    """Read a request's evidence.

    Args:
        address: of the connection's other end, without port; what a proxy before us says goes before it.
    """
    pairs = [(name.lower(), value) for name, value in headers]
    forwarded = header_value(pairs, b"x-forwarded-for") or header_value(pairs, b"forwarded")
    path, _, query = target.partition(b"?")
    return Evidence(
        peer=(_first_address(forwarded) or address, header_value(pairs, b"user-agent")),
        is_forwarded=bool(forwarded),
        site=host.lower(),
        is_encrypted=scheme == "https",
        path=path.decode("latin-1"),
        cookies=tuple(_request_cookies(pairs)),
        tokens=tuple(dict.fromkeys(_tokens(pairs, query))),
        is_navigation=_is_navigation(pairs),
        is_own=_is_own(pairs, host.lower()),
    )


def set_cookies(headers: RawHeaders) -> Iterator[Cookie]:
    """Read what an answer sets and deletes."""
    for header, text in headers:
        if header.lower() != b"set-cookie":
            continue
        name, _, rest = text.partition(b"=")
        value, _, attributes = rest.partition(b";")
        told = _attributes(attributes)
        yield Cookie(
            name=name.strip(),
            value=b"" if _is_gone(value, told) else digest_of(value.strip()),
            is_telling=_is_telling(name, value.strip()),
            is_session="httponly" in told or bool(_SESSION_NAME.search(name)),
            is_expected=told.keys().isdisjoint(("expires", "max-age")) and told.get("samesite", "").lower() != "strict",
            is_encrypted="secure" in told,
            path=told.get("path") or "/",
        )


def _is_gone(value: bytes, attributes: dict[str, str]) -> bool:
    max_age = attributes.get("max-age", "1")
    return not value.strip() or max_age.startswith("-") or max_age == "0" or "1970" in attributes.get("expires", "")


def quoted_values(text: bytes) -> Iterator[Digest]:
    """Find the strings of a JSON text that could be a token."""
    for found in _QUOTED.finditer(text):
        if _is_random(found[1]):
            yield digest_of(found[1])


def digest_of(value: bytes) -> Digest:
    """Shorten a value; equal values stay equal."""
    return blake2b(value, digest_size=12).digest()


def _request_cookies(pairs: Sequence[tuple[bytes, bytes]]) -> Iterator[Cookie]:
    for header, text in pairs:
        if header != b"cookie":
            continue
        for crumb in text.split(b";"):
            name, _, value = crumb.strip().partition(b"=")
            yield Cookie(
                name=name,
                value=digest_of(value),
                is_telling=_is_telling(name, value),
                is_session=bool(_SESSION_NAME.search(name)),
            )


def _tokens(pairs: Sequence[tuple[bytes, bytes]], query: bytes) -> Iterator[Digest]:
    for name, value in pairs:
        if _TOKEN_HEADER.fullmatch(name):
            scheme, _, credentials = value.strip().rpartition(b" ")
            if scheme.lower() not in _CHALLENGES and len(credentials) >= MIN_NAMED_VALUE_BYTES:
                yield digest_of(credentials)
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        plain = unquote(value.decode("latin-1")).encode("latin-1", "replace")
        if _TOKEN_QUERY.fullmatch(name) and _is_random(plain):
            yield digest_of(plain)


def _is_navigation(pairs: Sequence[tuple[bytes, bytes]]) -> bool:
    mode = header_value(pairs, b"sec-fetch-mode")
    if mode:
        return mode in (b"navigate", b"websocket")
    is_socket = header_value(pairs, b"upgrade").lower() == b"websocket"
    return is_socket or header_value(pairs, b"accept").startswith(b"text/html")


def _is_own(pairs: Sequence[tuple[bytes, bytes]], host: str) -> bool:
    """Source: https://fetch.spec.whatwg.org/, credentials modes; a preflight and a manifest never have cookies."""
    names = {name for name, _ in pairs}
    if b"access-control-request-method" in names or header_value(pairs, b"sec-fetch-dest") == b"manifest":
        return False
    if relation := header_value(pairs, b"sec-fetch-site"):
        return relation in (b"same-origin", b"none")
    sender = header_value(pairs, b"origin") or header_value(pairs, b"referer")
    return not sender or _host_in(sender) == host


def _host_in(url: bytes) -> str:
    authority = url.decode("latin-1").partition("://")[2].partition("/")[0]
    return authority.rpartition("@")[2].partition(":")[0].lower()


def _is_telling(name: bytes, value: bytes) -> bool:
    if _SESSION_NAME.search(name):
        return len(value) >= MIN_NAMED_VALUE_BYTES
    return _is_random(value)


def _is_random(value: bytes) -> bool:
    has_both = any(48 <= byte <= 57 for byte in value) and any(byte | 32 in range(97, 123) for byte in value)
    return len(value) >= MIN_VALUE_BYTES and has_both and len(set(value)) >= _MIN_KINDS_OF_BYTES


def _attributes(text: bytes) -> dict[str, str]:
    parts = (part.strip().partition("=") for part in text.decode("latin-1").split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in parts if name.strip()}


def _first_address(forwarded: bytes) -> str:
    first = forwarded.decode("latin-1").partition(",")[0]
    for part in first.split(";"):
        name, _, value = part.strip().rpartition("=")
        if name.lower() in ("", "for"):
            return value.strip().strip('"')
    return ""
