"""Redacts documents leaf by leaf through the one walker: JSON, forms, multipart, HTML, envelopes, URLs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

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
    unescape,
)
from captures.redact.censor import Censor, Edit, edited
from captures.redact.detect import is_random, meets
from captures.redact.inputs import is_placeholder
from captures.redact.naming import in_place, is_form, keys_of, last_key, names_beside, query_leaves
from captures.redact.policy import Class, Need, plain_key
from captures.redact.prose import KEY, Prose
from captures.redact.rules import USER_KEYS
from captures.redact.writing import in_percent, written

_FORM_TYPE = b"application/x-www-form-urlencoded"
_PASSWORD_INPUT = re.compile(rb"<input\b[^<>]{0,2048}type\s*=\s*[\"']?password\b[^<>]{0,2048}>", re.IGNORECASE)
_VALUE = re.compile(rb"\bvalue\s*=\s*(?:\"([^\"]+)\"|'([^']+)'|([^\s\"'>]+))", re.IGNORECASE)
_ENVELOPE_BYTES = 64
_RECORD_SEPARATOR = b"\x1e"


class Structure:
    """Redacts bodies, messages and URLs."""

    def __init__(self, censor: Censor, prose: Prose) -> None:
        self._censor = censor
        self._prose = prose

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
            text = edited(text, self._password_inputs(text))
        elif kind == b"text/event-stream":
            return self.lines(text)
        elif kind.endswith((b"ndjson", b"jsonl", b"json-seq")):
            return b"".join(self.message(line) for line in text.splitlines(keepends=True))
        text = self._prose.redacted(text)
        return in_percent(text) if kind == _FORM_TYPE else text

    def message(self, text: bytes) -> bytes:
        """Return a message without its secrets: JSON, bare, in an envelope (``42["event",{…}]``) or several in one."""
        records = text.split(_RECORD_SEPARATOR) if _RECORD_SEPARATOR in text else [text]
        if is_dull := self._censor.is_dull(KEY.findall(text)):
            return self._prose.redacted(text, is_dull=is_dull)
        return self._prose.redacted(_RECORD_SEPARATOR.join(map(self._json, records)))

    def lines(self, text: bytes) -> bytes:
        """Return whole lines of an event stream without their secrets."""
        parts = []
        for line in text.splitlines(keepends=True):
            name, colon, data = line.partition(b":")
            parts.append(name + colon + self._json(data) if colon and name == b"data" else line)
        return self._prose.redacted(b"".join(parts))

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
            self._leaves(query_leaves(query), query, "query"),
            sharp,
            self._leaves(query_leaves(fragment), fragment, "fragment"),
        )
        return in_percent(self._prose.redacted(b"".join(parts)))

    # Parts.

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
        if not 0 <= start <= _ENVELOPE_BYTES or self._censor.is_dull(KEY.findall(text)):
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
        names = names_beside(leaves) if kind == "json" else {}
        # Who a password is of comes first: the same field may be personal as well, but then it must be typed.
        edits = list(self._beside_passwords(leaves, text)) if self._censor.is_sent else []
        for leaf in leaves:
            edits += self._edit(leaf, text, kind, names)
        if kind == "json":
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

    def _beside_passwords(self, leaves: list[Leaf], text: bytes) -> Iterator[Edit]:
        """Beside a password stands who it is of: that becomes an input too."""
        groups: dict[JsonPath, list[Leaf]] = {}
        for leaf in leaves:
            groups.setdefault(leaf.path[:-1] if len(leaf.path) > 1 else (), []).append(leaf)
        for group in groups.values():
            typed = [leaf for leaf in group if self._is_password(leaf)]
            others = [leaf for leaf in group if leaf.is_text and leaf.value and leaf not in typed]
            users = [leaf for leaf in others if USER_KEYS.fullmatch(plain_key(last_key(leaf.path)))]
            for leaf in (users or (others if len(others) == 1 else ())) if typed else ():
                yield from self._user_edit(leaf, text[leaf.start : leaf.end])

    def _is_password(self, leaf: Leaf) -> bool:
        rule = self._censor.policy.of_key(last_key(leaf.path))
        if not leaf.is_text and not leaf.value.isdigit():
            return False
        return rule.klass is Class.CRED and rule.need is Need.TYPED and meets(leaf.value, Need.TYPED)

    def _user_edit(self, leaf: Leaf, raw: bytes) -> Iterator[Edit]:
        key = last_key(leaf.path)
        if is_placeholder(leaf.value) or leaf.coding is Coding.HTML:
            return
        new = self._censor.replaced(leaf.value, Class.CRED, f"beside a password, {key}", key=key)
        if new is None:
            # The password is a stand-in of another redaction: who it is of is none yet, or is one too.
            return
        yield leaf.start, leaf.end, written(new, leaf.coding, raw)

    def _password_inputs(self, text: bytes) -> Iterator[Edit]:
        for tag in _PASSWORD_INPUT.finditer(text):
            value = _VALUE.search(text, *tag.span())
            if value is not None:
                start, end = value.span(value.lastindex or 0)
                new = self._censor.replaced(unescape(text[start:end]), Class.CRED, "html password input")
                if new is not None:
                    yield start, end, written(new, Coding.HTML, text[start:end])
