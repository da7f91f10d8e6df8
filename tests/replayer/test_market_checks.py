"""The check of the market stream that ships with the demo, on servers that send what it must find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.server import ServerConnection

from analysis.slots import Measure
from captures.sessions import Capture
from replayer.plan.compile import compile_plan
from replayer.plan.records import Plan
from replayer.plan.rules import rules_from
from replayer.user.inbox import NEVER_RECORDED
from tests.fakes_captures import Tape, capture_of
from tests.replayer.watching import played, streaming

CHECKS = Path(__file__).parents[2] / "demo" / "rules" / "market-checks.toml"
ROUTE = "WS /ws/market"
SNAPSHOT: dict[str, Any] = {
    "type": "snapshot",
    "ts": 1,
    "seq": 1,
    "quotes": [{"symbol": "KIT", "last": 1.5}],
    "indices": [{"name": "ALL", "value": 1.0}],
    "foreign": [{"name": "net", "value": 2}],
    "derivatives": [],
    "prices": {"KIT": 1.5},
}
STATUS = {"type": "status", "market": "open"}


def _capture() -> Capture:
    tape = Tape()
    messages = [(20.0 + 10 * n, "<", {**SNAPSHOT, "seq": n}) for n in range(1, 4)]
    others = [(22.0, "<", STATUS), (24.0, "<", {"type": "ping", "id": "p1"}), (25.0, ">", {"type": "pong", "id": "p1"})]
    tape.socket("/ws/market", sorted([*messages, *others], key=lambda each: each[0]), at_ms=0, close_ms=250)
    return capture_of(tape)


def _plan() -> Plan:
    return compile_plan(_capture(), rules=rules_from(CHECKS.read_text(), str(CHECKS)))


# What the server sends as its snapshot, and the mismatch that is counted.
SENT = [
    (json.dumps(SNAPSHOT), ""),
    (json.dumps({**SNAPSHOT, "quotes": SNAPSHOT["quotes"] * 300, "extra": {"a": 1}}), ""),
    # A key is missing.
    (json.dumps({key: value for key, value in SNAPSHOT.items() if key != "derivatives"}), "required"),
    # No quotes: what would make a stall look fast.
    (json.dumps({**SNAPSHOT, "quotes": []}), "empty"),
    # 1.2 MB.
    (json.dumps({**SNAPSHOT, "quotes": [{"symbol": "KIT" * 40, "last": 1.5}] * 8600}), "size"),
    # Cut in the middle.
    (json.dumps(SNAPSHOT)[:-30], "truncated"),
]


@pytest.mark.parametrize(("snapshot", "mismatch"), SENT, ids=lambda value: str(value)[-24:])
def test_snapshots_are_checked_and_other_messages_are_exempt(snapshot: str, mismatch: str) -> None:
    def stream(connection: ServerConnection) -> None:
        for text in (snapshot, json.dumps(STATUS), '{"type": "ping", "id": "p7"}', snapshot):
            connection.send(text)
        for _ in connection:
            pass  # Pongs, until the user closes.

    with streaming(stream) as url:
        measured = played(_plan(), url).measured
    by_kind = {dict(labels)["message"]: measure for (name, labels), measure in measured.measures.items()
               if name == "ws.message"}  # fmt: skip
    assert by_kind["snapshot"].mismatches == ({mismatch: 2} if mismatch else {})
    assert by_kind["snapshot"].checked == (0 if mismatch == "size" else 2)
    assert by_kind.get("status", Measure()).mismatches == by_kind.get("ping", Measure()).mismatches == {}


def test_the_shipped_check_names_what_the_demo_has() -> None:
    (requirement,) = rules_from(CHECKS.read_text(), str(CHECKS)).requirements
    assert (requirement.route, requirement.message) == (ROUTE, "snapshot")
    assert {path[0] for path in requirement.required} == {"quotes", "indices", "foreign", "derivatives", "prices"}


# Messages of kinds that were never recorded, and what is wrong with them.
STRANGERS = [
    ('{"type": "news", "text": "market closes"}', {}),
    ('{"type": "error", "error": "log in first"}', {"error": 1}),
    ('{"errors": [{"message": "refused"}]}', {"error": 1}),
    ('{"ts": 1, "seq": 2, "quo', {"truncated": 1}),
    ("no json at all", {}),
]


@pytest.mark.parametrize(("text", "mismatches"), STRANGERS)
def test_a_message_of_a_kind_never_recorded_is_wrong_only_where_it_says_so(
    text: str, mismatches: dict[str, int]
) -> None:
    def stream(connection: ServerConnection) -> None:
        connection.send(text)
        for _ in connection:
            pass

    with streaming(stream) as url:
        measures = played(_plan(), url).measured.measures
    strange = [measure for (_, labels), measure in measures.items() if dict(labels).get("message") == NEVER_RECORDED]
    assert [(measure.planned, measure.mismatches) for measure in strange] == [(1, mismatches)]
