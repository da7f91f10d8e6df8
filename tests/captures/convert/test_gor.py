"""Files of GoReplay: pairs of requests and responses, and what has no partner."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from captures.convert.gor import SEPARATOR
from captures.convert.http_text import dechunked
from captures.convert.people import People
from captures.errors import CaptureError
from captures.records import Headers, Origin
from tests.captures.convert_samples.reading import exchange_of, exchanges_of, imported

_T_NS = 1_700_000_000_000_000_000
_GET = b"GET /a?b=1 HTTP/1.1\r\nHost: Shop.Example:8080\r\nAccept: */*\r\n\r\n"
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"


def _record(kind: int, name: str, at_ns: int, payload: bytes, latency: int | None = None) -> bytes:
    more = "" if latency is None else f" {latency}"
    return f"{kind} {name} {_T_NS + at_ns}{more}\n".encode() + payload + SEPARATOR


def _write(path: Path, *records: bytes) -> Path:
    path.write_bytes(b"".join(records))
    return path


def test_a_request_and_its_response_become_an_exchange(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.gor", _record(1, "f00", 0, _GET), _record(2, "f00", 3_000_000, _OK, 5_000_000))
    capture, conversion = imported(path)
    exchange = exchange_of(capture)
    assert (exchange.method, exchange.origin, exchange.target) == (
        "GET",
        Origin("http", "shop.example", 8080),
        "/a?b=1",
    )
    assert (exchange.status, exchange.reason, exchange.response_body.data) == (200, "OK", b"hello")
    assert exchange.response_start_ns == exchange.start_ns + 3_000_000
    assert exchange.end_ns == exchange.start_ns + 5_000_000
    assert conversion.not_held == []
    assert capture.header["converted_from"]["format"] == "GoReplay"  # type: ignore[index]


@pytest.mark.parametrize(
    ("at_ns", "latency", "ended_ns"),
    [
        (0, 4_000_000, 4_000_000),  # 0.x stamps the response with the request's time
        (3_000_000, 1_000_000, 4_000_000),  # 1.x counts from the response's own start
        (3_000_000, None, 3_000_000),
    ],
)
def test_both_meanings_of_latency_are_understood(
    at_ns: int, latency: int | None, ended_ns: int, tmp_path: Path
) -> None:
    path = _write(tmp_path / "a.gor", _record(1, "f00", 0, _GET), _record(2, "f00", at_ns, _OK, latency))
    exchange = exchange_of(imported(path)[0])
    assert exchange.end_ns == exchange.start_ns + ended_ns


def test_pairs_are_found_by_id_whatever_their_order(tmp_path: Path) -> None:
    records = [
        _record(2, "b", 9, _OK),
        _record(1, "a", 1, _GET.replace(b"/a", b"/first")),
        _record(1, "b", 2, _GET.replace(b"/a", b"/second")),
        _record(2, "a", 5, _OK.replace(b"200", b"404")),
    ]
    capture, conversion = imported(_write(tmp_path / "a.gor", *records))
    found = [(exchange.target, exchange.status) for exchange in exchanges_of(capture)]
    assert found == [("/first?b=1", 404), ("/second?b=1", 200)]
    assert conversion.not_held == []


def test_what_has_no_partner_is_told_of(tmp_path: Path) -> None:
    records = [_record(1, "a", 1, _GET), _record(2, "c", 5, _OK), _record(3, "a", 6, _OK), _record(1, "d", 7, b"junk")]
    capture, conversion = imported(_write(tmp_path / "a.gor", *records))
    assert exchange_of(capture).status is None
    assert [sentence.partition(":")[0] for sentence in conversion.not_held] == [
        "responses of a replay, which are no recording",
        "requests left out",
        "requests without a response",
        "responses without a request",
    ]


def test_a_separator_inside_a_body_stays_in_it(tmp_path: Path) -> None:
    body = b"before" + SEPARATOR + b"after"
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + body
    records = [_record(1, "a", 0, _GET), _record(2, "a", 1, answer), _record(1, "b", 2, _GET)]
    capture, conversion = imported(_write(tmp_path / "a.gor", *records))
    assert exchanges_of(capture)[0].response_body.data == body
    assert conversion.not_held[0].startswith("separators inside a body")


def test_chunked_bodies_are_put_together(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"
    exchange = exchange_of(
        imported(_write(tmp_path / "a.gor", _record(1, "a", 0, _GET), _record(2, "a", 1, answer)))[0]
    )
    assert exchange.response_body.data == b"hello world"


@pytest.mark.parametrize(
    ("coded", "data", "is_whole"),
    [
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello", True),
        (b"5\r\nhello\r\n5\r\nwo", b"hellowo", False),
        (b"5\r\nhello\r\n", b"hello", False),
        (b"plain text", b"plain text", True),
        (b"", b"", True),
    ],
)
def test_chunked_coding_is_undone_as_far_as_it_goes(coded: bytes, data: bytes, is_whole: bool) -> None:
    assert dechunked(coded) == (data, is_whole)


def test_gzipped_files_of_several_members_are_read_and_damage_is_told_of(tmp_path: Path) -> None:
    parts = [_record(1, "a", 0, _GET), _record(2, "a", 1, _OK), *(_record(1, f"b{n}", n, _GET) for n in range(50))]
    data = b"".join(gzip.compress(part) for part in parts)
    whole, cut = tmp_path / "a.gor.gz", tmp_path / "cut.gor.gz"
    whole.write_bytes(data)
    cut.write_bytes(data[:-20])
    assert imported(whole)[1].counts.exchanges == 51
    _, conversion = imported(cut)
    assert conversion.counts.exchanges >= 49
    assert "gzip stream is damaged" in conversion.damage[0]


def _headers(**fields: str) -> Headers:
    return tuple((name.replace("_", "-").encode(), value.encode()) for name, value in fields.items())


def test_people_are_told_apart_by_token_cookie_and_address() -> None:
    people = People()
    anna = people.session_of(_headers(user_agent="A", x_real_ip="192.0.2.1"))
    assert people.session_of(_headers(user_agent="A", x_real_ip="192.0.2.2")) != anna
    people.answered(anna, _headers(set_cookie="sid=0123456789abcdef; Path=/"))
    assert (
        people.session_of(_headers(user_agent="A", x_real_ip="192.0.2.9", cookie="x=1; sid=0123456789abcdef")) == anna
    )
    berta = people.session_of(_headers(user_agent="A", x_real_ip="192.0.2.1", authorization="Bearer other"))
    assert berta != anna
    assert people.session_of(_headers(authorization="Bearer other")) == berta


@pytest.mark.parametrize(
    "data", [b"", b"hello", SEPARATOR, b"1 a\nGET / HTTP/1.1\r\n\r\n" + SEPARATOR, b"1 a 5\n", b"\x00" * 99]
)
def test_what_is_no_file_of_goreplay_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.gor"
    path.write_bytes(data)
    with pytest.raises(CaptureError) as caught:
        imported(path)
    assert str(path) in str(caught.value)
    assert not Path(f"{path}.rush").exists()


def test_of_a_file_cut_anywhere_what_is_whole_is_good(tmp_path: Path) -> None:
    data = b"".join([_record(1, "a", 0, _GET), _record(2, "a", 1, _OK), _record(1, "b", 2, _GET)])
    n_first = len(_record(1, "a", 0, _GET))
    for size in range(n_first, len(data)):
        path = tmp_path / f"{size}.gor"
        path.write_bytes(data[:size])
        first = exchanges_of(imported(path)[0])[0]
        assert first.target == "/a?b=1"
        assert first.status in (None, 200)
        if first.status:
            assert b"hello".startswith(first.response_body.data)
            assert first.response_body.is_cut == (first.response_body.data != b"hello")
