"""Requests made ready for HTTP/2: header blocks encoded once, with a few places to fill. Pure.

What comes out is one bytes object as ``replayer.wire.http2_frames`` describes it. Fields are literals that leave no
trace in the peer's table, so a block means the same on every connection and for every user; a field with slots has its
length before it (RFC 7541 §5.2), which is arithmetic on the lengths of what fills it, like the length of the body.

Source: RFC 9113 §8.2.2 for headers that HTTP/2 does not have, §8.3.1 for those it has instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
_LENGTHS = tuple(encode_integer(length, 7) for length in range(1024))
"""The lengths that nearly all strings have, ready to be put before them."""

Parts = list[bytes | int]


class _Field:
    """A field whose value has slots: ``start`` is all before its length; empty and ``is_optional`` it is not sent."""

    __slots__ = ("is_optional", "n_static_bytes", "parts", "slots", "start")

    def __init__(self, start: bytes, parts: Parts, *, is_optional: bool) -> None:
        self.start = start
        self.parts = parts
        self.slots = tuple(part for part in parts if isinstance(part, int))
        self.n_static_bytes = sum(len(part) for part in parts if isinstance(part, bytes))
        self.is_optional = is_optional


class RenderedHttp2:
    """One request of one run; the same seam as ``render.Rendered``.

    Args:
        fields: encoded fields and those with slots, in order.
        body: bytes and slot numbers; its length becomes a field where there is a body or the method asks for one.
    """

    __slots__ = ("_body", "_body_slots", "_body_static_bytes", "_fields", "_has_body", "_says_length", "static")

    def __init__(self, fields: Sequence[bytes | _Field], body: Parts, *, says_length: bool) -> None:
        self._fields = _joined(fields)
        self._body = body
        self._body_slots = tuple(part for part in body if isinstance(part, int))
        self._body_static_bytes = sum(len(part) for part in body if isinstance(part, bytes))
        self._has_body = bool(body)
        self._says_length = says_length or self._has_body
        self.static: bytes | None = None
        if not self._body_slots and all(isinstance(field, bytes) for field in self._fields):
            self.static = self.render(())

    def render(self, values: Values) -> bytes:
        """Return the bytes to send.

        Raises:
            MissingValue: a slot it uses has no value.
        """
        if self.static is not None:
            return self.static
        parts: list[bytes] = []
        for field in self._fields:
            if isinstance(field, bytes):
                parts.append(field)
            else:
                _render_field(field, values, parts)
        if not self._says_length:
            block = b"".join(parts)
            return request_prefix(len(block), has_body=False) + block
        n_body_bytes = self._body_static_bytes
        for slot in self._body_slots:
            n_body_bytes += len(_value(values, slot))
        parts.append(encode_field(b"content-length", b"%d" % n_body_bytes))
        block = b"".join(parts)
        head = request_prefix(len(block), has_body=n_body_bytes > 0) + block
        return head + b"".join([_value(values, part) if isinstance(part, int) else part for part in self._body])


def _render_field(field: _Field, values: Values, parts: list[bytes]) -> None:
    n_bytes = field.n_static_bytes
    for slot in field.slots:
        n_bytes += len(_value(values, slot))
    if not n_bytes and field.is_optional:
        return
    parts.append(field.start)
    parts.append(_LENGTHS[n_bytes] if n_bytes < 1024 else encode_integer(n_bytes, 7))
    parts += [_value(values, part) if isinstance(part, int) else part for part in field.parts]


def _value(values: Values, slot: int) -> bytes:
    value = values[slot]
    if value is None:
        raise MissingValue(slot)
    return value


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
        return _Field(encode_name(name), parts, is_optional=is_optional)
    return encode_field(name, b"".join(part for part in parts if isinstance(part, bytes)))
