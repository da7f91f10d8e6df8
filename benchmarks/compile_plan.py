"""How fast a plan is compiled, and whether the time is linear in the capture: ``python -m benchmarks.compile_plan``.

The capture is synthetic: sessions of a shop with logins, lists of about 3 KB, orders and a socket with pushes.
Prints one line per size: exchanges, messages, decoded megabytes, CPU seconds, MB/s.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time

from captures.records import Exchange
from captures.sessions import Capture
from replayer.plan.compile import compile_plan
from tests.fakes_captures import Tape, capture_of

SIZES = (5_000, 20_000)
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


def main() -> None:
    """Measure all sizes."""
    for size in SIZES:
        capture = _synthetic(size)
        exchanges = [exchange for session in capture.sessions for exchange in session.exchanges]
        n_bytes = sum(map(_decoded_bytes, exchanges))
        started_s = time.process_time()
        plan = compile_plan(capture)
        took_s = time.process_time() - started_s
        row = {
            "exchanges": len(exchanges),
            "steps": sum(len(script.steps) for script in plan.scripts),
            "decoded_mb": round(n_bytes / 1e6, 1),
            "cpu_s": round(took_s, 2),
            "mb_per_s": round(n_bytes / 1e6 / took_s, 1),
        }
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
