"""The golden capture is replayed against the target, and the target's ledger says what really happened."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from captures.sessions import load_capture
from demo.golden import GOLDEN, MAX_BYTES
from demo.scripted import USER
from demo.server import running_target
from demo.target.accounts import PASSWORD
from demo.target.settings import Settings
from tests.commands import run_rushhour

pytestmark = pytest.mark.process

USERS = 3
IDENTITY = {"RUSHHOUR_USER": USER, "RUSHHOUR_PASSWORD": PASSWORD}


def _ledger(url: str) -> dict[str, Any]:
    body: dict[str, Any] = httpx.get(f"{url}/admin/ledger", trust_env=False).json()
    return body


def test_it_is_whole_small_and_of_this_machine_only() -> None:
    capture = load_capture(GOLDEN)
    assert capture.complete
    assert GOLDEN.stat().st_size < MAX_BYTES
    (session,) = capture.sessions
    assert {exchange.origin.host for exchange in session.exchanges} == {"127.0.0.1"}
    assert len(session.exchanges) >= 20
    (socket,) = [exchange.socket for exchange in session.exchanges if exchange.socket is not None]
    assert (socket.close_code, len(socket.messages) > 40) == (1000, True)


@pytest.mark.parametrize("settings", [Settings(), Settings(asks_for_login=False)], ids=["auth", "no auth"])
def test_every_virtual_user_logs_in_by_itself_and_reads_back_an_order_of_its_own(
    tmp_path: Path, settings: Settings
) -> None:
    recorded = [exchange for session in load_capture(GOLDEN).sessions for exchange in session.exchanges]
    with running_target(settings) as target:
        arguments = ["--target", target.url, "--users", str(USERS), "--speed", "5", "--allow-lag", "--out", "run"]
        ended = run_rushhour("replay", str(GOLDEN), *arguments, cwd=tmp_path, env=IDENTITY)
        ledger = _ledger(target.url)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["users"]["completed"] == USERS, ended.stderr
    assert (summary["totals"]["failed"], summary["totals"]["not_sent"]) == (0, {})
    assert ledger["seen"] == ledger["answered"] == USERS * len(recorded)
    _check_logins(ledger["entries"])


def _check_logins(entries: list[dict[str, Any]]) -> None:
    by_login: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        if entry["login"]:
            by_login[entry["login"]][f"{entry['method']} {entry['route']} {entry['status']}"] += 1
    assert len(by_login) == USERS
    for routes in by_login.values():
        assert routes["POST /api/login 200"] == routes["WS /ws/market 101"] == 1
        assert routes["POST /api/orders 201"] == routes["GET /api/orders/{id} 200"] == 1
