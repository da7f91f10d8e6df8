"""Recorded origins inside of what the client sent: they follow the target. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from captures.records import Origin


class OriginText(NamedTuple):
    """One place of an origin: ``form`` as of an ORIGIN slot, ``is_escaped`` where it is percent-encoded."""

    start: int
    end: int
    origin: int
    form: str
    is_escaped: bool


class OriginFinder:
    """Finds origins in the forms ``https://host:port``, ``wss://host:port`` and percent-encoded, in one search.

    Args:
        origins: by number.
    """

    def __init__(self, origins: Sequence[Origin]) -> None:
        self._known: dict[bytes, tuple[int, str, bool]] = {}
        self._authorities: dict[bytes, int] = {}
        for number, origin in enumerate(origins):
            plain = str(origin)
            for form, text in (("origin", plain), ("ws_origin", plain.replace("http", "ws", 1))):
                self._known.setdefault(text.encode(), (number, form, False))
                escaped = quote(text, safe="").encode()
                self._known.setdefault(escaped, (number, form, True))
                self._known.setdefault(
                    re.sub(rb"%[0-9A-F]{2}", lambda m: m.group().lower(), escaped), (number, form, True)
                )
            if ":" in origin.authority:
                self._authorities.setdefault(origin.authority.encode(), number)
        texts = sorted(self._known, key=lambda text: (-len(text), text))
        # Subtle: without the look-ahead ``http://shop`` would be found in ``http://shop.evil`` and ``http://shop:81``.
        pattern = rb"(?:%s)(?![A-Za-z0-9.:-]|%%3[aA]|%%2[eE])" % b"|".join(map(re.escape, texts))
        self._pattern = re.compile(pattern) if texts else None

    def find(self, text: bytes) -> Iterator[OriginText]:
        """Yield the origins in a text, in order."""
        for match in self._pattern.finditer(text) if self._pattern else ():
            origin, form, is_escaped = self._known[match.group()]
            yield OriginText(match.start(), match.end(), origin, form, is_escaped)

    def authority(self, value: bytes) -> int:
        """Return the number of the origin whose ``host:port`` a value is, or -1."""
        return self._authorities.get(value, -1)
