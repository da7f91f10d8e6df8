"""Edited captures: what is kept is right, what is merged stays apart, and the result names its sources."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result

from captures.edit.cli import edit
from captures.edit.composition import EditOptions
from captures.edit.composition import edit as edit_captures
from captures.edit.patterns import choice_of, session_test
from captures.edit.selection import Selection
from captures.errors import CaptureError, ConfigError
from captures.format.reader import open_capture
from captures.format.writer import CaptureWriter
from captures.records import Anchor, EventType, Exchange, Peer
from captures.sessions import Capture, load_capture
from captures.units import NS_PER_S
from tests.captures.samples import (
    BIG,
    FACTS,
    Spec,
    connection_open,
    corrupted,
    disk_of,
    message,
    request,
    response,
    shop_session,
    socket_open,
    write,
)

SECOND_NS = NS_PER_S


def edited(out: Path, *arguments: str | Path) -> Result:
    """The result of the command, to ``out``."""
    return CliRunner().invoke(edit, [*map(str, arguments), "-o", str(out)])


def kept(out: Path, *arguments: str | Path) -> Capture:
    """The capture that the command makes."""
    result = edited(out, *arguments)
    assert result.exit_code == 0, result.output + str(result.exception)
    return load_capture(out)


def exchanges(capture: Capture) -> list[Exchange]:
    """All exchanges, in order of sessions."""
    return [exchange for session in capture.sessions for exchange in session.exchanges]


def targets(capture: Capture) -> list[str]:
    """All targets, in order of sessions."""
    return [exchange.target for exchange in exchanges(capture)]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two sessions by listener, three origins, all kinds of answers, one request a second."""
    asked: list[list[Spec]] = [
        request(1 * SECOND_NS, 1, 1, "/"),
        response(1 * SECOND_NS + 9, 1, 1, BIG),
        request(2 * SECOND_NS, 1, 2, "/api/quotes/7?fresh=1"),
        response(2 * SECOND_NS + 9, 1, 2),
        request(3 * SECOND_NS, 1, 3, "/api/orders", method="POST"),
        response(3 * SECOND_NS + 9, 1, 3, status=404),
        [connection_open(2, "127.0.0.1:9001")],
        request(4 * SECOND_NS, 2, 4, "/tag.js", host="ads.example", scheme="https", port=443),
        response(4 * SECOND_NS + 9, 2, 4, BIG),
        request(5 * SECOND_NS, 2, 5, "/api/quotes/8"),
    ]
    path = tmp_path / "mixed.rush"
    write(path, [connection_open(1), *(spec for specs in asked for spec in specs)], seal_every=4)
    return path


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--origin", "shop.example"], ["/", "/api/quotes/7?fresh=1", "/api/orders", "/api/quotes/8"]),
        (["--origin", "!https://ads.example", "--method", "get"], ["/", "/api/quotes/7?fresh=1", "/api/quotes/8"]),
        (["--route", "/api/quotes/{id}"], ["/api/quotes/7?fresh=1", "/api/quotes/8"]),
        (["--route", "/", "--route", "POST /api/*"], ["/", "/api/orders"]),
        (["--status", "2xx"], ["/", "/api/quotes/7?fresh=1", "/tag.js"]),
        (["--status", "none"], ["/api/quotes/8"]),
        (["--status", "!404"], ["/", "/api/quotes/7?fresh=1", "/tag.js", "/api/quotes/8"]),
        (["--session", "2"], ["/tag.js", "/api/quotes/8"]),
        (["--from", "2s", "--to", "4s"], ["/api/quotes/7?fresh=1", "/api/orders"]),
        (["--to", "1500ms"], ["/"]),
        (["--session", "1", "--status", "200", "--from", "1500ms"], ["/api/quotes/7?fresh=1"]),
    ],
)
def test_filters_keep_whole_exchanges(mixed: Path, tmp_path: Path, options: list[str], expected: list[str]) -> None:
    before = {exchange.id: exchange for exchange in exchanges(load_capture(mixed))}
    capture = kept(tmp_path / "out.rush", mixed, *options)
    assert targets(capture) == expected
    assert capture.complete
    assert all(before[exchange.id] == exchange for exchange in exchanges(capture)), "unchanged, bodies and times too"


def test_sessions_keep_their_numbers_though_others_are_gone(mixed: Path, tmp_path: Path) -> None:
    capture = kept(tmp_path / "out.rush", mixed, "--session", "2")
    assert [(session.id, session.rule) for session in capture.sessions] == [(2, "listener")]
    assert capture.left_out == {} and mixed.exists()


def test_a_session_bound_by_exchange_is_kept_alone(tmp_path: Path) -> None:
    path = tmp_path / "shared.rush"
    bound: list[Spec] = [
        (EventType.SESSION, 9, 1, number, {"session": 5 + number % 2, "rule": "cookie"}) for number in (1, 2, 3)
    ]
    asked = [spec for number in (1, 2, 3) for spec in request(number, 1, number, f"/{number}")]
    write(path, [connection_open(1), *asked, *bound])
    capture = kept(tmp_path / "odd.rush", path, "--session", "6")
    assert [(session.id, session.rule) for session in capture.sessions] == [(6, "cookie")]
    assert targets(capture) == ["/1", "/3"]
    with open_capture(tmp_path / "odd.rush") as reader:
        assert reader.sessions() == [6]
    both = kept(tmp_path / "both.rush", path, "--method", "GET")
    assert [(session.id, len(session.exchanges)) for session in both.sessions] == [(5, 1), (6, 2)]


def socket_capture(path: Path) -> None:
    """A socket opened at 1 s, with a message each second up to 9 s and a close at 10 s; an event stream beside it."""
    specs = [connection_open(1), *socket_open(1 * SECOND_NS, 1, 1)]
    head: dict[str, object] = {"status": 200, "headers": ((b"Content-Type", b"text/event-stream"),)}
    specs += [*request(1 * SECOND_NS, 2, 2, "/events"), (EventType.RESPONSE_HEAD, 1 * SECOND_NS, 2, 2, head)]
    for second in range(2, 10):
        specs.append(message(second * SECOND_NS, 1, 1, b"%d" % second))
        specs.append((EventType.RESPONSE_BODY, second * SECOND_NS, 2, 2, {"data": b"data: %d\n\n" % second}))
    closed: dict[str, object] = {"sender": Peer.CLIENT, "code": 1000, "reason": ""}
    specs += [
        (EventType.SOCKET_CLOSE, 10 * SECOND_NS, 1, 1, closed),
        (EventType.RESPONSE_END, 10 * SECOND_NS, 2, 2, {"size_bytes": 72}),
        (EventType.CONNECTION_CLOSE, 10 * SECOND_NS, 1, 0, {}),
    ]
    write(path, specs, seal_every=3)


def test_of_what_lasts_the_messages_in_the_window_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "socket.rush"
    socket_capture(path)
    handshake, stream = exchanges(kept(tmp_path / "out.rush", path, "--from", "4s", "--to", "7s"))
    assert handshake.socket is not None and handshake.start_ns == 1 * SECOND_NS
    assert [message.data for message in handshake.socket.messages] == [b"4", b"5", b"6"]
    assert handshake.socket.close_ns is None, "it was open when the window ended"
    assert stream.response_body.data == b"data: 4\n\ndata: 5\n\ndata: 6\n\n" and stream.end_ns is None


def test_what_ended_before_the_window_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "socket.rush"
    socket_capture(path)
    result = edited(tmp_path / "out.rush", path, "--from", "11s")
    assert isinstance(result.exception, ConfigError) and not (tmp_path / "out.rush").exists()
    (last, rest) = exchanges(kept(tmp_path / "out.rush", path, "--from", "9500ms"))
    assert rest.response_body.is_cut and rest.response_body.size_bytes == 72, "the size is that of the whole"
    assert last.socket is not None and last.socket.close_code == 1000 and last.socket.messages == []


def with_anchor(path: Path, wall_s: int, specs: Sequence[Spec], **facts: object) -> None:
    """Write a capture whose time zero is ``wall_s``."""
    anchor = Anchor(wall_ns=wall_s * SECOND_NS, monotonic_ns=wall_s)
    with CaptureWriter(path, facts={**FACTS, **facts}, anchor=anchor) as writer:
        for event_type, t_ns, connection, exchange, fields in specs:
            writer.add(event_type, t_ns, connection, exchange, **fields)


def test_merged_captures_keep_their_sessions_apart_and_their_distance_in_time(tmp_path: Path) -> None:
    first, second, out = tmp_path / "a.rush", tmp_path / "b.rush", tmp_path / "out.rush"
    with_anchor(first, 1000, shop_session(), scope=["a"], kept="same")
    with_anchor(second, 990, shop_session(), scope=["b"], kept="same")
    capture = kept(out, first, "--merge", second)
    one, two = capture.sessions
    assert (one.id, two.id) == (1, 2)
    assert [exchange.id for exchange in one.exchanges] == [1, 2, 3]
    assert [exchange.id for exchange in two.exchanges] == [4, 5, 6]
    assert {exchange.connection for exchange in one.exchanges}.isdisjoint(e.connection for e in two.exchanges)
    assert [e.start_ns - 10 * SECOND_NS for e in one.exchanges] == [
        1_000 - 10 * SECOND_NS,
        3_000 - 10 * SECOND_NS,
        5_000 - 10 * SECOND_NS,
    ]
    assert [e.start_ns for e in two.exchanges] == [e.start_ns - 10 * SECOND_NS for e in one.exchanges]
    assert capture.header["anchor"] == Anchor(wall_ns=1000 * SECOND_NS, monotonic_ns=1000)
    assert capture.left_out == {"https://ads.example": 6}
    assert "scope" not in capture.header and capture.header["kept"] == "same", "facts are those that all agree on"


def test_merged_captures_can_start_together(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second, out = tmp_path / "a.rush", tmp_path / "b.rush", tmp_path / "out.rush"
    with_anchor(first, 1000, shop_session())
    with_anchor(second, 90_000, [connection_open(1), *request(7 * SECOND_NS, 1, 1), *request(8 * SECOND_NS, 1, 2)])
    kept(tmp_path / "far.rush", first, "--merge", second)
    assert "--align start" in caplog.text
    one, two = kept(out, first, "--merge", second, "--align", "start").sessions
    assert two.start_ns == one.start_ns
    assert two.exchanges[1].start_ns == one.start_ns + SECOND_NS


def test_a_capture_merged_with_itself_is_there_twice(mixed: Path, tmp_path: Path) -> None:
    before = load_capture(mixed)
    after = kept(tmp_path / "out.rush", mixed, "--merge", mixed, "--merge", mixed)
    assert len(after.sessions) == 3 * len(before.sessions)
    assert targets(after) == 3 * targets(before)


def test_the_header_names_the_sources_and_what_was_done(mixed: Path, tmp_path: Path) -> None:
    middle, out = tmp_path / "middle.rush", tmp_path / "out.rush"
    kept(middle, mixed, "--method", "GET", "--from", "1s")
    header = kept(out, middle, "--session", "1").header
    sha256 = hashlib.sha256(mixed.read_bytes()).hexdigest()
    assert cast("list[Any]", header["edits"]) == [
        {"done": {"method": ["GET"], "from": "1s"}, "sources": [{"path": str(mixed), "sha256": sha256}]},
        {
            "done": {"session": ["1"]},
            "sources": [{"path": str(middle), "sha256": hashlib.sha256(middle.read_bytes()).hexdigest()}],
        },
    ]
    assert header["url"] == FACTS["url"]


def test_many_edits_in_a_row_are_all_told(mixed: Path, tmp_path: Path) -> None:
    path = mixed
    for number in range(12):
        out = tmp_path / f"{number}.rush"
        kept(out, path, "--method", "GET")
        path = out
    assert len(cast("list[Any]", load_capture(path).header["edits"])) == 12


def test_of_a_damaged_capture_the_good_records_are_edited_and_the_header_tells(
    mixed: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_capture(mixed) as reader:
        offset = reader.index().chunks[1].offset
    mixed.write_bytes(corrupted(mixed.read_bytes(), offset + 40))
    capture = kept(tmp_path / "out.rush", mixed, "--method", "GET")
    assert capture.complete and "damaged" in caplog.text
    (step,) = cast("list[Any]", capture.header["edits"])
    assert "are damaged" in json.dumps(step["sources"][0]["damage"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--route", "/nowhere"], "no exchange agrees with --route"),
        (["--session", "9", "--origin", "shop.example"], "no exchange agrees with --session"),
        (["--method", "POST", "--session", "2"], "no exchange agrees with all that was asked"),
        (["--from", "1h"], "nothing is left"),
        ([], "nothing is to be edited"),
        (["--from", "soon"], "is not a duration"),
    ],
)
def test_an_edit_that_leaves_nothing_says_so_and_writes_nothing(
    mixed: Path, tmp_path: Path, options: list[str], sentence: str
) -> None:
    out = tmp_path / "out.rush"
    result = edited(out, mixed, *options)
    assert isinstance(result.exception, ConfigError) and result.exception.exit_code == 2
    assert sentence in str(result.exception)
    assert not out.exists()


def test_nothing_is_overwritten_and_nothing_is_left_of_what_failed(mixed: Path, tmp_path: Path) -> None:
    before, out, text = mixed.read_bytes(), tmp_path / "out.rush", tmp_path / "notes.txt"
    assert isinstance(edited(mixed, mixed, "--method", "GET").exception, ConfigError)
    assert mixed.read_bytes() == before
    text.write_text("no capture")
    for result in (edited(out, text, "--method", "GET"), edited(out, mixed, "--merge", text)):
        assert isinstance(result.exception, CaptureError)
    whole = tmp_path / "whole.rush"
    assert edited(whole, mixed, "--method", "GET").exit_code == 0
    with disk_of(whole.stat().st_size - 200):
        result = edited(out, mixed, "--method", "GET")
    assert isinstance(result.exception, ConfigError) and "make room" in str(result.exception)
    assert not out.exists()


def test_ids_and_clocks_out_of_any_range_are_refused(tmp_path: Path) -> None:
    path, out = tmp_path / "huge.rush", tmp_path / "out.rush"
    write(path, request(1, 2**63, 2**63))
    huge = edit_captures(
        EditOptions(sources=(str(path),), out=str(out), selection=Selection(sessions=choice_of(["1"], session_test)))
    )
    assert huge.exchanges == 1
    with pytest.raises(CaptureError, match="too large to be merged"):
        edit_captures(EditOptions(sources=(str(path), str(path)), out=str(tmp_path / "two.rush")))
