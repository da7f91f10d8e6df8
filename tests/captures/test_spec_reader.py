"""Somebody who has SPEC.md alone can read what we write, today and in the frozen file: events, index, sessions.

The other reader shares no line with ours, not even an import.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

from captures.format.reader import open_capture
from captures.format.writer import CaptureWriter
from captures.records import SCHEMA, Event, EventType
from tests.captures import spec_reader
from tests.captures.frozen import content
from tests.captures.samples import connection_open, message, request, response, shop_session, socket_open, write
from tests.captures.spec_reader import Row, SpecReader
from tests.captures.test_spec import plain


def as_rows(events: Iterable[Event]) -> list[Row]:
    """Our events, in the words of the page."""
    return [
        (
            event.seq,
            event.t_ns,
            event.type.name.lower(),
            event.connection,
            event.exchange,
            {name: plain(event.fields[name]) for name in SCHEMA[event.type]},
        )
        for event in events
    ]


def filled(rows: Iterable[Row], ours: list[Row]) -> list[Row]:
    """Their events, with what is null or not in the file as we read it: empty, says the page."""
    found = []
    for (*head, fields), (*_, known) in zip(rows, ours, strict=True):
        known_values = {name: known[name] for name in known if fields.get(name) is None}
        assert not any(value for value in known_values.values()), "null reads as empty"
        found.append((*head, {**known_values, **{name: value for name, value in fields.items() if value is not None}}))
    return found  # type: ignore[return-value]


def people(path: Path) -> Path:
    """Three listeners, five connections, bindings of connections and of single exchanges, late and changed ones."""
    with CaptureWriter(path, facts={"url": "https://shop.example/"}, anchor=content.ANCHOR) as writer:
        specs = [
            *(connection_open(number, f"127.0.0.1:{9000 + number // 2}") for number in range(1, 6)),
            *(spec for number in range(1, 6) for spec in request(number, number, number)),
            (EventType.SESSION, 10, 2, 0, {"session": 4, "rule": "cookie"}),
            *(spec for number in range(1, 6) for spec in response(20 + number, number, number, b"x" * 70_000)),
            (EventType.SESSION, 30, 2, 2, {"session": 9, "rule": "token"}),
            (EventType.SESSION, 31, 2, 0, {"session": 5, "rule": "cookie"}),
            *socket_open(40, 4, 4),
            *(message(41 + number, 4, 4, b"%d" % number) for number in range(50)),
        ]
        for number, (event_type, t_ns, connection, exchange, fields) in enumerate(specs):
            writer.add(event_type, t_ns, connection, exchange, **fields)
            if number % 9 == 0:
                writer.seal()
    return path


def sample(name: str, directory: Path) -> Path:
    """A capture of each kind."""
    if name == "frozen":
        return content.PATH
    if name == "people":
        return people(directory / "people.rush")
    write(directory / "shop.rush", shop_session(), seal_every=5)
    return directory / "shop.rush"


SAMPLES = pytest.mark.parametrize("name", ["frozen", "shop", "people"])


@SAMPLES
def test_both_readers_find_the_same_events(name: str, tmp_path: Path) -> None:
    path = sample(name, tmp_path)
    with open_capture(path) as reader:
        ours = as_rows(reader.events())
        facts = {key: plain(value) for key, value in reader.header.items() if key not in ("anchor", "format")}
        anchor = [reader.anchor.wall_ns, reader.anchor.monotonic_ns]
    theirs = SpecReader(path)
    assert filled(theirs.events(), ours) == ours and theirs.n_events == len(ours)
    assert (theirs.n_lost, theirs.reason) == (0, "")
    assert theirs.header["facts"] == facts and theirs.header["anchor"] == anchor


@SAMPLES
def test_both_readers_find_the_same_sessions_through_the_index(name: str, tmp_path: Path) -> None:
    path = sample(name, tmp_path)
    theirs = SpecReader(path)
    with open_capture(path) as reader:
        found = {theirs.session_of(row[3], row[4]) for row in theirs.events() if row[4]}
        assert sorted(found) == reader.sessions()
        for session in reader.sessions():
            ours = as_rows(reader.events(session=session))
            assert ours and filled(theirs.events_of(session), ours) == ours


def test_the_other_reader_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(spec_reader.__file__).read_text(encoding="utf-8"))
    froms = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imports == {"hashlib", "io", "struct", "zlib", "msgpack", "zstandard"}
    assert froms == {"__future__", "collections.abc", "pathlib", "typing"}
