"""What the demo's target saw, asked over its admin route."""

from __future__ import annotations

import json
import time
import urllib.request

from demo.server import Target

TIMEOUT_S = 30.0


def n_requests(target: Target) -> int:
    """Return how many requests and upgrades the target has seen since its start."""
    with urllib.request.urlopen(f"{target.url}/admin/ledger?limit=0", timeout=TIMEOUT_S) as answer:
        seen: int = json.load(answer)["seen"]
        return seen


def await_requests(target: Target, n_wanted: int) -> None:
    """Wait until the target has seen so many requests in all."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while n_requests(target) < n_wanted:
        assert time.monotonic() < deadline_s, f"{target.url} has not seen {n_wanted} requests"
        time.sleep(0.02)
