"""Secrets that no rule names: drawn by a machine, or named by a program in the place before them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from captures.leaves import Coding, unescape
from captures.redact.censor import Censor, Edit
from captures.redact.drawn import drawn_strings, is_drawn
from captures.redact.policy import Class, Need
from captures.redact.prose import decoded_base64
from captures.redact.writing import written

_LISTED = re.compile(
    rb"(?P<quote>[\"'])(?P<key>[A-Za-z_][\w.-]{1,63})(?P=quote)\s{0,3},\s{0,3}(?P<q2>[\"'])(?P<value>[!#-&(-~]{8,8192})(?P=q2)"
)
_TEXTAREA = re.compile(
    rb"<textarea\b[^<>]{0,1024}?\sname\s*=\s*[\"']?(?P<key>[A-Za-z_][\w.\-]{1,63})[^<>]{0,1024}>(?P<value>[^<>]{3,65536})</",
    re.IGNORECASE,
)


class Looks:
    """Replaces by looks."""

    def __init__(self, censor: Censor) -> None:
        self._censor = censor

    def replaced(self, key: str, value: bytes, where: str) -> bytes | None:
        """Return the stand-in of a value that was drawn under a name that no rule knows."""
        if not is_drawn(value) or not self._censor.policy.of_key(key).is_silent or decoded_base64(value) is not None:
            return None
        return self._censor.replaced(value, Class.SECRET, f"{where}, looks drawn", is_loose=True)

    def strings(self, text: bytes) -> Iterator[Edit]:
        """Yield what becomes of the drawn strings of a JSON text."""
        for start, end, key in drawn_strings(text):
            name = key.decode("utf-8", "replace") if key else ""
            new = self.replaced(name, text[start:end], f"text {name}".rstrip())
            if new is not None:
                yield start, end, new

    def listed(self, text: bytes) -> Iterator[Edit]:
        """A program may name a value in the place before it: ``setItem("token", "…")``."""
        for match in _LISTED.finditer(text):
            key = match["key"].decode()
            new = self._censor.named(key, match["value"], f"text {key}", at_least=Need.TOKEN)
            if new is not None:
                yield *match.span("value"), new

    def textareas(self, text: bytes) -> Iterator[Edit]:
        """Yield what becomes of the fields of a page that hold their value between their tags."""
        for match in _TEXTAREA.finditer(text):
            key = match["key"].decode()
            new = self._censor.named(key, unescape(match["value"].strip()), f"html {key}", at_least=Need.NO_WORD)
            if new is not None:
                yield *match.span("value"), written(new, Coding.HTML, match["value"])
