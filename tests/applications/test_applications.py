"""Real applications that the project was not made for: recorded in a real browser, replayed as many users.

The captures were made by ``make bench-apps``' recipe with Chromium; JupyterLab is too heavy for a test and runs there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from replayer.verify.records import Aspect
from tests.applications.serving import CAPTURES, INPUTS, ROOT, Running, serving
from tests.commands import run_rushhour

pytestmark = pytest.mark.process

N_USERS = 20


def _as(capture: str, running: Running, command: str, *options: str) -> tuple[int, Any]:
    variables = {f"RUSHHOUR_{column.upper()}": value for column, value in INPUTS.items()}
    arguments = [command, str(CAPTURES / capture), "--target", running.url, "--json", *options]
    done = run_rushhour(*arguments, cwd=ROOT, env=variables)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("name", ["chat", "orders"])
def test_a_recorded_session_is_verified_with_every_difference_explained(name: str) -> None:
    with serving(name) as running:
        code, report = _as(f"{name}.rush", running, "verify")
    unexplained = [each for step in report["steps"] for each in step["differences"] if not each["explained"]]
    assert (code, unexplained, report["unexplained"], report["lost_sockets"]) == (0, [], 0, [])
    wanted = [step["extractors"] for step in report["steps"] if step["extractors"]["wanted"]]
    assert wanted and all(each["found"] == each["wanted"] for each in wanted)


def test_twenty_users_of_the_chat_have_twenty_tokens_sockets_and_messages(tmp_path: Path) -> None:
    with serving("chat") as running:
        options = ["--users", str(N_USERS), "--out", str(tmp_path / "run"), "--allow-lag"]
        code, summary = _as("chat.rush", running, "replay", *options, "--threshold", "http p95 < 10s")
        ledger = running.ledger()
    assert summary["sessions"]["completed"] == N_USERS, summary["totals"]
    assert summary["totals"]["mismatched"] == 0 and summary["totals"]["not_sent"] == {}
    assert ledger["refused"] == []
    assert len(set(ledger["sockets"])) == ledger["logins"] == ledger["read"] == N_USERS
    assert len(set(ledger["receipts"])) == N_USERS and ledger["said"] == 2 * N_USERS
    assert code in (0, 1)  # Latencies are this machine's; everything else is asserted above.


def test_twenty_users_of_the_shop_place_twenty_orders_and_hear_of_their_own(tmp_path: Path) -> None:
    with serving("orders") as running:
        options = ["--users", str(N_USERS), "--out", str(tmp_path / "run"), "--allow-lag"]
        code, summary = _as("orders.rush", running, "replay", *options, "--threshold", "http p95 < 10s")
        ledger = running.ledger()
    assert summary["sessions"]["completed"] == N_USERS, summary["totals"]
    assert summary["totals"]["mismatched"] == 0 and summary["totals"]["not_sent"] == {}
    assert ledger["refused"] == []
    assert len(set(ledger["orders"])) == len(set(ledger["keys"])) == ledger["read"] == N_USERS
    assert ledger["events"] >= N_USERS  # The server paces them; nobody waits for the last.
    assert code in (0, 1)


def test_a_server_that_refuses_inside_a_200_is_found_out() -> None:
    # Wrong password: GraphQL says so in an answer with status 200, and nothing after it can be as recorded.
    with serving("orders") as running:
        variables = {"RUSHHOUR_USER": "bo.example", "RUSHHOUR_PASSWORD": "wrong"}
        arguments = [str(CAPTURES / "orders.rush"), "--target", running.url, "--json"]
        done = run_rushhour("verify", *arguments, cwd=ROOT, env=variables)
    report = json.loads(done.stdout)
    assert done.returncode == 1
    login = next(step for step in report["steps"] if step["what"] == "POST /graphql Login")
    found = {(each["aspect"], each["place"]) for each in login["differences"] if not each["explained"]}
    assert (Aspect.ADDED.value, "errors") in found
    assert any("lacks" in each["live"] for step in report["steps"] for each in step["differences"])
