"""The parts of a virtual user: templates, jar, extraction, codecs, minted values, checks, recorders."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.histogram import bucket_of
from replayer.plan.records import Codec, Expectation, Extractor, RequestTemplate, Source
from replayer.user.checks import check_head, check_size
from replayer.user.inspection import inspection_of
from replayer.user.jar import Jar
from replayer.user.meter import Meter
from replayer.user.render import CookieSlots, MissingValue, Rendered, link_http1, link_template
from replayer.user.slots import Answer, Mint, decode, encode, walk

S = 1_000_000_000
NO_COOKIES = CookieSlots(pairs=-1, line=-1, start=-1)
NOON_NS = 1_700_000_000 * S


def http1(request: RequestTemplate, values: list[bytes | None], **options: object) -> bytes:
    given: dict[str, object] = {"authority": b"h:1", "added": (), "constants": {}, "cookies": NO_COOKIES} | options
    return link_http1(request, **given).render(values)  # type: ignore[arg-type]


def test_request_without_slots_is_encoded_once() -> None:
    request = RequestTemplate(method=b"GET", target=(b"/a?b=1",), headers=((b"Accept", (b"*/*",)),))
    rendered = link_http1(request, authority=b"h:1", added=(), constants={}, cookies=NO_COOKIES)
    assert rendered.static == b"GET /a?b=1 HTTP/1.1\r\nHost: h:1\r\nAccept: */*\r\n\r\n"


@pytest.mark.parametrize("body", [(b"x=", 0, b"&y=", 1), (0,), (0, 0)])
def test_length_of_a_body_with_slots_is_what_is_sent(body: tuple[bytes | int, ...]) -> None:
    request = RequestTemplate(method=b"POST", target=(b"/", 1), headers=(), body=body)
    head, _, sent = http1(request, ["ä".encode(), b"12345"]).partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(sent) in head


def test_headers_of_the_run_replace_recorded_ones_of_any_case() -> None:
    request = RequestTemplate(method=b"GET", target=(b"/",), headers=((b"authorization", (b"old",)),))
    assert b"old" not in http1(request, [], added=((b"Authorization", b"new"),))


def test_empty_jar_sends_no_cookie_header() -> None:
    request = RequestTemplate(method=b"GET", target=(b"/",), headers=((b"cookie", (0,)),))
    cookies = CookieSlots(pairs=0, line=1, start=2)
    assert http1(request, [b"", b"", b""], cookies=cookies) == b"GET / HTTP/1.1\r\nHost: h:1\r\n\r\n"


@pytest.mark.parametrize(
    ("values", "line"), [([b"", b"", b""], b"cookie: auth=x"), ([b"a=1", b"-", b"a=1; "], b"cookie: a=1; auth=x")]
)
def test_cookies_of_jar_and_script_share_one_header(values: list[bytes | None], line: bytes) -> None:
    request = RequestTemplate(method=b"GET", target=(b"/",), headers=((b"cookie", (0, b"; auth=x")),))
    assert line + b"\r\n" in http1(request, values, cookies=CookieSlots(pairs=0, line=1, start=2))


def test_missing_value_names_its_slot() -> None:
    with pytest.raises(MissingValue) as caught:
        Rendered([b"a", 3, b"b"]).render([b"", b"", b"", None])
    assert caught.value.slot == 3


def test_constants_are_linked_into_their_neighbours() -> None:
    assert link_template((b"a", 0, b"c", 1), {0: b"b"}) == [b"abc", 1]


@given(st.binary(max_size=60), st.sampled_from([Codec.RAW, Codec.PERCENT, Codec.FORM, Codec.BASE64, Codec.BASE64URL]))
def test_codecs_are_reversed(value: bytes, codec: Codec) -> None:
    assert decode(encode(value, codec), codec) == value


@given(st.text(max_size=60), st.sampled_from([Codec.HTML, Codec.JSON_STRING]))
def test_text_codecs_are_reversed(value: str, codec: Codec) -> None:
    data = value.encode("utf-8", "surrogatepass") if value.isascii() else value.encode("utf-8", "replace")
    assert decode(encode(data, codec), codec) == data


@pytest.mark.parametrize(
    ("extractor", "found"),
    [
        (Extractor(slot=0, source=Source.JSON, path=("user", "ids", 1)), b"8"),
        (Extractor(slot=0, source=Source.JSON, path=("user", "ids", 9)), None),
        (Extractor(slot=0, source=Source.JSON, path=("user", "name")), "grüß".encode()),
        (
            Extractor(slot=0, source=Source.TEXT, left=b'"name": "', right=b'"', codec=Codec.JSON_STRING),
            "grüß".encode(),
        ),
        (Extractor(slot=0, source=Source.HEADER, name="location", prefix=b"/orders/"), b"77"),
        (Extractor(slot=0, source=Source.HEADER, name="location", prefix=b"/other/"), None),
        (Extractor(slot=0, source=Source.HEADER, name="location", left=b"/orders/", right=b""), b"77"),
        (Extractor(slot=0, source=Source.COOKIE, name="xsrf"), b"c"),
        (Extractor(slot=0, source=Source.COOKIE, name="none"), None),
    ],
)
def test_extractors_find_plain_values(extractor: Extractor, found: bytes | None) -> None:
    body = b'{"user": {"ids": [7, 8], "name": "gr\\u00fc\\u00df"}}'
    answer = Answer([(b"location", b"/orders/77")], [(b"xsrf", b"c")], lambda: body)
    assert answer.find(extractor) == found


def test_answer_that_is_no_json_holds_no_json_values() -> None:
    extractor = Extractor(slot=0, source=Source.JSON, path=("a",))
    assert Answer((), (), lambda: b"<html>").find(extractor) is None
    assert Answer((), (), lambda: b"[" * 100_000).find(extractor) is None


def test_minted_values_are_valid_differ_and_come_from_the_key() -> None:
    mint = Mint(b"key", 1)
    first, second = mint.make("uuid4", 0), mint.make("uuid4", 0)
    assert uuid.UUID(first.decode()).version == 4 and first != second
    assert Mint(b"key", 1).make("uuid4", 0) == first != Mint(b"key", 2).make("uuid4", 0)
    assert Mint(b"other", 1).make("uuid4", 0) != first
    assert mint.make("epoch_ms", 5 * S) == b"5000" and mint.make("epoch_s", 5 * S) == b"5"
    assert mint.make("iso", 0) == b"1970-01-01T00:00:00.000Z"
    assert len(mint.make("hex:33", 0)) == 33


def test_jar_keeps_paths_domains_and_expiry() -> None:
    jar = Jar()
    for cookie in (
        b"root=1; Path=/",
        b"deep=2; Path=/api",
        b"wide=3; Domain=.example.com; Path=/",
        b"gone=4; Max-Age=0",
    ):
        jar.set(cookie, "app.example.com", b"/api/x", 0, NOON_NS)
    jar.set(b"late=5; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "app.example.com", b"/", 0, NOON_NS)
    assert jar.header("app.example.com", b"/api/y", 1) == b"deep=2; root=1; wide=3"
    assert jar.header("app.example.com", b"/apinot", 1) == b"root=1; wide=3"
    assert jar.header("other.example.com", b"/", 1) == b"wide=3"
    jar.set(b"root=; Max-Age=0; Path=/", "app.example.com", b"/", 5, NOON_NS)
    assert jar.header("app.example.com", b"/", 6) == b"wide=3"


def test_foreign_domain_makes_a_host_cookie_and_odd_attributes_are_ignored() -> None:
    jar = Jar()
    jar.set(b"a=1; Domain=evil.example; Max-Age=soon; Expires=never; Secure; SameSite=None", "h", b"/x", 0, NOON_NS)
    assert jar.header("h", b"/", 1) == b"a=1" and jar.header("evil.example", b"/", 1) == b""


@pytest.mark.parametrize(
    ("document", "mismatch"),
    [
        ({"a": {"b": [1]}}, ""),
        ({"a": {"b": []}}, "empty"),
        ({"a": {"b": None}}, "empty"),
        ({"a": {}}, "required"),
        ([], "required"),
        ({"a": 1}, "required"),
    ],
)
def test_documents_are_checked_for_keys_and_emptiness(document: object, mismatch: str) -> None:
    expectation = Expectation(required=(("a", "b"),), non_empty=(("a", "b"),))
    assert inspection_of(expectation).mismatch(document) == mismatch


def test_heads_and_sizes_are_checked() -> None:
    expectation = Expectation(statuses=(200, 201), content_type=b"application/json", min_bytes=2, max_bytes=9)
    assert check_head(expectation, 201, b"Application/JSON; charset=utf-8") == ""
    assert check_head(expectation, 302, b"application/json") == "status"
    assert check_head(expectation, 200, b"text/html") == "content_type"
    assert [check_size(expectation, n) for n in (0, 1, 2, 9, 10)] == ["no_body", "size", "", "", "size"]


def test_walk_never_leaves_the_document() -> None:
    assert walk({"a": [1]}, ("a", 0)) == 1
    assert walk({"a": [1]}, ("a", "0")) is None and walk("text", (0,)) is None


@given(st.lists(st.integers(min_value=0, max_value=10**10), min_size=1, max_size=50))
def test_recorder_uses_the_buckets_of_the_histogram(latencies_us: list[int]) -> None:
    meter = Meter(3)
    recorder = meter.recorder("http", route="GET /", kind="api")
    for us in latencies_us:
        recorder.ok(0, 0, us * 1000, 1)
        recorder.failed("reset", 0, 0, us * 1000)
        recorder.failed("timeout_request", 0, 0, us * 1000)
    slot = meter.take_slot(7, {}, 0)
    measure = slot.measures[("http", (("kind", "api"), ("route", "GET /")))]
    expected: dict[int, int] = {}
    for us in latencies_us:
        expected[bucket_of(us)] = expected.get(bucket_of(us), 0) + 1
    assert measure.failed == expected
    assert measure.latency == measure.service == {bucket: 2 * n for bucket, n in expected.items()}
    assert measure.latency_sum_us == 2 * sum(latencies_us) and measure.latency_max_us == max(latencies_us)
    assert (slot.worker, slot.second) == (3, 7) and not meter.take_slot(8, {}, 0).measures


def test_times_that_were_not_planned_are_latency_and_service_time_in_one() -> None:
    meter = Meter(0)
    gaps, requests = meter.recorder("ws.gap"), meter.recorder("http")
    for us in (5_000, 70_000, -3):
        gaps.took(us * 1000)
    requests.ok(0, 2_000_000, 5_000_000, 10)
    slot = meter.take_slot(0, {}, 0)
    gap, request = slot.measures["ws.gap", ()], slot.measures["http", ()]
    assert gap.ok == 3 and gap.latency == gap.service and len(gap.latency) == 3
    assert (gap.latency_sum_us, gap.latency_max_us) == (gap.service_sum_us, gap.service_max_us) == (75_000, 70_000)
    assert (request.latency_sum_us, request.service_sum_us) == (5_000, 3_000) and request.latency != request.service
