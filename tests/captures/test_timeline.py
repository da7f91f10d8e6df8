"""Timelines: in the terminal at any width, and as a page."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len
from rich.console import Console

from captures.cli import inspect
from captures.errors import ConfigError
from captures.records import EventType, Peer
from captures.units import NS_PER_MS, NS_PER_S
from captures.view.chart import fitted, render_timeline
from captures.view.timeline import Axis, Kind, Timeline
from captures.view.timeline_draft import timeline_of
from tests.captures.samples import Spec, connection_open, message, read, request, response, socket_open, write

EVIL = "/<script>alert(1)</script>\x1b[2J\u202e\"'&[red]表"


def busy_session() -> list[Spec]:
    """10 s: a quick page, a slow answer, a socket with messages both ways, a stream, a failure."""
    stream: dict[str, object] = {"status": 200, "headers": ((b"Content-Type", b"text/event-stream"),)}
    closed: dict[str, object] = {"sender": Peer.SERVER, "code": 1001, "reason": ""}
    return [
        connection_open(1),
        *request(0, 1, 1),
        *response(5 * NS_PER_MS, 1, 1, b"x" * 9),
        *request(1 * NS_PER_S, 1, 2, "/slow?of=" + "q" * 90),
        *response(4 * NS_PER_S, 1, 2, status=503),
        *socket_open(2 * NS_PER_S, 2, 3),
        message(3 * NS_PER_S, 2, 3, b"up", Peer.CLIENT),
        message(5 * NS_PER_S, 2, 3, b"down", Peer.SERVER),
        (EventType.SOCKET_CLOSE, 8 * NS_PER_S, 2, 3, closed),
        *request(6 * NS_PER_S, 3, 4, "/events", host="push.example"),
        (EventType.RESPONSE_HEAD, 6 * NS_PER_S, 3, 4, stream),
        (EventType.RESPONSE_BODY, 7 * NS_PER_S, 3, 4, {"data": b"data: 1\n\n"}),
        *request(9 * NS_PER_S, 1, 5, EVIL),
        (EventType.ERROR, 10 * NS_PER_S, 1, 5, {"message": "<b>reset</b>"}),
    ]


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """A capture of ``busy_session``."""
    path = tmp_path / "busy.rush"
    write(path, busy_session(), seal_every=6)
    return path


def drawn(path: Path, *, start_s: float = 0, end_s: float = 10, limit: int = 0) -> Timeline:
    """The timeline of a part of a capture."""
    return timeline_of(read(path), Axis(round(start_s * NS_PER_S), round(end_s * NS_PER_S)), limit)


def inspected(path: Path, *options: str) -> Result:
    """The result of ``inspect``."""
    return CliRunner().invoke(inspect, [str(path), *options])


def printed(timeline: Timeline, width: int, encoding: str = "utf-8") -> list[str]:
    """The lines of a timeline."""
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding=encoding)
    render_timeline(timeline, Console(file=file, width=width, highlight=False), title="session 1")
    file.flush()
    return buffer.getvalue().decode(encoding).splitlines()


def test_rows_tell_when_each_exchange_was_asked_answered_and_over(busy: Path) -> None:
    page, slow, socket, stream, failed = drawn(busy).rows
    assert (page.start_ns, page.answer_ns, page.size_bytes, page.status) == (0, 5 * NS_PER_MS, 9, 200)
    assert slow.end_ns == 4 * NS_PER_S + 2
    assert (socket.kind, socket.end_ns, socket.close_code, socket.size_bytes) == (Kind.SOCKET, 8 * NS_PER_S, 1001, 6)
    assert socket.marks is not None and (socket.marks.n_sent, socket.marks.n_received) == (1, 1)
    assert [(at, bits) for at, bits in enumerate(socket.marks.merged(10)) if bits] == [(3, 1), (5, 2)]
    assert (stream.kind, stream.end_ns) == (Kind.STREAM, None)
    assert stream.marks is not None and stream.marks.n_received == 1
    assert (failed.error, failed.status) == ("<b>reset</b>", None)


def test_a_part_of_the_time_shows_what_was_going_on_in_it(busy: Path) -> None:
    timeline = drawn(busy, start_s=4.5, end_s=6.5)
    assert [row.exchange for row in timeline.rows] == [3, 4]
    assert timeline.rows[0].marks is not None and timeline.rows[0].marks.n_sent == 0


def test_the_limit_counts_what_it_leaves_out(busy: Path) -> None:
    timeline = drawn(busy, limit=2)
    assert [row.exchange for row in timeline.rows] == [1, 2] and timeline.n_more == 3


def test_bars_and_ticks_stand_where_their_times_are(busy: Path) -> None:
    lines = printed(drawn(busy), 100)
    slow = next(line for line in lines if "/slow" in line)
    socket = next(line for line in lines if "/ws" in line)
    at = next(line for line in lines if "took" in line).index("0s")
    width = 100 - at
    assert slow.index("─") == at + width // 10 and slow.rindex("━") == pytest.approx(at + 4 * width // 10, abs=1)
    assert socket.index("╵") == at + 3 * width // 10 and socket.index("╷") == at + width // 2
    assert "503" in slow and "3s" in slow and "err" in lines[-2] and lines[-3].endswith("▸")
    assert "push.example/events" in lines[-3] and "shop.example" not in slow


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(busy: Path, width: int) -> None:
    lines = printed(drawn(busy), width)
    assert len(lines) == 8, "one line each: nothing is wrapped"
    assert max(cell_len(line) for line in lines) <= width


def test_a_terminal_without_unicode_gets_plain_characters(busy: Path) -> None:
    timeline = drawn(busy)
    timeline.rows.pop()
    assert all(line.isascii() for line in printed(timeline, 80, "ascii"))


def test_labels_keep_beginning_and_end(busy: Path) -> None:
    assert fitted("GET /api/quotes/history", 13, "…") == "GET /a…istory"
    assert cell_len(fitted("表" * 20, 13, "…")) == 13
    assert fitted("GET /", 8, "…") == "GET /   "


def test_inspect_shows_the_first_session_and_names_the_next(tmp_path: Path) -> None:
    path = tmp_path / "both.rush"
    write(path, [connection_open(1), *request(1, 1, 1, "/one"), connection_open(2, "b"), *request(2, 2, 2, "/two")])
    shown = inspected(path)
    assert shown.exit_code == 0 and "GET /one" in shown.stdout and "/two" not in shown.stdout
    assert "--session 2 shows the next" in shown.stdout
    assert "GET /two" in inspected(path, "--session", "2").stdout
    missing = inspected(path, "--session", "7")
    assert isinstance(missing.exception, ConfigError) and "its sessions are 1 to 2" in str(missing.exception)


def test_inspect_takes_a_part_and_refuses_nonsense(busy: Path, tmp_path: Path) -> None:
    shown = inspected(busy, "--from", "8500ms", "--to", "9500ms").stdout
    assert "err" not in shown.split("session 1")[1] and "/slow" not in shown
    for options in (["--from", "5s", "--to", "2s"], ["--from", "soon"]):
        assert isinstance(inspected(busy, *options).exception, ConfigError)
    assert inspected(busy, "--json", "--html", str(tmp_path / "x.html")).exit_code == 2


def test_a_large_capture_shows_a_timeline_only_where_it_is_asked_for(
    busy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captures.view.inspection.UNASKED_BYTES", 100)
    assert "/slow" not in inspected(busy).stdout
    assert "/slow" in inspected(busy, "--session", "1").stdout


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_is_self_contained_and_everything_in_it_is_escaped(busy: Path, tmp_path: Path) -> None:
    out = tmp_path / "busy.html"
    result = inspected(busy, "--html", str(out))
    assert result.exit_code == 0 and str(out) in result.stdout
    text = out.read_text()
    page = _Page(text)
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "a"})
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href")]
    assert "default-src 'none'" in dict(page.attributes)["content"] or "default-src 'none'" in text
    assert "<script>" not in text and "<b>reset" not in text and "\x1b" not in text and "\u202e" not in text
    assert any("<script>alert(1)</script>" in word for word in page.words), "shown as what it is"
    assert not re.search(r"https?://(?!shop\.example|push\.example)", text)
    assert out.stat().st_mode & 0o777 == 0o600


def test_the_page_shows_bars_ticks_and_details(busy: Path, tmp_path: Path) -> None:
    out = tmp_path / "busy.html"
    inspected(busy, "--html", str(out))
    text = out.read_text()
    assert 'style="left:10.000%;width:30.000%"' in text, "the slow request waits from 1 s to 4 s"
    assert 'class="sent" d="M300 1V10"' in text and 'class="got" d="M500 10V19"' in text
    for words in ("1 sent, 1 received", "close code", "1001", "text/event-stream", "&lt;b&gt;reset"):
        assert words in text


def test_the_page_overwrites_nothing(busy: Path, tmp_path: Path) -> None:
    out = tmp_path / "busy.html"
    out.write_text("precious")
    assert isinstance(inspected(busy, "--html", str(out)).exception, ConfigError)
    assert isinstance(inspected(busy, "--html", str(tmp_path / "no" / "x.html")).exception, ConfigError)
    assert out.read_text() == "precious"


def test_a_damaged_capture_has_a_timeline_of_its_good_records(busy: Path, tmp_path: Path) -> None:
    busy.write_bytes(busy.read_bytes()[:-300])
    assert "/slow" in inspected(busy).stdout
    out = tmp_path / "busy.html"
    assert inspected(busy, "--html", str(out)).exit_code == 0
    assert "the file ends at byte" in out.read_text()
