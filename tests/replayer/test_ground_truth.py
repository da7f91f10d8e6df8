"""Measurements against a server whose behaviour is known: what it does must be what the summary says."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest

from tests.commands import ROOT
from tests.fakes_captures import Tape
from tests.ground import Asked, Peer, Told, outcome, replayed, series, serving, write_capture

pytestmark = pytest.mark.process

FREEZE_S = 1.0
N_POLLS = 1000
POLL_MS = 50
FEED = "WS /feed"
LATE_IS_FINE = ("--allow-lag",)
"""Of the machine that runs the tests; where lag is what is tested, it stands for itself."""


def polls(path: Path) -> Path:
    tape = Tape()
    for number in range(N_POLLS):
        # Answers of any length between sends of a fixed rhythm: a timer, which waits for nobody.
        tape.get("/poll", at_ms=number * POLL_MS, took_ms=1 + number * 7 % 11, answer_json={"n": 1})
    return write_capture(path, tape)


def chain(path: Path, n_steps: int = 12) -> Path:
    """Every step carries what the one before it brought."""
    tape = Tape()
    for number in range(n_steps):
        token = f"{number:02d}c0ffee5eed4a11ab1e{number:012x}"
        before = f"/step/{number}?after={number - 1:02d}c0ffee5eed4a11ab1e{number - 1:012x}" if number else "/step/0"
        tape.get(before, at_ms=number * 60, took_ms=10, answer_json={"token": token})
    return write_capture(path, tape)


class Freezing:
    """Answers at once, but for one second in which nobody is answered."""

    def __init__(self, at_request: int) -> None:
        self._at_request = at_request
        self._n = 0
        self._until_s = 0.0

    def __call__(self, asked: Asked) -> Told:
        self._n += 1
        now_s = time.monotonic()
        if self._n == self._at_request:
            self._until_s = now_s + FREEZE_S
        body = b'{"token":"%032x"}' % (self._n * 7919) if asked.path.startswith("/step") else b'{"n":1}'
        return Told(body=body, after_s=max(0.0, self._until_s - now_s))


def test_a_freeze_is_felt_by_all_who_were_to_be_served_and_serves_nobody_slowly(tmp_path: Path) -> None:
    with serving(Freezing(N_POLLS // 5)) as ground:
        _, summary, _ = replayed(polls(tmp_path / "polls.rush"), ground.url, "--speed", "10", *LATE_IS_FINE)
    http = series(summary, "http")
    assert http["count"] == N_POLLS
    assert http["latency_ms"]["p99"] > 800 * FREEZE_S, "intended start to end shows the freeze"
    assert http["service_ms"]["p99"] < 200 * FREEZE_S, "send to end does not: six connections were in it"
    assert http["latency_ms"]["p99"] > 5 * http["service_ms"]["p99"]


def test_a_dependent_chain_shows_a_freeze_once_and_slips_the_rest(tmp_path: Path) -> None:
    with serving(Freezing(6)) as ground:
        _, summary, _ = replayed(chain(tmp_path / "chain.rush"), ground.url, *LATE_IS_FINE)
    latency = series(summary, "http")["latency_ms"]
    assert latency["max"] > 900 * FREEZE_S and latency["p90"] < 200 * FREEZE_S, "one of twelve"
    assert summary["pacing"]["slip_ms"]["max"] > 900 * FREEZE_S


def test_a_known_delay_is_measured_as_that(tmp_path: Path) -> None:
    tape = Tape()
    for number in range(40):
        tape.get("/slow", at_ms=number * 100, took_ms=60, answer_json={"n": 1})
    with serving(lambda _: Told(body=b'{"n":1}', after_s=0.060)) as ground:
        _, summary, _ = replayed(write_capture(tmp_path / "slow.rush", tape), ground.url, "--speed", "2", *LATE_IS_FINE)
    for times in ("latency_ms", "service_ms"):
        assert 60 <= series(summary, "http")[times]["p50"] < 2 * 60


@pytest.mark.parametrize(
    ("every_ms", "held_ms", "limit"),
    [(250, 220, "http p95 < 250ms"), (45, 20, "http p95 < 60ms")],
    ids=["starved", "20 ms at a time"],
)
def test_a_generator_that_stands_still_is_invalid_and_no_slow_target(
    tmp_path: Path, every_ms: int, held_ms: int, limit: str
) -> None:
    tape = Tape()
    for number in range(16):
        tape.get("/poll", at_ms=number * 50, took_ms=1, answer_json={"n": 1})
    capture = write_capture(tmp_path / "polls.rush", tape)
    command = (sys.executable, "-m", "tests.starved", str(every_ms), str(held_ms))
    with serving(lambda _: Told(body=b'{"n":1}')) as ground:
        code, summary, told = replayed(
            capture, ground.url, "--threshold", limit, command=command, env={"PYTHONPATH": str(ROOT)}
        )
    assert (code, summary["verdict"]) == (4, "invalid"), told
    assert any("event loops woke up" in reason for reason in summary["generator"]["invalid"])
    # A heartbeat of 10 ms sees of a pause what lies behind the beat that was due in it.
    assert summary["generator"]["loop_ms"]["max"] >= 0.9 * (held_ms - 10)


# Pushes.

TICK_MS = 50


def feed(path: Path, life_ms: int = 3000) -> Path:
    """A socket that hears a tick every 50 ms and says nothing."""
    tape = Tape()
    ticks = [(at_ms, "<", {"type": "tick", "seq": at_ms}) for at_ms in range(TICK_MS, life_ms - 20, TICK_MS)]
    tape.socket("/feed", [(float(at_ms), arrow, told) for at_ms, arrow, told in ticks], at_ms=0, close_ms=life_ms)
    return write_capture(path, tape)


class Broadcasting:
    """Sends the same ticks to all sockets, to every tenth of them ``late_s`` later."""

    def __init__(self, late_s: float = 0.0, *, is_silent: bool = False) -> None:
        self._late_s = late_s
        self._is_silent = is_silent
        self._start_s = time.monotonic()

    async def __call__(self, peer: Peer, _asked: Asked) -> None:
        async with asyncio.TaskGroup() as tasks:
            pushing = tasks.create_task(self._push(peer))
            await peer.until_closed()
            pushing.cancel()

    async def _push(self, peer: Peer) -> None:
        late_s = self._late_s if peer.number % 10 == 0 else 0.0
        period_s = TICK_MS / 1000
        seq = int((time.monotonic() - self._start_s) / period_s) + 1
        while not self._is_silent:
            await asyncio.sleep(max(0.0, self._start_s + seq * period_s + late_s - time.monotonic()))
            peer.send({"type": "tick", "seq": seq})
            seq += 1


def nothing(_: Asked) -> Told:
    return Told(status=404)


def test_a_broadcast_that_reaches_a_tenth_late_has_that_spread(tmp_path: Path) -> None:
    capture = feed(tmp_path / "feed.rush")
    with serving(nothing, Broadcasting(0.1)) as ground:
        _, summary, _ = replayed(
            capture, ground.url, "--users", "40", "--workers", "2", "--start-spread", "0", *LATE_IS_FINE
        )
    (pushes,) = summary["pushes"]
    skew = pushes["lag_ms"]["skew"]
    assert skew["count"] > 0.9 * 40 * 55
    assert 100 <= skew["p99"] < 300 and skew["p50"] < 50
    gate = outcome(summary, "ws.push_lag p99 < 100ms")
    assert (gate["outcome"], gate["gated"]) == ("fail", "skew")


@pytest.mark.parametrize(("speed", "users"), [("1", "6"), ("10", "40")])
def test_an_unchanged_server_is_complete_at_any_speed(tmp_path: Path, speed: str, users: str) -> None:
    capture = feed(tmp_path / "feed.rush")
    with serving(nothing, Broadcasting()) as ground:
        _, summary, _ = replayed(
            capture, ground.url, "--users", users, "--speed", speed, "--start-spread", "200ms", *LATE_IS_FINE
        )
    (pushes,) = summary["pushes"]
    assert pushes["received"] > 150 and pushes["stalls"] == 0
    assert pushes["completeness"] == pytest.approx(1, abs=0.05)


def test_a_push_stream_without_pairs_decides_nothing_about_replies(tmp_path: Path) -> None:
    capture = feed(tmp_path / "feed.rush", 1500)
    limits = ("--threshold", "ws.reply p99 < 100ms", "--threshold", "ws.push_lag p99 < 5s")
    with serving(nothing, Broadcasting()) as ground:
        code, summary, _ = replayed(capture, ground.url, "--users", "4", *limits, *LATE_IS_FINE)
    assert (code, summary["verdict"]) == (5, "inconclusive")
    assert outcome(summary, "ws.reply p99 < 100ms")["outcome"] == "inconclusive"
    assert outcome(summary, "ws.push_lag p99 < 5s")["outcome"] == "pass"


def test_a_push_that_a_users_own_order_set_off_is_measured_from_the_order(tmp_path: Path) -> None:
    tape = Tape()
    ids = [f"5f2b7c1e-4d3a-4f6b-9a8e-0c1d2e3f4a{number:02x}" for number in range(4)]
    filled = [(float(100 * number + 160), "<", {"type": "filled", "client_id": ids[number]}) for number in range(4)]
    tape.socket("/feed", filled, at_ms=0, close_ms=700)
    for number, client_id in enumerate(ids):
        order = {"symbol": "KIT", "client_id": client_id}
        tape.post("/api/orders", at_ms=100 * number + 100, took_ms=5, send_json=order, answer_json={"ok": True})
    capture = write_capture(tmp_path / "orders.rush", tape)
    peers: list[Peer] = []

    def answer(asked: Asked) -> Told:
        client_id = json.loads(asked.body)["client_id"]
        for peer in peers:  # Everybody is told, and who sent it knows its own.
            asyncio.get_running_loop().call_later(0.080, peer.send, {"type": "filled", "client_id": client_id})
        return Told(body=b'{"ok":true}')

    async def serve(peer: Peer, _asked: Asked) -> None:
        peers.append(peer)
        await peer.until_closed()

    with serving(answer, serve) as ground:
        _, summary, _ = replayed(capture, ground.url, "--users", "3", "--start-spread", "0", *LATE_IS_FINE)
        sent = {json.loads(asked.body)["client_id"] for asked in ground.asked if asked.method == "POST"}
    assert len(sent) == 12 and not sent & set(ids), "every order has an id of its own"
    (pushes,) = summary["pushes"]
    triggered = pushes["lag_ms"]["triggered"]
    assert triggered["count"] >= 12 and 80 <= triggered["p50"] < 300


# What no default lets pass.


def test_sockets_that_are_accepted_and_silent_fail(tmp_path: Path) -> None:
    capture = feed(tmp_path / "feed.rush", 1500)
    with serving(nothing, Broadcasting(is_silent=True)) as ground:
        code, summary, _ = replayed(capture, ground.url, "--users", "4", *LATE_IS_FINE)
    assert (code, summary["verdict"]) == (1, "fail")
    gate = outcome(summary, "ws.push_lag p99 < 100ms")
    assert gate["outcome"] == "fail" and gate["note"].startswith("0 of ")
    assert outcome(summary, "ws.connect errors < 1%")["outcome"] == "pass"


def test_a_login_that_answers_200_with_a_page_of_an_error_fails(tmp_path: Path) -> None:
    tape = Tape()
    tape.post("/api/login", send_json={"user": "ann", "remember": True}, answer_json={"token": "7aQf" * 8})
    tape.get("/api/me", sent=[("Authorization", "Bearer " + "7aQf" * 8)], answer_json={"name": "ann"})
    capture = write_capture(tmp_path / "login.rush", tape)
    page = Told(body=b"<html><body>Something went wrong</body></html>", content_type="text/html")
    with serving(lambda _: page) as ground:
        code, summary, told = replayed(capture, ground.url, "--users", "4", *LATE_IS_FINE)
    assert (code, summary["verdict"]) == (1, "fail"), told
    assert outcome(summary, "verify mismatch < 1%")["outcome"] == "fail"
    assert outcome(summary, "http errors < 1%")["outcome"] == "pass"
    last = "\n".join(told.partition("replaying")[0].splitlines()[-20:])
    assert "mismatch_content_type POST /api/login: at " in last, "the end of a log shows the first of each failure"


def test_thirty_fast_files_do_not_hide_one_slow_call(tmp_path: Path) -> None:
    tape = Tape()
    tape.get("/", html="<html><body>shop</body></html>")
    for number in range(30):
        tape.get(f"/static/part-{number}.js", answer=b"let a = 1;", headers=[("Content-Type", "text/javascript")])
    tape.get("/api/basket", answer_json={"items": [1, 2, 3]})
    capture = write_capture(tmp_path / "shop.rush", tape)

    def answer(asked: Asked) -> Told:
        if asked.path.startswith("/static"):
            return Told(body=b"let a = 1;", content_type="text/javascript")
        if asked.path == "/":
            return Told(body=b"<html><body>shop</body></html>", content_type="text/html")
        return Told(body=b'{"items":[1,2,3]}', after_s=0.4)

    with serving(answer) as ground:
        code, summary, _ = replayed(capture, ground.url, "--users", "4", "--speed", "4", *LATE_IS_FINE)
        files = [asked for asked in ground.asked if asked.path.startswith("/static")]
    assert (code, summary["verdict"]) == (1, "fail") and len(files) == 120
    assert outcome(summary, "http p95 < 200ms")["outcome"] == "fail"


def test_files_can_be_left_out(tmp_path: Path) -> None:
    tape = Tape()
    tape.get("/", html="<html><body>shop</body></html>")
    tape.get("/app.js", answer=b"let a = 1;", headers=[("Content-Type", "text/javascript")])
    capture = write_capture(tmp_path / "shop.rush", tape)
    page = Told(body=b"<html><body>shop</body></html>", content_type="text/html")
    with serving(lambda _: page) as ground:
        _, summary, _ = replayed(capture, ground.url, "--assets", "skip", *LATE_IS_FINE)
        assert [asked.path for asked in ground.asked] == ["/"]
    assert {entry["labels"].get("kind") for entry in summary["series"] if entry["name"] == "http"} == {None, "document"}


def test_a_feed_that_shrank_is_not_representative(tmp_path: Path) -> None:
    tape = Tape()
    rows = [{"symbol": f"S{number}", "price": 10.5, "text": "x" * 40} for number in range(40)]
    for _ in range(3):
        tape.get("/api/rows", took_ms=5, answer_json={"rows": rows})
    capture = write_capture(tmp_path / "rows.rush", tape)
    few = b'{"rows":[{"symbol":"S1","price":10.5,"text":"xxxx"},{"symbol":"S2","price":10.5,"text":"xxxx"}]}'
    with serving(lambda _: Told(body=few)) as ground:
        code, summary, _ = replayed(capture, ground.url, "--users", "4", *LATE_IS_FINE)
    assert (code, summary["verdict"]) == (5, "inconclusive")
    assert summary["reasons"][0].startswith("not representative of the recording: GET /api/rows: 0.")
    (route,) = [each for each in summary["representation"]["routes"] if each["route"] == "GET /api/rows"]
    assert route["item_ratio"] == pytest.approx(0.05) and route["size_ratio"] < 0.1
