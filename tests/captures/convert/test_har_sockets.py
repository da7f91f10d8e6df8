"""Sockets in a HAR: messages, control frames, and how they closed."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from captures.records import Opcode, Peer
from captures.units import NS_PER_MS
from tests.captures.convert_samples.hars import message, socket, write_har
from tests.captures.convert_samples.reading import exchange_of, exchanges_of, imported

_MS = NS_PER_MS


# Sockets


def test_sockets_keep_messages_senders_kinds_and_times(tmp_path: Path) -> None:
    binary = base64.b64encode(b"\x00\xff").decode()
    first = socket([message(1, "hi", "send"), message(1.5, "né"), message(2, binary, opcode=2)])
    second = socket([message(1.2, "other")], started="2024-05-01T10:00:01Z")
    capture, _ = imported(write_har(tmp_path / "one.har", first, second))
    one, two = exchanges_of(capture)
    assert one.socket is not None
    assert two.socket is not None
    assert [(item.sender, item.opcode, item.data) for item in one.socket.messages] == [
        (Peer.CLIENT, Opcode.TEXT, b"hi"),
        (Peer.SERVER, Opcode.TEXT, "né".encode()),
        (Peer.SERVER, Opcode.BINARY, b"\x00\xff"),
    ]
    assert [item.t_ns - one.start_ns for item in one.socket.messages] == [10**9, 1_500_000_000, 2 * 10**9]
    assert [item.data for item in two.socket.messages] == [b"other"]
    assert one.connection != two.connection
    assert (one.status, one.origin.scheme) == (101, "https")


def test_a_message_before_the_answer_does_not_get_lost(tmp_path: Path) -> None:
    capture, _ = imported(write_har(tmp_path / "one.har", socket([message(-0.5, "early"), message(0.001, "soon")])))
    found = exchange_of(capture).socket
    assert found is not None
    assert [item.data for item in found.messages] == [b"early", b"soon"]


@pytest.mark.parametrize(
    ("other", "code", "reason", "closed_by"),
    [
        ({"_webSocketClose": {"code": 4001, "reason": "bye", "type": "receive"}}, 4001, "bye", Peer.SERVER),
        ({"_webSocketClose": "aborted"}, 1006, "", None),
        ({}, None, "", None),
    ],
)
def test_how_a_socket_closed_is_taken_from_where_it_is_said(
    other: dict[str, Any], code: int | None, reason: str, closed_by: Peer | None, tmp_path: Path
) -> None:
    capture, conversion = imported(write_har(tmp_path / "one.har", socket([message(1, "x")], **other)))
    found = exchange_of(capture).socket
    assert found is not None
    assert (found.close_code, found.close_reason, found.closed_by) == (code, reason, closed_by)
    assert bool(conversion.not_held) == (code is None)


def test_control_frames_among_the_messages_are_no_messages(tmp_path: Path) -> None:
    close = base64.b64encode(b"\x03\xe8done").decode()
    frames = [message(1, "cGluZw==", opcode=9), message(1, "x"), message(2, close, "send", opcode=8)]
    found = exchange_of(imported(write_har(tmp_path / "one.har", socket(frames)))[0]).socket
    assert found is not None
    assert [item.data for item in found.messages] == [b"x"]
    assert [(item.opcode, item.data) for item in found.controls] == [(Opcode.PING, b"ping")]
    assert (found.close_code, found.close_reason, found.closed_by) == (1000, "done", Peer.CLIENT)


@pytest.mark.parametrize("junk", [None, 7, "text", [], {}, {"type": 1, "data": "x"}, {"type": "send", "data": {}}])
def test_what_is_no_message_does_no_harm(junk: Any, tmp_path: Path) -> None:
    capture, conversion = imported(write_har(tmp_path / "one.har", socket([message(1, "x"), junk])))
    found = exchange_of(capture).socket
    assert found is not None
    assert found.messages[0].data == b"x"
    assert conversion.not_held


def test_a_socket_whose_messages_the_exporter_leaves_out_is_told_of(tmp_path: Path) -> None:
    made = socket([], _webSocketClose={"code": 1000})
    _, conversion = imported(write_har(tmp_path / "none.har", made))
    assert conversion.not_held == []
    del made["_webSocketMessages"]
    capture, conversion = imported(write_har(tmp_path / "left_out.har", made))
    assert exchange_of(capture).socket is not None
    assert conversion.not_held == ["sockets without their messages, which this exporter leaves out: 1 (first: entry 1)"]
