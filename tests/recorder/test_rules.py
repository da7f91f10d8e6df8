"""The small pure rules: scope, streaming, sizes, control lines, status lines, sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.errors import ConfigError
from captures.records import Opcode, Peer
from recorder.control_lines import Control, parse_control_line
from recorder.counts import Counts
from recorder.notices import FrameBuffer, to_frame
from recorder.options import check_url
from recorder.scope import registrable_domain, scope_of
from recorder.sizes import parse_size_bytes
from recorder.status import Status, Word
from recorder.streams import is_streamed_request, is_streamed_response
from recorder.summary import left_out, next_commands, told

# Page · added · host · whether it is recorded.
SCOPES = [
    ("https://www.shop.com/", (), "www.shop.com", True),
    ("https://www.shop.com/", (), "API.Shop.com.", True),  # siblings, whatever the case
    ("https://www.shop.com/", (), "shop.com", True),
    ("https://www.shop.com/", (), "notshop.com", False),
    ("https://www.shop.co.uk/", (), "img.shop.co.uk", True),
    ("https://www.shop.co.uk/", (), "other.co.uk", False),  # a country's second level is nobody's
    ("https://me.github.io/", (), "you.github.io", False),  # neither is a shared suffix
    ("http://10.0.0.5:8000/", (), "10.0.0.5", True),
    ("http://10.0.0.5:8000/", (), "10.0.0.6", False),
    ("http://intranet/", (), "api.intranet", True),
    ("http://localhost:3000/", (), "127.0.0.1", True),  # all names of the loopback are one
    ("http://127.0.0.1:3000/", (), "::1", True),
    ("http://localhost/", (), "localhost.example", False),
    ("https://shop.com/", ("cdn.net",), "img.cdn.net", True),
    ("https://shop.com/", ("https://cdn.net:8443/x",), "cdn.net", True),
    ("https://shop.com/", ("*.cdn.net",), "a.cdn.net", True),
    ("https://shop.com/", ("cdn.net:9000",), "cdn.net", True),
    ("https://shop.com/", ("2001:db8::1",), "2001:db8::1", True),
    ("", (), "anything.example", True),  # no page, nothing added: everything
    ("", ("cdn.net",), "shop.com", False),
]


@pytest.mark.parametrize(("url", "added", "host", "is_recorded"), SCOPES)
def test_scope(url: str, added: tuple[str, ...], host: str, is_recorded: bool) -> None:
    assert scope_of(url, added).has(host) is is_recorded


@pytest.mark.parametrize("text", ["", "a b", "http://", "[::1"])
def test_a_scope_that_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a host"):
        scope_of("https://shop.com", (text,))


@pytest.mark.parametrize("host", ["localhost", "10.0.0.5", "intranet", "shop.com", "co.uk"])
def test_a_short_name_is_its_own_domain(host: str) -> None:
    assert registrable_domain(host) == host


# Method · status · type · length · whether it is passed on chunk by chunk.
RESPONSES = [
    ("GET", 200, "application/json", "512", False),
    ("GET", 200, "application/json", "", True),  # unknown length: it may never end
    ("GET", 200, "text/event-stream", "512", True),
    ("GET", 200, "video/mp4", "99999999", True),
    ("GET", 200, "text/plain", "twelve", False),
    ("HEAD", 200, "text/html", "", False),
    ("GET", 204, "", "", False),
    ("GET", 304, "", "", False),
    ("GET", 101, "", "", False),
]


@pytest.mark.parametrize(("method", "status", "content_type", "length", "is_streamed"), RESPONSES)
def test_which_responses_are_streamed(
    method: str, status: int, content_type: str, length: str, is_streamed: bool
) -> None:
    assert is_streamed_response(method, status, content_type, length) is is_streamed


def test_which_requests_are_streamed() -> None:
    assert is_streamed_request("application/octet-stream", "99999999")
    assert is_streamed_request("application/grpc+proto", "")
    assert not is_streamed_request("application/json", "12")
    assert not is_streamed_request("application/json", "")


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("100", 100), ("512KiB", 512 << 10), ("16 MB", 16 << 20), ("1g", 1 << 30)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "-1", "1.5M", "ten", "٣k"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a size"):
        parse_size_bytes(text)


@pytest.mark.parametrize("url", ["ftp://a", "localhost:8000", "http://", "http://a:99999", "http://a:b", "/x", ""])
def test_only_http_and_https_are_recorded(url: str) -> None:
    with pytest.raises(ConfigError, match="HOST"):
        check_url(url)


@given(data=st.binary(max_size=50), is_client=st.booleans(), is_ping=st.booleans())
def test_control_lines_give_back_the_payload(data: bytes, is_client: bool, is_ping: bool) -> None:
    word, sender = "ping" if is_ping else "pong", "client" if is_client else "server"
    line = f"Received WebSocket {word} from {sender} (payload: {data!r})"
    expected = Control(
        sender=Peer.CLIENT if is_client else Peer.SERVER, opcode=Opcode.PING if is_ping else Opcode.PONG, data=data
    )
    assert parse_control_line(line) == expected


@pytest.mark.parametrize(
    "line", ["", "client connect", "Received WebSocket ping from client (payload: b'\\x0')", "ping"]
)
def test_other_lines_are_no_control_frames(line: str) -> None:
    assert parse_control_line(line) is None


@given(st.lists(st.lists(st.binary(max_size=20), max_size=3), max_size=5), st.integers(1, 7))
def test_frames_come_out_whole_however_they_are_cut(batches: list[list[bytes]], step: int) -> None:
    stream = b"".join(map(to_frame, batches))
    buffer = FrameBuffer()
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
    assert [notices for piece in pieces for notices in buffer.feed(piece)] == batches


def test_a_status_line_is_read_back() -> None:
    status = Status(word=Word.ENDED, counts=Counts(n_exchanges=3), left_out={"http://a": 2}, text="complete")
    assert Status.from_line(status.to_line()) == status


@pytest.mark.parametrize("line", [b"Traceback\n", b"{}\n", b'{"word": "shrug"}\n', b"[]\n"])
def test_other_lines_are_no_status(line: bytes) -> None:
    with pytest.raises(ValueError):
        Status.from_line(line)


def test_left_out_hosts_are_ready_options_with_the_busiest_first() -> None:
    origins = {"https://cdn.net": 2, "http://cdn.net:81": 5, "https://ads.net": 6}
    assert [line.split("   ")[0].strip() for line in left_out(origins)[1:]] == ["--scope cdn.net", "--scope ads.net"]
    assert left_out({}) == []


def test_what_the_browser_calls_by_itself_is_not_offered() -> None:
    assert left_out({"http://update.googleapis.com": 3}) == []


def test_only_the_busiest_left_out_hosts_are_listed() -> None:
    lines = left_out({f"https://h{number:02}.net": 1 for number in range(20)})
    assert lines[-1] == "  and 8 hosts more"


def test_the_end_tells_what_went_wrong() -> None:
    lines = "\n".join(told(Counts(n_exchanges=1, n_lost=2, n_ca_refused=1, n_tls_failed=3, n_open=1), {}, "a.rush"))
    assert "recorded 1 exchange, 0 sockets" in lines
    assert "2 events LOST" in lines
    assert "refused the proxy's CA 1 time" in lines
    assert "3 TLS handshakes with the proxy failed" in lines
    assert "1 still open" in lines


def test_the_next_commands_can_be_typed_as_they_are() -> None:
    commands = next_commands("my file.rush", "http://localhost:8000/page?x=1")
    assert commands[-1] == "rushhour replay 'my file.rush' --target http://localhost:8000 --scale 10"
    (*_, with_users) = next_commands("a.rush", "http://localhost:8000/", "a.rush.identities.csv")
    assert with_users.endswith("--target http://localhost:8000 --identities a.rush.identities.csv --scale 10")
    assert len(commands) == 4
