"""What is added is what is read, for any events and any chunking."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from captures.format.reader import open_capture
from captures.records import SCHEMA, EventType
from tests.captures.samples import Spec, event_specs, read, write


@settings(max_examples=60, deadline=None)
@given(specs=st.lists(event_specs(), max_size=30), seal_every=st.integers(0, 9))
def test_events_come_back_as_they_were_added(specs: list[Spec], seal_every: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "any.rush")
        events = write(path, specs, seal_every=seal_every)
        with open_capture(path) as reader:
            assert reader.check() and not reader.damage
    found = [(event.type, event.t_ns, event.connection, event.exchange, event.fields) for event in events]
    assert found == specs
    assert [event.seq for event in events] == list(range(len(specs)))


@settings(max_examples=40, deadline=None)
@given(
    specs=st.lists(event_specs(), min_size=1, max_size=30),
    session=st.integers(1, 3),
    start_ns=st.integers(-(10**9), 10**13),
    length_ns=st.integers(0, 10**13),
)
def test_reading_a_part_gives_what_filtering_the_whole_gives(
    specs: list[Spec], session: int, start_ns: int, length_ns: int
) -> None:
    # All events of an exchange are of one connection.
    specs = [(kind, t_ns, number % 3 + 1 if number else c, number, fields) for kind, t_ns, c, number, fields in specs]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "any.rush")
        events = write(path, specs, seal_every=3)
        with open_capture(path) as reader:
            session_of = reader.index().bindings.session_of
            end_ns = start_ns + length_ns
            in_time = list(reader.events(start_ns=start_ns, end_ns=end_ns))
            in_session = list(reader.events(session=session))
    assert in_time == [event for event in events if start_ns <= event.t_ns < end_ns]
    ours = [e for e in events if (e.connection or e.exchange) and session_of(e.connection, e.exchange) == session]
    assert in_session == ours


@settings(max_examples=40, deadline=None)
@given(specs=st.lists(event_specs(), max_size=30))
def test_an_index_rebuilt_by_a_scan_is_the_index_that_was_written(specs: list[Spec]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path, cut = Path(directory, "any.rush"), Path(directory, "cut.rush")
        write(path, specs, seal_every=4)
        cut.write_bytes(path.read_bytes()[:-1])
        with open_capture(path) as whole, open_capture(cut) as scanned:
            written, rebuilt = whole.index(), scanned.index()
            assert not scanned.complete
    assert list(rebuilt.rows()) == list(written.rows())


def test_bytes_that_are_no_utf_8_come_back_in_text_fields(tmp_path: Path) -> None:
    reason = b"caf\xe9".decode("utf-8", "surrogateescape")
    specs: list[Spec] = [(EventType.SOCKET_CLOSE, 0, 1, 1, {"sender": None, "code": None, "reason": reason})]
    assert write(tmp_path / "odd.rush", specs)[0].fields["reason"] == reason


def test_fields_that_were_left_out_read_as_empty(tmp_path: Path) -> None:
    specs: list[Spec] = [(event_type, 0, 1, 1, {}) for event_type in EventType]
    path = tmp_path / "bare.rush"
    write(path, specs)
    for event in read(path):
        assert tuple(event.fields) == SCHEMA[event.type]
        assert all(value in (None, "", b"", 0, False, ()) for value in event.fields.values())
