"""A redacted capture gives the same plan structure as the one that it was made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from captures.redact.files import redact_file
from captures.redact.policy import Policy
from captures.redact.pseudonyms import KEY_BYTES
from captures.redact.redactor import Redactor
from captures.sessions import load_capture
from recorder.notices import Kind
from replayer.plan.compile import compile_plan
from replayer.plan.records import Plan, Script, SlotKind, Template
from tests.captures.recording import Tape

BEARER = "Zx81kQpTeyW0mBv7-JrXa99sLwQ"
REFRESH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"
SID = "aK3xP9mQ2rT7vZ5cD8fG1hJ4"
XSRF = "5e884898da28047151d0e56f8dc629275e88"
ORDER = "c0ffee00-1234-4abc-8def-0123456789ab"
DEVICE = "01890a5d-ac96-474b-bcce-b302099a8057"


def _exchange(
    tape: Tape,
    method: str,
    target: str,
    *,
    sent: dict[str, str] | None = None,
    body: Any = None,
    headers: dict[str, str] | None = None,
    answer: Any = None,
) -> None:
    given = {"content-type": "application/json"} if body is not None else {}
    flow = tape._begin(target, given | (sent or {}), method=method)
    data = json.dumps(body).encode() if body is not None else b""
    tape.say(Kind.REQUEST_CHUNK, flow_id=flow, data=data)
    tape.say(Kind.REQUEST_DONE, flow_id=flow, at_s=None, data=None)
    tape._answer(flow, {"content-type": "application/json"} | (headers or {}))
    tape.say(Kind.RESPONSE_CHUNK, flow_id=flow, data=json.dumps(answer or {"ok": True}).encode())
    tape.say(Kind.RESPONSE_DONE, flow_id=flow, at_s=None, data=None, is_upgrade=False)


def _record(path: Path) -> None:
    cookies = f"sid={SID}; _xsrf={XSRF}"
    bearer = {"authorization": f"Bearer {BEARER}", "cookie": cookies, "x-xsrf-token": XSRF}
    with Tape(path, redaction=(False, "", "")) as tape:
        _exchange(tape, "GET", "/", headers={"set-cookie": f"_xsrf={XSRF}; Path=/"})
        _exchange(
            tape,
            "POST",
            "/api/login",
            sent={"cookie": f"_xsrf={XSRF}", "x-xsrf-token": XSRF},
            body={"user": "ann@shop.example", "password": "correct horse battery", "device": DEVICE},
            headers={"set-cookie": f"sid={SID}; HttpOnly"},
            answer={"access_token": BEARER, "refresh_token": REFRESH},
        )
        _exchange(tape, "GET", "/api/me", sent=bearer, answer={"name": "Ann", "device": DEVICE})
        _exchange(tape, "POST", "/api/orders", sent=bearer, body={"n": 2}, answer={"order": {"id": ORDER}})
        _exchange(tape, "GET", f"/api/orders/{ORDER}", sent=bearer, answer={"id": ORDER, "state": "new"})
        tape.message(json.dumps({"type": "auth", "token": BEARER}).encode(), sender=1)
        tape.message(json.dumps({"type": "auth_ok"}).encode(), sender=2)
        tape.message(json.dumps({"type": "watch", "id": "w1", "order": ORDER}).encode(), sender=1)
        tape.message(json.dumps({"type": "ack", "id": "w1"}).encode(), sender=2)
        tape.close_socket("bye")


def _shape(script: Script, template: Template) -> list[str]:
    return [script.slots[part].kind.value if isinstance(part, int) else "…" for part in template]


def _structure(plan: Plan) -> Any:
    (script,) = plan.scripts
    return {
        "routes": [route.name for route in plan.routes],
        "kinds": [kind.name for kind in plan.message_kinds],
        "slots": sorted(slot.name for slot in script.slots if slot.kind is SlotKind.EXTRACTED),
        "refreshes": [
            ([script.slots[slot].name for slot in each.slots], each.steps, [chain.steps for chain in each.chains])
            for each in script.refreshes
        ],
        "steps": [
            (
                step.kind,
                step.needs,
                step.reply,
                [(e.source, e.name, e.path) for e in step.extractors],
                _shape(script, step.payload),
                step.request and _shape(script, step.request.target),
                step.request and [(name.lower(), _shape(script, value)) for name, value in step.request.headers],
            )
            for step in script.steps
        ],
    }


def test_redaction_leaves_the_structure_of_the_plan_alone(tmp_path: Path) -> None:
    plain, redacted = tmp_path / "plain.rush", tmp_path / "redacted.rush"
    _record(plain)
    redactor = Redactor(Policy(), b"k" * KEY_BYTES)
    redact_file(str(plain), str(redacted), redactor)
    assert BEARER.encode() not in redacted.read_bytes()
    plans = [compile_plan(load_capture(path)) for path in (plain, redacted)]
    structures = [_structure(plan) for plan in plans]
    assert structures[0] == structures[1]
    assert {"access_token", "xsrf", "order_id"} <= set(structures[0]["slots"])
    columns = {slot.detail for slot in plans[1].scripts[0].slots if slot.kind is SlotKind.INPUT}
    assert columns == {"user", "password"}, "what was typed becomes columns, where it was literal before"
