"""Captures of format version 1 load for ever: a file of that version, byte for byte as it was written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from captures.format.blocks import FLAG_ZSTD
from captures.format.container import FrameType
from captures.format.reader import open_capture, sha256_of
from captures.format.recover import recover
from captures.records import Event, Message, Opcode, Origin, Peer
from captures.sessions import load_capture
from tests.captures.frozen.content import ANCHOR, EVENTS, FACTS, HEADERS, LARGE, NOISE, PATH, Spec
from tests.captures.samples import forged_header
from tests.commands import ROOT

SHA256 = "b785f395363fb43f287beb0e4841d9bef6cfe07dfb551684974b513dce4877db"


def as_written(event: Event) -> Spec:
    """An event with the fields of version 1.0; those that came later read as empty."""
    names = EVENTS[event.seq][-1].keys()
    assert not any(value for name, value in event.fields.items() if name not in names)
    fields = {name: event.fields[name] for name in names}
    return event.type, event.t_ns, event.connection, event.exchange, fields


def test_the_file_is_the_one_that_was_frozen() -> None:
    assert sha256_of(PATH) == SHA256, "this file is never made anew: restore it"


def test_it_loads_to_exactly_what_was_written() -> None:
    with open_capture(PATH) as reader:
        assert reader.header == {**FACTS, "anchor": ANCHOR, "format": "1.0"}
        events = list(reader.events())
        assert reader.complete and reader.check()
    assert [as_written(event) for event in events] == list(EVENTS)
    assert [event.seq for event in events] == list(range(len(EVENTS)))


def test_it_holds_every_kind_of_event_and_of_block() -> None:
    with open_capture(PATH) as reader:
        chunks = [frame for frame in reader.frames() if frame.type == FrameType.CHUNK]
        assert {frame.flags for frame in chunks} == {0, FLAG_ZSTD}
        assert len(reader.index().blobs) == 1, "the large value is stored once"
        assert {event.type for event in reader.events()} == {event_type for event_type, *_ in EVENTS}
    assert {int(event_type) for event_type, *_ in EVENTS} == set(range(1, 16))


def test_its_index_still_leads_to_sessions_and_times() -> None:
    with open_capture(PATH) as reader:
        assert reader.sessions() == [1, 7, 8]
        assert [event.seq for event in reader.events(session=7)] == [20, 21, 22, 23]
        assert [event.seq for event in reader.events(start_ns=2_028_000_000, end_ns=2_029_000_000)] == [17, 18]
        assert [(note.name, note.value) for note in reader.index().notes] == [
            ("left_out_origin", ["https://ads.example", 3]),
            ("odd", {"a": [None, True, -1, 2.5, b"\xff", "\u00e9"]}),
        ]


def test_it_is_assembled_to_exactly_these_sessions() -> None:
    capture = load_capture(PATH)
    assert capture.left_out == {"https://ads.example": 3}
    first, cookie, listener = capture.sessions
    assert [(session.id, session.rule) for session in capture.sessions] == [
        (1, "listener"),
        (7, "cookie"),
        (8, "listener"),
    ]
    (login,), (broken,), (feed,) = first.exchanges, cookie.exchanges, listener.exchanges
    assert login.origin == Origin("https", "shop.example", 443) and login.target == "/login?next=%2F&\udcff=\u00fc"
    assert login.request_body.data == b"user=me&password=x" and login.request_headers == HEADERS
    assert login.response_body.data == LARGE and login.response_body.size_bytes == 2**40
    assert (login.start_ns, login.request_end_ns, login.response_start_ns, login.end_ns, login.connect_ns) == (
        1_000_000,
        1_300_000,
        21_000_000,
        23_000_000,
        5_000_000,
    )
    assert broken.error == "connection reset" and broken.status is None
    socket = feed.socket
    assert feed.origin == Origin("http", "::1", 8080) and socket is not None
    assert (socket.subprotocol, socket.close_code, socket.close_reason) == (b"v1.feed", 4002, "schlu\u00df")
    assert socket.messages == [
        Message(t_ns=27_000_000, sender=Peer.CLIENT, opcode=Opcode.TEXT, data=b'{"subscribe":1}', size_bytes=15),
        Message(t_ns=2_027_000_001, sender=Peer.SERVER, opcode=Opcode.BINARY, data=NOISE, size_bytes=1024),
    ]
    assert [control.opcode for control in socket.controls] == [Opcode.PING, Opcode.PONG]


def test_it_loads_without_its_index_too(tmp_path: Path) -> None:
    cut, whole = tmp_path / "cut.rush", tmp_path / "whole.rush"
    with open_capture(PATH) as reader:
        events = list(reader.events())
    cut.write_bytes(PATH.read_bytes()[:-100])
    assert recover(cut, whole).events == len(events)
    with open_capture(whole) as reader:
        assert list(reader.events()) == events and reader.complete


@pytest.mark.process
def test_a_newer_major_version_is_refused_by_the_command_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "future.rush").write_bytes(forged_header(major=2, minor=3) + b"whatever comes then")
    for command in (["inspect"], ["recover", "-o", "new.rush"], ["replay", "--target", "http://127.0.0.1:9"]):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "rushhour", *command, str(tmp_path / "future.rush")],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2 and done.stdout == ""
        assert "capture format 2.3" in done.stderr and "pip install --upgrade rushhour" in done.stderr
    assert not (tmp_path / "new.rush").exists()
