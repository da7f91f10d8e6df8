"""The oracle: what the target saw and what came back are the same on both wires, or docs/wires.md says why not."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from demo.server import running_target
from demo.target.settings import Settings
from replayer.wire.kinds import WireKind
from tests.commands import ROOT, run_rushhour
from tests.fakes_server import serving
from tests.faults.http import gzip_bomb
from tests.faults.witness import Seen, Witness
from tests.replayer.asking import AskingWire, Outcome, Wanted, run, target_at

_JSON = b'{"id": 7, "price": 101.25}'
_GZIPPED = gzip.compress(_JSON, mtime=0)


def answered(status: bytes, body: bytes = b"", *headers: bytes) -> bytes:
    """Return an answer with a length."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), lines, body)


_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n"
_EXCHANGES: list[tuple[str, bytes, bytes]] = [
    ("a plain GET", b"GET /quotes HTTP/1.1\r\nHost: shop\r\n\r\n", answered(b"200 OK", _JSON)),
    (
        "headers in their order, twice the same name, spaces and upper case",
        b"GET / HTTP/1.1\r\nHost: shop\r\nX-B: 2\r\nAccept: */*\r\nX-A: 1\r\nx-a: 3\r\nCookie: a=1; b=2\r\n\r\n",
        answered(b"200 OK", _JSON, b"Set-Cookie: sid=1; Path=/", b"Set-Cookie: csrf=2", b"X-Id: 9"),
    ),
    (
        "a target that a library would write in another way",
        b"GET /a%2Fb/../c//d;p=1?q=%7e~%C3%A4&&x=[1]|{2}&e= HTTP/1.1\r\nHost: shop\r\n\r\n",
        answered(b"200 OK"),
    ),
    (
        "a body of any bytes",
        b"POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Type: application/octet-stream\r\nContent-Length: 256\r\n\r\n"
        + bytes(range(256)),
        answered(b"201 Created", b"", b"Location: /orders/7"),
    ),
    ("an empty POST", b"POST /ping HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n", answered(b"204 No Content")),
    ("PATCH", b"PATCH /x HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\n{}", answered(b"200 OK", b"{}")),
    ("DELETE", b"DELETE /x HTTP/1.1\r\nHost: shop\r\n\r\n", answered(b"404 Not Found", b"no")),
    ("OPTIONS", b"OPTIONS * HTTP/1.1\r\nHost: shop\r\n\r\n", answered(b"200 OK")),
    (
        "HEAD, whose answer has a length and no body",
        b"HEAD /big HTTP/1.1\r\nHost: shop\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
    ),
    ("304 with a length", b"GET /e HTTP/1.1\r\nHost: shop\r\n\r\n", b"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n"),
    (
        "interim answers",
        b"GET /i HTTP/1.1\r\nHost: shop\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answered(b"200 OK", b"x"),
    ),
    (
        "chunks, extensions and trailers",
        b"GET /c HTTP/1.1\r\nHost: shop\r\n\r\n",
        _CHUNKED + b"3;a=b\r\nabc\r\n0A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n",
    ),
    (
        "a compressed body, as it was sent",
        b"GET /z HTTP/1.1\r\nHost: shop\r\nAccept-Encoding: gzip\r\n\r\n",
        answered(b"200 OK", _GZIPPED, b"Content-Encoding: gzip", b"Content-Type: application/json"),
    ),
    ("a gzip bomb, which nobody inflates here", b"GET /b HTTP/1.1\r\nHost: shop\r\n\r\n", gzip_bomb()),
    (
        "an answer that ends with the connection",
        b"GET /f HTTP/1.1\r\nHost: shop\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\nthe end",
    ),
    (
        "an answer that ends the connection",
        b"GET /g HTTP/1.1\r\nHost: shop\r\n\r\n",
        answered(b"200 OK", b"bye", b"Connection: close"),
    ),
    ("a server of old", b"GET /h HTTP/1.1\r\nHost: shop\r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    (
        "429 and how long to wait",
        b"GET /l HTTP/1.1\r\nHost: shop\r\n\r\n",
        answered(b"429 Slow", b"", b"Retry-After: 3"),
    ),
    ("a redirect", b"GET /m HTTP/1.1\r\nHost: shop\r\n\r\n", answered(b"302 Found", b"", b"Location: /n")),
    (
        "an upgrade that is offered and not taken",  # as Apache does
        b"GET /u HTTP/1.1\r\nHost: shop\r\n\r\n",
        answered(b"200 OK", _JSON, b"Upgrade: h2,h2c", b"Connection: Upgrade, Keep-Alive"),
    ),
    (
        "an upgrade that is asked for and refused",
        b"GET /ws HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        answered(b"426 Upgrade Required", b"no"),
    ),
    (
        "headers without a value, with spaces, and bytes beyond ASCII",
        b"GET /v HTTP/1.1\r\nHost: shop\r\n\r\n",
        answered(b"200 OK", b"x", b"X-Empty:", b"X-Spaces:   a  b  ", b"X-Bytes: \xe9\xff"),
    ),
    (
        "205, which has a length of its own",
        b"POST /w HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n",
        answered(b"205 Reset"),
    ),
    ("an empty chunked body", b"GET /k HTTP/1.1\r\nHost: shop\r\n\r\n", _CHUNKED + b"0\r\n\r\n"),
    ("a status without a reason", b"GET /o HTTP/1.1\r\nHost: shop\r\n\r\n", answered(b"200 ")),
]


def exchanged(kind: WireKind, request: bytes, answer: bytes) -> tuple[list[Seen], Outcome]:
    """Return what the server saw of one request, and what came back."""

    async def main() -> tuple[list[Seen], Outcome]:
        witness = Witness(lambda seen: answer)
        async with serving(witness.serve) as port, AskingWire(kind) as wire:
            outcome = await wire.asker(target_at(port)).asked(request)
            return witness.requests, outcome

    found = run(main)
    assert isinstance(found, tuple)
    return found


@pytest.mark.parametrize(
    ("request_bytes", "answer"), [row[1:] for row in _EXCHANGES], ids=[row[0] for row in _EXCHANGES]
)
def test_one_exchange_is_the_same_on_both_wires(request_bytes: bytes, answer: bytes) -> None:
    fast_saw, fast = exchanged(WireKind.FAST, request_bytes, answer)
    reference_saw, reference = exchanged(WireKind.REFERENCE, request_bytes, answer)
    assert fast_saw == reference_saw and len(fast_saw) == 1
    assert fast == reference and fast.status and not fast.failure
    head, _, body = request_bytes.partition(b"\r\n\r\n")
    assert fast_saw[0].line == head.split(b"\r\n")[0] and fast_saw[0].body == body


def test_an_answer_with_two_framings_is_refused_by_the_fast_wire_alone() -> None:
    """What docs/wires.md lists: RFC 9112 §6.3 lets the chunks count, and calls such an answer an attack."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    request = b"GET /s HTTP/1.1\r\nHost: shop\r\n\r\n"
    assert exchanged(WireKind.FAST, request, answer)[1].failure == "protocol"
    assert exchanged(WireKind.REFERENCE, request, answer)[1].body == b"hi"


@pytest.mark.parametrize("kind", list(WireKind), ids=lambda kind: kind.value)
def test_requests_of_one_connection_arrive_on_it_in_their_order(kind: WireKind) -> None:
    async def main() -> list[list[Seen]]:
        witness = Witness(lambda seen: answered(b"200 OK", seen.line))
        async with serving(witness.serve) as port, AskingWire(kind) as wire:
            asker = wire.asker(target_at(port))
            _, connection = await asker.connected()
            for number in range(5):
                outcome = await asker.asked(b"GET /%d HTTP/1.1\r\nHost: shop\r\n\r\n" % number, connection=connection)
                assert outcome.body == b"GET /%d HTTP/1.1" % number and outcome.keeps_alive
            connection.close()
            return witness.connections

    connections = run(main)
    assert [[seen.line for seen in each] for each in connections] == [[b"GET /%d HTTP/1.1" % n for n in range(5)]]


def replayed(wire: str, out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the demo saw of the golden session, and the summary."""
    import httpx

    golden = ROOT / "captures" / "golden" / "demo" / "market.rush"
    with running_target(Settings()) as target:
        options = (
            "--target",
            target.url,
            "--speed",
            "20",
            "--workers",
            "1",
            "--allow-lag",
            "--threshold",
            "http p95 < 30s",
            "--threshold",
            "ws.reply p99 < 5s",
            "--wire",
            wire,
            "--out",
            str(out),
        )
        done = run_rushhour("replay", str(golden), *options, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        seen = httpx.get(f"{target.url}/admin/ledger", params={"limit": 100_000}, trust_env=False).json()
    return seen, json.loads((out / "summary.json").read_text(encoding="utf-8"))


@pytest.mark.process
def test_both_wires_lead_the_demo_through_the_same_session(tmp_path: Path) -> None:
    (fast_saw, fast), (reference_saw, reference) = (replayed(kind.value, tmp_path / kind.value) for kind in WireKind)
    counts = [
        Counter({(row["method"], row["route"]): row["n"] for row in seen["counts"]})
        for seen in (fast_saw, reference_saw)
    ]
    assert counts[0] == counts[1]
    logged_in = [[entry["login"] for entry in seen["entries"]] for seen in (fast_saw, reference_saw)]
    assert Counter(logged_in[0]) == Counter(logged_in[1])
    assert fast_saw["sockets"]["opened"] == reference_saw["sockets"]["opened"] > 0
    for name in ("planned", "ok", "failed", "mismatched", "not_sent", "errors"):
        assert fast["totals"][name] == reference["totals"][name], name
    assert any("reference wire" in note for note in reference["notes"])
    assert not any("reference wire" in note for note in fast["notes"])


@pytest.mark.parametrize("kind", list(WireKind), ids=lambda kind: kind.value)
def test_an_event_stream_is_told_event_by_event(kind: WireKind) -> None:
    stream = b"data: one\n\nevent: tick\nid: 7\ndata: two\n\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + stream

    async def main() -> tuple[list[tuple[bytes, bytes, bytes]], str]:
        witness = Witness(lambda seen: answer)
        async with serving(witness.serve) as port, AskingWire(kind) as wire:
            asker = wire.asker(target_at(port))
            _, connection = await asker.connected()
            connection.send(b"GET /s HTTP/1.1\r\nHost: shop\r\n\r\n", Wanted())
            assert await asker.next() == ("events", []), "the head is there"
            events: list[tuple[bytes, bytes, bytes]] = []
            while (told := await asker.next())[0] == "events":
                events += told[1]
            connection.close()
            return events, told[0]

    assert run(main) == ([(b"message", b"one", b""), (b"tick", b"two", b"7")], "response")
