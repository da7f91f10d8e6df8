"""Files made to hurt: bombs stop at their limit within memory, and odd values cost their own record only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgpack
import pytest
import zstandard

from captures.errors import CaptureError
from captures.format.blocks import FLAG_ZSTD, BlockOpener
from captures.format.codec import BLOB_MIN_BYTES
from captures.format.container import (
    BLOCK_LIMIT_BYTES,
    HEADER_IDENTITY,
    MAGIC,
    RECORD_LIMIT_BYTES,
    Flaw,
    FrameType,
    encode_frame,
)
from captures.format.framing import BLOB_PROLOGUE, CHUNK_PROLOGUE, INDEX_PROLOGUE, array_of
from captures.format.reader import open_capture
from captures.format.values import check_plain, unpack
from captures.records import EventType
from captures.sessions import load_capture
from tests.captures.samples import IDENTITY, OUR_SCHEMA, forge, forged_header, read, trailer
from tests.commands import ROOT

MIB = 1024 * 1024


def zeros(n_bytes: int) -> bytes:
    """A small zstd frame that decodes to ``n_bytes`` and says so."""
    return zstandard.ZstdCompressor(level=3).compress(bytes(n_bytes))


def chunk(rows: list[object], *, first_seq: int = 0) -> tuple[int, int, bytes]:
    """An uncompressed chunk frame."""
    raw = array_of([msgpack.packb(row) for row in rows])
    return FrameType.CHUNK, 0, CHUNK_PROLOGUE.pack(0, first_seq, len(rows), len(raw)) + raw


def bomb_chunk(raw: bytes, n_events: int, stated: int) -> tuple[int, int, bytes]:
    """A compressed chunk frame of any content."""
    block = zstandard.ZstdCompressor(level=3).compress(raw)
    return FrameType.CHUNK, FLAG_ZSTD, CHUNK_PROLOGUE.pack(0, 0, n_events, stated) + block


def test_a_block_that_decodes_to_more_than_it_says_is_refused() -> None:
    with pytest.raises(Flaw, match="another size"):
        BlockOpener().open(FLAG_ZSTD, zeros(512 * MIB), 1000, BLOCK_LIMIT_BYTES)


def test_a_block_that_says_more_than_the_limit_is_refused_before_it_is_opened() -> None:
    with pytest.raises(Flaw, match="over the size limit"):
        BlockOpener().open(FLAG_ZSTD, zeros(512 * MIB), 512 * MIB, RECORD_LIMIT_BYTES)


def test_a_window_larger_than_any_writer_uses_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    block = compressor.compress(bytes(300)) + compressor.flush()
    with pytest.raises(Flaw, match="not valid zstd"):
        BlockOpener().open(FLAG_ZSTD, block, 300, BLOCK_LIMIT_BYTES)


@pytest.mark.parametrize("cut", [1, 5, 10])
def test_a_block_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(Flaw):
        BlockOpener().open(FLAG_ZSTD, zeros(5000)[:-cut], 5000, BLOCK_LIMIT_BYTES)


@pytest.mark.parametrize(
    "data",
    [
        b"\x91" * 100_000 + b"\xc0",
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff" + b"x" * 100,
        b"\xdf\xff\xff\xff\xff",
        b"\x81\x90\x90",
        b"\x81\x05\x05",
        b"\xc1",
        b"",
        b"\x01\x02",
    ],
    ids=["deep", "array32", "bin32", "map32", "array-key", "int-key", "never-used", "empty", "two-values"],
)
def test_hostile_msgpack_is_a_flaw_and_nothing_else(data: bytes) -> None:
    with pytest.raises(Flaw):
        unpack(data, BLOCK_LIMIT_BYTES)


def test_a_free_value_nested_deeper_than_32_is_refused() -> None:
    value: object = 1
    for _ in range(32):
        value = [value]
    assert check_plain(value) == value
    with pytest.raises(ValueError, match="deeper than 32"):
        check_plain([value])


_WATCHED = """
import json, resource, sys
from captures.errors import CaptureError
from captures.format.reader import open_capture
from captures.format.values import unpack
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    with open_capture(sys.argv[1]) as reader:
        n_events = sum(1 for _ in reader.events())
        damage = reader.damage
except CaptureError as exc:
    n_events, damage = -1, [str(exc)]
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([n_events, damage, (after - before) * 1024]))
"""


def watched_read(path: Path) -> tuple[int, list[str], int]:
    """Events, damage, and by how many bytes the memory of a fresh process grew while it read ``path``."""
    command = [sys.executable, "-c", _WATCHED, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    n_events, damage, grown_bytes = json.loads(done.stdout)
    return n_events, damage, grown_bytes


@pytest.mark.process
def test_bombs_in_chunks_stay_within_memory(tmp_path: Path) -> None:
    path = tmp_path / "bombs.rush"
    good = chunk([(int(EventType.ERROR), 0, 0, 1, 1, "good")], first_seq=0)
    frames = [
        good,
        bomb_chunk(bytes(512 * MIB), 1, 900_000),
        bomb_chunk(array_of([b"\x80"] * (MIB - 10)), MIB - 10, MIB - 5),
        bomb_chunk(array_of([b"\x91\xc0"] * (MIB // 2 - 10)), MIB // 2 - 10, MIB - 15),
        bomb_chunk(b"\x91" * (MIB - 1) + b"\xc0", 1, MIB),
    ]
    forge(path, frames)
    n_events, damage, grown_bytes = watched_read(path)
    assert n_events == 1 and damage
    assert path.stat().st_size < 100_000
    assert grown_bytes < 200 * MIB


@pytest.mark.process
def test_a_blob_bomb_stays_within_memory(tmp_path: Path) -> None:
    path = tmp_path / "blob.rush"
    blob = BLOB_PROLOGUE.pack(b"d" * 16, BLOB_MIN_BYTES + 1) + zeros(512 * MIB)
    row = (int(EventType.RESPONSE_BODY), 0, 0, 1, 1, msgpack.ExtType(1, b"d" * 16))
    forge(path, [(FrameType.BLOB, FLAG_ZSTD, blob), chunk([row])])
    n_events, damage, grown_bytes = watched_read(path)
    assert n_events == 0 and any("lost with their bodies" in sentence for sentence in damage)
    assert grown_bytes < 100 * MIB


@pytest.mark.process
def test_an_index_bomb_stays_within_memory(tmp_path: Path) -> None:
    path = tmp_path / "index.rush"
    header = forged_header()
    raw = array_of([b"\x80"] * (MIB - 5))
    page = INDEX_PROLOGUE.pack(len(raw)) + zstandard.ZstdCompressor().compress(raw)
    frame = encode_frame(IDENTITY, FrameType.INDEX, page, flags=FLAG_ZSTD)
    pages = [len(header) + number * len(frame) for number in range(200)]
    root = encode_frame(IDENTITY, FrameType.ROOT, msgpack.packb((pages, 0, 0, "")))
    body = header + frame * 200
    path.write_bytes(body + root + trailer(len(body), len(root)))
    _, damage, grown_bytes = watched_read(path)
    assert any("without a usable index" in sentence for sentence in damage)
    assert grown_bytes < 200 * MIB


@pytest.mark.parametrize("payload", [b"", b"short", b"x" * 23, bytes(24)])
@pytest.mark.parametrize("frame_type", [FrameType.CHUNK, FrameType.BLOB])
def test_frames_with_a_right_checksum_and_no_content_are_damage(
    tmp_path: Path, frame_type: FrameType, payload: bytes
) -> None:
    path = tmp_path / "short.rush"
    forge(path, [(frame_type, 0, payload), chunk([(13, 0, 0, 1, 1, "good")])])
    with open_capture(path) as reader:
        assert [event.fields for event in reader.events()] == [{"message": "good"}]
        assert not reader.complete


@pytest.mark.parametrize(
    "root",
    [
        b"\xc1",
        msgpack.packb("no array"),
        msgpack.packb(([], 0, 0)),
        msgpack.packb(([], "0", 0, "")),
        msgpack.packb((["5"], 0, 0, "")),
        msgpack.packb(([0], 0, 0, "")),
        msgpack.packb(([2**63], 0, 0, "")),
    ],
)
def test_a_malformed_root_leaves_the_events(tmp_path: Path, root: bytes) -> None:
    path = tmp_path / "root.rush"
    forge(path, [chunk([(13, 0, 0, 1, 1, "good")])])
    body = path.read_bytes()
    frame = encode_frame(IDENTITY, FrameType.ROOT, root)
    path.write_bytes(body + frame + trailer(len(body), len(frame)))
    with open_capture(path) as reader:
        assert [event.fields for event in reader.events()] == [{"message": "good"}]
        assert any("without a usable index" in sentence for sentence in reader.damage)


@pytest.mark.parametrize(
    "row",
    [
        (1, 5),
        (1, "5", 0, 0, 0, 1, ()),
        (1, 5, 0, 0, 0, 1, 7),
        (2, 5, "digest"),
        (3, 1, None, 0),
        (3, 1, None, 0, 0, 1, 0, 0, (1,)),
        (4, 1, 1, "1", "rule"),
        (5, "0", "name", 1),
        (6, 0, "gopher", "h", 70),
        5,
        (),
    ],
)
def test_a_malformed_index_leaves_the_events(tmp_path: Path, row: object) -> None:
    path = tmp_path / "index.rush"
    forge(path, [chunk([(13, 0, 0, 1, 1, "good")])])
    body = path.read_bytes()
    raw = array_of([msgpack.packb(row)])
    page = encode_frame(IDENTITY, FrameType.INDEX, INDEX_PROLOGUE.pack(len(raw)) + raw)
    root = encode_frame(IDENTITY, FrameType.ROOT, msgpack.packb(([len(body)], 1, 0, "")))
    path.write_bytes(body + page + root + trailer(len(body) + len(page), len(root)))
    with open_capture(path) as reader:
        assert [event.fields for event in reader.events(session=1)] == [{"message": "good"}]
        assert any("without a usable index" in sentence for sentence in reader.damage)


@pytest.mark.parametrize("offset", [-1, 5, 2**63, 2**64 - 1])
def test_an_index_that_points_elsewhere_gives_damage(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "index.rush"
    body = forged_header()
    rows = [msgpack.packb(row) for row in ((1, offset, 0, 9, 0, 1, (1,)), (2, offset, b"d" * 16))]
    raw = array_of(rows)
    page = encode_frame(IDENTITY, FrameType.INDEX, INDEX_PROLOGUE.pack(len(raw)) + raw)
    root = encode_frame(IDENTITY, FrameType.ROOT, msgpack.packb(([len(body)], 0, 0, "")))
    path.write_bytes(body + page + root + trailer(len(body) + len(page), len(root)))
    with open_capture(path) as reader:
        assert list(reader.events(start_ns=0)) == []
        assert reader.blobs.data(b"d" * 16) is None
        assert not reader.complete


@pytest.mark.parametrize(
    "document",
    [
        5,
        {},
        {"major": 1, "minor": 0, "facts": 5},
        {"major": "one", "minor": 0, "facts": {}},
        {"major": 1, "minor": 0, "facts": {}, "anchor": [1], "schema": [], "file_id": b"", "sync": b""},
        {"major": 1, "minor": 0, "facts": {}, "anchor": [1, 2], "schema": [], "file_id": b"1", "sync": b"2"},
        {"major": 1, "minor": 0, "facts": {}, "anchor": [1, 2], "schema": [5], "file_id": b"1" * 16, "sync": b"2" * 8},
    ],
)
def test_a_malformed_header_is_refused(tmp_path: Path, document: object) -> None:
    path = tmp_path / "header.rush"
    path.write_bytes(MAGIC + encode_frame(HEADER_IDENTITY, FrameType.HEADER, msgpack.packb(document)))
    with pytest.raises(CaptureError, match="the header is malformed"):
        open_capture(path)


def test_a_file_made_of_frame_starts_is_given_up_in_time(tmp_path: Path) -> None:
    path = tmp_path / "starts.rush"
    start = IDENTITY.sync + b"\x02\x00\x00\x00" + (40_000_000).to_bytes(4, "little") + b"CRC?"
    path.write_bytes(forged_header() + start * 2_100_000)
    with open_capture(path) as reader:
        assert list(reader.events()) == []
        assert reader.damage


@pytest.mark.parametrize(
    "row",
    [
        5,
        (),
        (13,),
        (13, 0, 0, 1),
        ("13", 0, 0, 1, 1, "x"),
        (13, 0, 0, True, 1, "x"),
        (13, 0, 0.5, 1, 1, "x"),
        (13, 0, 2**63, 1, 1, "x"),
        (13, 0, 0, 1, 1, b"bytes for text"),
        (13, 0, 0, 1, 1, {"a": 1}),
        (13, 0, 0, 1, 1, msgpack.Timestamp(1)),
        (13, 0, 0, 1, 1, msgpack.ExtType(5, b"?")),
        (3, 0, 0, 1, 1, "GET", "http", "h", 80, "/", "HTTP/1.1", ("no", "pairs")),
        (3, 0, 0, 1, 1, "GET", "http", "h", 80, "/", "HTTP/1.1", ((b"one",),)),
        (10, 0, 0, 1, 1, 3, 1, b"", 0, False),
        (10, 0, 0, 1, 1, 1, 8, b"", 0, False),
        (15, 0, 0, 0, 0, "deep", json.loads("[" * 40 + "]" * 40)),
    ],
)
def test_a_malformed_row_costs_itself_only(tmp_path: Path, row: object) -> None:
    path = tmp_path / "row.rush"
    good = (int(EventType.ERROR), 1, 0, 1, 1, "good")
    forge(path, [chunk([row, good])])
    assert [event.fields for event in read(path)] == [{"message": "good"}]
    with pytest.raises(CaptureError, match="1 events of the chunk at byte .* are malformed"):
        load_capture(path)


def test_unknown_events_frames_and_fields_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "newer.rush"
    schema = {**OUR_SCHEMA, 77: ("a", "b"), int(EventType.ERROR): ("message", "severity", "trace")}
    rows: list[object] = [(77, 0, 0, 1, 1, 1, {"b": [2]}), (13, 1, 0, 1, 1, "late", 3, ("a", "b"))]
    forge(path, [(77 % 6, 0, b"frame of a type nobody knows"), chunk(rows)], schema)
    assert [(event.seq, event.fields) for event in read(path)] == [(1, {"message": "late"})]


def test_field_names_come_from_the_files_own_schema(tmp_path: Path) -> None:
    path = tmp_path / "older.rush"
    schema = {int(EventType.SOCKET_CLOSE): ("reason", "code"), int(EventType.CONNECTION_OPEN): ("listener",)}
    forge(path, [chunk([(12, 0, 0, 1, 1, "bye", 1001), (1, 1, 0, 1, 0, "127.0.0.1:1"), (13, 2, 0, 1, 1, "?")])], schema)
    assert [event.fields for event in read(path)] == [
        {"sender": None, "code": 1001, "reason": "bye"},
        {"listener": "127.0.0.1:1", "peer": None, "tls": None, "alpn": None},
    ]


def test_a_newer_major_version_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "future.rush"
    path.write_bytes(forged_header(major=2, minor=3))
    with pytest.raises(CaptureError, match=r"capture format 2\.3.*pip install --upgrade rushhour"):
        open_capture(path)


def test_a_newer_minor_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "minor.rush"
    path.write_bytes(forged_header(minor=9))
    with open_capture(path) as reader:
        assert reader.header["format"] == "1.9"
