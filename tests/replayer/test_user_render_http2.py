"""Requests rendered for HTTP/2, read back by the ``hpack`` library, and compared with what HTTP/1.1 would say."""

from __future__ import annotations

import pytest
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from replayer.plan.records import RequestTemplate, Template
from replayer.user.render import CookieSlots, MissingValue, link_http1
from replayer.user.render_http2 import RenderedHttp2, link_http2
from replayer.wire.http2_frames import END_HEADERS, END_STREAM

COOKIES = CookieSlots(pairs=0, line=1, start=2)
N_SLOTS = 6
TEXT = st.text("abc/=&? %é", max_size=150).map(str.encode)
TEMPLATE = st.lists(st.one_of(TEXT, st.integers(3, N_SLOTS - 1)), max_size=4).map(tuple)
NAMES = st.sampled_from([b"Accept", b"x-csrf-token", b"Authorization", b"user-agent"])


def values_of(cookies: bytes, slots: list[bytes]) -> list[bytes | None]:
    line = b"Cookie: " + cookies + b"\r\n" if cookies else b""
    return [cookies, line, cookies + b"; " if cookies else b"", *slots]


def request_of(
    target: Template = (b"/",),
    headers: tuple[tuple[bytes, Template], ...] = (),
    body: Template = (),
    method: bytes = b"GET",
) -> RequestTemplate:
    return RequestTemplate(method=method, target=target, headers=headers, body=body)


def read(data: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the fields and the body of a rendered request, having checked its prefix."""
    end = 5 + int.from_bytes(data[:3])
    body = data[end:]
    assert data[3] == 1 and data[4] == (END_HEADERS if body else END_HEADERS | END_STREAM)
    fields = Decoder(max_header_list_size=1 << 20).decode(data[5:end], raw=True)
    return [(bytes(name), bytes(value)) for name, value in fields], body


def sent(request: RequestTemplate, values: list[bytes | None]) -> dict[bytes, bytes]:
    fields, _ = read(linked(request).render(values))
    assert len(dict(fields)) == len(fields)
    return dict(fields)


def linked(request: RequestTemplate, *, added: tuple[tuple[bytes, bytes], ...] = ()) -> RenderedHttp2:
    return link_http2(
        request, authority=b"shop.example", scheme=b"https", added=added, constants={3: b"known"}, cookies=COOKIES
    )


def plain(template: Template, values: list[bytes | None]) -> bytes:
    known = [*values[:3], b"known", *values[4:]]
    return b"".join(known[part] or b"" if isinstance(part, int) else part for part in template)


@given(
    TEMPLATE,
    st.lists(st.tuples(NAMES, TEMPLATE), max_size=4, unique_by=lambda pair: pair[0]),
    TEMPLATE,
    st.lists(st.binary(max_size=300), min_size=3, max_size=3),
    st.sampled_from([b"", b"a=1; b=2"]),
)
def test_rendered_request_is_read_back_as_its_templates_say(
    target: Template,
    headers: list[tuple[bytes, Template]],
    body: Template,
    slots: list[bytes],
    cookies: bytes,
) -> None:
    values = values_of(cookies, slots)
    request = request_of(target, (*headers, (b"Cookie", (COOKIES.pairs,))), body, b"POST")
    fields, sent_body = read(linked(request).render(values))
    expected = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"shop.example")]
    expected.append((b":path", plain(target, values)))
    expected += [(name.lower(), plain(template, values)) for name, template in headers]
    expected += [(b"cookie", cookies)] if cookies else []
    expected.append((b"content-length", b"%d" % len(plain(body, values))))
    assert fields == expected and sent_body == plain(body, values)


@pytest.mark.parametrize("cookies", [b"", b"jar=1"])
def test_cookies_before_others_are_joined_as_for_http_1(cookies: bytes) -> None:
    values = values_of(cookies, [b""] * 3)
    request = request_of(headers=((b"Cookie", (COOKIES.pairs, b"; own=2")),))
    http1 = link_http1(request, authority=b"x", added=(), constants={}, cookies=COOKIES).render(values)
    (line,) = (line for line in http1.split(b"\r\n") if line.startswith(b"Cookie: "))
    assert sent(request, values)[b"cookie"] == line.removeprefix(b"Cookie: ")


def test_request_without_slots_is_rendered_once() -> None:
    request = linked(request_of())
    assert request.static is not None and request.render([]) is request.static


def test_headers_that_http_2_does_not_have_are_left_out_and_those_of_the_run_replace_others() -> None:
    names = (b"Host", b"Connection", b"TE", b"Upgrade", b"Content-Length", b"Transfer-Encoding", b":path")
    request = request_of(headers=(*((name, (b"x",)) for name in names), (b"Accept", (b"*/*",))))
    fields, _ = read(linked(request, added=((b"ACCEPT", b"text/html"),)).render([]))
    assert fields[4:] == [(b"accept", b"text/html")]


@pytest.mark.parametrize(("method", "length"), [(b"GET", None), (b"DELETE", None), (b"POST", b"0"), (b"PUT", b"0")])
def test_request_without_a_body_ends_its_stream_and_says_so_where_a_method_implies_one(
    method: bytes, length: bytes | None
) -> None:
    assert sent(request_of(method=method), []).get(b"content-length") == length


def test_body_that_turns_out_empty_ends_the_stream() -> None:
    fields, body = read(linked(request_of(body=(4,), method=b"POST")).render(values_of(b"", [b"", b"", b""])))
    assert body == b"" and dict(fields)[b"content-length"] == b"0"


@pytest.mark.parametrize("template", [(4,), (b"before ", 4, b" after")])
def test_missing_value_is_named(template: Template) -> None:
    values: list[bytes | None] = [b"", b"", b"", b"", None, b""]
    for request in (request_of(template), request_of(body=template), request_of(headers=((b"x", template),))):
        with pytest.raises(MissingValue) as caught:
            linked(request).render(values)
        assert caught.value.slot == 4


def test_long_values_have_long_lengths() -> None:
    long = b"v" * 100_000
    assert sent(request_of(headers=((b"x-long", (4,)),)), values_of(b"", [b"", long, b""]))[b"x-long"] == long
