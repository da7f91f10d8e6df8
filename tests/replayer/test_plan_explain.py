"""What people are told of a plan."""

from __future__ import annotations

import io
import json
from pathlib import Path

from click.testing import CliRunner
from rich.console import Console

from replayer.plan.cli import plan as plan_command
from replayer.plan.compile import Compiled, compile_explained
from replayer.plan.explain import render_plan, shortened, to_document
from tests.fakes_captures import Tape, capture_of

TOKEN = "Zx81kQpTeyW0mBv7_JrXa-99sLwQ"
STRANGER = "5e884898da28047151d0e56f8dc62927"


def _compiled() -> Compiled:
    tape = Tape()
    tape.post("/login", send_json={"user": "ann", "password": "hunter2hunter2"}, answer_json={"access_token": TOKEN})
    auth = [("Authorization", f"Bearer {TOKEN}"), ("X-Device", STRANGER), ("Cookie", "theme=dark")]
    tape.get("/me", sent=auth, answer_json={"name": "ann"})
    messages = [
        (30.0, ">", {"type": "join", "id": 1}),
        (40.0, "<", {"type": "joined", "id": 1}),
        (50.0, "<", {"type": "ping", "id": "a1b2c3d4e5f6"}),
        (52.0, ">", {"type": "pong", "id": "a1b2c3d4e5f6"}),
    ]
    tape.socket(f"/ws?token={TOKEN}", messages)
    return compile_explained(capture_of(tape))


def _text(compiled: Compiled) -> str:
    out = io.StringIO()
    render_plan(compiled, Console(file=out, width=200, highlight=False))
    return out.getvalue()


def test_the_document_names_producer_consumers_and_evidence_of_every_slot() -> None:
    (session,) = to_document(_compiled())["sessions"]
    (slot,) = [slot for slot in session["slots"] if slot["name"] == "access_token"]
    assert slot["producer"] == {"step": 0, "place": "json /access_token"}
    assert [(c["step"], c["place"]) for c in slot["consumers"]] == [(1, "header authorization"), (2, "query token")]
    for consumer in slot["consumers"]:
        assert consumer["score"] == sum(term["points"] for term in consumer["evidence"]) >= 5


def test_the_document_says_why_a_step_waits_and_what_stays_as_it_was() -> None:
    (session,) = to_document(_compiled())["sessions"]
    assert session["steps"][1]["needs"] == [{"step": 0, "why": "value"}]
    assert {(literal["place"], literal["why"]) for literal in session["literals"]} == {
        ("json /password", "credential"),
        ("json /user", "credential"),
        ("header x-device", "unbound"),
    }
    assert session["cookies_from_before"] == ["theme"]
    assert session["responders"] == [{"route": "WS /ws", "answers": "ping", "repeats": ["id"]}]
    assert session["steps"][4]["pairing"] == {"rule": "id", "support": 1, "send_path": ["id"], "reply_path": ["id"]}


def test_the_document_is_json_and_shows_no_secret_whole() -> None:
    text = json.dumps(to_document(_compiled()))
    assert not [secret for secret in (TOKEN, STRANGER, "hunter2") if secret in text]


def test_the_text_tells_the_same_and_shows_no_secret_whole() -> None:
    text = _text(_compiled())
    assert not [secret for secret in (TOKEN, STRANGER, "hunter2") if secret in text]
    for expected in (
        "http://shop.example:8000 is what --target replaces",
        "access_token = Zx81kQpT… (28), from step 0 (POST /login), json /access_token",
        "header authorization of step 1",
        "credential: typed by a person",
        "unbound: looks minted",
        "paired by id",
        "POST /login (writes)",
        "answered whenever it comes: ping on WS /ws, repeating id",
        "cookies that no recorded response had set, kept as recorded: theme",
        "note: a socket was open when the recording stopped",
    ):
        assert expected in text


def test_what_a_capture_holds_cannot_act_on_the_terminal() -> None:
    tape = Tape()
    tape.get("/a[red]b\x1b[31m?x=1", answer_json={"a": 1})
    text = _text(compile_explained(capture_of(tape)))
    assert "[red]" in text
    assert "\x1b" not in text


def test_values_are_shortened_to_their_beginning() -> None:
    assert shortened(b"short") == "short"
    assert shortened(b"a" * 50) == "aaaaaaaa… (50)"
    assert shortened(b"\x1b[31m") == "·[31m"


def test_the_command_explains_a_capture(golden: Path) -> None:
    runner = CliRunner()
    shown = runner.invoke(plan_command, [str(golden)])
    assert (shown.exit_code, "POST /api/login" in shown.output) == (0, True)
    document = json.loads(runner.invoke(plan_command, [str(golden), "--json"]).output)
    assert document["sessions"][0]["steps"]


def test_an_origin_that_is_none_is_refused(golden: Path) -> None:
    result = CliRunner().invoke(plan_command, [str(golden), "--map", "api"])
    assert "no origin" in str(result.exception)
