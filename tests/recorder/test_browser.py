"""Real Chromium through the real recorder, and the leash it is kept on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme

from captures.errors import ConfigError, ReplayError
from captures.records import Peer
from recorder.browser import VARIABLE, Visitor, browser_version, find_browser, require_browser, require_display
from recorder.counts import Counts
from recorder.options import RecordOptions, Stop, Upstream, Visit
from recorder.record import record
from tests.recorder.reading import recorded
from tests.recorder.servers import PAGE, http_server, socket_server

SECOND_NS = 1_000_000_000
PATIENCE_S = 20.0
# It is asked to end for a shorter time, so that a stubborn program takes none of ours.
LEASH = "import recorder.leash as leash; leash.TERM_TIMEOUT_S = 0.3; leash.main()"

browser = pytest.mark.browser
process = pytest.mark.process


@browser
@process
@pytest.mark.parametrize("is_encrypted", [False, True], ids=["http", "https"])
def test_a_real_page_is_recorded_with_its_calls_and_its_socket(
    tmp_path: Path, authority: trustme.CA, authority_file: Path, is_encrypted: bool
) -> None:
    with socket_server() as sockets:
        page = PAGE.replace("SOCKET_PORT", str(sockets.port))
        if is_encrypted:
            page = page.replace("new WebSocket('ws:", "{}; const insecure = () => new WebSocket('ws:")
            page = (
                page.partition("socket.onopen")[0]
                + "seen.then(() => fetch('/seen')).then(() => fetch('/done'));</script>"
            )
        with http_server(page=page, authority=authority if is_encrypted else None) as site:
            options = RecordOptions(
                url=f"{site.url}/page",
                out=tmp_path / "a.rush",
                visit=Visit.HEADLESS,
                duration_ns=60 * SECOND_NS,
                upstream=Upstream(ca_file=authority_file),
            )
            # What a Ctrl-C does, once all is there: the page and its three calls; with the socket, its two messages.
            n_exchanges, n_messages = (4, 0) if is_encrypted else (5, 2)

            def stop_when_complete(counts: Counts) -> None:
                if counts.n_exchanges >= n_exchanges and counts.n_messages >= n_messages and not stopped:
                    stopped.append(counts)
                    os.kill(os.getpid(), signal.SIGINT)

            stopped: list[Counts] = []
            result = record(options, on_counts=stop_when_complete)
    found = recorded(result.path)
    assert result.stop is Stop.ASKED
    assert found.capture.complete
    assert found.only("/page").origin.scheme == site.scheme
    assert found.only("/echo").request_body.data == b"order=1"
    assert found.only("/seen").status == 200
    assert [session.rule for session in found.capture.sessions] == ["listener"]
    if not is_encrypted:
        talk = found.only("/").socket
        assert talk is not None
        told = [(message.sender, message.data) for message in talk.messages]
        assert talk.close_code == 1001
        assert told == [(Peer.CLIENT, b"from the page"), (Peer.SERVER, b"from the page")]


@browser
@process
def test_a_browser_that_closes_ends_the_recording(tmp_path: Path) -> None:
    # With a dump of the page asked for, headless Chromium loads it and leaves by itself.
    with http_server(page="<title>short</title>") as site:
        options = RecordOptions(
            url=f"{site.url}/page",
            out=tmp_path / "a.rush",
            visit=Visit.HEADLESS,
            browser_args=("--dump-dom",),
            duration_ns=60 * SECOND_NS,
        )
        result = record(options)
    assert result.stop is Stop.BROWSER_CLOSED
    assert recorded(result.path).only("/page").status == 200


@browser
def test_the_browser_tells_its_version() -> None:
    assert any(digit.isdigit() for digit in browser_version(require_browser()))


@process
def test_a_browser_that_fails_at_once_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "browser"
    program.write_text("#!/bin/sh\necho out of order >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(program))
    with http_server() as site, pytest.raises(ReplayError, match=r"exit code 3.*out of order"):
        record(RecordOptions(url=site.url, out=tmp_path / "a.rush", visit=Visit.HEADLESS))


def test_a_browser_is_found_by_the_variable_then_by_its_usual_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("google-chrome", "mine"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    assert find_browser() == str(tmp_path / "google-chrome")
    monkeypatch.setenv(VARIABLE, "mine")
    assert find_browser() == str(tmp_path / "mine")
    monkeypatch.setenv(VARIABLE, "nowhere")
    with pytest.raises(ConfigError, match="nowhere"):
        find_browser()


def test_no_browser_and_no_display_are_said_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for name in (VARIABLE, "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="--no-browser"):
        require_browser()
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(ConfigError, match="--headless"):
        require_display()


def test_the_users_arguments_win_and_the_loopback_goes_through_the_proxy() -> None:
    visitor = Visitor(
        program="chromium", url="http://a/", proxy="127.0.0.1:1", spki="x=", is_headless=True, args=("--lang=de",)
    )
    command = visitor.command("/profile")
    assert command[0] == "chromium"
    assert command[-2:] == ["--lang=de", "http://a/"]
    assert {"--proxy-bypass-list=<-loopback>", "--ignore-certificate-errors-spki-list=x=", "--headless"} <= set(command)
    assert ("--no-sandbox" in command) is (os.geteuid() == 0)


def _leash(directory: Path, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", LEASH, str(directory), "", *command], stdin=subprocess.PIPE)


def _is_gone(pid: int) -> bool:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


@process
@pytest.mark.parametrize("ending", ["close", "kill holder"])
def test_the_leash_ends_a_program_with_its_children_and_its_directory(tmp_path: Path, ending: str) -> None:
    directory, told = tmp_path / "profile", tmp_path / "pids"
    directory.mkdir()
    # A program with a child that would outlive it, and one that left its group; once, it is stubborn as well.
    trap = "trap '' TERM;" if ending == "close" else ""
    runaway = "setsid sleep 300 & runaway=$!"
    script = f"{trap} {runaway}; sleep 300 & echo $$ $! $runaway > {told}.part; mv {told}.part {told}; wait"
    command = ["/bin/sh", "-c", script]
    if ending == "close":
        holder = _leash(directory, *command)
    else:
        code = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE).wait()"
        leash = [sys.executable, "-c", LEASH, str(directory), "", *command]
        holder = subprocess.Popen([sys.executable, "-c", code, *leash], stdin=subprocess.PIPE)
    with holder:
        deadline_s = time.monotonic() + PATIENCE_S
        while not told.exists():
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        pids = [int(pid) for pid in told.read_text().split()]
        if ending == "kill holder":
            holder.send_signal(signal.SIGKILL)
    assert all(map(_is_gone, pids))
    deadline_s = time.monotonic() + PATIENCE_S
    while directory.exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@process
def test_the_leash_gives_the_programs_exit_code_and_clears_up(tmp_path: Path) -> None:
    directory = tmp_path / "profile"
    (directory / "deep").mkdir(parents=True)
    with _leash(directory, "/bin/sh", "-c", "exit 7") as leash:
        assert leash.wait(PATIENCE_S) == 7
    assert not directory.exists()
