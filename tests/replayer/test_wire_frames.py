"""WebSocket frames without sockets: Autobahn's case classes 1 to 10 as a table, and properties."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import CloseCode, Frame, Opcode
from websockets.streams import StreamReader

from replayer.wire.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Breach,
    client_frame,
    close_code,
    close_payload,
    control_head,
    may_be_sent,
    message_head,
)
from replayer.wire.frames_reader import FrameReader

MAX = 1000


class Noted:
    """A sink that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, bytes]] = []
        self.reader: FrameReader | None = None

    def take_text(self, data: bytes) -> None:
        self.told.append((TEXT, data))

    def take_binary(self, data: bytes) -> None:
        self.told.append((BINARY, data))

    def take_control(self, opcode: int, payload: bytes) -> None:
        self.told.append((opcode, payload))
        if opcode == CLOSE and self.reader is not None:
            self.reader.is_over = True


def server_frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """Return a frame as a server sends it."""
    head = bytes(((0x80 if fin else 0) | rsv << 4 | opcode,))
    if len(payload) < 126:
        return head + bytes((len(payload),)) + payload
    if len(payload) < 65536:
        return head + b"\x7e" + struct.pack("!H", len(payload)) + payload
    return head + b"\x7f" + struct.pack("!Q", len(payload)) + payload


def read(chunks: Sequence[bytes], *, max_bytes: int = MAX) -> tuple[list[tuple[int, bytes]], int]:
    """Return what a reader tells of the chunks, and the code of the breach that ended it, or 0."""
    sink = Noted()
    reader = sink.reader = FrameReader(sink, max_bytes, None)
    try:
        for chunk in chunks:
            reader.feed(chunk)
    except Breach as breach:
        return sink.told, breach.code
    return sink.told, 0


def text(data: bytes, *, fin: bool = True) -> bytes:
    return server_frame(TEXT, data, fin=fin)


def binary(data: bytes, *, fin: bool = True) -> bytes:
    return server_frame(BINARY, data, fin=fin)


def cont(data: bytes, *, fin: bool = True) -> bytes:
    return server_frame(CONTINUATION, data, fin=fin)


KOSME = "κόσμε".encode()

# Bytes · what is told · code of the breach, 0 for none.
CASES = {
    # 1: framing.
    "an empty text": (text(b""), [(TEXT, b"")], 0),
    "an empty binary": (binary(b""), [(BINARY, b"")], 0),
    "a text of 125 bytes": (text(b"*" * 125), [(TEXT, b"*" * 125)], 0),
    "a text of 126 bytes": (text(b"*" * 126), [(TEXT, b"*" * 126)], 0),
    "a binary of the largest size": (binary(b"\xfe" * MAX), [(BINARY, b"\xfe" * MAX)], 0),
    "a length of 16 bits that is not minimal": (b"\x81\x7e\x00\x05hello", [], 1002),
    "a length of 64 bits that is not minimal": (b"\x81\x7f" + (300).to_bytes(8, "big") + b"x" * 300, [], 1002),
    "a length with its highest bit set": (b"\x82\x7f\xff" + bytes(7), [], 1002),
    "a masked frame": (b"\x81\x83abcd123", [], 1002),
    "a masked frame of 16 bits": (b"\x81\xfe", [], 1002),
    # 2: pings and pongs.
    "a ping without payload": (server_frame(PING), [(PING, b"")], 0),
    "a ping of 125 bytes": (server_frame(PING, b"\xfe" * 125), [(PING, b"\xfe" * 125)], 0),
    "a ping of 126 bytes": (server_frame(PING, b"\xfe" * 126), [], 1002),
    "a ping of 126 bytes that never come": (b"\x89\x7e\x00\x7e", [], 1002),
    "an unasked pong": (server_frame(PONG, b"x") + text(b"y"), [(PONG, b"x"), (TEXT, b"y")], 0),
    # 3: reserved bits.
    "RSV1 without an extension": (server_frame(TEXT, b"x", rsv=4), [], 1002),
    "RSV2": (server_frame(BINARY, b"x", rsv=2), [], 1002),
    "RSV3 of a ping": (server_frame(PING, b"x", rsv=1), [], 1002),
    "RSV1 of a close": (server_frame(CLOSE, b"", rsv=4), [], 1002),
    "RSV1 of a second frame": (text(b"a") + server_frame(TEXT, b"b", rsv=4), [(TEXT, b"a")], 1002),
    # 4: opcodes.
    **{f"reserved opcode {n}": (server_frame(n, b"x"), [], 1002) for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "a reserved opcode whose payload never comes": (b"\x83\x7e", [], 1002),
    # 5: fragments.
    "two fragments": (text(b"frag", fin=False) + cont(b"ment"), [(TEXT, b"fragment")], 0),
    "binary fragments": (binary(b"\xff", fin=False) + cont(b"\xfe"), [(BINARY, b"\xff\xfe")], 0),
    "a ping between fragments": (
        text(b"a", fin=False) + server_frame(PING, b"p") + cont(b"b"),
        [(PING, b"p"), (TEXT, b"ab")],
        0,
    ),
    "empty fragments": (text(b"", fin=False) + cont(b"", fin=False) + cont(b""), [(TEXT, b"")], 0),
    "two fragmented messages": (
        text(b"a", fin=False) + cont(b"b") + binary(b"c", fin=False) + cont(b"d"),
        [(TEXT, b"ab"), (BINARY, b"cd")],
        0,
    ),
    "a fragmented ping": (server_frame(PING, b"x", fin=False), [], 1002),
    "a fragmented close": (server_frame(CLOSE, fin=False), [], 1002),
    "a continuation of nothing": (cont(b"x"), [], 1002),
    "a fragment of nothing": (cont(b"x", fin=False), [], 1002),
    "a continuation of what has ended": (text(b"a", fin=False) + cont(b"b") + cont(b"c"), [(TEXT, b"ab")], 1002),
    "a text inside a fragmented text": (text(b"a", fin=False) + text(b"b"), [], 1002),
    "a binary inside a fragmented text": (text(b"a", fin=False) + binary(b"b"), [], 1002),
    # 6: UTF-8.
    "text that is UTF-8": (text(KOSME), [(TEXT, KOSME)], 0),
    "UTF-8 that is split inside a character": (
        text(KOSME[:3], fin=False) + cont(KOSME[3:]),
        [(TEXT, KOSME)],
        0,
    ),
    "bytes that are no UTF-8": (text(b"\xce\xba\xed\xa0\x80edited"), [], 1007),
    "a character that is cut off": (text(KOSME[:-1]), [], 1007),
    "a character that is cut off at the end of fragments": (text(KOSME[:2], fin=False) + cont(KOSME[2:-1]), [], 1007),
    "no UTF-8 in a first fragment": (text(b"\xff", fin=False), [], 1007),
    "a surrogate": (text(b"\xed\xa0\x80"), [], 1007),
    "an overlong slash": (text(b"\xc0\xaf"), [], 1007),
    "above U+10FFFF": (text(b"\xf4\x90\x80\x80"), [], 1007),
    "the highest character": (text(b"\xf4\x8f\xbf\xbf"), [(TEXT, b"\xf4\x8f\xbf\xbf")], 0),
    "binary that is no UTF-8": (binary(b"\xff"), [(BINARY, b"\xff")], 0),
    # 7: close.
    "nothing counts after a close": (server_frame(CLOSE, b"\x03\xe8") + text(b"x"), [(CLOSE, b"\x03\xe8")], 0),
    "a close frame of 126 bytes": (server_frame(CLOSE, b"\x03\xe8" + b"x" * 124), [], 1002),
    # 9, 10: limits.
    "a message above the limit": (binary(b"x" * (MAX + 1)), [], 1009),
    "a message above the limit that never comes": (b"\x82\x7f" + (1 << 40).to_bytes(8, "big"), [], 1009),
    "fragments above the limit": (binary(b"x" * MAX, fin=False) + cont(b"x"), [], 1009),
    "a message after the largest fragmented one": (
        binary(b"x" * MAX, fin=False) + cont(b"") + text(b"y" * MAX),
        [(BINARY, b"x" * MAX), (TEXT, b"y" * MAX)],
        0,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_reader_tells_what_a_server_may_send_and_refuses_the_rest(name: str) -> None:
    data, told, code = CASES[name]
    assert read([data]) == (told, code)


@pytest.mark.parametrize("name", CASES)
def test_bytes_that_drip_one_by_one_read_the_same(name: str) -> None:
    data, told, code = CASES[name]
    assert read([data[i : i + 1] for i in range(len(data))]) == (told, code)


payloads = st.one_of(st.binary(max_size=300), st.sampled_from([125, 126, 65535, 65536]).map(lambda n: b"z" * n))
frames = st.one_of(
    st.tuples(st.just(TEXT), st.text(max_size=200).map(str.encode)),
    st.tuples(st.just(BINARY), payloads),
    st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(frames, max_size=8), st.lists(st.integers(0, 70_000), max_size=8))
def test_messages_are_the_same_at_any_split(sent: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = b"".join(server_frame(opcode, payload) for opcode, payload in sent)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    assert read(chunks, max_bytes=1 << 20) == (sent, 0)


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=60), st.lists(st.integers(0, 240), max_size=5))
def test_text_is_the_same_however_it_is_fragmented(message: str, cuts: list[int]) -> None:
    data = message.encode()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    sent = [server_frame(CONTINUATION if i else TEXT, part, fin=i == len(parts) - 1) for i, part in enumerate(parts)]
    assert read(sent) == ([(TEXT, data)], 0)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.integers(1, 50))
def test_reader_of_noise_ends_with_a_breach_or_waits_and_says_the_same_at_any_split(noise: bytes, step: int) -> None:
    whole = read([noise])
    assert read([noise[i : i + step] for i in range(0, len(noise), step)]) == whole
    assert whole[1] in (0, 1002, 1007, 1009)


@settings(max_examples=60, deadline=None)
@given(payloads, st.binary(min_size=4, max_size=4), st.booleans())
def test_the_library_reads_the_frames_that_we_write(payload: bytes, key: bytes, is_text: bool) -> None:
    reader = StreamReader()
    reader.feed_data(client_frame(message_head(is_text=is_text, is_deflated=False), payload, key))
    parsing = Frame.parse(reader.read_exact, mask=True)
    with pytest.raises(StopIteration) as stopped:
        next(parsing)
    frame = stopped.value.value
    assert frame.opcode == (Opcode.TEXT if is_text else Opcode.BINARY)
    assert bytes(frame.data) == payload and frame.fin


def test_large_frame_that_drips_in_holds_little_more_than_itself() -> None:
    frame = binary(b"x" * 60_000)
    assert read([frame[i : i + 7] for i in range(0, len(frame), 7)], max_bytes=1 << 20) == (
        [(BINARY, b"x" * 60_000)],
        0,
    )


# Close codes: Autobahn 7.7 and 7.9.
VALID = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
INVALID = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)


@pytest.mark.parametrize("code", VALID)
def test_valid_close_codes_are_read_and_written(code: int) -> None:
    assert close_code(close_payload(code) + "grüß".encode()) == code


@pytest.mark.parametrize("code", INVALID)
def test_invalid_close_codes_are_a_breach_and_never_written(code: int) -> None:
    assert close_payload(code) == b""
    with pytest.raises(Breach) as raised:
        close_code(struct.pack("!H", code))
    assert raised.value.code == 1002 and str(code) in str(raised.value)


def test_close_without_a_code_is_1005_and_half_a_code_a_breach() -> None:
    assert close_code(b"") == 1005
    with pytest.raises(Breach) as raised:
        close_code(b"\x03")
    assert raised.value.code == 1002


def test_reason_that_is_no_utf8_is_a_breach_of_its_own() -> None:
    with pytest.raises(Breach) as raised:
        close_code(b"\x03\xe8\xff")
    assert raised.value.code == 1007


def test_codes_that_may_be_sent_are_those_of_the_registry() -> None:
    registered = {int(code) for code in CloseCode} - {1005, 1006, 1015}
    assert {code for code in range(3000) if may_be_sent(code)} == registered


def test_control_frames_are_final() -> None:
    assert client_frame(control_head(PONG), b"p", b"\0\0\0\0") == b"\x8a\x81\0\0\0\0p"
