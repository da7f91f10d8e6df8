"""HTTP/1 messages out of raw bytes that somebody else cut out of a stream: as much as can be understood. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from captures.bodies import header
from captures.convert.har_fields import HEADERS_LIMIT_BYTES, joined_cookies, size_of
from captures.records import Headers

_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}) (\S+) (HTTP/\d\.\d)", re.ASCII)
_STATUS = re.compile(rb"(HTTP/\d(?:\.\d)?) ([1-9]\d\d)(?: ([^\r\n]*))?", re.ASCII)
_HEAD_END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpText:
    """A message.

    Attributes:
        first: the three parts of its first line.
        body: without chunked coding.
        is_whole: whether the body is as long as its head says.
    """

    first: tuple[str, str, str]
    headers: Headers
    body: bytes
    is_whole: bool = True


def parse_request(data: bytes) -> HttpText:
    """Read a request; ``first`` is method, target, version.

    Raises:
        ValueError: it is none.
    """
    return _parsed(data, _REQUEST, "request")


def parse_response(data: bytes) -> HttpText:
    """Read a response; ``first`` is version, status, reason.

    Raises:
        ValueError: it is none.
    """
    return _parsed(data, _STATUS, "response")


def _parsed(data: bytes, line: re.Pattern[bytes], what: str) -> HttpText:
    end = _HEAD_END.search(data, 0, HEADERS_LIMIT_BYTES * 2)
    if end is None:
        raise ValueError(f"no HTTP {what}: its head does not end")
    first, *fields = data[: end.start()].replace(b"\r\n", b"\n").split(b"\n")
    match = line.fullmatch(first)
    if match is None:
        raise ValueError(f"no HTTP {what}: it begins with {first[:40]!r}")
    headers = joined_cookies([pair for pair in map(_field, fields) if pair])
    if size_of(headers) > HEADERS_LIMIT_BYTES:
        raise ValueError(f"its headers are larger than {HEADERS_LIMIT_BYTES >> 10} KiB")
    body, is_whole = _body(headers, data[end.end() :])
    parts = tuple((part or b"").decode("latin-1") for part in match.groups())
    return HttpText(first=(parts[0], parts[1], parts[2]), headers=headers, body=body, is_whole=is_whole)


def _field(line: bytes) -> tuple[bytes, bytes] | None:
    name, colon, value = line.partition(b":")
    return (name, value.strip()) if colon and name and not name[:1].isspace() else None


def _body(headers: Headers, data: bytes) -> tuple[bytes, bool]:
    if b"chunked" in (header(headers, b"transfer-encoding") or b"").lower():
        return dechunked(data)
    stated = header(headers, b"content-length") or b""
    if stated.isdigit() and len(stated) < 15:
        return data[: int(stated)], len(data) >= int(stated)
    return data, True


def dechunked(data: bytes) -> tuple[bytes, bool]:
    """Undo chunked coding (RFC 9112 §7.1), and tell whether all of it was there; what is not coded so stays."""
    pieces: list[bytes] = []
    at = 0
    while True:
        end = data.find(b"\r\n", at, at + 64)
        size = data[at:end].partition(b";")[0].strip()
        try:
            n_bytes = int(size, 16) if end >= 0 and size.isalnum() else -1
        except ValueError:
            n_bytes = -1
        if n_bytes < 0:
            # Some versions of GoReplay store bodies without their coding and keep the header.
            return (b"".join(pieces), False) if pieces else (data, not data or end < 0 or not size)
        if n_bytes == 0:
            return b"".join(pieces), True
        pieces.append(data[end + 2 : end + 2 + n_bytes])
        at = end + 2 + n_bytes + 2
        if at > len(data) + 2:
            return b"".join(pieces), False
