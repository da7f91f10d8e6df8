"""How fast a plan is compiled, and whether the time is linear in the capture: ``python -m benchmarks.compile_plan``.

The capture is synthetic: sessions of a shop with logins, lists of about 3 KB, orders and a socket with pushes.
Prints one line per size: exchanges, steps, decoded megabytes, CPU seconds, MB/s. Then how many times as long the
largest took as the smallest, how long a cached plan of 10,000 exchanges takes to be had from a file, and what rendering
a request with five slots costs.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
import timeit
from pathlib import Path

from captures.records import Exchange
from captures.sessions import Capture
from replayer.plan.codec import plan_to_bytes
from replayer.plan.compile import compile_plan
from replayer.plan.records import RequestTemplate
from replayer.stored_plans import PlanRequest, StoredPlan, facts_of_capture, stored_plan, write_plan
from replayer.user.render import CookieSlots, link_http1
from tests.fakes_captures import Tape, capture_of

SIZES = (5_000, 20_000, 50_000)
CACHED_EXCHANGES = 10_000
RENDERINGS = 200_000
EXCHANGES_PER_SESSION = 500
PUSHES_PER_SESSION = 500


def _token(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


def _session(number: int) -> Tape:
    tape = Tape(number)
    token = _token(number)
    sent = [("Authorization", f"Bearer {token}"), ("Cookie", f"sid={token[:16]}"), ("Accept", "application/json")]
    tape.post(
        "/login",
        send_json={"user": f"u{number}", "password": "x"},
        answer_json={"token": token},
        headers=[("Set-Cookie", f"sid={token[:16]}")],
    )
    rows = [{"symbol": f"S{n:03}", "last": n / 7, "volume": n * 1000, "name": f"Share number {n}"} for n in range(40)]
    for n in range((EXCHANGES_PER_SESSION - 2) // 3):
        order = _token(number, n)[:16]
        tape.get(f"/api/quotes?page={n}", sent=sent, answer_json={"quotes": rows, "cursor": _token(n, number)})
        tape.post("/api/orders", sent=sent, send_json={"symbol": "S001", "n": n}, status=201, answer_json={"id": order})
        tape.get(f"/api/orders/{order}", sent=sent, answer_json={"id": order, "status": "filled"})
    pushes = [(20.0 + n, "<", {"type": "snapshot", "seq": n, "quotes": rows}) for n in range(PUSHES_PER_SESSION)]
    tape.socket(f"/ws?token={token}", pushes, close_ms=20_000)
    return tape


def _decoded_bytes(exchange: Exchange) -> int:
    messages = exchange.socket.messages if exchange.socket is not None else ()
    return exchange.request_body.size_bytes + exchange.response_body.size_bytes + sum(m.size_bytes for m in messages)


def _synthetic(n_exchanges: int) -> Capture:
    return capture_of(*(_session(number) for number in range(1, n_exchanges // EXCHANGES_PER_SESSION + 1)))


def _compile_s(size: int) -> float:
    """Compile a capture of so many exchanges; return CPU seconds."""
    capture = _synthetic(size)
    exchanges = [exchange for session in capture.sessions for exchange in session.exchanges]
    n_bytes = sum(map(_decoded_bytes, exchanges))
    started_s = time.process_time()
    plan = compile_plan(capture)
    took_s = time.process_time() - started_s
    _say(
        exchanges=len(exchanges),
        steps=sum(len(script.steps) for script in plan.scripts),
        decoded_mb=round(n_bytes / 1e6, 1),
        cpu_s=round(took_s, 2),
        mb_per_s=round(n_bytes / 1e6 / took_s, 1),
    )
    return took_s


def _cached_s(directory: Path) -> None:
    """Measure how long a plan takes that is in the cache: digest of the capture, reading, decoding."""
    capture = _synthetic(CACHED_EXCHANGES)
    file = directory / "large.rush"
    file.write_bytes(os.urandom(8 << 20))  # Only its digest is looked at: as large as such a capture is.
    request = PlanRequest(capture=file, directory=directory / "plans")
    plan = compile_plan(capture)
    stored = StoredPlan(facts=facts_of_capture(capture), plan=plan, encoded=plan_to_bytes(plan), is_cached=False)
    write_plan(request, stored)
    started_s = time.perf_counter()
    assert stored_plan(request).is_cached
    _say(
        cached_exchanges=CACHED_EXCHANGES,
        plan_mb=round(len(stored.encoded) / 1e6, 1),
        had_after_s=round(time.perf_counter() - started_s, 2),
    )


def _render_us() -> None:
    """Measure rendering a request with five slots, one of them in its body."""
    values = [b"value-of-slot-%d" % n for n in range(8)]
    request = RequestTemplate(
        method=b"POST",
        target=(b"/api/orders/", 0, b"?since=", 1),
        headers=((b"Accept", (b"application/json",)), (b"Authorization", (b"Bearer ", 2)), (b"X-CSRF-Token", (3,))),
        body=(b'{"ref": "', 4, b'"}'),
    )
    rendered = link_http1(request, authority=b"127.0.0.1:8000", added=(), constants={}, cookies=CookieSlots(-1, 6, 7))
    took_s = min(timeit.repeat(lambda: rendered.render(values), number=RENDERINGS, repeat=5))
    _say(rendering_us=round(took_s / RENDERINGS * 1e6, 3))


def _say(**row: object) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure everything."""
    took_s = [_compile_s(size) for size in SIZES]
    _say(sizes=f"{SIZES[0]} and {SIZES[-1]}", times_as_long=round(took_s[-1] / took_s[0], 1))
    with tempfile.TemporaryDirectory() as directory:
        _cached_s(Path(directory))
    _render_us()


if __name__ == "__main__":
    main()
