"""SPEC.md against the code: its reader, which shares nothing with ours, reads what we write."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from captures.format.codec import BLOB_MIN_BYTES, ROW_LIMIT_BYTES
from captures.format.container import (
    BLOCK_LIMIT_BYTES,
    END_MAGIC,
    FRAME_LIMIT_BYTES,
    HEADER_SYNC,
    MAGIC,
    MAJOR,
    MINOR,
    RECORD_LIMIT_BYTES,
    TRAILER,
)
from captures.format.values import DEPTH_LIMIT
from captures.format.writer import CHUNK_BYTES
from captures.records import SCHEMA, EventType
from tests.captures.frozen.content import EVENTS, PATH
from tests.captures.samples import corrupted, shop_session, write
from tests.commands import ROOT

SPEC = (ROOT / "captures" / "SPEC.md").read_text(encoding="utf-8")
KIB, MIB = 1024, 1024 * 1024


@pytest.fixture(scope="module")
def spec_events() -> Callable[[Path], Iterator[tuple[Any, ...]]]:
    """The ``events`` function of the reader in the page."""
    (code,) = re.findall(r"```python\n(.*?)```", SPEC, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "SPEC.md", "exec"), names)
    events: Callable[[Path], Iterator[tuple[Any, ...]]] = names["events"]
    return events


def plain(value: object) -> object:
    """Tuples as lists, which is how a plain msgpack decoder gives arrays."""
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


def test_the_reader_in_the_page_reads_what_we_write(
    tmp_path: Path, spec_events: Callable[[Path], Iterator[tuple[Any, ...]]]
) -> None:
    path = tmp_path / "shop.rush"
    ours = write(path, shop_session(), seal_every=5)
    theirs = list(spec_events(path))
    assert len(theirs) == len(ours)
    for event, (seq, t_ns, name, connection, exchange, fields) in zip(ours, theirs, strict=True):
        found = (event.seq, event.t_ns, event.type.name.lower(), event.connection, event.exchange)
        assert found == (seq, t_ns, name, connection, exchange)
        known = {key: value for key, value in fields.items() if value is not None}
        assert known == {key: plain(event.fields[key]) for key in known}


def test_the_reader_in_the_page_goes_on_after_damage(
    tmp_path: Path, spec_events: Callable[[Path], Iterator[tuple[Any, ...]]]
) -> None:
    path = tmp_path / "shop.rush"
    ours = write(path, shop_session(), seal_every=5)
    data = path.read_bytes()
    path.write_bytes(corrupted(corrupted(data, 3), 60))
    assert [seq for seq, *_ in spec_events(path)] == [event.seq for event in ours]


def test_the_table_of_events_is_the_schema() -> None:
    section = SPEC.partition("\n## 3. Events\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| (\w+) \| (.*?) ?\|$", section, re.MULTILINE)
    assert [(int(number), name) for number, name, _ in rows] == [(int(t), t.name.lower()) for t in EventType]
    for number, _, text in rows:
        names = tuple(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", text)))
        assert names == SCHEMA[EventType(int(number))]


def test_the_constants_in_the_page_are_those_of_the_code() -> None:
    for data in (MAGIC, END_MAGIC, HEADER_SYNC):
        assert data.hex(" ").upper() in SPEC
    assert f"at most {FRAME_LIMIT_BYTES:,} (64 MiB + 4 KiB)" in SPEC
    assert f"version {MAJOR}.{MINOR}" in SPEC
    assert (RECORD_LIMIT_BYTES, BLOCK_LIMIT_BYTES, ROW_LIMIT_BYTES) == (64 * MIB, MIB, 512 * KIB)
    assert (CHUNK_BYTES, BLOB_MIN_BYTES, DEPTH_LIMIT, TRAILER.size) == (256 * KIB, 64 * KIB, 32, 24)


def test_the_reader_in_the_page_reads_the_frozen_file(
    spec_events: Callable[[Path], Iterator[tuple[Any, ...]]],
) -> None:
    theirs = list(spec_events(PATH))
    assert [(t_ns, connection, exchange) for _, t_ns, _, connection, exchange, _ in theirs] == [
        (t_ns, connection, exchange) for _, t_ns, connection, exchange, _ in EVENTS
    ]
    for (event_type, _, _, _, fields), (_, _, name, _, _, found) in zip(EVENTS, theirs, strict=True):
        assert name == event_type.name.lower() and found == {key: plain(value) for key, value in fields.items()}
