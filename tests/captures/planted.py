"""The planted-secret corpus: every class of secret in every place, in every encoding, each a value of its own."""

from __future__ import annotations

import base64
import gzip
import html
import json
import secrets
import string
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

import brotli
import msgpack
import zstandard

from captures.redact.shapes import luhn_digit, mod_97

Maker = Callable[[], str]


def _letters(alphabet: str, n: int) -> str:
    # A digit and both cases for certain: a token of words alone is not to be told from words.
    return "7aQ" + "".join(secrets.choice(alphabet) for _ in range(n - 3))


def _jwt() -> str:
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": secrets.token_hex(6), "iat": 1_700_000_000, "role": "admin"}]
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*coded, secrets.token_urlsafe(32)))


def _card() -> str:
    digits = "4242" + "".join(secrets.choice(string.digits) for _ in range(11))
    return digits + luhn_digit(digits.encode()).decode()


def _iban() -> str:
    account = "".join(secrets.choice(string.digits) for _ in range(18))
    return f"DE{98 - mod_97(f'{account}DE00'.encode()):02d}{account}"


# Class · the name it goes under · how one is made · whether its looks alone give it away.
CLASSES: dict[str, tuple[str, Maker, bool]] = {
    "hex": ("session_id", lambda: secrets.token_hex(20), False),
    "uuid": ("sessionId", lambda: "-".join(secrets.token_hex(n) for n in (4, 2, 2, 2, 6)), False),
    "opaque": ("access_token", lambda: _letters(string.ascii_letters + string.digits, 32), False),
    "base64": ("refresh_token", lambda: base64.b64encode(b"\xfb\xff" + secrets.token_bytes(26)).decode(), False),
    "csrf": ("csrf_token", lambda: secrets.token_urlsafe(24) + "-9a", False),
    "password": ("password", lambda: f"Tr0ub4dor&{secrets.token_hex(4)} +/?", False),
    "api key": ("api_key", lambda: _letters(string.ascii_letters + string.digits, 24), False),
    "jwt": ("id_token", _jwt, True),
    "cloud key": ("aws_key", lambda: "AKIA" + "".join(secrets.choice(string.ascii_uppercase) for _ in range(16)), True),
    "github": ("gh", lambda: "ghp_" + _letters(string.ascii_letters + string.digits, 36), True),
    "card": ("card_number", _card, True),
    "iban": ("iban", _iban, True),
    "email": ("email", lambda: f"{secrets.token_hex(5)}.smith@mail.example", True),
    "phone": ("phone", lambda: "+4917" + "".join(secrets.choice("123456789") for _ in range(9)), True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One secret: its class, where it stands, and how that is written; ``key`` is the name it stands under."""

    klass: str
    place: str
    key: str
    value: str


def bodies(key: str, value: str) -> dict[str, tuple[str, bytes]]:
    """Bodies that hold a value under a name: place → content type and text."""
    in_json, in_html = json.dumps(value)[1:-1], html.escape(value)
    inner = json.dumps({"deep": {key: value}})
    part = f'--XX\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n--XX--\r\n'
    return {
        "json": ("application/json", f'{{"ok": true, "a": [{{"{key}": "{in_json}"}}]}}'.encode()),
        "json in json": ("application/json", json.dumps({"payload": inner}).encode()),
        "name and value": ("application/json", json.dumps({"fields": [{"name": key, "value": value}]}).encode()),
        "graphql": ("application/json", json.dumps({"query": "q", "variables": {"input": {key: value}}}).encode()),
        "form": ("application/x-www-form-urlencoded", f"a=1&{key}={quote(value, safe='')}&b=2".encode()),
        "multipart": ("multipart/form-data; boundary=XX", part.encode()),
        "html input": ("text/html", f'<form><input type="hidden" name="{key}" value="{in_html}"></form>'.encode()),
        "html meta": ("text/html", f"<meta name='{key}' content='{in_html}'>".encode()),
        "html textarea": ("text/html", f'<form><textarea id="a" name="{key}">{in_html}</textarea></form>'.encode()),
        "json in an attribute": (
            "text/html",
            f'<div id="app" data-page="{html.escape(json.dumps({"props": {key: value}}))}"></div>'.encode(),
        ),
        "html data attribute": ("text/html", f'<body data-{key}="{in_html}">hello</body>'.encode()),
        "html script": ("text/html", f'<script>window.S = {{{key}: "{in_json}"}};</script>'.encode()),
        "xml": ("application/xml", f"<e><n:{key} a='1'>{in_html}</n:{key}></e>".encode()),
        "text": ("text/plain", f'hello {key}="{value}" there'.encode()),
        "ndjson": ("application/x-ndjson", f'{{"n":1}}\n{{"{key}":"{in_json}"}}\n'.encode()),
        "no type": ("", f'{{"{key}": "{in_json}"}}'.encode()),
        "msgpack": ("application/msgpack", msgpack.packb({"a": [{"n": 7, key: value}]})),
        "json in a form": (
            "application/x-www-form-urlencoded",
            f"a=1&payload={quote_plus(json.dumps({'user': {key: value}}))}".encode(),
        ),
        "url in a form": (
            "application/x-www-form-urlencoded",
            f"a=1&next={quote(f'/cb?x=1&{key}=' + quote(value, safe=''), safe='')}".encode(),
        ),
        "xml-rpc": (
            "text/xml",
            f"<member><name>{key}</name><value><string>{in_html}</string></value></member>".encode(),
        ),
        "gzip of its own": ("application/octet-stream", gzip.compress(inner.encode())),
        "base64 in json": (
            "application/json",
            json.dumps({"state_blob": base64.b64encode(json.dumps({key: value}).encode()).decode()}).encode(),
        ),
    }


def messages(key: str, value: str) -> dict[str, bytes]:
    """Socket messages that hold a value under a name."""
    document = json.dumps({"type": "auth", key: value})
    return {
        "socket json": document.encode(),
        "socket.io": f'42/chat,7["login",{document}]'.encode(),
        "sockjs": f"a[{json.dumps(document)}]".encode(),
        "signalr": f"{document}\x1e{{}}\x1e".encode(),
        "msgpack": msgpack.packb({"type": "auth", "args": {key: value}}),
        "gzip": gzip.compress(document.encode()),
        "zlib": zlib.compress(document.encode()),
        "json after its length": struct.pack(">I", len(document)) + document.encode(),
        "stomp": f"CONNECT\nhost:shop\n\n{document}\0".encode(),
    }


def zstd(data: bytes) -> bytes:
    """Compress as servers do."""
    return zstandard.ZstdCompressor().compress(data)


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd,
}


def written(value: str) -> Iterator[bytes]:
    """Ways in which a value may stand in a file."""
    raw = value.encode()
    yield from codings(value)
    # In base64 a text stands in one of three ways, by what is before it; the ends depend on the neighbours.
    for shift in range(3):
        inner = base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4]
        if len(inner) >= 12:
            yield inner
            yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def codings(value: str) -> Iterator[bytes]:
    """A value whole, in every coding that applications use."""
    raw = value.encode()
    yield from (raw, quote(value, safe="").encode(), quote(value).encode(), html.escape(value).encode())
    yield from (json.dumps(value).encode()[1:-1], raw.hex().encode(), quote_plus(value).encode())
    yield from (base64.b64encode(b"a: " + b"x" * shift + raw + b" and so on") for shift in range(3))
    yield base64.urlsafe_b64encode(raw)
