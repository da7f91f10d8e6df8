"""Filling the slots of one virtual user: extraction from answers and messages, codecs, minted values. Pure.

Extraction runs only for steps that a later step depends on; a body is decoded and parsed at most once per answer.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b, sha256
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus, unquote_to_bytes

from captures.envelopes import Framing, open_body, open_document
from captures.leaves import as_bytes, claims_of, target_of
from replayer.plan.records import Anchor, Codec, Extractor, JsonPath, Source

_ABSENT = object()


def decode(value: bytes, codec: Codec) -> bytes:
    """Return the plain value of what was found written in ``codec``; malformed input is returned as it is."""
    if codec is _RAW:
        return value
    try:
        return _DECODERS[codec](value)
    except (ValueError, binascii.Error):
        return value


def encode(value: bytes, codec: Codec) -> bytes:
    """Return the plain ``value`` written in ``codec``."""
    return value if codec is _RAW else _ENCODERS[codec](value)


def _identity(value: bytes) -> bytes:
    return value


def _unpad(value: bytes) -> bytes:
    return value + b"=" * (-len(value) % 4)


def _json_inside(value: bytes) -> bytes:
    return json.dumps(value.decode("utf-8", "surrogateescape"), ensure_ascii=False).encode("utf-8", "surrogateescape")[
        1:-1
    ]


def _unpacked(value: bytes) -> bytes:
    return to_bytes(open_document(Framing.MSGPACK, value)) or b""


def _packed(value: str | bytes | int) -> bytes:
    """Subtle: imported here, because help must not wait for it."""
    import msgpack

    return bytes(msgpack.packb(value))


def _packed_int(value: bytes) -> bytes:
    """Subtle: an id that was a number in the recording may be a text at the target; it is sent as what it is."""
    try:
        return _packed(int(value))
    except (ValueError, OverflowError):
        return encode(value, Codec.MSGPACK_STRING)


_DECODERS: dict[Codec, Callable[[bytes], bytes]] = {
    Codec.RAW: _identity,
    Codec.PERCENT: unquote_to_bytes,
    Codec.FORM: lambda v: unquote_plus(v.decode("latin-1"), "latin-1").encode("latin-1"),
    Codec.HTML: lambda v: html.unescape(v.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape"),
    Codec.JSON_STRING: lambda v: str(json.loads(b'"' + v + b'"')).encode("utf-8", "surrogateescape"),
    Codec.BASE64: lambda v: base64.b64decode(_unpad(v), validate=True),
    Codec.BASE64URL: lambda v: base64.urlsafe_b64decode(_unpad(v)),
    Codec.MSGPACK_STRING: _unpacked,
    Codec.MSGPACK_INT: _unpacked,
    Codec.MSGPACK_BIN: _unpacked,
    Codec.S256: _identity,
    Codec.URL_TARGET: target_of,
}
_ENCODERS: dict[Codec, Callable[[bytes], bytes]] = {
    Codec.RAW: _identity,
    Codec.PERCENT: lambda v: quote(v, safe="").encode(),
    Codec.FORM: lambda v: quote_plus(v).encode(),
    Codec.HTML: lambda v: html.escape(v.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape"),
    Codec.JSON_STRING: _json_inside,
    Codec.BASE64: base64.b64encode,
    Codec.BASE64URL: lambda v: base64.urlsafe_b64encode(v).rstrip(b"="),
    Codec.MSGPACK_STRING: lambda v: _packed(v.decode("utf-8", "surrogateescape")),
    Codec.MSGPACK_INT: _packed_int,
    Codec.MSGPACK_BIN: _packed,
    Codec.S256: lambda v: base64.urlsafe_b64encode(sha256(v).digest()).rstrip(b"="),
    Codec.URL_TARGET: _identity,
}


# Subtle: naming a member of an Enum class costs a quarter of a microsecond in CPython 3.11, and hashing one as much.
_PLAIN, _RAW = Framing.PLAIN, Codec.RAW
_JSON, _TEXT, _HEADER = Source.JSON, Source.TEXT, Source.HEADER


class Answer:
    """What an extractor reads: headers, cookies and a body that is decoded and parsed when first asked for.

    Args:
        headers: lower-case names and values; empty for messages.
        cookies: (name, value) of the cookies this answer set.
        body: returns the decoded body.
        framing: what a message is wrapped in.
    """

    __slots__ = ("_body", "_cookies", "_framing", "_headers", "_json", "_text")

    def __init__(
        self,
        headers: Iterable[tuple[bytes, bytes]],
        cookies: Iterable[tuple[bytes, bytes]],
        body: Callable[[], bytes],
        framing: Framing = Framing.PLAIN,
    ) -> None:
        self._headers = headers
        self._cookies = cookies
        self._body = body
        self._framing = framing
        self._json: Any = _ABSENT
        self._text: bytes | None = None

    @property
    def framing(self) -> Framing:
        """What a message is wrapped in."""
        return self._framing

    def text(self) -> bytes:
        """Return the decoded body, b"" where it cannot be decoded."""
        try:
            return self._read()
        except ValueError:
            return b""

    def _read(self) -> bytes:
        if self._text is None:
            self._text = self._body()
        return self._text

    def json(self) -> Any:
        """Return the parsed body.

        Raises:
            ValueError: it is not JSON.
        """
        if self._json is _ABSENT:
            is_plain = self._framing is _PLAIN
            self._json = open_body(self._read()) if is_plain else open_document(self._framing, self._read())
        return self._json

    def find(self, extractor: Extractor) -> bytes | None:
        """Return the plain value that the extractor reads, or None where the answer does not hold it."""
        try:
            raw = self._raw(extractor)
        except (ValueError, RecursionError):  # A body that cannot be decoded or parsed holds no values.
            return None
        if raw is None:
            return None
        if extractor.prefix:
            if not raw.startswith(extractor.prefix):
                return None
            raw = raw[len(extractor.prefix) :]
        return decode(raw, extractor.codec)

    def _raw(self, extractor: Extractor) -> bytes | None:
        source = extractor.source
        if source is _JSON:
            value = to_bytes(walk(self.json(), extractor.path, extractor.where))
            return between(value, extractor.left, extractor.right) if value and extractor.left else value
        if source is _TEXT:
            return between(self._read(), extractor.left, extractor.right)
        pairs = self._headers if source is _HEADER else self._cookies
        wanted = extractor.name.encode("latin-1")
        for name, value in pairs:
            if name == wanted:
                return between(value, extractor.left, extractor.right) if extractor.left else value
        return None


def between(text: bytes, left: bytes, right: bytes) -> bytes | None:
    """Return what stands between the first ``left`` and the next ``right``, or None."""
    start = text.find(left)
    if start < 0:
        return None
    start += len(left)
    end = text.find(right, start) if right else len(text)
    return text[start:end] if end >= 0 else None


def walk(document: Any, path: JsonPath, where: tuple[Anchor, ...] = ()) -> Any:
    """Return the value at a JSON path, or None where the path leaves the document; it may go on into a token's claims.

    Args:
        where: how elements of lists on the way are found; without one, or where none is like it, by position.
    """
    anchors = {anchor.at: anchor for anchor in where}
    for at, key in enumerate(path):
        if isinstance(key, int):
            if not isinstance(document, list):
                return None
            found = _anchored(document, anchors[at]) if at in anchors else None
            if found is not None:
                document = found
                continue
            if not -len(document) <= key < len(document):
                return None
        else:
            document = claims_of(document) if isinstance(document, str) else document
            if not isinstance(document, dict) or key not in document:
                return None
        document = document[key]
    return document


def _anchored(elements: list[Any], anchor: Anchor) -> Any:
    """Return the first element that holds the anchor's value, or None."""
    for element in elements:
        if isinstance(element, dict) and element.get(anchor.key) == anchor.value:
            return element
    return None


def to_bytes(value: Any) -> bytes | None:
    """Return a leaf as it is written in a URL or header: strings plain, numbers and booleans as JSON."""
    if isinstance(value, str):
        return as_bytes(value)
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value).encode()
    return None


class Mint:
    """Makes the values that the recorded client made up, afresh per user.

    Args:
        key: random per run and never derived from the seed, so that two runs do not collide.
        user: number of the user.
    """

    __slots__ = ("_key", "_n", "_user")

    def __init__(self, key: bytes, user: int) -> None:
        self._key = key
        self._user = user
        self._n = 0

    def _digest(self, n_bytes: int) -> bytes:
        self._n += 1
        out = b""
        while len(out) < n_bytes:
            text = b"%d/%d/%d" % (self._user, self._n, len(out))
            out += blake2b(text, key=self._key[:64], digest_size=32).digest()
        return out[:n_bytes]

    def make(self, generator: str, wall_ns: int) -> bytes:
        """Return a value of the named generator.

        Args:
            generator: ``uuid4``, ``uuid7``, ``epoch_s``, ``epoch_ms``, ``iso``, ``hex:<n>``, ``digits:<n>``,
                ``base36:<n>``, ``alnum:<n>``, ``traceparent``, ``counter:<n>``, numbers above n that grow, ``day:<n>``,
                the date of n days from today, or ``iso:<n>T<time>``, that time of it (UTC).

        Raises:
            ValueError: there is no such generator.
        """
        name, _, size = generator.partition(":")
        if name == "uuid4":
            return _uuid4(self._digest(16))
        if name == "epoch_s":
            return b"%d" % (wall_ns // 1_000_000_000)
        if name == "epoch_ms":
            return b"%d" % (wall_ns // 1_000_000)
        if name == "day":
            return _day(wall_ns, int(size))
        if name == "iso" and size:
            days, _, time = size.partition("T")
            return b"%sT%s" % (_day(wall_ns, int(days)), time.encode())
        if name == "iso":
            moment = datetime.fromtimestamp(wall_ns / 1e9, UTC)
            return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()
        if name == "uuid7":
            return _uuid(wall_ns // 1_000_000, self._digest(16))
        if name == "counter":
            self._n += 1
            return b"%d" % (int(size) + self._n)
        if name == "traceparent":
            return b"00-%s-%s-01" % (self._digest(16).hex().encode(), self._digest(8).hex().encode())
        if name in _ALPHABETS:
            letters = _ALPHABETS[name]
            return bytes(letters[byte % len(letters)] for byte in self._digest(int(size)))
        if name == "hex":
            return self._digest((int(size) + 1) // 2).hex()[: int(size)].encode()
        raise ValueError(f"no generator named {generator!r}")


def _day(wall_ns: int, days: int) -> bytes:
    return (datetime.fromtimestamp(wall_ns / 1e9, UTC).date() + timedelta(days=days)).isoformat().encode()


# The first digit of a number is never 0 where all are drawn from 1 to 9.
_ALPHABETS = {
    "digits": b"123456789",
    "base36": b"0123456789abcdefghijklmnopqrstuvwxyz",
    "alnum": b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
}


def _uuid4(raw: bytes) -> bytes:
    """RFC 9562 §5.4: version 4 in the high nibble of octet 6, variant 10 in octet 8."""
    return _uuid_text(raw, 0x40)


def _uuid(wall_ms: int, raw: bytes) -> bytes:
    """RFC 9562 §5.7: version 7, 48 bits of milliseconds in front."""
    return _uuid_text(wall_ms.to_bytes(6, "big") + raw[6:], 0x70)


def _uuid_text(raw: bytes, version: int) -> bytes:
    octets = bytearray(raw)
    octets[6] = octets[6] & 0x0F | version
    octets[8] = octets[8] & 0x3F | 0x80
    text = octets.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".encode()
