"""Redacts documents leaf by leaf through the one walker: JSON, forms, multipart, HTML, envelopes, URLs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from captures.graphql import arguments_of
from captures.leaves import (
    Coding,
    JsonPath,
    Leaf,
    body_leaves,
    form_leaves,
    html_leaves,
    json_leaves,
    looks_like_json,
    path_leaves,
)
from captures.redact.beside import beside_passwords, password_inputs
from captures.redact.censor import Censor, Edit, edited
from captures.redact.detect import is_random
from captures.redact.looks import Looks
from captures.redact.naming import in_place, is_form, keys_of, last_key, names_beside, query_leaves
from captures.redact.pieces import WHOLE_BYTES, pieces
from captures.redact.policy import Class, Need
from captures.redact.prose import KEY, Prose
from captures.redact.writing import in_percent, out_of_percent, written

_FORM_TYPE = b"application/x-www-form-urlencoded"
_ENVELOPE_BYTES = 64
_RECORD_SEPARATOR = b"\x1e"
_SCRIPTS = frozenset({b"application/javascript", b"text/javascript", b"application/x-javascript", b"text/ecmascript"})
_URL = re.compile(rb"(?:[a-z][a-z0-9+.-]{1,15}:/)?/|[?#]")
MAX_DOCUMENT_BYTES = 4 << 20
"""A JSON document that is longer is searched as a text is, and not taken apart: its leaves would fill the memory."""
_MAX_DEPTH = 4
_MIN_INNER_BYTES = 8
"""Values inside of values that are taken apart, and the shortest that is."""


class Structure:
    """Redacts bodies, messages and URLs."""

    def __init__(self, censor: Censor, prose: Prose) -> None:
        self._censor = censor
        self._prose = prose
        self._looks = Looks(censor)
        self._depth = 0

    def body(self, content_type: bytes, text: bytes) -> bytes:
        """Return a decoded text body without its secrets."""
        kind = content_type.partition(b";")[0].strip().lower()
        if looks_like_json(text):
            return self.message(text)
        if kind == _FORM_TYPE or (not kind.startswith(b"multipart/") and is_form(text)):
            text = self._leaves(form_leaves(text), text, "field")
        elif kind.startswith(b"multipart/"):
            text = self._leaves(body_leaves(content_type, text), text, "field")
        elif kind in (b"text/html", b"application/xhtml+xml"):
            text = self._leaves(html_leaves(text), text, "html")
            text = edited(text, password_inputs(self._censor, text))
            text = edited(text, self._looks.listed(text))
            text = edited(text, self._looks.textareas(text))
        elif kind == b"text/event-stream":
            return self.lines(text)
        elif kind.endswith((b"ndjson", b"jsonl", b"json-seq")):
            return b"".join(self.message(line) for line in text.splitlines(keepends=True))
        elif kind in _SCRIPTS:
            text = edited(text, self._looks.listed(text))
        text = self._prose.redacted(text)
        return in_percent(text) if kind == _FORM_TYPE else text

    def message(self, text: bytes) -> bytes:
        """Return a message without its secrets: JSON, bare, in an envelope (``42["event",{…}]``) or several in one."""
        if len(text) > MAX_DOCUMENT_BYTES:
            return self._strings(text)
        records = text.split(_RECORD_SEPARATOR) if _RECORD_SEPARATOR in text else [text]
        if is_dull := self._censor.is_dull(KEY.findall(text)):
            return self._strings(text, is_dull=is_dull)
        return self._strings(_RECORD_SEPARATOR.join(map(self._json, records)))

    def lines(self, text: bytes) -> bytes:
        """Return whole lines of an event stream without their secrets."""
        parts = []
        for line in text.splitlines(keepends=True):
            name, colon, data = line.partition(b":")
            parts.append(name + colon + self._json(data) if colon and name == b"data" else line)
        return self._strings(b"".join(parts))

    def _strings(self, text: bytes, *, is_dull: bool = False) -> bytes:
        if len(text) > WHOLE_BYTES:
            return b"".join([self._strings(piece, is_dull=is_dull) for piece in pieces(text)])
        text = self._prose.redacted(text, is_dull=is_dull, is_final=False)
        text = edited(text, self._looks.strings(text))
        self._censor.known.pass_on(text)
        return text

    def document(self, leaves: list[Leaf], data: bytes) -> bytes:
        """Return a document in another notation than JSON without its secrets, whose leaves are given."""
        return self._leaves(leaves, data, "document")

    def url(self, raw: bytes) -> bytes:
        """Return an absolute or relative URL without its secrets."""
        at = raw.find(b"://")
        path_at = raw.find(b"/", at + 3) if at >= 0 else 0
        if path_at < 0:
            return self._prose.redacted(raw)
        path, mark, rest = raw[path_at:].partition(b"?")
        query, sharp, fragment = rest.partition(b"#") if mark else (b"", b"", b"")
        if not mark:
            path, sharp, fragment = path.partition(b"#")
        parts = (
            raw[:path_at],
            self._path(path),
            mark,
            self._query(path, query),
            sharp,
            self._leaves(query_leaves(fragment), fragment, "fragment"),
        )
        return in_percent(self._prose.redacted(b"".join(parts)))

    # Parts.

    def _query(self, path: bytes, query: bytes) -> bytes:
        """A query without names may be one token; behind a file's name it is a version."""
        if b"=" in query:
            return self._leaves(query_leaves(query), query, "query")
        is_file = b"." in path.rpartition(b"/")[2]
        return query if is_file else self._looks.replaced("", query, "query") or query

    def _path(self, path: bytes) -> bytes:
        """A segment is secret where the one before it says so: ``/reset-token/3f9a…``, ``;jsessionid=…``."""
        edits: list[Edit] = []
        before = ""
        for leaf in path_leaves(path):
            new = self._censor.named(before, leaf.value, "path", at_least=Need.TOKEN) if before else None
            if new is not None:
                edits.append((leaf.start, leaf.end, written(new, Coding.PERCENT, path[leaf.start : leaf.end])))
            before = leaf.value.decode("utf-8", "replace")[:100]
        return edited(path, edits)

    def _json(self, text: bytes) -> bytes:
        start = min((at for at in (text.find(b"{"), text.find(b"[")) if at >= 0), default=-1)
        if not 0 <= start <= _ENVELOPE_BYTES:
            return text
        if b'"variables"' not in text and self._censor.is_dull(KEY.findall(text)):
            return text
        document = text[start:].rstrip(b"\0\r\n \t")
        try:
            leaves = json_leaves(document)
        except (ValueError, RecursionError):
            return text
        return text[:start] + self._leaves(leaves, document, "json") + text[start + len(document) :]

    def _leaves(self, leaves: list[Leaf], text: bytes, kind: str) -> bytes:
        if not leaves:
            return text
        is_document = kind in ("json", "document")
        names = names_beside(leaves) | arguments_of(leaves) if is_document else {}
        # Who a password is of comes first: the same field may be personal as well, but then it must be typed.
        edits = list(beside_passwords(self._censor, leaves, text)) if self._censor.is_sent else []
        for leaf in leaves:
            edits += self._edit(leaf, text, kind, names)
        if is_document:
            edits += self._known_numbers(leaves, text, {start for start, _, _ in edits})
        return edited(text, edits)

    def _known_numbers(self, leaves: list[Leaf], text: bytes, done: set[int]) -> Iterator[Edit]:
        """A number that is known as secret from elsewhere: its stand-in needs the quotes that it lacks itself."""
        for leaf in leaves:
            if not leaf.is_text and leaf.start not in done and leaf.value.isdigit():
                new = self._censor.known.replacement(leaf.value)
                if new is not None:
                    self._censor.note(leaf.value, Class.SECRET, "known value")
                    yield leaf.start, leaf.end, in_place(new, leaf, text[leaf.start : leaf.end])

    def _edit(self, leaf: Leaf, text: bytes, kind: str, names: dict[JsonPath, str]) -> Iterator[Edit]:
        if not leaf.value or (not leaf.is_text and not leaf.value.isdigit()):
            return
        raw = text[leaf.start : leaf.end]
        where = f"{kind} /" + "/".join("*" if isinstance(step, int) else step for step in leaf.path)
        value = leaf.value
        if leaf.coding in (Coding.PERCENT, Coding.FORM) and b"+" in raw and is_random(unquote_to_bytes(raw)):
            value = unquote_to_bytes(raw)
        new = None
        for key, need in keys_of(leaf.path, names):
            new = self._censor.named(key, value, where, at_least=need)
            if new is not None:
                yield leaf.start, leaf.end, in_place(new, leaf, raw)
                return
        if kind != "json":
            yield from self._unnamed(leaf, value, raw, where)

    def _unnamed(self, leaf: Leaf, value: bytes, raw: bytes, where: str) -> Iterator[Edit]:
        """A value whose name says nothing may be a document or a URL, or may have been drawn."""
        new = self._inner(value, is_coded=value != raw)
        if new == value and leaf.is_text:
            new = self._looks.replaced(last_key(leaf.path), value, where) or value
        if new != value:
            yield leaf.start, leaf.end, in_place(new, leaf, raw)

    def _inner(self, value: bytes, *, is_coded: bool) -> bytes:
        """Return a value that is a document or a URL itself, or is written in another coding, without its secrets."""
        if self._depth >= _MAX_DEPTH or len(value) < _MIN_INNER_BYTES:
            return value
        self._depth += 1
        try:
            if looks_like_json(value):
                return self.message(value)
            if b"=" in value and _URL.match(value):
                return out_of_percent(self.url(value))
            return self._prose.redacted(value, depth=1) if is_coded else value
        finally:
            self._depth -= 1
