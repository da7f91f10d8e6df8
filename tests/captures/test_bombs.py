"""A corpus of files and bodies made to fill memory: every command ends in order, and says what is wrong."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli
import msgpack
import pytest
import zstandard

from captures.format.blocks import FLAG_ZSTD
from captures.format.codec import BLOB_MIN_BYTES
from captures.format.container import BLOCK_LIMIT_BYTES, HEADER_IDENTITY, MAGIC, FrameType, encode_frame
from captures.format.framing import BLOB_PROLOGUE, CHUNK_PROLOGUE, INDEX_PROLOGUE, array_of
from captures.records import EventType
from tests.captures.samples import (
    HEADERS,
    IDENTITY,
    forge,
    forged_header,
    message,
    request,
    response,
    socket_open,
    trailer,
    write,
)
from tests.commands import ROOT

MIB = 1024 * 1024
# Of address space, libraries included: Python with all that the commands import takes about half of it.
ROOM_BYTES = 640 * MIB
GOOD = (int(EventType.ERROR), 0, 0, 1, 1, "good")


def packed(data: bytes) -> bytes:
    """One zstd frame."""
    return zstandard.ZstdCompressor(level=3).compress(data)


def chunk(rows: list[object]) -> tuple[int, int, bytes]:
    """A compressed chunk frame."""
    raw = array_of([msgpack.packb(row) for row in rows])
    return FrameType.CHUNK, FLAG_ZSTD, CHUNK_PROLOGUE.pack(0, 0, len(rows), len(raw)) + packed(raw)


def lying_chunk(raw: bytes, n_events: int, stated: int) -> tuple[int, int, bytes]:
    """A compressed chunk frame of any content that states any size."""
    return FrameType.CHUNK, FLAG_ZSTD, CHUNK_PROLOGUE.pack(0, 0, n_events, stated) + packed(raw)


def nesting(path: Path) -> None:
    """Arrays in arrays, as a chunk, as a field and as a note."""
    deep = b"\x91" * (BLOCK_LIMIT_BYTES - 100) + b"\xc0"
    note = b"\x97\x0f\x00\x00\x00\x00\xa1x" + b"\x91" * 900 + b"\xc0"
    raw = array_of([note, msgpack.packb(GOOD)])
    forge(path, [lying_chunk(deep, 1, len(deep)), lying_chunk(raw, 2, len(raw))])


def lengths(path: Path) -> None:
    """Arrays, maps, texts and frames that claim to be longer than everything."""
    claims = [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01"]
    frames = [lying_chunk(claim + b"x" * 50, 2**32 - 1, len(claim) + 50) for claim in claims]
    forge(path, [*frames, chunk([GOOD])])
    data = path.read_bytes()
    path.write_bytes(data + IDENTITY.sync + b"\x02\x00\x00\x00\xff\xff\xff\xff" + bytes(40))


def zstd_in_chunks(path: Path) -> None:
    """A gibibyte of zeros where a chunk should be, and a chunk full of the smallest objects, a hundred times."""
    zeros = zstandard.ZstdCompressor(level=3).compressobj()
    bomb = b"".join([zeros.compress(bytes(MIB)) for _ in range(1024)]) + zeros.flush()
    frame = FrameType.CHUNK, FLAG_ZSTD, CHUNK_PROLOGUE.pack(0, 0, 1, 1000) + bomb
    crowd = array_of([b"\x80"] * (BLOCK_LIMIT_BYTES - 5))
    forge(path, [frame, *[lying_chunk(crowd, BLOCK_LIMIT_BYTES - 5, BLOCK_LIMIT_BYTES)] * 100])


def zstd_in_blobs(path: Path) -> None:
    """Large values that are much larger than they say."""
    row = (int(EventType.RESPONSE_BODY), 0, 0, 1, 1, msgpack.ExtType(1, b"d" * 16))
    blob = BLOB_PROLOGUE.pack(b"d" * 16, BLOB_MIN_BYTES + 1) + packed(bytes(900 * MIB))
    forge(path, [(FrameType.BLOB, FLAG_ZSTD, blob), chunk([row] * 500)])


def zstd_in_index(path: Path) -> None:
    """An index that is all page and no content."""
    header = forged_header()
    raw = array_of([b"\x80"] * (BLOCK_LIMIT_BYTES - 5))
    page = encode_frame(IDENTITY, FrameType.INDEX, INDEX_PROLOGUE.pack(len(raw)) + packed(raw), flags=FLAG_ZSTD)
    pages = [len(header) + number * len(page) for number in range(400)]
    root = encode_frame(IDENTITY, FrameType.ROOT, msgpack.packb((pages, 0, 0, "")))
    body = header + page * 400
    path.write_bytes(body + root + trailer(len(body), len(root)))


def header_of_nothing(path: Path) -> None:
    """A header of a million empty facts."""
    document = {"major": 1, "minor": 0, "facts": [{}] * 900_000}
    path.write_bytes(MAGIC + encode_frame(HEADER_IDENTITY, FrameType.HEADER, msgpack.packb(document)) * 2)


def strewn_ids(path: Path) -> None:
    """Sessions, connections and exchanges with numbers far from each other, at times far from each other."""
    specs = []
    for number in range(3000):
        place = number * 2**48
        specs += request(number * 3_000_000_000, place + 1, place + 1)
    write(path, specs)


def bodies(path: Path) -> None:
    """Bodies and messages that are bombs themselves, for whoever decodes them."""
    zeros = gzip.compress(bytes(200 * MIB))
    specs = [*request(1, 1, 1), *response(2, 1, 1, zeros), *socket_open(3, 2, 2), message(9, 2, 2, zeros)]
    write(path, specs)


CORPUS: list[Callable[[Path], None]] = [
    nesting,
    lengths,
    zstd_in_chunks,
    zstd_in_blobs,
    zstd_in_index,
    header_of_nothing,
    strewn_ids,
    bodies,
]
COMMANDS = [
    ["captures.cli", "inspect", "FILE"],
    ["captures.cli", "inspect", "FILE", "--html", "OUT"],
    ["captures.cli", "recover", "FILE", "-o", "OUT"],
    ["captures.edit.cli", "edit", "FILE", "-o", "OUT", "--method", "GET", "--merge", "FILE"],
]
# In little room, so that taking more ends in a MemoryError and exit code 99, whatever would have caught it.
_CONFINED = """
import importlib, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
from captures.errors import RushhourError
command = getattr(importlib.import_module(sys.argv[2]), sys.argv[3])
try:
    command.main(sys.argv[4:], standalone_mode=False)
except RushhourError as exc:
    sys.stderr.write(str(exc))
    sys.exit(int(exc.exit_code))
except MemoryError:
    sys.exit(99)
"""


def confined(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python code in little room."""
    command = [sys.executable, "-c", code, str(ROOM_BYTES), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.process
@pytest.mark.parametrize("make", CORPUS, ids=lambda make: make.__name__)
def test_every_command_survives_the_corpus_within_memory(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "bomb.rush"
    make(path)
    assert path.stat().st_size < 3 * MIB
    for number, (module, name, *rest) in enumerate(COMMANDS):
        places = {"FILE": str(path), "OUT": str(tmp_path / f"out{number}")}
        done = confined(_CONFINED, module, name, *(places.get(word, word) for word in rest))
        assert done.returncode in (0, 2), (module, name, done.stderr[-500:])
        assert "Traceback" not in done.stderr
        if make in (nesting, lengths, zstd_in_chunks, zstd_in_blobs) and name == "inspect" and len(rest) == 1:
            assert "damaged" in done.stdout


_DECODED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
from captures.bodies import BodyError, decoded_body
body = open(sys.argv[2], "rb").read()
try:
    decoded_body(((b"content-encoding", sys.argv[3].encode()),), body, 16 << 20)
except BodyError as exc:
    sys.stderr.write(str(exc))
    sys.exit(2)
"""
LAYERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=1),
    "zstd": packed,
}


@pytest.mark.process
@pytest.mark.parametrize("encodings", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "br, gzip", "zstd, gzip"])
def test_bombs_in_bodies_stop_at_the_limit_within_memory(tmp_path: Path, encodings: str) -> None:
    body = bytes(300 * MIB)
    for encoding in encodings.split(", "):
        body = LAYERS[encoding](body)
    path = tmp_path / "body"
    path.write_bytes(body)
    done = confined(_DECODED, path, encodings)
    assert done.returncode == 2 and "decodes to more than" in done.stderr


def test_headers_of_ordinary_size_are_no_bomb(tmp_path: Path) -> None:
    path = tmp_path / "large.rush"
    many = tuple((b"x-%d" % number, b"v" * 50) for number in range(2000)) + HEADERS
    assert write(path, request(1, 1, 1, headers=many))[0].fields["headers"] == many
