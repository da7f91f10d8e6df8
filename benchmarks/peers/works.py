"""The works that are compared: for each, who does it and how. Every figure is a rate per second on one client core."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import recordings, rivals
from benchmarks.peers.ground import HOST, Ground
from benchmarks.peers.rivals import Call

OURS = "rushhour"


@dataclass(frozen=True, slots=True)
class Goal:
    """At least ``must`` times what ``peer`` reaches; ``aim`` is what we would like."""

    peer: str
    must: float
    aim: float


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work.

    Attributes:
        name, what: its id and what is done.
        calls: by tool, ours among them.
        goals: what ours is held to.
    """

    name: str
    what: str
    calls: Mapping[str, Call]
    goals: tuple[Goal, ...]


def works(ground: Ground, directory: Path, seconds: int) -> list[Work]:
    """Return all works; their captures are written into ``directory``."""
    base = [_rest, _correlated, _tls, _http2, _tls_connects, _receive, _connects]
    return [_with_tools_that_exist(make(ground, directory, seconds)) for make in base]


def _with_tools_that_exist(work: Work) -> Work:
    there = {name: call for name, call in work.calls.items() if name == OURS or rivals.find(name.partition(" ")[0])}
    return Work(work.name, work.what, there, work.goals)


def _answered(summary: Mapping[str, Any]) -> float:
    totals, failed = summary["totals"], summary["totals"]["failed"] + summary["totals"]["mismatched"]
    if failed:
        raise ValueError(f"{failed} of {totals['planned']} failed: {totals['errors']}")
    return float(totals["ok"]) / float(summary["duration_s"])


def _count_of(series: str) -> Callable[[Mapping[str, Any]], float]:
    def rate(summary: Mapping[str, Any]) -> float:
        whole = next(entry for entry in summary["series"] if entry["name"] == series and not entry["labels"])
        return float(whole["ok"]) / float(summary["duration_s"])

    return rate


def _asap(capture: Path, url: str, seconds: int, *options: str) -> Call:
    flags = ("--pacing", "asap", "--for", f"{seconds}s", *options)
    return rivals.rushhour(capture, url, *flags, rate_of=_answered)


def _rest(ground: Ground, directory: Path, seconds: int) -> Work:
    capture = directory / "polling.rush"
    recordings.polling(capture, 10_000)
    url = f"http://{HOST}:{ground.plain}"
    calls = {
        OURS: _asap(capture, url, seconds),
        "wrk": rivals.wrk(f"{url}/api/quotes", seconds),
        "autocannon": rivals.autocannon(f"{url}/api/quotes", seconds),
        "hey": rivals.hey(f"{url}/api/quotes", seconds),
        "k6": rivals.k6("get.js", url, seconds, "http_reqs"),
        "locust": rivals.locust(url, seconds),
    }
    goals = (Goal("wrk", 0.5, 0.7), Goal("k6", 5, 5), Goal("locust", 10, 10))
    return Work("rest", "REST, 50 virtual users from a capture, closed loop", calls, goals)


def _correlated(ground: Ground, directory: Path, seconds: int) -> Work:
    capture = directory / "correlated.rush"
    recordings.correlated(capture, 2_000)
    url = f"http://{HOST}:{ground.plain}"
    calls = {
        OURS: _asap(capture, url, seconds),
        "wrk": rivals.wrk(f"{url}/api/quotes", seconds),
        "k6": rivals.k6("correlate.js", url, seconds, "http_reqs"),
    }
    return Work("slots", "the same, 3 slots and 1 extraction per 4 requests", calls, (Goal("wrk", 0.35, 0.6),))


def _tls(ground: Ground, directory: Path, seconds: int) -> Work:
    capture = directory / "polling.rush"
    url = f"https://{HOST}:{ground.tls}"
    calls = {
        OURS: _asap(capture, url, seconds, "--ca", str(ground.ca_file)),
        "wrk": rivals.wrk(f"{url}/api/quotes", seconds),
        "k6": rivals.k6("get.js", url, seconds, "http_reqs", ca_file=ground.ca_file),
    }
    goals = (Goal("wrk", 0.45, 0.7), Goal("k6", 4, 4))
    return Work("tls", "TLS, keep-alive, 50 virtual users", calls, goals)


def _http2(ground: Ground, directory: Path, seconds: int) -> Work:
    capture = directory / "polling.rush"
    url = f"https://{HOST}:{ground.h2}"
    calls = {
        OURS: _asap(capture, url, seconds, "--http", "2", "--ca", str(ground.ca_file)),
        "h2load": rivals.h2load(f"{url}/api/quotes", seconds),
        "k6": rivals.k6("get.js", url, seconds, "http_reqs", ca_file=ground.ca_file),
    }
    return Work("http2", "HTTP/2 over TLS, 50 virtual users", calls, (Goal("k6", 3, 5),))


def _tls_connects(ground: Ground, directory: Path, seconds: int) -> Work:
    capture = directory / "polling.rush"
    url = f"https://{HOST}:{ground.closing}"
    calls = {
        OURS: _asap(capture, url, seconds, "--ca", str(ground.ca_file)),
        "k6": rivals.k6("connect.js", f"{url}/api/quotes", seconds, "http_reqs", ca_file=ground.ca_file),
    }
    return Work("tls-connects", "a TLS connection for every request, resumed", calls, (Goal("k6", 1, 1.3),))


def _receive(ground: Ground, directory: Path, seconds: int) -> Work:
    capture = directory / "streaming.rush"
    recordings.streaming(capture, seconds)
    place = f"{HOST}:{ground.stream}"
    calls = {
        OURS: rivals.rushhour(
            capture, f"http://{place}", "--shape", "burst", users=10, rate_of=_count_of("ws.message")
        ),
        "k6": rivals.k6("receive.js", f"ws://{place}/push", seconds, "ws_msgs_received", vus=10),
    }
    what = "WebSocket receive on 10 sockets, with pairing and histograms"
    return Work("ws-receive", what, calls, (Goal("k6", 1.5, 2.5),))


def _connects(ground: Ground, directory: Path, seconds: int) -> Work:
    capture = directory / "connecting.rush"
    recordings.connecting(capture)
    place = f"{HOST}:{ground.stream}"
    flags = ("--pacing", "asap", "--for", f"{seconds}s", "--at-end", "restart")
    calls = {
        OURS: rivals.rushhour(capture, f"http://{place}", *flags, rate_of=_count_of("ws.connect")),
        "k6": rivals.k6("sockets.js", f"ws://{place}/idle", seconds, "ws_sessions"),
    }
    return Work("ws-connects", "WebSocket connects: open, close, again, by 50", calls, (Goal("k6", 1, 2),))
