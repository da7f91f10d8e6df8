"""A whole capture: what is compiled, where it goes, the same bytes every time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from captures.errors import ReplayError
from captures.records import Origin
from replayer.plan.codec import plan_from_bytes, plan_sha256, plan_to_bytes
from replayer.plan.compile import compile_plan
from replayer.plan.records import Plan
from tests.commands import ROOT
from tests.fakes_captures import PAGE, WALL_NS, Tape, capture_of

API = Origin("https", "api.example", 443)
CDN = Origin("https", "cdn.example", 443)


def rich_plan() -> Plan:
    """Compile a recording that has a bit of everything."""
    tapes = []
    for number in (1, 2):
        token = hashlib.sha256(b"%d" % number).hexdigest()
        tape = Tape(number)
        tape.get("/", html=f'<input name="csrf" value="{token[::-1]}">', headers=[("Set-Cookie", f"sid={token[:20]}")])
        tape.post("/login", send_json={"user": "ann", "password": "x"}, answer_json={"token": token, "n": number})
        auth = [("Authorization", f"Bearer {token}"), ("Cookie", f"sid={token[:20]}; theme=dark")]
        tape.post(
            "/orders", form=f"csrf={token[::-1]}&a=b", sent=auth, answer_json={"id": f"ord_{number}7af"}, status=201
        )
        tape.get(f"/orders/ord_{number}7af", sent=[*auth, ("Referer", f"{PAGE}/")], answer_json={"a": {"b": [1]}})
        tape.get("/x.js", origin=CDN)
        tape.get("/data", origin=API, answer_json={"a": 1})
        messages = [
            (30.0, ">", {"type": "join", "id": f"2f1acc6c-3a3b-4f7e-9c0d-0242ac12000{number}"}),
            (40.0, "<", {"type": "joined", "id": f"2f1acc6c-3a3b-4f7e-9c0d-0242ac12000{number}"}),
            (50.0, "<", {"type": "ping", "id": token[:12]}),
            (52.0, ">", {"type": "pong", "id": token[:12]}),
        ]
        tape.socket(f"/ws?token={token}", messages, close_ms=900)
        tapes.append(tape)
    return compile_plan(capture_of(*tapes), mapped=frozenset({API}))


def test_the_same_capture_gives_the_same_bytes_whatever_the_hash_seed() -> None:
    code = "from tests.replayer.test_plan_compile import *; print(plan_sha256(rich_plan()))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("0", "1", "4711")
    }
    assert digests == {plan_sha256(rich_plan())}


def test_a_plan_survives_its_coding() -> None:
    plan = rich_plan()
    assert plan_from_bytes(plan_to_bytes(plan)) == plan


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92\x01\x90", b"\x92\x63\x90", b"\x01"])
def test_what_is_no_plan_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(ReplayError):
        plan_from_bytes(data)


def test_the_page_comes_first_mapped_origins_follow_and_the_rest_is_counted() -> None:
    plan = rich_plan()
    assert plan.origins == (PAGE, API)
    assert plan.dropped_origins == ((str(CDN), 2),)
    assert {step.origin for script in plan.scripts for step in script.steps} == {0, 1}


def test_a_mapped_origin_that_nothing_went_to_is_no_origin_of_the_plan() -> None:
    tape = Tape()
    tape.get("/")
    assert compile_plan(capture_of(tape), mapped=frozenset({API, PAGE})).origins == (PAGE,)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        # What the header says, sockets and default ports included.
        ("https://api.example/app", API),
        ("wss://api.example:443/", API),
        # It never answered, or is no URL: the busiest.
        ("http://nobody.example/", PAGE),
        ("not a url", PAGE),
        ("", PAGE),
        # It only redirected to the page.
        ("https://cdn.example/", PAGE),
    ],
)
def test_the_pages_origin(url: str, expected: Origin) -> None:
    tape = Tape()
    tape.get("/", origin=CDN, status=301, headers=[("Location", f"{PAGE}/")])
    tape.get("/")
    tape.get("/a")
    tape.get("/data", origin=API)
    assert compile_plan(capture_of(tape, url=url)).origins == (expected,)


def test_times_are_those_of_the_sessions() -> None:
    first, second = Tape(1), Tape(2)
    first.get("/", at_ms=1000, took_ms=10)
    second.get("/", at_ms=1500, took_ms=10)
    second.get("/a", at_ms=3500, took_ms=100)
    plan = compile_plan(capture_of(first, second))
    assert [script.start_ns for script in plan.scripts] == [0, 500_000_000]
    assert [script.duration_ns for script in plan.scripts] == [10_000_000, 2_100_000_000]
    assert [step.at_ns for step in plan.scripts[1].steps] == [0, 2_000_000_000]
    assert plan.anchor_wall_ns == WALL_NS + 1_000_000_000


def test_a_capture_without_exchanges_is_an_empty_plan() -> None:
    assert compile_plan(capture_of()) == replace(
        compile_plan(capture_of()), origins=(), routes=(), scripts=(), message_kinds=()
    )
    assert compile_plan(capture_of()).scripts == ()


def test_a_session_that_went_nowhere_we_go_is_no_script() -> None:
    first, second = Tape(1), Tape(2)
    first.get("/")
    second.get("/x.js", origin=CDN)
    assert [script.session for script in compile_plan(capture_of(first, second)).scripts] == [1]


def test_a_capture_without_answers_is_compiled_all_the_same() -> None:
    tape = Tape()
    for path in ("/a", "/b"):
        tape.get(path, status=None)
    (script,) = compile_plan(capture_of(tape)).scripts
    assert [(step.needs, step.expectation.statuses) for step in script.steps] == [((), ()), ((), ())]
