"""``rushhour scan`` and ``rushhour redact``: what they find, what they write, what they say."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from captures.errors import CaptureError, ConfigError
from captures.redact.cli import redact, scan
from captures.sessions import load_capture
from tests.captures.planted import CLASSES, bodies, messages
from tests.captures.recording import Tape
from tests.captures.samples import corrupted

TOKEN = "q8ZkP2nV5xYw3RtAq8ZkP2nV"


def run(command: click.Command, *arguments: object) -> Result:
    """Run a command as the front door does."""
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def clear(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A capture in clear, with one secret of every class in a few places."""
    path, values = tmp_path_factory.mktemp("clear") / "clear.rush", list[str]()
    with Tape(path, redaction=(False, "", "")) as tape:
        tape.exchange(json.dumps({"thing": TOKEN}).encode(), "application/json", "", is_request=False)
        for klass, (name, make, _) in CLASSES.items():
            values += [make() for _ in range(3)]
            content_type, text = bodies(name, values[-3])["json"]
            tape.exchange(gzip.compress(text), content_type, "gzip", is_request=klass == "password", target=f"/{name}")
            content_type, text = bodies(name, values[-2])["form"]
            tape.exchange(text, content_type, "", is_request=True, target=f"/{name}")
            tape.message(messages(name, values[-1])["socket.io"], sender=2)
        tape.ask("/a", authorization=f"Bearer {TOKEN}")
    return path, [*values, TOKEN]


def test_a_scan_finds_every_planted_secret_and_shows_none(clear: tuple[Path, list[str]]) -> None:
    path, values = clear
    result = run(scan, path)
    assert result.exit_code == 1
    assert not [value for value in values if value in result.output]
    for name, _, _ in CLASSES.values():
        assert f"/{name} re" in result.output
    assert f"next: rushhour redact {path} -o OUT" in result.output
    document = json.loads(run(scan, path, "--json").output)
    assert (document["clean"], document["redacted"], document["schema"]) == (False, False, 1)
    assert sum(finding["count"] for finding in document["findings"]) >= len(values) - 1
    assert {finding["class"] for finding in document["findings"]} == {"secret", "credential", "personal"}
    assert not [value for value in values if value in json.dumps(document)]


def test_a_redacted_copy_is_clean_and_keeps_the_traffic(clear: tuple[Path, list[str]], tmp_path: Path) -> None:
    path, values = clear
    before, out = path.read_bytes(), tmp_path / "out.rush"
    result = run(redact, path, "-o", out)
    assert result.exit_code == 0, result.output
    assert "replaced: " in result.output and "inputs: password" in result.output
    assert path.read_bytes() == before and os.stat(out).st_mode & 0o777 == 0o600
    cleaned = run(scan, out)
    assert cleaned.exit_code == 0, cleaned.output
    assert cleaned.output.startswith("clean: nothing found in ")
    ours, theirs = load_capture(out), load_capture(path)
    assert len(ours.sessions[0].exchanges) == len(theirs.sessions[0].exchanges)
    assert [exchange.start_ns for exchange in ours.sessions[0].exchanges] == [
        exchange.start_ns for exchange in theirs.sessions[0].exchanges
    ]
    data = repr(ours)
    assert not [value for value in values if value in data]
    # Known only at the end of the file, replaced at its beginning.
    assert json.loads(ours.sessions[0].exchanges[0].response_body.data)["thing"] != TOKEN
    edits = ours.header["edits"]
    assert isinstance(edits, list) and edits[-1]["sources"][0]["sha256"] == theirs.sha256


def test_redacting_twice_changes_nothing(clear: tuple[Path, list[str]], tmp_path: Path) -> None:
    once, twice = tmp_path / "once.rush", tmp_path / "twice.rush"
    assert run(redact, clear[0], "-o", once).exit_code == 0
    result = run(redact, once, "-o", twice)
    assert "replaced: nothing" in result.output
    assert load_capture(twice).sessions == load_capture(once).sessions


def test_a_key_file_makes_equal_stand_ins_in_two_files(clear: tuple[Path, list[str]], tmp_path: Path) -> None:
    outs = [tmp_path / f"{name}.rush" for name in ("one", "two", "other")]
    for out in outs[:2]:
        assert run(redact, clear[0], "-o", out, "--key-file", tmp_path / "key").exit_code == 0
    assert run(redact, clear[0], "-o", outs[2]).exit_code == 0
    one, two, other = [load_capture(out).sessions for out in outs]
    assert one == two != other


def test_what_is_wrong_is_said(clear: tuple[Path, list[str]], tmp_path: Path) -> None:
    taken = tmp_path / "taken.rush"
    taken.write_text("precious")
    assert isinstance(run(redact, clear[0], "-o", taken).exception, ConfigError)
    assert taken.read_text() == "precious"
    assert isinstance(run(redact, taken, "-o", tmp_path / "x.rush").exception, CaptureError)
    assert isinstance(run(scan, tmp_path / "nowhere.rush").exception, CaptureError)
    assert isinstance(run(scan, clear[0], "--policy", tmp_path / "nowhere.toml").exception, ConfigError)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.rush"]


def test_a_damaged_capture_is_redacted_as_far_as_it_is_good(clear: tuple[Path, list[str]], tmp_path: Path) -> None:
    damaged, out = tmp_path / "damaged.rush", tmp_path / "out.rush"
    data = clear[0].read_bytes()
    damaged.write_bytes(corrupted(data, len(data) // 2))
    assert run(redact, damaged, "-o", out).exit_code == 0
    assert run(scan, out).exit_code == 0
    assert run(scan, damaged).exit_code in (0, 1)


def test_an_identities_file_that_is_there_stays(clear: tuple[Path, list[str]], tmp_path: Path) -> None:
    out, identities = tmp_path / "out.rush", tmp_path / "out.rush.identities.csv"
    identities.write_text("password\nhunter2\n")
    assert run(redact, clear[0], "-o", out).exit_code == 0
    assert identities.read_text() == "password\nhunter2\n"
