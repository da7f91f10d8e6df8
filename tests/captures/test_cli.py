"""``rushhour inspect`` and ``rushhour recover`` as a person uses them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from captures.cli import inspect, recover
from captures.errors import CaptureError
from captures.format.reader import open_capture
from captures.records import EventType
from captures.sessions import load_sessions
from tests.captures.samples import Spec, connection_open, message, request, shop_session, socket_open, write
from tests.commands import ROOT


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A small whole capture."""
    path = tmp_path / "shop.rush"
    write(path, shop_session(), seal_every=5)
    return path


def inspected(path: Path, *options: str) -> Result:
    """The result of ``inspect``."""
    return CliRunner().invoke(inspect, [str(path), *options])


def document_of(path: Path) -> dict[str, object]:
    """What ``inspect --json`` prints, which must be exactly one document."""
    result = inspected(path, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert isinstance(document, dict)
    return document


def test_the_view_tells_what_a_capture_holds(shop: Path) -> None:
    result = inspected(shop)
    assert result.exit_code == 0
    assert "1 session, 3 exchanges, 1 socket, 2 messages" in result.stdout
    assert "http://shop.example" in result.stdout
    assert "complete  yes" in result.stdout
    assert "damaged" not in result.stdout


def test_json_is_one_document_with_every_count(shop: Path) -> None:
    document = document_of(shop)
    assert (document["exchanges"], document["sockets"], document["messages"]) == (3, 1, 2)
    assert document["origins"] == {"http://shop.example": 3}
    assert document["left_out"] == {"https://ads.example": 3}
    assert document["complete"] is True and document["damage"] == []
    assert document["recorded_at"] == "2026-09-21T14:13:20Z"
    assert document["facts"] == {"tool": "rushhour", "version": "0.1.0", "url": "http://shop.example/"}
    assert document["sessions"] == [
        {
            "id": 1,
            "rule": "listener",
            "start_s": 1e-06,
            "duration_s": 7e-06,
            "exchanges": 3,
            "sockets": 1,
            "messages": 2,
            "origins": {"http://shop.example": 3},
        }
    ]


def test_what_went_wrong_while_recording_is_told_whatever_a_note_holds(tmp_path: Path) -> None:
    path = tmp_path / "troubled.rush"
    failed: dict[str, object] = {"name": "tls_failed", "value": ["shop.example", "no common cipher"]}
    odd: dict[str, object] = {"name": "hook_failed", "value": {"\x1b[2J": [b"\xff", 1.5, None]}}
    told: list[Spec] = [(EventType.NOTE, 9_000, 0, 0, note) for note in (failed, failed, odd)]
    write(path, [*request(1, 1, 1), *told, (EventType.NOTE, 9_001, 0, 0, {"name": "ending", "value": "complete"})])
    troubles = document_of(path)["troubles"]
    assert isinstance(troubles, list)
    assert troubles[0] == {"note": "tls_failed", "said": "shop.example: no common cipher", "count": 2}
    assert [trouble["note"] for trouble in troubles] == ["tls_failed", "hook_failed"]
    text = inspected(path).stdout
    assert "tls_failed: shop.example: no common cipher, 2 times" in text and "\x1b" not in text


def test_the_counts_are_those_of_the_assembled_sessions(tmp_path: Path) -> None:
    specs: list[Spec] = [connection_open(number, f"127.0.0.1:{9000 + number % 2}") for number in (1, 2, 3)]
    specs += request(5, 1, 1) + socket_open(6, 2, 2) + request(7, 3, 3, host="api.example", scheme="https", port=443)
    specs += [message(20 + number, 2, 2, b"x") for number in range(5)] + request(40, 3, 4)
    path = tmp_path / "several.rush"
    late: Spec = (EventType.SESSION, 90, 3, 4, {"session": 9, "rule": "cookie"})
    for name, extra in (("by connection", []), ("by exchange", [late])):
        path = tmp_path / f"{name}.rush"
        sessions = load_sessions(write(path, [*specs, *extra], seal_every=3))
        expected = [
            (
                session.id,
                len(session.exchanges),
                sum(exchange.socket is not None for exchange in session.exchanges),
                sum(len(exchange.socket.messages) for exchange in session.exchanges if exchange.socket),
            )
            for session in sessions
        ]
        found = document_of(path)["sessions"]
        assert isinstance(found, list)
        assert [(s["id"], s["exchanges"], s["sockets"], s["messages"]) for s in found] == expected
        with open_capture(path) as reader:
            assert reader.sessions() == [session.id for session in sessions]


def test_a_truncated_capture_is_shown_with_what_is_missing_and_the_way_out(shop: Path) -> None:
    shop.write_bytes(shop.read_bytes()[:-200])
    result = inspected(shop)
    assert result.exit_code == 0
    assert "complete  no" in result.stdout
    assert "the file ends at byte" in result.stdout
    assert f"rushhour recover {shop} -o OUT" in result.stdout


def test_json_of_a_damaged_capture_says_so_and_warns_on_stderr(shop: Path, caplog: pytest.LogCaptureFixture) -> None:
    shop.write_bytes(shop.read_bytes()[:-200])
    with caplog.at_level(logging.WARNING):
        document = document_of(shop)
    assert document["complete"] is False and document["damage"]
    assert "is damaged" in caplog.text


def test_hostile_text_reaches_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "hostile.rush"
    evil = "\x1b[2J[red]\u202eevil\ud800"
    specs = request(1, 1, 1, host=evil)
    write(path, [*specs, (EventType.SESSION, 2, 1, 0, {"session": 1, "rule": evil})])
    result = inspected(path)
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout and "\u202e" not in result.stdout
    assert "[red]" in result.stdout
    assert json.loads(inspected(path, "--json").stdout)["exchanges"] == 1


def test_recover_prints_loss_and_the_next_step(shop: Path, tmp_path: Path) -> None:
    shop.write_bytes(shop.read_bytes()[:-200])
    out = tmp_path / "out.rush"
    result = CliRunner().invoke(recover, [str(shop), "-o", str(out)])
    assert result.exit_code == 0
    assert "lost: the file ends at byte" in result.stdout
    assert f"kept: {len(shop_session())} events, 3 exchanges, 2 messages" in result.stdout
    assert f"next: rushhour inspect {out}" in result.stdout
    assert document_of(out)["complete"] is True


def test_recover_of_a_whole_capture_loses_nothing(shop: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(recover, [str(shop), "-o", str(tmp_path / "out.rush")])
    assert result.exit_code == 0
    assert "lost: nothing" in result.stdout


def test_errors_reach_the_front_door_as_they_are(tmp_path: Path) -> None:
    result = inspected(tmp_path / "missing.rush")
    assert isinstance(result.exception, CaptureError)
    assert CliRunner().invoke(recover, [str(tmp_path / "a.rush")]).exit_code == 2, "-o is required"


def rushhour(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The real command, through the front door."""
    command = [sys.executable, "-m", "rushhour", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.process
def test_exit_codes_and_sentences_of_the_real_command(shop: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    assert rushhour("inspect", shop).returncode == 0
    assert json.loads(rushhour("inspect", shop, "--json").stdout)["exchanges"] == 3
    for arguments, sentence in [
        (("inspect", tmp_path / "missing.rush"), "no such file"),
        (("inspect", text), "not a capture"),
        (("inspect", tmp_path), "not a file"),
        (("recover", text, "-o", tmp_path / "new.rush"), "not a capture"),
        (("recover", shop, "-o", text), "exists already"),
        (("recover", shop, "-o", tmp_path / "no" / "where.rush"), "cannot be written"),
    ]:
        done = rushhour(*arguments)
        assert done.returncode == 2, done.stderr
        assert sentence in done.stderr and "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1 and done.stdout == ""
    assert text.read_text() == "hello"
    assert rushhour("recover", shop, "-o", tmp_path / "new.rush").returncode == 0
