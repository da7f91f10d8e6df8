"""Verification: what differs, what explains it, and one user against servers that answer as recorded, or do not."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from replayer.plan.compile import compile_plan
from replayer.plan.expectations import Learner
from replayer.plan.records import Expectation
from replayer.verify.compare import compared, plain_json
from replayer.verify.reasons import Facts, words_of
from replayer.verify.records import Aspect, Difference, Live, Recorded
from replayer.verify.rendering import render, to_document
from replayer.verify.reporting import Report
from replayer.verify.shapes import differences
from replayer.verify.verify import shower
from tests.commands import run_rushhour
from tests.fakes_captures import Tape, capture_of
from tests.replayer.shop import ANSWERS, open_shop, write_visit
from tests.replayer.watching import verified

JSON = "application/json"
ORDER = {"id": "8f3a9c1b7e5d4021aa", "status": "placed", "at": "2026-11-24T03:47:12.837Z", "n": 2, "rows": [{"k": 1}]}


def _learned(*documents: Any) -> Expectation:
    learner = Learner()
    for document in documents:
        learner.add(len(json.dumps(document)), document)
    return learner.expectation(statuses=(200,), content_type=JSON.encode())


def _found(recorded: Any, live: Any, **facts: Any) -> dict[tuple[str, str], str]:
    """By aspect and place: the reason, "" where there is none."""
    known = Facts(**{"expectation": _learned(recorded), **facts})
    seen = compared(
        Recorded(status=200, content_type=JSON, body=json.dumps(recorded).encode()),
        Live(outcome="ok", status=200, content_type=JSON, body=json.dumps(live).encode()),
        known,
        show=lambda _key, value: str(value),
        parse=plain_json,
    )
    return {(each.aspect.value, each.place): each.reason for each in seen}


# What came instead of ORDER, and what is told: aspect, place, part of the reason ("" is not explained).
CHANGES: list[tuple[dict[str, Any], tuple[str, str], str]] = [
    ({"id": "77aa9c1b7e5d402100"}, ("value", "id"), "minted by the server"),
    ({"at": "2027-01-02T03:04:05.000Z"}, ("value", "at"), "a time"),
    ({"n": 3}, ("value", "n"), "a number"),
    ({"rows": [{"k": 1}, {"k": 2}]}, ("length", "rows"), "another number of items"),
    ({"more": 1}, ("added", "more"), "in addition"),
    ({"n": None}, ("kind", "n"), "null"),
    # Not explained: another state, another kind, an empty array, an error beside the data.
    ({"status": "refused"}, ("value", "status"), ""),
    ({"n": "2"}, ("kind", "n"), ""),
    ({"rows": []}, ("empty", "rows"), ""),
    ({"error": "out of stock"}, ("added", "error"), ""),
]


@pytest.mark.parametrize(("change", "told", "why"), CHANGES)
def test_a_difference_is_explained_or_not(change: dict[str, Any], told: tuple[str, str], why: str) -> None:
    found = _found(ORDER, {**ORDER, **change})
    assert list(found) == [told]
    assert (why in found[told]) if why else found[told] == ""


def test_a_key_that_every_recorded_answer_has_is_missed_and_another_is_not() -> None:
    live = {key: value for key, value in ORDER.items() if key != "status"}
    assert _found(ORDER, live) == {("missing", "status"): ""}
    seen_both = _learned(ORDER, live)
    assert "other recorded answers lack it" in _found(ORDER, live, expectation=seen_both)["missing", "status"]


def test_what_follows_from_a_slot_is_explained_by_its_name() -> None:
    values = {b"8f3a9c1b7e5d4021aa": ("order_id", b"fresh-1")}
    live = {**ORDER, "id": "fresh-1"}
    assert _found(ORDER, live, values=values) == {("value", "id"): "slot order_id"}
    path = {"self": "/orders/8f3a9c1b7e5d4021aa/rows"}
    assert _found(path, {"self": "/orders/fresh-1/rows"}, values=values) == {("value", "self"): "slot order_id"}


def test_a_state_that_the_recording_shows_elsewhere_is_another_recorded_state() -> None:
    words: dict[str, set[Any]] = {}
    words_of({"rows": [{"status": "sent"}, {"ok": True}]}, words)
    assert words == {"status": {"sent"}, "ok": {True}}
    assert _found(ORDER, {**ORDER, "status": "sent"}, words=words)["value", "status"] == "another recorded state"
    assert _found({"ok": True}, {"ok": False}, words=words) == {("value", "ok"): ""}


# Recorded and live: status, content type, body; the aspect that is not explained, or None.
HEADS: list[tuple[tuple[int, str, bytes], tuple[int, str, bytes], Aspect | None]] = [
    ((200, JSON, b"{}"), (200, "application/json; charset=utf-8", b"{}"), None),
    ((304, "", b""), (200, JSON, b"{}"), None),
    ((200, JSON, b"{}"), (302, "text/html", b""), Aspect.STATUS),
    ((200, JSON, b'{"a": 1}'), (200, "text/html", b"<input type=password>"), Aspect.CONTENT_TYPE),
    ((200, JSON, b'{"a": 1}'), (200, JSON, b'{"a": '), Aspect.BODY),
    ((200, JSON, b'{"a": 1}'), (200, JSON, b""), Aspect.BODY),
    ((200, "text/html", b'<input name="csrf" value="x">'), (200, "text/html", b"<p>sorry</p>"), Aspect.MISSING),
    ((200, "text/html", b'<input name="csrf" value="x">'), (200, "text/html", b'<input name="csrf" value="y">'), None),
    ((204, "", b""), (204, "", b""), None),
]


@pytest.mark.parametrize(("recorded", "live", "aspect"), HEADS)
def test_status_type_and_body_are_compared(
    recorded: tuple[int, str, bytes], live: tuple[int, str, bytes], aspect: Aspect | None
) -> None:
    seen = compared(
        Recorded(status=recorded[0], content_type=recorded[1], body=recorded[2]),
        Live(outcome="ok", status=live[0], content_type=live[1], body=live[2]),
        Facts(expectation=Expectation()),
        show=lambda _key, value: str(value),
        parse=plain_json,
    )
    assert [each.aspect for each in seen if not each.is_explained] == ([aspect] if aspect else [])


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(DOCUMENTS, DOCUMENTS)
def test_documents_differ_exactly_where_they_are_unequal(recorded: Any, live: Any) -> None:
    assert differences(recorded, recorded) == []
    # Subtle: True == 1 in Python, but not in JSON; what JSON writes alike does not differ.
    if json.dumps(recorded, sort_keys=True) != json.dumps(live, sort_keys=True):
        assert differences(recorded, live)


def test_shown_values_hold_no_secrets() -> None:
    show = shower(None)
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLW9mLXNvbWUtbGVuZ3Ro"
    assert token not in show("access_token", token)
    assert "ann@shop.example" not in show("mail", "ann@shop.example")
    assert show("status", "refused") == '"refused"'
    assert len(show("text", "long " * 100)) < 80


# One user against servers.


@contextmanager
def _serving(answers: Mapping[str, tuple[int, str, bytes]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, media_type, body = answers[self.path]
            self.send_response(status)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _report(login: bytes, order: tuple[int, str, bytes]) -> Report:
    """Verify a session of two steps: a login whose token the second step sends."""
    tape = Tape()
    tape.post("/login", send_json={"device": "d"}, answer_json={"token": "aG93IG5vdw0rYnJvd24-Y293", "ok": True})
    tape.get("/orders", sent=[("Authorization", "Bearer aG93IG5vdw0rYnJvd24-Y293")], answer_json={"orders": [ORDER]})
    capture = capture_of(tape)
    with _serving({"/login": (200, JSON, login), "/orders": order}) as url:
        return verified(capture, compile_plan(capture), url)


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


def test_a_server_that_answers_as_recorded_is_as_recorded() -> None:
    fresh = _json({"orders": [{**ORDER, "id": "77aa9c1b7e5d402100"}]})
    report = _report(_json({"token": "bm90IHRoZSBzYW1lIG9uZS4x", "ok": True}), (200, JSON, fresh))
    login, orders = report.steps
    assert (login.n_wanted, login.n_found, login.n_fresh) == (1, 1, 1)
    assert [(each.place, each.reason) for each in login.differences][0][1].startswith("slot ")
    assert [each.place for each in orders.differences] == ["orders/0/id"]
    assert report.n_unexplained == 0
    assert to_document(report)["explained"] == report.n_explained == 2


def test_a_token_that_is_missing_is_named_with_the_step_that_needs_it() -> None:
    report = _report(_json({"ok": False}), (200, JSON, b"{}"))
    login, orders = report.steps
    told = {(each.aspect, each.place) for each in login.differences if not each.is_explained}
    assert told == {(Aspect.MISSING, "token"), (Aspect.VALUE, "ok"), (Aspect.EXTRACTOR, "token")}
    (unsent,) = orders.differences
    assert unsent.live == "not sent, correlation_miss: lacks token, of step 0 (POST /login)"
    out = io.StringIO()
    render(report, Console(file=out, width=120))
    assert "token was not found at json token: the steps that use it cannot be sent" in out.getvalue()
    assert "of the differences in 2 steps are not explained" in out.getvalue()


def test_a_failed_step_is_one_difference_with_its_class() -> None:
    report = _report(_json({"token": "bm90IHRoZSBzYW1lIG9uZS4x", "ok": True}), (403, JSON, b'{"error": "no"}'))
    assert report.steps[1].differences == (Difference(aspect=Aspect.OUTCOME, recorded="status 200", live="status_403"),)


@pytest.mark.process
def test_the_command_verifies_a_shop_and_refuses_a_session_that_is_not_there(tmp_path: Path) -> None:
    capture = write_visit(tmp_path / "visit.rush")
    options = ["--allow-target", "shop.example"]
    with open_shop() as shop:
        done = run_rushhour("verify", str(capture), "--target", shop.url, "--json", *options, cwd=tmp_path)
        other = run_rushhour("verify", str(capture), "--target", shop.url, "--session", "7", *options, cwd=tmp_path)
    report = json.loads(done.stdout)
    assert (done.returncode, report["unexplained"]) == (0, 0), done.stderr
    assert [step["status"]["live"] for step in report["steps"]] == [200] * len(report["steps"])
    assert len(report["steps"]) == len(ANSWERS) + 1
    assert other.returncode == 2 and "session" in other.stderr
    assert list(tmp_path.iterdir()) == [capture]  # A verification leaves nothing behind.
