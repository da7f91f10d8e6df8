"""The writer: new private files, chunks sealed in time, and a disk that fills up."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from captures.errors import CaptureError, CaptureSealed, ConfigError, ExitCode
from captures.format.reader import open_capture
from captures.format.writer import CaptureWriter
from captures.records import Event, EventType
from captures.sessions import load_capture
from tests.captures.samples import ANCHOR, FACTS, disk_of, read, request, response, shop_session, write


def new_writer(path: Path) -> CaptureWriter:
    """A writer with the sample facts."""
    return CaptureWriter(path, facts=FACTS, anchor=ANCHOR)


def add_request(writer: CaptureWriter, t_ns: int, number: int = 1) -> None:
    """One request head and its end."""
    for event_type, at_ns, connection, exchange, fields in request(t_ns, 1, number):
        writer.add(event_type, at_ns, connection, exchange, **fields)


def test_the_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path / "private.rush", shop_session())
    finally:
        os.umask(before)
    assert (tmp_path / "private.rush").stat().st_mode & 0o777 == 0o600


def test_an_existing_path_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "there.rush"
    path.write_text("mine")
    with pytest.raises(ConfigError, match=r"exists already.*nothing is overwritten"):
        new_writer(path)
    assert path.read_text() == "mine"


def test_a_link_to_nowhere_is_an_existing_path(tmp_path: Path) -> None:
    (tmp_path / "link.rush").symlink_to(tmp_path / "elsewhere.rush")
    with pytest.raises(ConfigError, match="exists already"):
        new_writer(tmp_path / "link.rush")
    assert not (tmp_path / "elsewhere.rush").exists()


def test_a_directory_that_is_missing_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        new_writer(tmp_path / "missing" / "a.rush")


def test_facts_that_cannot_be_kept_are_refused_before_a_file_is_made(tmp_path: Path) -> None:
    path = tmp_path / "facts.rush"
    with pytest.raises(TypeError):
        CaptureWriter(path, facts={"path": tmp_path}, anchor=ANCHOR)
    assert not path.exists()


def test_what_was_sealed_is_readable_while_the_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "open.rush"
    writer = new_writer(path)
    add_request(writer, 0)
    assert read(path) == []
    writer.seal()
    assert len(read(path)) == 2
    writer.close()


def test_a_chunk_is_sealed_when_its_events_span_a_second(tmp_path: Path) -> None:
    path = tmp_path / "second.rush"
    with new_writer(path) as writer:
        for second in range(4):
            add_request(writer, second * 1_000_000_000)
        assert len(read(path)) == 6


def test_a_chunk_is_sealed_by_size(tmp_path: Path) -> None:
    path = tmp_path / "size.rush"
    with new_writer(path) as writer:
        for number in range(20):
            writer.add(EventType.RESPONSE_BODY, 0, 1, number, data=os.urandom(60_000))
        assert len(read(path)) == 20 // 5 * 5


def test_tick_seals_by_age_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "tick.rush"
    with new_writer(path) as writer:
        writer.tick(time.monotonic_ns())
        add_request(writer, 0)
        writer.tick(time.monotonic_ns() - 1)
        assert read(path) == []
        writer.tick(time.monotonic_ns() + 1_000_000_000)
        assert len(read(path)) == 2
        writer.tick(time.monotonic_ns() + 60_000_000_000)


def test_large_bodies_are_stored_once(tmp_path: Path) -> None:
    path = tmp_path / "blobs.rush"
    body = os.urandom(100_000)
    with new_writer(path) as writer:
        for number in range(1, 11):
            for event_type, t_ns, connection, exchange, fields in response(number, 1, number, body):
                writer.add(event_type, t_ns, connection, exchange, **fields)
    assert path.stat().st_size < 110_000
    with open_capture(path) as reader:
        assert [e.fields["data"] for e in reader.events() if e.type is EventType.RESPONSE_BODY] == [body] * 10


@pytest.mark.parametrize(
    ("event_type", "fields", "problem"),
    [
        (EventType.ERROR, {"mesage": "x"}, "no field mesage"),
        (EventType.ERROR, {"message": b"bytes"}, "ERROR.message is bytes, not text"),
        (EventType.REQUEST_BODY, {"data": "text"}, "REQUEST_BODY.data is str, not bytes"),
        (EventType.REQUEST_BODY, {"data": bytearray(b"x")}, "is bytearray"),
        (EventType.NOTE, {"name": "n", "value": {1: "x"}}, "text keys"),
        (EventType.NOTE, {"name": "n", "value": [object()]}, "no object"),
    ],
)
def test_values_of_the_wrong_kind_are_refused_and_the_writer_goes_on(
    tmp_path: Path, event_type: EventType, fields: dict[str, object], problem: str
) -> None:
    path = tmp_path / "strict.rush"
    with new_writer(path) as writer:
        with pytest.raises(TypeError, match=problem):
            writer.add(event_type, 0, 1, 1, **fields)
        add_request(writer, 5)
    assert [event.seq for event in read(path)] == [0, 1]
    assert load_capture(path).complete


def test_an_event_over_the_limit_is_refused_and_the_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "huge.rush"
    with new_writer(path) as writer:
        with pytest.raises(ValueError, match="more than"):
            writer.add(EventType.RESPONSE_HEAD, 0, 1, 1, headers=((b"x", b"y" * 600_000),))
        add_request(writer, 5)
    assert len(read(path)) == 2


def test_text_with_lone_surrogates_never_stops_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "odd.rush"
    with new_writer(path) as writer:
        writer.add(EventType.NOTE, 0, 0, 0, name="\ud800", value="\udce9")
        writer.add(EventType.SESSION, 0, 1, 0, session=1, rule="\udfff")
        writer.add(EventType.ERROR, 0, 1, 1, message="plain")
    assert [event.type for event in read(path)] == [EventType.NOTE, EventType.SESSION, EventType.ERROR]
    assert load_capture(path).complete


def test_closing_twice_and_adding_after_the_end_do_nothing(tmp_path: Path) -> None:
    path = tmp_path / "closed.rush"
    writer = new_writer(path)
    add_request(writer, 0)
    writer.close()
    size = path.stat().st_size
    writer.close()
    add_request(writer, 5)
    writer.seal()
    writer.tick(time.monotonic_ns() + 10**12)
    assert path.stat().st_size == size


def record_on(path: Path, n_bytes: int, reported: list[CaptureSealed]) -> None:
    """Record exchanges with large and small bodies until well after the disk is full."""
    with disk_of(n_bytes):
        writer = new_writer(path)
        for number in range(1, 30):
            body = b"%d " % number + (os.urandom(70_000) if number % 4 == 0 else b"small")
            for event_type, t_ns, connection, exchange, fields in [
                *request(number, 1, number),
                *response(number, 1, number, body),
            ]:
                try:
                    writer.add(event_type, t_ns, connection, exchange, **fields)
                except CaptureSealed as exc:
                    reported.append(exc)
            if number % 3 == 0 and not reported:
                try:
                    writer.seal()
                except CaptureSealed as exc:
                    reported.append(exc)
        try:
            writer.close()
        except CaptureSealed as exc:
            reported.append(exc)


@pytest.mark.parametrize("n_bytes", [2_000, 3_000, 70_500, 72_000, 73_000, 145_000, 200_001, 250_000])
def test_a_full_disk_keeps_what_was_sealed_and_is_reported_once(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / "full.rush"
    reported: list[CaptureSealed] = []
    record_on(path, n_bytes, reported)
    assert len(reported) == 1
    assert reported[0].exit_code is ExitCode.INVALID
    assert "File too large" in str(reported[0]) and "make room" in str(reported[0])
    with open_capture(path) as reader:
        events = list(reader.events())
        assert not reader.complete
        assert not any("bytes" in sentence and "damaged" in sentence for sentence in reader.damage), "whole frames only"
    assert [event.seq for event in events] == list(range(len(events)))
    with pytest.raises(CaptureError, match="rushhour recover"):
        load_capture(path)


def test_a_recording_that_ended_early_says_why_and_how_much_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "early.rush"
    reported: list[CaptureSealed] = []
    record_on(path, 150_000, reported)
    with open_capture(path) as reader:
        (sentence,) = reader.damage
    assert sentence == "the recording ended early (File too large); 1 events were not written"
    assert f"{len(read(path))} events are kept" in str(reported[0])


def test_a_disk_without_room_for_a_header_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "none.rush"
    with disk_of(500), pytest.raises(ConfigError, match="cannot be written: File too large"):
        new_writer(path)
    assert not path.exists()


def test_the_disk_may_fill_at_any_byte(tmp_path: Path) -> None:
    whole = tmp_path / "whole.rush"
    events = write(whole, shop_session(), seal_every=5)
    size = whole.stat().st_size
    for n_bytes in range(1_500, size, 23):
        path = tmp_path / f"{n_bytes}.rush"
        kept = _write_until_full(path, n_bytes)
        assert kept == events[: len(kept)]


def _write_until_full(path: Path, n_bytes: int) -> list[Event]:
    with disk_of(n_bytes):
        writer = new_writer(path)
        with pytest.raises(CaptureSealed):
            for count, (event_type, t_ns, connection, exchange, fields) in enumerate(shop_session(), start=1):
                writer.add(event_type, t_ns, connection, exchange, **fields)
                if count % 5 == 0:
                    writer.seal()
            writer.close()
    return read(path)


def test_bodies_beyond_the_record_limit_are_cut_and_known_to_be(tmp_path: Path) -> None:
    path = tmp_path / "cut.rush"
    size = 64 * 1024 * 1024 + 5
    with new_writer(path) as writer:
        for event_type, t_ns, connection, exchange, fields in request(0, 1, 1):
            writer.add(event_type, t_ns, connection, exchange, **fields)
        writer.add(EventType.RESPONSE_BODY, 1, 1, 1, data=bytes(size))
        writer.add(EventType.RESPONSE_END, 2, 1, 1, size_bytes=size, hash=b"")
    body = load_capture(path).sessions[0].exchanges[0].response_body
    assert body.is_cut and len(body.data) == 64 * 1024 * 1024 and body.size_bytes == size


def test_a_chunk_that_does_not_fit_is_kept_as_far_as_it_does(tmp_path: Path) -> None:
    path = tmp_path / "tight.rush"
    data = [os.urandom(1000) for _ in range(40)]
    with disk_of(20_000):
        writer = CaptureWriter(path, facts=FACTS, anchor=ANCHOR)
        for number, noise in enumerate(data):
            writer.add(EventType.RESPONSE_BODY, number, 1, 1, data=noise)
        with pytest.raises(CaptureSealed):
            writer.seal()
    kept = [event.fields["data"] for event in read(path)]
    assert kept == data[: len(kept)] and len(kept) == 10, "a quarter of the open chunk, and the index"
    with open_capture(path) as reader:
        assert any("30 events were not written" in sentence for sentence in reader.damage)
