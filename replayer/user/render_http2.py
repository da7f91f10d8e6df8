"""Requests made ready for HTTP/2: header blocks encoded once, with a few places to fill. Pure.

What comes out is one bytes object as ``replayer.wire.http2_frames`` describes it. Fields are literals that leave no
trace in the peer's table, so a block means the same on every connection and for every user; a field with slots has its
length before it (RFC 7541 §5.2), which is arithmetic on the lengths of what fills it, like the length of the body.

Source: RFC 9113 §8.2.2 for headers that HTTP/2 does not have, §8.3.1 for those it has instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from replayer.plan.records import RequestTemplate, Template
from replayer.user.render import CookieSlots, MissingValue, Values, begin_with_cookies, link_template
from replayer.wire.hpack import encode_field, encode_integer, encode_name
from replayer.wire.http2_frames import request_prefix

_NOT_IN_HTTP2 = frozenset(
    {
        b"connection",
        b"content-length",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)
_WITH_BODY = (b"POST", b"PUT", b"PATCH")
_N_LENGTHS = 1024
_LENGTHS = tuple(encode_integer(length, 7) for length in range(_N_LENGTHS))
"""The lengths that nearly all strings have, ready to be put before them."""

_CONTENT_LENGTH = encode_name(b"content-length")

Parts = list[bytes | int]


class _Field(NamedTuple):
    """A field whose value has slots: ``start`` is all before its length; empty and ``is_optional`` it is not sent."""

    start: bytes
    parts: Parts
    is_optional: bool


class _Place(NamedTuple):
    """Where a field's value stands among the segments.

    Attributes:
        length_at: where its length goes.
        n_static_bytes: of the value.
        start: what precedes the length of a field that is left out when empty; of others a segment holds it.
        fills: (position, slot) of what else the value is made of.
    """

    length_at: int
    n_static_bytes: int
    start: bytes
    fills: tuple[tuple[int, int], ...]


class RenderedHttp2:
    """One request of one run; the same seam as ``render.Rendered``.

    Args:
        fields: encoded fields and those with slots, in order.
        body: bytes and slot numbers.
        says_length: the method asks for a Content-Length although there may be no body.
    """

    __slots__ = ("_body", "_body_at", "_n_body_static", "_n_static", "_places", "_says_length", "_segments", "static")

    def __init__(self, fields: Sequence[bytes | _Field], body: Parts, *, says_length: bool) -> None:
        self._segments: list[bytes] = [b""]  # The first is the frame's prefix.
        places = []
        for field in _joined(fields):
            if isinstance(field, bytes):
                self._segments.append(field)
            else:
                places.append(self._add(field))
        self._places = tuple(places)
        self._n_static = sum(map(len, self._segments)) - sum(place.n_static_bytes for place in self._places)
        self._says_length = says_length or bool(body)
        if self._says_length:
            self._segments.append(b"")
        self._body_at = len(self._segments)
        self._body = tuple((self._body_at + at, part) for at, part in enumerate(body) if isinstance(part, int))
        self._segments += [b"" if isinstance(part, int) else part for part in body]
        self._n_body_static = sum(map(len, self._segments[self._body_at :]))
        self.static: bytes | None = None
        if not self._places and not self._body:
            self.static = self.render(())

    def _add(self, field: _Field) -> _Place:
        segments, fills = self._segments, []
        segments.append(b"" if field.is_optional else field.start)
        segments.append(b"")
        length_at = len(segments) - 1
        for part in field.parts:
            if isinstance(part, int):
                fills.append((len(segments), part))
                segments.append(b"")
            else:
                segments.append(part)
        n_static_bytes = sum(map(len, segments[length_at:]))
        return _Place(length_at, n_static_bytes, field.start if field.is_optional else b"", tuple(fills))

    def render(self, values: Values) -> bytes:
        """Return the bytes to send.

        Raises:
            MissingValue: a slot it uses has no value.
        """
        if self.static is not None:
            return self.static
        parts, n_block_bytes = self._segments.copy(), self._n_static
        for length_at, n_bytes, start, fills in self._places:
            for at, slot in fills:
                value = values[slot]
                if value is None:
                    raise MissingValue(slot)
                parts[at] = value
                n_bytes += len(value)
            if n_bytes or not start:
                length = start + (_LENGTHS[n_bytes] if n_bytes < _N_LENGTHS else encode_integer(n_bytes, 7))
                parts[length_at] = length
                n_block_bytes += n_bytes + len(length)
        n_body_bytes = self._n_body_static
        for at, slot in self._body:
            value = values[slot]
            if value is None:
                raise MissingValue(slot)
            parts[at] = value
            n_body_bytes += len(value)
        if self._says_length:
            digits = b"%d" % n_body_bytes
            field = parts[self._body_at - 1] = _CONTENT_LENGTH + _LENGTHS[len(digits)] + digits
            n_block_bytes += len(field)
        parts[0] = request_prefix(n_block_bytes, has_body=n_body_bytes > 0)
        return b"".join(parts)


def _joined(fields: Sequence[bytes | _Field]) -> list[bytes | _Field]:
    joined: list[bytes | _Field] = []
    for field in fields:
        if isinstance(field, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += field
        else:
            joined.append(field)
    return joined


def link_http2(
    request: RequestTemplate,
    *,
    authority: bytes,
    scheme: bytes,
    added: Sequence[tuple[bytes, bytes]],
    constants: Mapping[int, bytes],
    cookies: CookieSlots,
) -> RenderedHttp2:
    """Encode a request for HTTP/2.

    Args:
        request: its header templates may use the slot of the jar's cookies.
        authority: of the target, for ``:authority``; scheme: ``http`` or ``https``.
        added: headers of the run (``--header``); they replace recorded ones of the same name.
        constants: values of the slots that are the same for every user.
        cookies: where the jar's cookies stand among the values.
    """
    replaced = {name.lower() for name, _ in added}
    fields = [
        encode_field(b":method", request.method),
        encode_field(b":scheme", scheme),
        encode_field(b":authority", authority),
        _linked(b":path", request.target, constants),
    ]
    for name, value in request.headers:
        lowered = name.lower()
        if lowered in replaced or lowered in _NOT_IN_HTTP2 or lowered.startswith(b":"):
            continue
        is_jar = value == (cookies.pairs,)
        template = value if is_jar else begin_with_cookies(value, cookies)
        fields.append(_linked(lowered, template, constants, is_optional=is_jar))
    fields += [encode_field(name.lower(), literal) for name, literal in added]
    body = [part for part in link_template(request.body, constants) if part != b""]
    return RenderedHttp2(fields, body, says_length=request.method in _WITH_BODY)


def _linked(
    name: bytes, template: Template, constants: Mapping[int, bytes], *, is_optional: bool = False
) -> bytes | _Field:
    parts = link_template(template, constants)
    if any(isinstance(part, int) for part in parts):
        return _Field(encode_name(name), parts, is_optional)
    return encode_field(name, b"".join(part for part in parts if isinstance(part, bytes)))
