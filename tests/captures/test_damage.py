"""Damaged files: the good records or a clear error, never a wrong record, never another exception."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captures.errors import CaptureError
from captures.format.container import END_MAGIC, MAGIC
from captures.format.reader import open_capture
from captures.format.recover import recover
from captures.records import Event
from captures.sessions import load_capture
from captures.view.overview import overview_of
from tests.captures.samples import corrupted, shop_session, write


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[Event]]:
    """The bytes of a small capture of several chunks and a blob, and its events."""
    path = tmp_path_factory.mktemp("small") / "small.rush"
    events = write(path, shop_session(), seal_every=5)
    data = path.read_bytes()
    assert len(data) < 4096
    return data, events


def read_damaged(path: Path, data: bytes) -> tuple[list[Event], list[str]] | None:
    """Events and damage, or None where the file is refused."""
    path.write_bytes(data)
    try:
        with open_capture(path) as reader:
            events = list(reader.events())
            assert reader.complete == (not reader.damage)
            return events, reader.damage
    except CaptureError as exc:
        assert str(path) in str(exc)
        return None


def assert_nothing_is_wrong(found: tuple[list[Event], list[str]] | None, events: list[Event]) -> None:
    """Every event read is one that was written, in order, and missing ones are not passed over in silence."""
    if found is None:
        return
    read, damage = found
    assert damage
    by_seq = {event.seq: event for event in events}
    assert [by_seq.get(event.seq) for event in read] == read
    assert sorted(event.seq for event in read) == [event.seq for event in read]


def test_every_truncation_gives_the_chunks_before_it(tmp_path: Path, small: tuple[bytes, list[Event]]) -> None:
    data, events = small
    path = tmp_path / "cut.rush"
    with_header = 0
    counts = []
    for length in range(len(data)):
        found = read_damaged(path, data[:length])
        assert_nothing_is_wrong(found, events)
        if found:
            with_header += 1
            read, damage = found
            assert read == events[: len(read)], "what is left is the beginning"
            assert any(f"the file ends at byte {length}" in sentence for sentence in damage)
            counts.append(len(read))
    assert with_header > len(data) // 2
    assert counts == sorted(counts)
    assert set(counts) == {*range(0, len(events), 5), len(events)}, "chunk by chunk"


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_is_noticed(tmp_path: Path, small: tuple[bytes, list[Event]], flip: int) -> None:
    data, events = small
    path = tmp_path / "flipped.rush"
    worst = len(events)
    for at in range(len(data)):
        found = read_damaged(path, data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])
        assert found is not None, "one flipped byte never costs the whole file"
        assert_nothing_is_wrong(found, events)
        worst = min(worst, len(found[0]))
    assert len(events) > worst >= len(events) - 6, "one flipped byte costs one chunk, or one blob's events"


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_arbitrary_damage_gives_good_records_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, small: tuple[bytes, list[Event]], data: st.DataObject
) -> None:
    whole, events = small
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    damaged = whole[:start] + data.draw(st.binary(max_size=64)) + whole[end:]
    if damaged != whole:
        found = read_damaged(tmp_path_factory.getbasetemp() / "any.rush", damaged)
        assert_nothing_is_wrong(found, events)


def test_a_hole_in_the_middle_is_described_with_offsets_and_events_lost(
    tmp_path: Path, small: tuple[bytes, list[Event]]
) -> None:
    data, events = small
    path = tmp_path / "hole.rush"
    path.write_bytes(data)
    with open_capture(path) as reader:
        second = reader.index().chunks[1].offset
        third = reader.index().chunks[2].offset
    read, damage = read_damaged(path, corrupted(data, second + 30)) or ([], [])
    assert read == events[:5] + events[10:]
    assert damage == [f"bytes {second} to {third} ({third - second} bytes, 5 events) are damaged and were skipped"]


def test_reading_a_part_goes_on_after_a_damaged_chunk(tmp_path: Path, small: tuple[bytes, list[Event]]) -> None:
    data, events = small
    path = tmp_path / "part.rush"
    path.write_bytes(data)
    with open_capture(path) as reader:
        second = reader.index().chunks[1].offset
    path.write_bytes(corrupted(data, second + 30))
    with open_capture(path) as reader:
        assert list(reader.events(start_ns=0)) == events[:5] + events[10:]
        assert reader.damage == [f"the chunk at byte {second} is unusable: frame with a wrong checksum"]
        assert not reader.complete


def test_a_closed_reader_says_so(tmp_path: Path, small: tuple[bytes, list[Event]]) -> None:
    path = tmp_path / "closed.rush"
    path.write_bytes(small[0])
    reader = open_capture(path)
    reader.close()
    with pytest.raises(CaptureError, match="the reader is closed"):
        list(reader.events())


def test_a_chunk_that_was_cut_out_or_repeated_is_noticed(tmp_path: Path, small: tuple[bytes, list[Event]]) -> None:
    data, events = small
    path = tmp_path / "spliced.rush"
    path.write_bytes(data)
    with open_capture(path) as reader:
        second, third = (row.offset for row in reader.index().chunks[1:3])
    without = read_damaged(path, data[:second] + data[third:])
    assert_nothing_is_wrong(without, events)
    assert without is not None and f"5 events are missing before byte {second}" in without[1]
    twice = read_damaged(path, data[:third] + data[second:third] + data[third:])
    assert_nothing_is_wrong(twice, events)
    assert twice is not None and any("repeats earlier events" in sentence for sentence in twice[1])


def test_frames_of_another_capture_never_pass_as_ours(tmp_path: Path, small: tuple[bytes, list[Event]]) -> None:
    data, events = small
    other = tmp_path / "other.rush"
    write(other, shop_session(), seal_every=5)
    found = read_damaged(tmp_path / "joined.rush", data + other.read_bytes())
    assert found is not None and found[0] == events
    assert_nothing_is_wrong(found, events)


def test_a_lost_blob_costs_only_the_events_that_refer_to_it(tmp_path: Path, small: tuple[bytes, list[Event]]) -> None:
    data, events = small
    path = tmp_path / "blob.rush"
    path.write_bytes(data)
    with open_capture(path) as reader:
        (offset,) = reader.index().blobs.values()
    read, damage = read_damaged(path, corrupted(data, offset + 40)) or ([], [])
    lost = [event for event in events if event not in read]
    assert [event.type.name for event in lost] == ["RESPONSE_BODY", "RESPONSE_BODY"]
    assert len(damage) == 3, "the blob, and each chunk that needs it"


def test_a_damaged_capture_is_refused_with_the_way_out_unless_allowed(
    tmp_path: Path, small: tuple[bytes, list[Event]]
) -> None:
    path = tmp_path / "my shop.rush"
    path.write_bytes(small[0][:-40])
    with pytest.raises(CaptureError, match="rushhour recover '.*my shop.rush' -o '.*my shop.recovered.rush'"):
        load_capture(path)
    capture = load_capture(path, allow_damage=True)
    assert not capture.complete and capture.damage
    assert len(capture.sessions[0].exchanges) == 3


def test_the_overview_of_a_damaged_file_counts_its_good_records(
    tmp_path: Path, small: tuple[bytes, list[Event]]
) -> None:
    data, events = small
    path = tmp_path / "part.rush"
    path.write_bytes(data)
    with open_capture(path) as reader:
        last = reader.index().chunks[-1].offset
    path.write_bytes(corrupted(data, last + 30))
    with open_capture(path) as reader:
        overview = overview_of(reader)
    assert not overview.complete
    assert overview.n_events == 20 < len(events)
    assert overview.total("n_exchanges") == 3


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty file"),
        (b"GET / HTTP/1.1\r\n\r\n", "not a capture"),
        (b"\x00" * 100_000, "not a capture"),
        (MAGIC, "both copies of the header are damaged"),
        (MAGIC + b"\xff" * 5000, "both copies of the header are damaged"),
        (END_MAGIC, "not a capture"),
    ],
)
def test_files_that_are_no_captures_are_refused(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "odd.rush"
    path.write_bytes(data)
    with pytest.raises(CaptureError, match=problem):
        open_capture(path)


def test_paths_that_are_no_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no such file"):
        open_capture(tmp_path / "missing.rush")
    with pytest.raises(CaptureError, match="not a file"):
        open_capture(tmp_path)
    with pytest.raises(CaptureError, match="cannot be read"):
        open_capture("nul\0byte.rush")


def test_recovering_every_truncation_gives_a_whole_capture(tmp_path: Path, small: tuple[bytes, list[Event]]) -> None:
    data, events = small
    path, out = tmp_path / "cut.rush", tmp_path / "out.rush"
    for length in range(len(data) // 3, len(data), 41):
        path.write_bytes(data[:length])
        with open_capture(path) as reader:
            good = list(reader.events())
        recovery = recover(path, out)
        with open_capture(out) as reader:
            assert list(reader.events()) == good == events[: len(good)]
            assert reader.complete
        assert recovery.events == len(good)
        assert recovery.damage
        out.unlink()
