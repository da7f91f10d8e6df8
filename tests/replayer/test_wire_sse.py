"""Server-sent events, against the examples of the WHATWG's page and at any split."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.wire.sse import EventReader, EventTooLarge, ServerEvent


def read(chunks: Sequence[bytes]) -> list[tuple[bytes, bytes, bytes]]:
    reader = EventReader()
    return [(*event,) for chunk in chunks for event in reader.feed(chunk)]


# The stream · its events: type, data, last id.
CASES = {
    "three lines of data (WHATWG)": (
        b"data: YHOO\ndata: +2\ndata: 10\n\n",
        [(b"message", b"YHOO\n+2\n10", b"")],
    ),
    "comments, ids and an id that is reset (WHATWG)": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        [(b"message", b"first event", b"1"), (b"message", b"second event", b""), (b"message", b" third event", b"")],
    ),
    "empty data, and an event that never ends (WHATWG)": (
        b"data\n\ndata\ndata\n\ndata:",
        [(b"message", b"", b""), (b"message", b"\n", b"")],
    ),
    "one space after the colon is not data (WHATWG)": (
        b"data:test\n\ndata: test\n\n",
        [(b"message", b"test", b""), (b"message", b"test", b"")],
    ),
    "a named event": (b"event: tick\ndata: 1\n\ndata: 2\n\n", [(b"tick", b"1", b""), (b"message", b"2", b"")]),
    "an event without data is none, but its id counts": (
        b"event: x\nid: 7\n\ndata: y\n\n",
        [(b"message", b"y", b"7")],
    ),
    "CRLF": (b"data: a\r\ndata: b\r\n\r\n", [(b"message", b"a\nb", b"")]),
    "CR": (b"data: a\rdata: b\r\r", [(b"message", b"a\nb", b"")]),
    "all line ends mixed": (b"data: a\r\ndata: b\rdata: c\n\r\n", [(b"message", b"a\nb\nc", b"")]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [(b"message", b"a", b"")]),
    "only the first mark is one": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
    "an id with a NUL is ignored": (b"id: 1\nid: 2\x003\ndata: a\n\n", [(b"message", b"a", b"1")]),
    "unknown fields are ignored": (b"datas: a\ndata : b\nDATA: c\ndata: d\n\n", [(b"message", b"d", b"")]),
    "Unicode line ends are data": ("data: a\u2028b\x0bc\n\n".encode(), [(b"message", "a\u2028b\x0bc".encode(), b"")]),
    "a colon in data": (b'data: {"a": 1}\n\n', [(b"message", b'{"a": 1}', b"")]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("step", [1, 2, 3, 5, 1000])
def test_stream_reads_as_the_standard_says_at_any_step(name: str, step: int) -> None:
    stream, events = CASES[name]
    assert read([stream[i : i + step] for i in range(0, len(stream), step)]) == events


line = st.one_of(
    st.sampled_from([b"data: x", b"data", b"event: e", b"id: 1", b"id", b":c", b"", b"", b"retry: 5", b"data:\xff"]),
    st.binary(max_size=12),
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.lists(st.tuples(line, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=14),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_any_split_reads_the_same_as_the_whole(mark: bytes, lines: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    stream = mark + b"".join(content + end for content, end in lines)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    whole, split = EventReader(), EventReader()
    expected = whole.feed(stream)
    assert [e for a, b in zip(edges, edges[1:], strict=False) for e in split.feed(stream[a:b])] == expected
    assert (split.last_id, split.retry_ms, split.n_events, split.n_comments) == (
        whole.last_id,
        whole.retry_ms,
        whole.n_events,
        whole.n_comments,
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_data_comes_back_line_by_line(data: list[str]) -> None:
    stream = b"".join(b"data: " + part.encode() + b"\n" for part in data) + b"\n"
    assert EventReader().feed(stream) == [ServerEvent(b"message", "\n".join(data).encode(), b"")]


def test_reconnection_state_is_what_a_browser_would_keep() -> None:
    reader = EventReader()
    reader.feed(b"retry: 2500\nretry: soon\nid: a7\ndata: x\n\n: keep-alive\n\nid: not yet\ndata: unfinished")
    assert (reader.last_id, reader.retry_ms, reader.n_events, reader.n_comments) == (b"a7", 2500, 1, 1)


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 200],  # a line without end
        [b"data: " + b"x" * 60 + b"\n", b"data: " + b"x" * 60 + b"\n"],  # an event without end
        [b"data: " + b"x" * 60 + b"\n", b"data: " + b"x" * 60],
    ],
)
def test_event_without_end_is_cut_off_at_the_limit(chunks: list[bytes]) -> None:
    reader = EventReader(max_bytes=100)
    with pytest.raises(EventTooLarge):
        for chunk in chunks:
            reader.feed(chunk)


def test_many_events_below_the_limit_are_no_event_above_it() -> None:
    reader = EventReader(max_bytes=100)
    assert sum(len(reader.feed(b"data: " + b"x" * 60 + b"\n\n")) for _ in range(20)) == 20
