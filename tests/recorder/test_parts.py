"""Recordings in several files: each complete by itself, nothing lost, nothing told twice."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captures.assembly import Assembler
from captures.errors import ConfigError
from captures.format.reader import open_capture
from captures.records import EventType
from captures.sessions import load_capture
from recorder.notices import Kind
from recorder.open_state import MAX_KEPT_BYTES
from recorder.parts import Parts
from recorder.rotation import Rotation, parse_rotation, part_path
from tests.recorder.conversations import ANCHOR, Conversation

AFTER_EACH_EVENT = Rotation(age_ns=1)


def _write(talk: Conversation, path: Path, rotation: Rotation = AFTER_EACH_EVENT) -> list[Path]:
    parts = Parts(path, facts={"tool": "rushhour"}, anchor=ANCHOR, rotation=rotation)
    for event in talk.events:
        parts.add(event.type, event.t_ns, event.connection, event.exchange, **event.fields)
    parts.close()
    return parts.paths


Step = tuple[str, int]
STEPS = st.lists(st.tuples(st.sampled_from(["ask", "asked", "answer", "answered", "open", "say", "close", "leave"]),
                           st.integers(0, 3)), max_size=25)  # fmt: skip


def _talk(steps: list[Step]) -> Conversation:
    """A conversation in which each exchange goes its way, whatever the steps say."""
    talk, reached, n_said = Conversation(), dict[int, str](), 0
    for number in range(4):
        talk.connect(f"c{number}")
    for step, number in steps:
        flow = f"f{number}"
        match step, reached.get(number, ""):
            case "ask", "":
                talk.ask(flow, f"c{number}")
            case "asked", "ask":
                talk.asked(flow, b"body")
            case "answer", "asked":
                talk.answer(flow)
            case "answered", "answer":
                talk.answered(flow)
            case "open", "":
                talk.connect(f"c{number}")
                talk.ask(flow, f"c{number}")
                talk.asked(flow)
                talk.answer(flow, 101)
                talk.answered(flow, b"", is_upgrade=True)
                talk.say(Kind.SOCKET, flow_id=flow, extensions=b"", subprotocol=b"")
            case "say", "open":
                n_said += 1
                talk.message(flow, b"%d" % n_said)
                continue
            case "close", "open":
                talk.say(Kind.SOCKET_DONE, flow_id=flow, at_s=None, sender=1, code=1000, reason="")
            case "leave", "ask" | "asked" | "answer" | "open":
                talk.say(Kind.DISCONNECTED, connection_id=f"c{number}")
                continue
            case _:
                continue
        reached[number] = step
    talk.finish()
    return talk


@settings(max_examples=25)
@given(STEPS)
def test_files_after_each_event_hold_together_what_one_file_holds(steps: list[Step]) -> None:
    talk = _talk(steps)
    with tempfile.TemporaryDirectory() as directory:
        paths = _write(talk, Path(directory) / "a.rush")
        assert [path.name for path in paths] == [f"a-{number:04}.rush" for number in range(1, len(paths) + 1)]
        said: list[bytes] = []
        ended: list[int] = []
        for path in paths:
            assembler = Assembler()
            with open_capture(path) as reader:
                assert reader.complete
                for event in reader.events():
                    assert event.t_ns >= 0
                    assembler.add(event)
            assert assembler.n_stray == 0
            for session in assembler.sessions():
                for exchange in session.exchanges:
                    said += [message.data for message in exchange.socket.messages] if exchange.socket else []
                    if exchange.status == 200 and exchange.end_ns is not None:
                        ended.append(exchange.id)
                        assert (exchange.request_body.data, exchange.response_body.data) == (b"body", b"ok")
    assert said == [event.fields["data"] for event in talk.events if event.type is EventType.MESSAGE]
    assert len(ended) == len(set(ended)) == _reached(talk).count(EventType.RESPONSE_END)


def _reached(talk: Conversation) -> list[EventType]:
    """Types of events, but for the handshakes' ends."""
    sockets = {event.exchange for event in talk.events if event.type is EventType.SOCKET_OPEN}
    return [event.type for event in talk.events if event.exchange not in sockets]


def test_a_file_names_the_one_before_and_notes_what_goes_on(tmp_path: Path) -> None:
    talk = Conversation()
    talk.connect()
    talk.open_socket()
    talk.message("f1", b"one")
    talk.message("f1", b"two")
    paths = _write(talk, tmp_path / "a.rush")
    captures = [load_capture(path) for path in paths]
    assert [capture.header["predecessor"] for capture in captures] == ["", *(path.name for path in paths[:-1])]
    last, before = captures[-1], captures[-2]
    assert [(note.name, note.value) for note in last.notes] == [("continues", before.path.rpartition("/")[2])]
    assert ("continues_in", last.path.rpartition("/")[2], 1) in [
        (note.name, note.value, note.exchange) for note in before.notes
    ]


def test_a_long_body_that_is_under_way_is_cut_and_never_mixed_up(tmp_path: Path) -> None:
    talk = Conversation()
    talk.ask()
    talk.asked()
    talk.answer(headers=((b"Content-Type", b"text/plain"),))
    pieces = [b"%d" % number * (MAX_KEPT_BYTES // 3) for number in range(6)]
    for piece in pieces:
        talk.say(Kind.RESPONSE_CHUNK, flow_id="f1", data=piece)
    talk.answered(data=None)
    (exchange,) = load_capture(_write(talk, tmp_path / "a.rush")[-1]).sessions[0].exchanges
    assert exchange.response_body.is_cut
    assert exchange.response_body.size_bytes == sum(map(len, pieces))
    assert b"".join(pieces).startswith(exchange.response_body.data)


def test_an_event_stream_goes_on_where_it_is(tmp_path: Path) -> None:
    talk = Conversation()
    talk.ask()
    talk.asked()
    talk.answer(headers=((b"Content-Type", b"text/event-stream"),))
    for number in range(3):
        talk.say(Kind.RESPONSE_CHUNK, flow_id="f1", data=b"data: %d\n\n" % number)
    paths = _write(talk, tmp_path / "a.rush")
    heard = [session.exchanges[0].response_body.data for path in paths for session in load_capture(path).sessions]
    assert b"".join(heard) == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_without_rotation_there_is_one_file_of_the_name_that_was_given(tmp_path: Path) -> None:
    talk = Conversation()
    talk.ask()
    assert _write(talk, tmp_path / "a.rush", Rotation()) == [tmp_path / "a.rush"]
    assert "predecessor" not in load_capture(tmp_path / "a.rush").header


# Texts · size in bytes · age in seconds.
ROTATIONS = [((), 0, 0), (("1GiB",), 1 << 30, 0), (("1h",), 0, 3600), (("2mb", "90s"), 2 << 20, 90), (("5m",), 0, 300)]


@pytest.mark.parametrize(("texts", "size_bytes", "age_s"), ROTATIONS)
def test_rotations(texts: tuple[str, ...], size_bytes: int, age_s: int) -> None:
    rotation = parse_rotation(texts)
    assert (rotation.size_bytes, rotation.age_ns) == (size_bytes, age_s * 1_000_000_000)
    assert parse_rotation(rotation.texts) == rotation


@pytest.mark.parametrize("texts", [("often",), ("1KiB",), ("10ms",), ("0",), ("1h", "2h"), ("1GiB", "2GiB"), ("100",)])
def test_what_is_no_rotation_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="--rotate"):
        parse_rotation(texts)


def test_a_files_name_keeps_its_suffix() -> None:
    assert part_path(Path("day/market.v2.rush"), 12) == Path("day/market.v2-0012.rush")
