"""The values of a HAR as captures hold them: times, URLs, headers, bodies; whatever the dialect. Pure.

Source: HAR 1.2, http://www.softwareishard.com/blog/har-12-spec/; where exporters differ from it, the place says who.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import Any
from urllib.parse import quote, quote_plus

from captures.convert.tape import LAST_WALL_NS, ns_of_seconds
from captures.format.values import check_plain
from captures.records import Headers, Origin
from captures.units import NS_PER_MS, NS_PER_S

HEADERS_LIMIT_BYTES = 256 * 1024
TARGET_LIMIT_CHARS = 64 * 1024

_SHORT_CHARS = 256

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = 30 * 24 * 3600 * 1000
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_TWINS = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_URL = re.compile(
    r"(?P<scheme>https?|wss?)://(?:[^/?#@]*@)?(?P<host>\[[^\]/?#]*\]|[^/?#:@\[\]]+)(?::(?P<port>\d{0,5}))?"
    r"(?P<target>(?:[/?][^#]*)?)(?:#.*)?",
    re.IGNORECASE | re.DOTALL,
)
_HOST = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=%-]{1,255}|\[[0-9A-Fa-f:.]{2,64}(?:%[A-Za-z0-9._~-]{1,32})?\]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,1024}")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9._:-]{1,40})", re.IGNORECASE)
# Codecs of Python that no server means, and that are slow.
_NO_CHARSETS = {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7"}
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_NOT_IN_VALUES = str.maketrans("", "", "\r\0")


# Times.


def wall_ns_of(value: Any) -> int | None:
    """Read a date: ISO 8601 (UTC where it names no zone), or epoch milliseconds; None where it is none."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            wall_ns = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            wall_ns = ns_of_seconds(value / 1000)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return wall_ns if 0 < wall_ns <= LAST_WALL_NS else None


def iso_of(wall_ns: int) -> str:
    """Write a date as ISO 8601 in UTC with microseconds."""
    moment = _EPOCH + timedelta(microseconds=min(max(wall_ns, 0), LAST_WALL_NS) // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def message_ns_of(value: Any) -> int | None:
    """Read the time of a message: float epoch seconds (Chrome), milliseconds where it is too large for that, or ISO."""
    if type(value) is float or type(value) is int:
        if not 0 < value < 1e15:
            return None
        wall_ns = ns_of_seconds(value if value < 1e11 else value / 1000)
        return wall_ns if wall_ns <= LAST_WALL_NS else None
    return wall_ns_of(value)


def duration_ns_of(value: Any) -> int:
    """Read milliseconds; 0 where there are none, for -1 (does not apply) and for what cannot be."""
    is_number = type(value) is float or type(value) is int
    return round(value * NS_PER_MS) if is_number and 0 < value < _LAST_MS else 0


# Requests.


@lru_cache(maxsize=4096)
def method_of(text: str) -> str | None:
    """A method that may stand in a request line, or None."""
    return text if _TOKEN.fullmatch(text) else None


def place_of(url: str) -> tuple[Origin, str, bool]:
    """Take a URL apart: origin, target as it was sent, and whether its scheme is that of a socket.

    Raises:
        ValueError: it is no URL of HTTP or WebSocket; the text says why.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(f"no URL of HTTP or WebSocket: {url[:80]!r}")
    scheme = match["scheme"].lower()
    origin = _origin(scheme, match["host"], match["port"] or "")
    target = match["target"]
    if not target.startswith("/"):
        target = f"/{target}"
    if len(target) > TARGET_LIMIT_CHARS:
        raise ValueError(f"a URL of {len(url)} characters")
    # Browsers show what they send percent-encoded.
    if not target.isascii() or not target.isprintable() or " " in target:
        target = quote(target, safe=_VISIBLE, errors="surrogateescape")
    return origin, target, scheme in ("ws", "wss")


@lru_cache(maxsize=4096)
def _origin(scheme: str, host: str, port: str) -> Origin:
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    if not _HOST.fullmatch(host):
        raise ValueError(f"no host: {host[:80]!r}")
    number = int(port) if port else _PORTS[scheme]
    if not 0 < number < 65536:
        raise ValueError(f"no port: {port}")
    return Origin(_TWINS[scheme], host.strip("[]").lower(), number)


def target_of(value: Any) -> str | None:
    """A target that our own export wrote, if it may stand in a request line."""
    if not isinstance(value, str) or len(value) > TARGET_LIMIT_CHARS or not value.startswith(("/", "*")):
        return None
    is_sendable = all("\x20" < character <= "\xff" and character != "\x7f" for character in value)
    return value if is_sendable else None


def http_version_of(value: Any, otherwise: str) -> str:
    """``HTTP/1.0``, ``HTTP/1.1``, ``HTTP/2.0`` or ``HTTP/3``, as the recorder names them.

    Chrome writes ``h2``, ``h3`` and ``http/2.0``, Firefox ``HTTP/2``, both sometimes nothing or ``unknown``.
    """
    text = value.strip().lower() if isinstance(value, str) else ""
    if text.startswith(("h3", "http/3", "http/2+quic", "quic")):
        return "HTTP/3"
    if text.startswith(("h2", "http/2", "spdy")):
        return "HTTP/2.0"
    return {"http/1.0": "HTTP/1.0", "http/1.1": "HTTP/1.1"}.get(text, otherwise)


# Headers.


def headers_of(values: Any) -> tuple[Headers, int]:
    """Read header fields and count those that cannot be any.

    Accepted are ``{"name": …, "value": …}``, pairs (Slack) and plain maps. Pseudo-headers of HTTP/2 are left out, the
    URL has them. A value with line breaks is the header repeated (Chrome, for ``Set-Cookie``); cookie crumbs of HTTP/2
    are joined.
    """
    found: list[tuple[bytes, bytes]] = []
    n_bad = n_cookies = 0
    for name, value, is_latin in _pairs(values):
        # The same few fields stand in thousands of entries.
        if type(name) is str and type(value) is str and len(value) < _SHORT_CHARS:
            fields = _short_fields(name, value, is_latin)
        else:
            fields = _fields(name, value, is_latin) if type(name) is str else None
        if fields is None:
            n_bad += type(name) is not str or not name.startswith(":")
            continue
        found += fields
        if len(name) == 6 and name.lower() == "cookie":
            n_cookies += 1
    return joined_cookies(found) if n_cookies > 1 else tuple(found), n_bad


def _pairs(values: Any) -> Iterator[tuple[Any, Any, bool]]:
    items = values.items() if isinstance(values, dict) else values if isinstance(values, list) else ()
    for item in items:
        if type(item) is dict:
            get = item.get
            yield get("name"), get("value"), len(item) > 2 and get("_encoding") == "latin-1"
        elif isinstance(item, (list, tuple)) and len(item) == 2:
            yield item[0], item[1], False
        else:
            yield None, None, False


def _fields(name: str, value: Any, is_latin: bool) -> tuple[tuple[bytes, bytes], ...] | None:
    if not _TOKEN.fullmatch(name):
        return None
    return tuple((name.encode("ascii"), _encoded(line, is_latin)) for line in _lines(value))


_short_fields = lru_cache(maxsize=8192)(_fields)


def _lines(value: Any) -> list[str]:
    text = "" if value is None else value if isinstance(value, str) else str(value)
    if text.isprintable():
        return [text]
    return [line.translate(_NOT_IN_VALUES).strip(" \t") for line in text.split("\n")]


def _encoded(text: str, is_latin: bool) -> bytes:
    if text.isascii():
        return text.encode("ascii")
    return text.encode("latin-1", "replace") if is_latin else to_bytes(text)


def joined_cookies(headers: list[tuple[bytes, bytes]]) -> Headers:
    """Join the cookie crumbs of HTTP/2 where the first one stands. Source: RFC 9113 §8.2.3."""
    crumbs = [value for name, value in headers if name.lower() == b"cookie"]
    if len(crumbs) < 2:
        return tuple(headers)
    first = next(at for at, (name, _) in enumerate(headers) if name.lower() == b"cookie")
    rest = [pair for pair in headers[first:] if pair[0].lower() != b"cookie"]
    return (*headers[:first], (headers[first][0], b"; ".join(crumbs)), *rest)


def size_of(headers: Headers) -> int:
    """Bytes of names and values."""
    return sum(map(len, chain.from_iterable(headers)))


# Bodies.


def to_bytes(text: str) -> bytes:
    """UTF-8; bytes of the file that were not UTF-8 come back as they were, other lone surrogates as in CESU-8."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        pass
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def codec_of(media_type: str) -> str:
    """The Python codec of a media type's charset; UTF-8 where it names none that is known."""
    match = _CHARSET.search(media_type)
    return _codec(match[1].lower()) if match else "utf-8"


@lru_cache(maxsize=256)
def _codec(charset: str) -> str:
    try:
        "a".encode(charset)
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        return "utf-8"
    return "utf-8" if name in _NO_CHARSETS else name


def text_to_bytes(text: str, media_type: str) -> bytes:
    """The bytes of a text that an exporter decoded by its charset."""
    codec = codec_of(media_type)
    if codec != "utf-8":
        try:
            return text.encode(codec)
        except UnicodeEncodeError:
            pass
    return to_bytes(text)


def bytes_to_text(data: bytes, media_type: str) -> str | None:
    """The text that ``text_to_bytes`` turns back into the very same bytes, or None where there is none."""
    codec = codec_of(media_type)
    try:
        text = data.decode(codec)
        return text if codec == "utf-8" or text.encode(codec) == data else None
    except ValueError:
        return None


def from_base64(text: str | bytes) -> bytes:
    """Undo Base64, line breaks and missing padding allowed.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(text, str):
        text = text.encode("ascii")
    data = text if text.isalnum() else text.translate(None, b" \t\r\n")
    return binascii.a2b_base64(data + b"=" * (-len(data) % 4), strict_mode=True)


def form_of(params: list[Any]) -> bytes:
    """Write the fields of a form whose text an exporter left out.

    Chrome lists them as they were sent, others decoded: what holds a percent sign is taken as sent.
    """
    return "&".join(f"{_form_encoded(name)}={_form_encoded(value)}" for name, value, _ in _pairs(params)).encode()


def _form_encoded(value: Any) -> str:
    text = "" if value is None else str(value)
    return quote_plus(text, safe="%+" if "%" in text else "", errors="surrogatepass")


def multipart_of(params: list[Any], boundary: str) -> bytes:
    """Write the fields of a multipart form whose text an exporter left out (RFC 7578)."""
    lines: list[str] = []
    for param in params:
        if not isinstance(param, dict):
            continue
        file_name = f'; filename="{_quoted(param["fileName"])}"' if param.get("fileName") else ""
        lines += [f"--{boundary}", f'Content-Disposition: form-data; name="{_quoted(param.get("name"))}"{file_name}']
        if param.get("contentType"):
            lines.append(f"Content-Type: {_lines(param['contentType'])[0]}")
        lines += ["", "" if param.get("value") is None else str(param["value"])]
    return to_bytes("\r\n".join([*lines, f"--{boundary}--", ""]))


def _quoted(value: Any) -> str:
    return str(value or "").replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def seconds_of(wall_ns: int) -> float:
    """Epoch seconds as Chrome writes them, to the microsecond."""
    return round(wall_ns / NS_PER_S, 6)


def storable(value: Any) -> Any:
    """A value out of JSON as a capture can hold it in a note or fact.

    Raises:
        ValueError, TypeError: it cannot.
    """
    value = check_plain(value)
    _check_ints(value)
    return value


def _check_ints(value: Any) -> None:
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise ValueError("an integer of more than 64 bits")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_ints(item)
