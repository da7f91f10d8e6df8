from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import msgpack
import pytest
import zstandard

from analysis.runfile import MAGIC, MAX_FRAME_BYTES, FrameReader, FrameWriter
from captures.errors import CaptureError, ConfigError, ReplayError


def write(path: Path, *bodies: object) -> None:
    writer = FrameWriter(path)
    for kind, body in enumerate(bodies):
        writer.append(kind, body)
    writer.close()


def read(path: Path) -> tuple[list[tuple[int, object]], list[str]]:
    reader = FrameReader(path)
    return list(reader.frames()), reader.damage


def test_frames_come_back_in_order(tmp_path: Path) -> None:
    write(tmp_path / "r", {"a": 1}, [1, 2], None)
    assert read(tmp_path / "r") == ([(0, {"a": 1}), (1, [1, 2]), (2, None)], [])


def test_only_the_owner_may_read_a_run_file(tmp_path: Path) -> None:
    write(tmp_path / "r")
    assert (tmp_path / "r").stat().st_mode & 0o777 == 0o600


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("mine")
    with pytest.raises(ConfigError, match="cannot create"):
        FrameWriter(tmp_path / "r")
    assert (tmp_path / "r").read_text() == "mine"


def test_every_prefix_of_a_file_gives_the_frames_that_are_whole(tmp_path: Path) -> None:
    bodies = [{"n": n, "text": "x" * n} for n in range(6)]
    write(tmp_path / "r", *bodies)
    whole = (tmp_path / "r").read_bytes()
    n_frames = []
    for size in range(len(MAGIC), len(whole) + 1):
        (tmp_path / "cut").write_bytes(whole[:size])
        frames, damage = read(tmp_path / "cut")
        assert frames == list(enumerate(bodies))[: len(frames)]
        n_frames.append(len(frames))
        assert len(damage) <= 1
    assert n_frames == sorted(n_frames)
    assert n_frames[-1] == len(bodies)


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    write(tmp_path / "r", {"n": 1}, {"n": 2})
    whole = (tmp_path / "r").read_bytes()
    for at in range(len(MAGIC), len(whole)):
        (tmp_path / "bad").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        frames, damage = read(tmp_path / "bad")
        assert len(frames) < 2
        assert len(damage) == 1


def test_what_is_no_run_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b"PK\x03\x04 something else")
    with pytest.raises(CaptureError, match="not the run file"):
        read(tmp_path / "r")
    with pytest.raises(ConfigError, match="cannot read"):
        read(tmp_path / "missing")


def frame(payload: bytes) -> bytes:
    return struct.pack("!II", len(payload), zlib.crc32(payload)) + payload


@pytest.mark.parametrize(
    "payload",
    [
        b"not zstd at all",
        zstandard.compress(b"\xc1 not msgpack"),
        zstandard.compress(msgpack.packb("not a frame")),
        zstandard.compress(msgpack.packb(["kind", 1])),
        zstandard.compress(b"\x91" * 200_000),  # nested too deep
        zstandard.ZstdCompressor(write_content_size=False).compress(msgpack.packb([1, 1])),
        zstandard.compress(bytes(MAX_FRAME_BYTES + 1)),  # a bomb
    ],
)
def test_a_hostile_payload_is_damage_and_not_a_crash(tmp_path: Path, payload: bytes) -> None:
    (tmp_path / "r").write_bytes(MAGIC + frame(payload))
    frames, damage = read(tmp_path / "r")
    assert frames == []
    assert len(damage) == 1


def test_a_length_beyond_the_limit_reads_nothing(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(MAGIC + struct.pack("!II", 0xFFFFFFFF, 0) + b"x" * 100)
    assert read(tmp_path / "r")[0] == []


def test_appending_goes_on_where_the_file_ended(tmp_path: Path) -> None:
    write(tmp_path / "r", "first")
    writer = FrameWriter.reopen(tmp_path / "r")
    writer.append(9, "second")
    writer.close()
    writer.close()
    assert read(tmp_path / "r")[0] == [(0, "first"), (9, "second")]
    with pytest.raises(ConfigError, match="cannot write"):
        FrameWriter.reopen(tmp_path / "missing")


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:3]))
    write(tmp_path / "r", {"text": "abcdefgh" * 4})
    assert read(tmp_path / "r") == ([(0, {"text": "abcdefgh" * 4})], [])


def test_a_full_disk_is_an_error_of_ours_that_says_so(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    writer = FrameWriter.reopen(Path("/dev/full"))
    with pytest.raises(ReplayError, match="No space left on device: free some space"):
        writer.append(1, "x")
