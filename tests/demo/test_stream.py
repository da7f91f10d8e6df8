"""The WebSocket over real sockets."""

from __future__ import annotations

import json
import time

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from demo.server import running_target
from demo.target.faults import Faults
from demo.target.market import Market
from demo.target.settings import NS_PER_MS, Feed, Settings
from tests.demo.visitors import CHANNELS, Visitor, receive, send, visiting

pytestmark = pytest.mark.process


def test_a_subscription_is_acknowledged_and_followed_by_snapshots(visitor: Visitor) -> None:
    visitor.log_in()
    with visitor.socket() as socket:
        assert receive(socket, "status")["feed"] == "live"
        send(socket, type="subscribe", id=41, channels=CHANNELS)
        assert receive(socket, "ack") == {"type": "ack", "id": 41, "channels": CHANNELS}
        first, second = receive(socket, "snapshot"), receive(socket, "snapshot")
        assert all(first[channel] for channel in CHANNELS)
        assert second["seq"] > first["seq"]
        assert abs(first["ts"] - time.time() * 1000) < 60_000
        assert first["prices"] == Market(7, Feed.LIVE).frame(first["seq"]).prices


def test_a_snapshot_has_only_the_channels_asked_for_and_one_can_add_more(visitor: Visitor) -> None:
    visitor.log_in()
    with visitor.socket() as socket:
        send(socket, type="subscribe", id=1, channels=["prices"])
        snapshot = receive(socket, "snapshot")
        assert snapshot.keys() & set(CHANNELS) == {"prices"}
        send(socket, type="subscribe", id=2, channels=["indices", "depth:KIT"])
        assert receive(socket, "ack")["channels"] == ["indices", "prices", "depth:KIT"]
        assert receive(socket, "depth")["symbol"] == "KIT"


def test_status_and_ping_come_in_between_and_pings_carry_fresh_ids() -> None:
    with running_target(Settings()) as target, visiting(target.url) as one:
        one.log_in()
        with one.socket() as socket:
            receive(socket, "status")
            send(socket, type="subscribe", id=1, channels=["prices"])
            kinds: list[str] = []
            ids: list[str] = []
            while len(ids) < 2:
                message = json.loads(socket.recv(10))
                kinds.append(message["type"])
                if message["type"] == "ping":
                    ids.append(message["id"])
                    send(socket, type="pong", id=message["id"])
            assert ids[0] != ids[1]
            assert "status" in kinds
            assert kinds.count("snapshot") > 10


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"type":"buy"}', '{"type":"subscribe","id":1}', '{"type":"subscribe","id":1,"channels":["gold"]}',
     '{"type":"subscribe","id":1,"channels":["depth:NONE"]}', '{"type":"subscribe","id":1,"channels":[7]}'],
)  # fmt: skip
def test_a_message_that_makes_no_sense_is_answered_with_an_error_and_the_socket_lives(
    visitor: Visitor, text: str
) -> None:
    visitor.log_in()
    with visitor.socket() as socket:
        socket.send(text)
        assert receive(socket, "error")["error"]
        send(socket, type="subscribe", id=9, channels=["prices"])
        assert receive(socket, "ack")["id"] == 9


@pytest.mark.parametrize("ticket", ["", "made-up"])
def test_a_socket_without_a_ticket_is_refused(visitor: Visitor, ticket: str) -> None:
    visitor.log_in()
    with pytest.raises(InvalidStatus) as caught, visitor.socket(ticket):
        pass
    assert caught.value.response.status_code == 401


def test_the_bearer_token_is_no_ticket(visitor: Visitor) -> None:
    visitor.log_in()
    with pytest.raises(InvalidStatus), visitor.socket(visitor.grant["access_token"]):
        pass


def test_refused_upgrades_are_answered_with_503_and_are_in_the_ledger() -> None:
    with running_target(Settings(faults=Faults(refuses_upgrades=True))) as target, visiting(target.url) as one:
        one.log_in()
        with pytest.raises(InvalidStatus) as caught, one.socket():
            pass
        assert caught.value.response.status_code == 503
        assert one.get("/admin/ledger").json()["counts"][-1] == {
            "method": "WS",
            "route": "/ws/market",
            "status": 503,
            "n": 1,
        }


def test_sockets_are_counted_from_opening_to_closing() -> None:
    with running_target(Settings()) as target, visiting(target.url) as one:
        one.log_in()
        with one.socket() as socket:
            send(socket, type="subscribe", id=1, channels=["prices"])
            receive(socket, "ack")
            assert one.get("/admin/ledger").json()["sockets"]["open"] == 1
        for _ in range(100):
            sockets = one.get("/admin/ledger").json()["sockets"]
            if not sockets["open"]:
                break
            time.sleep(0.02)
        assert (sockets["open"], sockets["opened"], sockets["closed"], sockets["received"]) == (0, 1, 1, 1)


def test_an_empty_feed_pushes_empty_snapshots() -> None:
    with running_target(Settings(feed=Feed.EMPTY, tick_ns=20 * NS_PER_MS)) as target, visiting(target.url) as one:
        one.log_in()
        with one.socket() as socket:
            send(socket, type="subscribe", id=1, channels=CHANNELS)
            snapshot = receive(socket, "snapshot")
            assert [snapshot[channel] for channel in CHANNELS] == [[], [], [], [], {}]


def test_a_stall_holds_pushes_back_and_the_ticks_go_on() -> None:
    with running_target(Settings(tick_ns=20 * NS_PER_MS)) as target, visiting(target.url) as one:
        one.log_in()
        with one.socket() as socket:
            send(socket, type="subscribe", id=1, channels=["prices"])
            seqs = [receive(socket, "snapshot")["seq"]]
            one.client.post("/admin/faults", json={"stall": "500ms"})
            seqs += [receive(socket, "snapshot")["seq"] for _ in range(12)]
            gaps = [after - before for before, after in zip(seqs, seqs[1:], strict=False)]
            assert max(gaps) > 10


def test_added_latency_delays_each_acknowledgement_and_does_not_queue_them() -> None:
    faults = Faults(latency_ns=400 * NS_PER_MS)
    with running_target(Settings(tick_ns=20 * NS_PER_MS, faults=faults)) as target, visiting(target.url) as one:
        one.log_in()
        with one.socket() as socket:
            sent_s = time.monotonic()
            for number in range(4):
                send(socket, type="subscribe", id=number, channels=["prices"])
            assert [receive(socket, "ack")["id"] for _ in range(4)] == [0, 1, 2, 3]
            assert 0.4 <= time.monotonic() - sent_s < 1.6


def test_compression_is_offered_only_on_demand() -> None:
    for offers, answer in ((False, None), (True, "permessage-deflate")):
        with running_target(Settings(offers_deflate=offers)) as target, visiting(target.url) as one:
            one.log_in()
            with one.socket() as plain:
                assert plain.response is not None
                assert "Sec-WebSocket-Extensions" not in plain.response.headers
            with one.socket(deflate=True) as socket:
                assert socket.response is not None
                named = socket.response.headers.get("Sec-WebSocket-Extensions")
                assert (named or "").partition(";")[0] == (answer or "")
                send(socket, type="subscribe", id=1, channels=CHANNELS)
                assert receive(socket, "snapshot")["quotes"]


def test_who_never_answers_pings_is_sent_away_with_4008() -> None:
    with running_target(Settings()) as target, visiting(target.url) as one:
        one.log_in()
        with pytest.raises(ConnectionClosedError) as caught, one.socket() as socket:
            send(socket, type="subscribe", id=1, channels=["prices"])
            while True:
                socket.recv(15)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4008
