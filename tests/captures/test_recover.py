"""Recovery keeps every good record, whoever wrote it, and names its source."""

from __future__ import annotations

from pathlib import Path

import msgpack
import pytest

from captures.errors import CaptureError, ConfigError
from captures.format.container import FrameType
from captures.format.framing import CHUNK_PROLOGUE, array_of
from captures.format.reader import open_capture, sha256_of
from captures.format.recover import recover
from captures.records import EventType
from captures.sessions import load_capture
from tests.captures.samples import IDENTITY, OUR_SCHEMA, corrupted, disk_of, forge, read, shop_session, write


def test_a_whole_capture_is_copied_and_nothing_is_lost(tmp_path: Path) -> None:
    path, out = tmp_path / "whole.rush", tmp_path / "out.rush"
    events = write(path, shop_session(), seal_every=4)
    recovery = recover(path, out)
    assert (recovery.events, recovery.exchanges, recovery.messages) == (len(events), 3, 2)
    assert recovery.bytes_lost == 0 and recovery.damage == []
    assert read(out) == events


def test_the_result_names_its_source_and_its_losses(tmp_path: Path) -> None:
    path, out = tmp_path / "cut.rush", tmp_path / "out.rush"
    write(path, shop_session(), seal_every=4)
    path.write_bytes(path.read_bytes()[:-300])
    recovery = recover(path, out)
    source = load_capture(out).header["recovered_from"]
    assert isinstance(source, dict)
    assert source["sha256"] == sha256_of(path)
    assert source["damage"] == recovery.damage
    assert out.stat().st_mode & 0o777 == 0o600


def test_events_after_a_hole_are_numbered_anew_so_that_the_result_is_whole(tmp_path: Path) -> None:
    path, out = tmp_path / "hole.rush", tmp_path / "out.rush"
    events = write(path, shop_session(), seal_every=4)
    with open_capture(path) as reader:
        second, third = (row.offset for row in reader.index().chunks[1:3])
    data = path.read_bytes()
    path.write_bytes(corrupted(data, second + 25))
    recover(path, out)
    kept = read(out)
    assert [event.seq for event in kept] == list(range(len(events) - 4))
    assert [event.fields for event in kept] == [event.fields for event in events[:4] + events[8:]]
    assert load_capture(out).complete
    assert third > second


def test_events_and_fields_of_a_newer_minor_version_survive(tmp_path: Path) -> None:
    path, out = tmp_path / "newer.rush", tmp_path / "out.rush"
    schema = {**OUR_SCHEMA, 99: ("colour",), int(EventType.ERROR): ("message", "severity")}
    rows: list[tuple[object, ...]] = [(99, 0, 0, 1, 1, "red"), (int(EventType.ERROR), 1, 5, 1, 1, "late", 3)]
    raw = array_of([msgpack.packb(row) for row in rows])
    forge(path, [(FrameType.CHUNK, 0, CHUNK_PROLOGUE.pack(0, 0, 2, len(raw)) + raw)], schema)
    recover(path, out)
    with open_capture(out) as reader:
        (_, chunk), *_ = reader.chunks()
        assert chunk.rows == tuple(rows)
        assert reader.stored_header.schema == schema
        assert reader.stored_header.identity != IDENTITY, "an identity is of one file"
        assert [event.fields for event in reader.events()] == [{"message": "late"}]


def test_malformed_rows_are_left_out_and_their_neighbours_kept(tmp_path: Path) -> None:
    path, out = tmp_path / "mixed.rush", tmp_path / "out.rush"
    error = int(EventType.ERROR)
    rows = [(error, 0, 0, 1, 1, "good"), (error, 1, 0, 1, 1, 5), (99, 2, 0, 1, 1), "no row", (error, 4, 0, 1, 1, "too")]
    raw = array_of([msgpack.packb(row) for row in rows])
    forge(path, [(FrameType.CHUNK, 0, CHUNK_PROLOGUE.pack(7, 0, len(rows), len(raw)) + raw)])
    recovery = recover(path, out)
    assert "2 events of the chunk" in recovery.damage[0]
    assert [(event.t_ns, event.seq, event.fields) for event in read(out)] == [
        (7, 0, {"message": "good"}),
        (7, 2, {"message": "too"}),
    ]
    assert load_capture(out).complete


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "whole.rush"
    write(path, shop_session())
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        recover(path, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("room_bytes", [100, 1_900, -1])
def test_a_full_disk_leaves_no_half_recovered_file(tmp_path: Path, room_bytes: int) -> None:
    path, out = tmp_path / "whole.rush", tmp_path / "out.rush"
    write(path, shop_session(), seal_every=4)
    with disk_of(room_bytes % path.stat().st_size), pytest.raises(ConfigError, match="cannot be written"):
        recover(path, out)
    assert not out.exists()


def test_what_is_no_capture_cannot_be_recovered(tmp_path: Path) -> None:
    path, out = tmp_path / "text.rush", tmp_path / "out.rush"
    path.write_text("hello")
    with pytest.raises(CaptureError, match="not a capture"):
        recover(path, out)
    assert not out.exists()
