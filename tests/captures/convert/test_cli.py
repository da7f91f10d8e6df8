"""``rushhour convert``: what it prints, what it refuses, what it leaves behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from captures.convert.cli import convert
from captures.convert.formats import formats_of
from captures.errors import CaptureError, CaptureSealed, ConfigError, ExitCode
from captures.sessions import load_capture
from tests.captures.convert_samples.hars import entry, message, socket, write_har
from tests.captures.convert_samples.reading import exchanges_of
from tests.captures.samples import disk_of


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(convert, list(map(str, arguments)), catch_exceptions=True)


def test_json_is_one_document_with_counts_and_what_is_not_held(tmp_path: Path) -> None:
    har = write_har(tmp_path / "a.har", entry(), socket([message(1, "x")]))
    result = _run(har, tmp_path / "a.rush", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["schema"], found["sessions"], found["exchanges"], found["sockets"], found["messages"]) == (
        1,
        1,
        2,
        1,
        1,
    )
    assert found["source"]["format"] == "har"
    assert found["source"]["creator"] == "WebInspector 1"
    assert found["out"] == {
        "path": str(tmp_path / "a.rush"),
        "format": "rush",
        "size_bytes": (tmp_path / "a.rush").stat().st_size,
    }
    assert found["not_held"] == ["sockets of which the HAR does not say when and how they closed: 1 (first: entry 2)"]
    assert (found["complete"], found["damage"]) == (True, [])


def test_what_is_not_held_is_a_warning_and_the_next_command_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    har = write_har(tmp_path / "a.har", socket([message(1, "x")]))
    result = _run(har, tmp_path / "a.rush")
    assert result.stdout.splitlines() == [
        f"wrote {tmp_path}/a.rush: 1 session, 1 exchange, 1 socket, 1 message",
        f"next: rushhour inspect {tmp_path}/a.rush",
        f"      rushhour scan {tmp_path}/a.rush   (secrets are as the other tool wrote them)",
    ]
    assert "does not say when and how they closed" in caplog.text


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("a.har", "b.har"),
        ("a.rush", "b.rush"),
        ("a.rush", "b.mitm"),
        ("a.mitm", "b.har"),
        ("a", "b"),
        ("a.txt", "b.rush"),
    ],
)
def test_what_cannot_be_converted_is_refused_with_what_can(source: str, out: str) -> None:
    with pytest.raises(
        ConfigError, match="there is no conversion of .* to .*: possible are .har, .mitm and .gor"
    ) as caught:
        formats_of(source, out)
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(("source", "out"), [("A.HAR", "b.RUSH"), ("a.gor.gz", "b.rush"), ("a.har.gz", "b.rush")])
def test_suffixes_decide_whatever_their_case(source: str, out: str) -> None:
    assert formats_of(source, out)[1].value == ".rush"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    har, out = write_har(tmp_path / "a.har", entry()), tmp_path / "a.rush"
    out.write_text("mine", encoding="utf-8")
    result = _run(har, out)
    assert isinstance(result.exception, ConfigError)
    assert "exists already" in str(result.exception)
    assert out.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["missing.har", "folder.har", "pipe.har"])
def test_a_source_that_is_no_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.har").mkdir()
    os.mkfifo(tmp_path / "pipe.har")
    result = _run(tmp_path / name, tmp_path / "a.rush")
    assert isinstance(result.exception, CaptureError)
    assert str(tmp_path / name) in str(result.exception)
    assert not (tmp_path / "a.rush").exists()


def test_an_out_without_a_directory_is_refused(tmp_path: Path) -> None:
    result = _run(write_har(tmp_path / "a.har", entry()), tmp_path / "nowhere" / "a.rush")
    assert isinstance(result.exception, ConfigError)
    assert "there is no directory" in str(result.exception)


def test_a_disk_that_fills_up_leaves_a_sealed_capture_or_none_and_says_so(tmp_path: Path) -> None:
    texts = [os.urandom(20_000).hex() for _ in range(10)]
    entries = [entry(response={"content": {"mimeType": "text/plain", "text": text}}) for text in texts]
    har, out = write_har(tmp_path / "a.har", *entries), tmp_path / "a.rush"
    for limit in (10, 40_000, 150_000, 230_000):
        with disk_of(limit):
            result = _run(har, out)
        if isinstance(result.exception, CaptureSealed):
            assert str(out) in str(result.exception)
            assert exchanges_of(load_capture(out, allow_damage=True))
            out.unlink()
        else:
            assert isinstance(result.exception, ConfigError), result.exception
            assert not out.exists()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.har"]


def test_the_command_explains_itself() -> None:
    result = _run("--help")
    assert result.exit_code == 0
    assert convert.epilog is not None
    assert sum(line.startswith("  rushhour convert ") for line in convert.epilog.splitlines()) >= 2
