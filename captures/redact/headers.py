"""Redacts headers: cookies by value, tokens after their scheme, URLs by part, addresses, the rest as text. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from captures.envelopes import is_protocol_name
from captures.leaves import Coding, cookie_leaves, looks_like_json
from captures.records import Headers
from captures.redact.censor import Censor, Edit, edited
from captures.redact.detect import is_foreign_address, is_random, meets
from captures.redact.drawn import is_drawn
from captures.redact.inputs import PLACEHOLDER, column_of, placeholder
from captures.redact.policy import Class, Need
from captures.redact.prose import Prose
from captures.redact.pseudonyms import JWT, Form
from captures.redact.structure import Structure
from captures.redact.writing import written

_AUTH = frozenset({b"authorization", b"proxy-authorization"})
_CHALLENGES = frozenset({b"www-authenticate", b"proxy-authenticate", b"authentication-info"})
_URLS = frozenset({b"location", b"content-location", b"referer", b"refresh", b"link", b"origin", b"x-original-url"})
_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9_-]{1,24}) +(?=\S)")
_PARAMETER = re.compile(rb"([A-Za-z][A-Za-z0-9_-]{1,40})\s*=\s*(?:\"([^\"]*)\"|([^\s,;\"]+))")
_ADDRESS = re.compile(rb"(?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}")
_PROTOCOL = re.compile(rb"[^\s,]{12,}")
_MAX_CACHED = 10_000


class HeaderRedactor:
    """Redacts header blocks; headers that hold nothing are remembered, for they come with every request."""

    def __init__(self, censor: Censor, prose: Prose, structure: Structure) -> None:
        self._censor = censor
        self._prose = prose
        self._structure = structure
        self._clean: set[tuple[bytes, bytes]] = set()
        self._generation = -1

    def redacted(self, headers: Headers) -> Headers:
        """Return headers without secrets, in order; those that the policy drops are missing."""
        if self._generation != self._censor.known.generation or len(self._clean) > _MAX_CACHED:
            self._clean.clear()
            self._generation = self._censor.known.generation
        return tuple(pair for name, value in headers for pair in self._pair(name, value))

    def protocols(self, value: bytes) -> bytes:
        """Return subprotocols of a WebSocket without the tokens that are smuggled among them."""
        edits: list[Edit] = []
        for match in _PROTOCOL.finditer(value):
            # ``base64url.bearer.authorization.k8s.io.TOKEN``: names have dots, and the token is one of the labels.
            if JWT.search(match.group()) or is_protocol_name(match.group()):
                # Its parts are no secrets of their own; it is told by its looks, whole.
                continue
            start = match.start()
            for label in match.group().split(b"."):
                new = self._censor.replaced(label, Class.SECRET, "subprotocol") if is_random(label) else None
                if new is not None:
                    edits.append((start, start + len(label), new))
                start += len(label) + 1
        return self._prose.redacted(edited(value, edits))

    def _pair(self, name: bytes, value: bytes) -> Iterator[tuple[bytes, bytes]]:
        if (name, value) in self._clean:
            yield name, value
            return
        lower = name.lower()
        if self._censor.policy.drops(lower):
            self._censor.note(value, Class.SECRET, f"header {lower.decode('latin-1')} (dropped)")
            return
        new = self._value(lower, value)
        if new == value:
            self._clean.add((name, value))
        yield name, new

    def _value(self, name: bytes, value: bytes) -> bytes:
        if name == b"cookie":
            value = edited(value, self._cookies(value))
        elif name == b"set-cookie":
            value = edited(value, self._set_cookie(value))
        elif name in _URLS:
            return self._structure.url(value)
        elif name in _AUTH:
            value = self._authorization(name, value)
        elif name in _CHALLENGES:
            value = edited(value, self._parameters(name, value))
        elif name == b"sec-websocket-protocol":
            return self.protocols(value)
        else:
            value = self._by_rule(name, value)
        return self._prose.redacted(value)

    def _by_rule(self, name: bytes, value: bytes) -> bytes:
        rule, where = self._censor.policy.of_header(name), f"header {name.decode('latin-1')}"
        if rule.is_silent and name.startswith(b"x-") and is_drawn(value):
            return self._censor.replaced(value, Class.SECRET, where, is_loose=True) or value
        if rule.klass is Class.KEEP or not value:
            return value
        if rule.klass is Class.PII:
            return edited(value, self._addresses(value, where))
        if not meets(value, rule.need):
            return value
        scheme = _SCHEME.match(value)
        start = scheme.end() if scheme else 0
        # A credential in a header has no field beside it: it is a key, whatever its name.
        klass = Class.SECRET if rule.klass is Class.CRED else rule.klass
        new = self._censor.replaced(value[start:], klass, where)
        return value if new is None else value[:start] + new

    # Cookies.

    def _cookies(self, value: bytes) -> Iterator[Edit]:
        for leaf in cookie_leaves(value):
            name, raw = str(leaf.path[0]), leaf.value
            start, end = (leaf.start + 1, leaf.end - 1) if raw[:1] == raw[-1:] == b'"' and len(raw) > 1 else leaf[2:4]
            raw = value[start:end]
            plain = unquote_to_bytes(raw) if b"%" in raw else raw
            new = self._cookie(name, plain)
            if new is not None:
                yield start, end, written(new, Coding.PERCENT if plain != raw else Coding.RAW, raw)

    def _set_cookie(self, value: bytes) -> Iterator[Edit]:
        """Of the attributes only the path is of the site's own making (RFC 6265 §4.1)."""
        pair = value.partition(b";")[0]
        yield from self._cookies(pair)
        for leaf in cookie_leaves(value):
            if leaf.start > len(pair) and str(leaf.path[0]).lower() == "path":
                yield leaf.start, leaf.end, self._structure.url(leaf.value)

    def _cookie(self, name: str, plain: bytes) -> bytes | None:
        if looks_like_json(plain):
            new = self._structure.message(plain)
            return None if new == plain else new
        rule = self._censor.policy.of_key(name)
        need = Need.TYPED if rule.klass is Class.CRED else Need.NO_WORD
        if (rule.klass is not Class.KEEP and meets(plain, need)) or is_random(plain):
            klass = Class.PII if rule.klass is Class.PII else Class.SECRET
            return self._censor.replaced(plain, klass, f"cookie {name}")
        return None

    # Authorization.

    def _authorization(self, name: bytes, value: bytes) -> bytes:
        where = f"header {name.decode()}"
        scheme = _SCHEME.match(value)
        if scheme is None:
            return self._censor.replaced(value, Class.SECRET, where) or value
        kind, rest = scheme.group(1).lower(), value[scheme.end() :]
        if kind == b"basic":
            return value[: scheme.end()] + self._basic(name.decode(), rest)
        if b"," in rest or b'="' in rest:
            return edited(value, self._parameters(name, value))
        return value[: scheme.end()] + self._token(rest, where)

    def _token(self, raw: bytes, where: str) -> bytes:
        plain = unquote_to_bytes(raw) if b"%" in raw else raw
        new = self._censor.replaced(plain, Class.SECRET, where)
        return raw if new is None else written(new, Coding.PERCENT if plain != raw else Coding.RAW, raw)

    def _basic(self, name: str, rest: bytes) -> bytes:
        """The whole of ``user:password`` is one column, in base64 (RFC 7617)."""
        if self._censor.is_settled(rest) or PLACEHOLDER.fullmatch(rest):
            return rest
        try:
            user, _, password = base64.b64decode(rest, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return self._censor.replaced(rest, Class.SECRET, f"header {name}") or rest
        for part in (user, password):
            if meets(part, Need.NO_WORD):
                self._censor.replaced(part, Class.PII, f"header {name}")
        column = column_of(name)
        self._censor.columns.setdefault(column)
        self._censor.note(rest, Class.CRED, f"header {name}")
        return placeholder(column, "base64")

    def _parameters(self, name: bytes, value: bytes) -> Iterator[Edit]:
        """Digest, AWS and others: every parameter that is random, or says what it is (RFC 9110 §11.2)."""
        for match in _PARAMETER.finditer(value):
            group = 2 if match[2] is not None else 3
            key, part, where = match[1].decode(), match[group], f"header {name.decode('latin-1')} {match[1].decode()}"
            new = self._censor.named(key, part, where)
            if new is None and key.lower() in ("username", "uri", "realm", "algorithm", "qop", "nc"):
                new = self._censor.replaced(part, Class.PII, where) if key.lower() == "username" and part else None
            elif new is None and (is_random(part) or key.lower() in ("response", "nonce", "cnonce", "opaque")):
                new = self._censor.replaced(part, Class.SECRET, where)
            if new is not None:
                yield *match.span(group), new

    def _addresses(self, value: bytes, where: str) -> Iterator[Edit]:
        for match in _ADDRESS.finditer(value):
            if is_foreign_address(match.group()):
                new = self._censor.replaced(match.group(), Class.PII, where, form=Form.IP)
                if new is not None:
                    yield *match.span(), new
