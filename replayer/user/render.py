"""Templates made ready for one run: pre-encoded bytes with a few places to fill. Pure.

Linking happens once per script and worker; rendering is the hot path: copy a list, fill the places, join. A template
without slots is one bytes object. The Content-Length of a body with slots is arithmetic, never a second rendering.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from replayer.plan.records import RequestTemplate, Template

Values = Sequence[bytes | None]


class MissingValue(Exception):
    """A slot has no value: ``MissingValue(slot)``; the step cannot be sent."""

    def __init__(self, slot: int) -> None:
        super().__init__(slot)
        self.slot = slot


class Rendered:
    """One template of one run.

    Args:
        segments: bytes and slot numbers, in order.
        length_at: position among ``segments`` (an empty bytes segment) that gets the length of the body, or -1.
        body_from: position of the first segment of the body.
    """

    __slots__ = ("_body_slots", "_body_static_bytes", "_fills", "_length_at", "_segments", "static")

    def __init__(self, segments: Sequence[bytes | int], *, length_at: int = -1, body_from: int = 0) -> None:
        fills = [(at, slot) for at, slot in enumerate(segments) if isinstance(slot, int)]
        self._segments: list[bytes] = [b"" if isinstance(part, int) else part for part in segments]
        self._fills = tuple(fills)
        self._length_at = length_at
        self._body_slots = tuple(slot for at, slot in fills if at >= body_from)
        self._body_static_bytes = sum(map(len, self._segments[body_from:]))
        self.static: bytes | None = None if fills else b"".join(self._segments)

    def render(self, values: Values) -> bytes:
        """Return the bytes to send.

        Raises:
            MissingValue: a slot it uses has no value.
        """
        if self.static is not None:
            return self.static
        parts = self._segments.copy()
        for at, slot in self._fills:
            value = values[slot]
            if value is None:
                raise MissingValue(slot)
            parts[at] = value
        if self._length_at >= 0:
            length = self._body_static_bytes
            for slot in self._body_slots:
                length += len(values[slot] or b"")
            parts[self._length_at] = b"%d" % length
        return b"".join(parts)


class CookieSlots(NamedTuple):
    """Where the jar's cookies stand among a user's values: ``pairs`` as ``a=1; b=2``, ``line`` as a whole header line
    or empty, ``start`` as ``a=1; b=2; `` or empty. ``pairs`` is -1 where no step sends cookies."""

    pairs: int
    line: int
    start: int


def begin_with_cookies(value: Template, cookies: CookieSlots) -> Template:
    """Return a Cookie header's value so that what follows the jar's cookies is right for an empty jar too."""
    if len(value) > 1 and value[0] == cookies.pairs and isinstance(value[1], bytes):
        return (cookies.start, value[1].removeprefix(b"; "), *value[2:])
    return value


def link_template(template: Template, constants: Mapping[int, bytes]) -> list[bytes | int]:
    """Return the template with the slots known for the whole run replaced and neighbouring bytes joined."""
    linked: list[bytes | int] = []
    for segment in template:
        part = constants.get(segment, segment) if isinstance(segment, int) else segment
        if isinstance(part, bytes) and linked and isinstance(linked[-1], bytes):
            linked[-1] += part
        else:
            linked.append(part)
    return linked


def link_http1(
    request: RequestTemplate,
    *,
    authority: bytes,
    added: Sequence[tuple[bytes, bytes]],
    constants: Mapping[int, bytes],
    cookies: CookieSlots,
) -> Rendered:
    """Encode a request for HTTP/1.1 (RFC 9112 §3, §5).

    Args:
        request: its header templates may use the slot of the jar's cookies.
        authority: of the target, for the Host header.
        added: headers of the run (``--header``); they replace recorded ones of the same name.
        constants: values of the slots that are the same for every user.
        cookies: where the jar's cookies stand among the values.
    """
    replaced = {name.lower() for name, _ in added}
    parts: list[bytes | int] = [request.method, b" ", *request.target, b" HTTP/1.1\r\nHost: ", authority, b"\r\n"]
    for name, value in request.headers:
        if name.lower() in replaced:
            continue
        if value == (cookies.pairs,):
            parts.append(cookies.line)
        else:
            parts += [name, b": ", *begin_with_cookies(value, cookies), b"\r\n"]
    for name, literal in added:
        parts += [name, b": ", literal, b"\r\n"]
    body = link_template(request.body, constants)
    if not any(isinstance(part, int) for part in body):
        literal_body = b"".join(part for part in body if isinstance(part, bytes))
        if literal_body or request.method in (b"POST", b"PUT", b"PATCH"):
            parts.append(b"Content-Length: %d\r\n" % len(literal_body))
        return Rendered(link_template((*parts, b"\r\n", literal_body), constants))
    head = link_template((*parts, b"Content-Length: "), constants)
    segments = [*head, b"", b"\r\n\r\n", *body]
    return Rendered(segments, length_at=len(head), body_from=len(head) + 2)
