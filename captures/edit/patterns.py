"""What people type to pick exchanges: origins, routes, methods, statuses, sessions. Pure.

Each option is a list of patterns. One that begins with ``!`` takes out what it matches, the others let in; without any
of the others everything is let in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from captures.errors import ConfigError
from captures.records import Origin

T = TypeVar("T")
Test = Callable[[T], bool]

_STATUS = re.compile(r"([1-5])xx|([1-5]\d\d)(?:-([1-5]\d\d))?", re.IGNORECASE)
_SESSION = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_METHOD = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)
_PIECE = re.compile(r"\{[^{}/]*\}|\*\*|\*")
_PIECES = {"**": ".*", "*": "[^/]*"}
_TWINS = {"ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True)
class Choice(Generic[T]):
    """Patterns of one kind; matches what one of ``wanted`` matches, or everything without any, and no ``refused``."""

    wanted: tuple[Test[T], ...] = ()
    refused: tuple[Test[T], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.wanted or self.refused)

    def has(self, value: T) -> bool:
        """Whether a value is let in."""
        if any(test(value) for test in self.refused):
            return False
        return not self.wanted or any(test(value) for test in self.wanted)


def choice_of(patterns: Sequence[str], parse: Callable[[str], Test[T]]) -> Choice[T]:
    """Read the patterns of one option.

    Raises:
        ConfigError: one is malformed.
    """
    wanted = tuple(parse(text) for text in patterns if not text.startswith("!"))
    refused = tuple(parse(text[1:]) for text in patterns if text.startswith("!"))
    return Choice(wanted, refused)


def origin_test(text: str) -> Test[Origin]:
    """``https://shop.example``, ``shop.example:8443``, ``shop.example`` (any scheme and port); ``*`` is any text."""
    scheme, mark, rest = text.lower().removesuffix("/").rpartition("://")
    if not rest or "/" in rest:
        raise ConfigError(f"--origin {text!r} is not an origin", "write https://shop.example, or shop.example")
    pattern = re.compile(_glob(f"{_TWINS.get(scheme, scheme)}{mark}{rest}", {"*": ".*", "**": ".*"}), re.DOTALL)
    if mark:
        return lambda origin: bool(pattern.fullmatch(str(origin)))
    return lambda origin: any(
        pattern.fullmatch(name) for name in (origin.host, origin.authority, f"{origin.host}:{origin.port}")
    )


def route_test(text: str) -> Test[tuple[str, str]]:
    """``/api/quotes/{id}``, ``/static/**``, ``POST /login``: takes method and path without query.

    ``{name}`` is one segment, ``*`` any text within a segment, ``**`` any text.
    """
    method, _, path = text.strip().rpartition(" ")
    path = path.partition("?")[0]
    if not path.startswith(("/", "*")) or (method and not _METHOD.fullmatch(method)):
        raise ConfigError(f"--route {text!r} is not a route", "write /api/quotes/{id}, /static/** or POST /login")
    pattern = re.compile(_glob(path, _PIECES), re.DOTALL)
    wanted = method.upper()
    return lambda asked: (not wanted or asked[0].upper() == wanted) and bool(pattern.fullmatch(asked[1]))


def method_test(text: str) -> Test[str]:
    """``GET``, in any case."""
    if not _METHOD.fullmatch(text):
        raise ConfigError(f"--method {text!r} is not a method", "write GET, POST and the like")
    wanted = text.upper()
    return lambda method: method.upper() == wanted


def status_test(text: str) -> Test[int | None]:
    """``200``, ``4xx``, ``400-499``, ``none`` for exchanges that were never answered."""
    if text.lower() == "none":
        return lambda status: status is None
    match = _STATUS.fullmatch(text)
    if match is None:
        raise ConfigError(f"--status {text!r} is not a status", "write 200, 4xx, 400-499 or none")
    first = int(match[1]) * 100 if match[1] else int(match[2])
    last = first + 99 if match[1] else int(match[3] or match[2])
    return lambda status: status is not None and first <= status <= last


def session_test(text: str) -> Test[int]:
    """``3`` or ``3-7``, as ``rushhour inspect`` numbers sessions."""
    match = _SESSION.fullmatch(text)
    if match is None:
        raise ConfigError(f"--session {text!r} is not a session", "write 3 or 3-7, as rushhour inspect numbers them")
    first, last = int(match[1]), int(match[2] or match[1])
    return lambda session: first <= session <= last


def _glob(text: str, pieces: dict[str, str]) -> str:
    parts, at = [], 0
    for piece in _PIECE.finditer(text):
        parts += [re.escape(text[at : piece.start()]), pieces.get(piece[0], "[^/]+")]
        at = piece.end()
    return "".join([*parts, re.escape(text[at:])])
