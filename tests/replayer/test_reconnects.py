"""How long recorded clients waited before they came back."""

from __future__ import annotations

from captures.records import Body, Exchange, Origin, Session, Socket
from captures.units import NS_PER_MS, NS_PER_S
from replayer.reconnects import recorded_waits

ORIGIN = Origin("http", "shop.example", 80)
UPGRADE = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))


def handshake(at_ms: int, *, closed_ms: int | None = None, refused: bool = False, path: str = "/ws") -> Exchange:
    socket = None
    if not refused:
        close_ns = None if closed_ms is None else closed_ms * NS_PER_MS
        socket = Socket(open_ns=at_ms * NS_PER_MS, close_ns=close_ns)
    return Exchange(
        id=at_ms + 1,
        connection=1,
        method="GET",
        origin=ORIGIN,
        target=f"{path}?ticket={at_ms}",
        http_version="HTTP/1.1",
        request_headers=UPGRADE,
        request_body=Body(),
        start_ns=at_ms * NS_PER_MS,
        request_end_ns=at_ms * NS_PER_MS,
        status=503 if refused else 101,
        end_ns=(at_ms + 20) * NS_PER_MS if refused else None,
        socket=socket,
    )


def waits_ms(*sessions: list[Exchange]) -> list[int]:
    found = recorded_waits([Session(id=n, rule="", exchanges=each) for n, each in enumerate(sessions)])
    return [wait_ns // NS_PER_MS for wait_ns in found]


def test_a_wait_is_counted_from_the_end_of_the_socket_and_then_of_the_attempt() -> None:
    chain = [
        handshake(0, closed_ms=1000),
        handshake(1500, refused=True),
        handshake(2520, refused=True),
        handshake(4540, closed_ms=9000),
    ]
    assert waits_ms(chain) == [500, 1000, 2000]


def test_several_sessions_give_the_median_by_attempt() -> None:
    def back_after(wait_ms: int) -> list[Exchange]:
        return [handshake(0, closed_ms=1000), handshake(1000 + wait_ms)]

    assert waits_ms(back_after(100), back_after(900), back_after(200)) == [200]


def test_sockets_of_other_paths_and_later_visits_are_no_reconnects() -> None:
    assert waits_ms([handshake(0, closed_ms=1000), handshake(2000, path="/chat")]) == []
    later_ms = 1000 + 700 * NS_PER_S // NS_PER_MS
    assert waits_ms([handshake(0, closed_ms=1000), handshake(later_ms)]) == []


def test_two_sockets_at_a_time_are_no_reconnect() -> None:
    assert waits_ms([handshake(0, closed_ms=5000), handshake(1000, closed_ms=6000)]) == []


def test_a_session_that_never_lost_a_socket_has_no_waits() -> None:
    assert waits_ms([handshake(0)], []) == []
