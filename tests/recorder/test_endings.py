"""How recordings end: killed, cut short, without room on the disk; what is in the file then."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from captures.sessions import load_capture
from recorder.authority import open_authority
from recorder.options import RecordOptions
from recorder.proxy import Proxy, addon_path
from recorder.status import Status, Word
from tests.commands import RUSHHOUR
from tests.recorder.reading import recorded
from tests.recorder.servers import Site

pytestmark = pytest.mark.process

PATIENCE_S = 30.0
N_MESSAGES = 50


def _until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline_s, "it does not come"
        time.sleep(0.02)


def _children(pid: int) -> list[int]:
    paths = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in paths for child in path.read_text().split()]


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def _talking(proxy: Proxy, sockets: Site) -> Iterator[ClientConnection]:
    with connect(sockets.url, proxy=proxy.addresses[0]) as talk:
        for number in range(N_MESSAGES):
            talk.send(str(number))
            talk.recv()
        yield talk


@contextmanager
def _proxy(url: str, out: Path, statuses: list[Status]) -> Iterator[Proxy]:
    with open_authority() as authority:
        proxy = Proxy(RecordOptions(url=url, out=out), authority, statuses.append)
        try:
            proxy.start()
            yield proxy
        finally:
            proxy.stop()


def test_a_killed_proxy_leaves_a_sealed_capture(tmp_path: Path, sockets: Site) -> None:
    out, statuses = tmp_path / "a.rush", list[Status]()
    with _proxy("http://127.0.0.1/", out, statuses) as proxy, _talking(proxy, sockets):
        _until(lambda: any(status.counts.n_messages == 2 * N_MESSAGES for status in statuses))
        os.kill(proxy.pid, signal.SIGKILL)
        _until(lambda: statuses[-1].word is Word.ENDED)
    found = recorded(out)
    assert found.capture.complete
    assert found.notes("ending") == ["interrupted"]
    assert found.notes("open_at_stop") == ["socket"]
    (handshake,) = found.exchanges
    assert handshake.socket is not None
    assert [message.data for message in handshake.socket.messages[::2]] == [b"%d" % n for n in range(N_MESSAGES)]


def test_a_killed_writer_leaves_what_was_sealed_and_the_proxy_works_on(
    tmp_path: Path, site: Site, sockets: Site
) -> None:
    out, statuses = tmp_path / "a.rush", list[Status]()
    with _proxy(site.url, out, statuses) as proxy, _talking(proxy, sockets) as talk:
        _until(out.exists)
        empty_bytes = out.stat().st_size
        _until(lambda: out.stat().st_size > empty_bytes)
        (writer,) = _children(proxy.pid)
        os.kill(writer, signal.SIGKILL)
        _until(lambda: statuses[-1].word is Word.WRITER_LOST)
        talk.send("after")
        assert talk.recv() == "after"
        assert httpx.get(f"{site.url}/after", proxy=proxy.addresses[0]).text == "this is /after"
    capture = load_capture(out, allow_damage=True)
    assert not capture.complete
    (session,) = capture.sessions
    (handshake,) = session.exchanges
    assert handshake.socket is not None
    assert handshake.socket.messages[0].data == b"0"


@contextmanager
def _command(
    *arguments: str, cwd: Path, limit_bytes: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str]]]:
    """Run ``rushhour record --no-browser``; gives the process and a way to wait for its proxy's address."""
    command = [RUSHHOUR, "record", "--no-browser", *arguments]
    if limit_bytes is not None:
        limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))"
        code = f"import os, resource, sys; {limit}; os.execv(sys.argv[1], sys.argv[1:])"
        command = [sys.executable, "-c", code, *command]
    with open(cwd / "talk", "w") as talk:
        process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=talk, text=True)

    def address() -> str:
        _until(lambda: "proxy:" in (cwd / "talk").read_text() or process.poll() is not None)
        return (cwd / "talk").read_text().partition("proxy:")[2].split()[0]

    try:
        yield process, address
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_a_clean_stop(tmp_path: Path, site: Site, number: signal.Signals) -> None:
    with _command(f"{site.url}/page", "-o", "a.rush", cwd=tmp_path) as (process, address):
        httpx.get(f"{site.url}/plain", proxy=address())
        process.send_signal(number)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "recorded 1 exchange, 0 sockets" in out
    assert f"rushhour replay a.rush --target {site.url}" in out
    assert recorded(tmp_path / "a.rush").only("/plain").status == 200


def test_the_duration_ends_it_and_nothing_recorded_is_said_so(tmp_path: Path, site: Site) -> None:
    with _command(site.url, "-o", "a.rush", "--duration", "300ms", cwd=tmp_path) as (process, _):
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "nothing was recorded" in out
    assert not (tmp_path / "a.rush").exists()


def test_a_killed_command_takes_its_proxy_along_and_the_capture_is_sealed(tmp_path: Path, site: Site) -> None:
    with _command(site.url, "-o", "a.rush", cwd=tmp_path) as (process, address):
        httpx.get(f"{site.url}/plain", proxy=address())
        (proxy,) = _children(process.pid)
        (writer,) = _children(proxy)
        process.kill()
        process.wait()
        _until(lambda: not _is_running(proxy) and not _is_running(writer))
    found = recorded(tmp_path / "a.rush")
    assert found.capture.complete
    assert found.only("/plain").status == 200


def test_a_proxy_that_dies_under_the_command_ends_it_with_exit_4(tmp_path: Path, site: Site) -> None:
    with _command(site.url, "-o", "a.rush", cwd=tmp_path) as (process, address):
        httpx.get(f"{site.url}/plain", proxy=address())
        empty_bytes = (tmp_path / "a.rush").stat().st_size
        _until(lambda: (tmp_path / "a.rush").stat().st_size > empty_bytes)
        (proxy,) = _children(process.pid)
        os.kill(proxy, signal.SIGKILL)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 4
    assert "the capture ends early: the proxy died" in out
    assert recorded(tmp_path / "a.rush").only("/plain").status == 200


def test_a_place_that_cannot_be_written_is_said_before_anybody_browses(tmp_path: Path, site: Site) -> None:
    with _command(site.url, "-o", "x" * 300, cwd=tmp_path) as (process, _):
        out, _ = process.communicate(timeout=PATIENCE_S)
    talk = (tmp_path / "talk").read_text()
    assert process.returncode == 2
    assert "cannot be written: File name too long" in talk
    assert "proxy:" not in talk
    assert out == ""


def test_a_full_disk_seals_the_capture_and_the_proxy_works_on(tmp_path: Path, site: Site) -> None:
    with _command(site.url, "-o", "a.rush", cwd=tmp_path, limit_bytes=64 << 10) as (process, address):
        proxy = address()
        first = httpx.get(f"{site.url}/first", proxy=proxy)
        noise = os.urandom(200_000)
        httpx.post(f"{site.url}/echo", content=noise, proxy=proxy)
        _until(lambda: "nothing more is recorded" in (tmp_path / "talk").read_text())
        assert httpx.get(f"{site.url}/after", proxy=proxy).text == "this is /after"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert first.status_code == 200
    assert process.returncode == 4
    assert "ends early" in out
    assert recorded(tmp_path / "a.rush").only("/first").status == 200


@contextmanager
def _mitmdump(tmp_path: Path, *settings: str) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    """Somebody's own mitmdump with the addon; gives the process, its address and its log."""
    log = tmp_path / "log"
    code = "from mitmproxy.tools.main import mitmdump; mitmdump()"
    everything = [f"confdir={tmp_path / 'conf'}", "listen_port=0", "listen_host=127.0.0.1", *settings]
    sets = [part for setting in everything for part in ("--set", setting)]
    with open(log, "w") as out:
        command = [sys.executable, "-u", "-c", code, *sets, "-s", str(addon_path())]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=out)
    try:
        _until(lambda: "proxy listening at" in log.read_text() or process.poll() is not None)
        port = log.read_text().partition("listening at 127.0.0.1:")[2].split()[0].strip(".")
        yield process, f"http://127.0.0.1:{port}", log
    finally:
        process.kill()
        process.wait()


def test_the_addon_works_in_anybodys_mitmdump(tmp_path: Path, site: Site) -> None:
    out = tmp_path / "a.rush"
    with _mitmdump(tmp_path, f"rushhour_out={out}") as (process, proxy, log):
        httpx.get(f"{site.url}/plain", proxy=proxy)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    assert "recorded 1 exchange" in log.read_text()
    assert recorded(out).only("/plain").status == 200


def test_several_browsers_in_anybodys_mitmdump_are_several_sessions(tmp_path: Path, site: Site, sockets: Site) -> None:
    out = tmp_path / "a.rush"
    with _mitmdump(tmp_path, f"rushhour_out={out}") as (process, proxy, _):
        for who in ("ann", "bob"):
            cookie = {"Cookie": f"sid={who}-0123456789abcdef"}
            httpx.get(f"{site.url}/login?{who}", proxy=proxy)
            httpx.get(f"{site.url}/{who}", proxy=proxy, headers=cookie)
            with connect(f"{sockets.url}/{who}", proxy=proxy, additional_headers=cookie) as talk:
                talk.send(who)
                talk.recv()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    sessions = recorded(out).capture.sessions
    assert [[exchange.path for exchange in session.exchanges][1:] for session in sessions] == [
        ["/ann", "/ann"],
        ["/bob", "/bob"],
    ]
    assert all("cookie" in session.rule for session in sessions)


def test_a_reverse_proxy_that_rotates_says_where_it_is_and_what_it_wrote(tmp_path: Path, site: Site) -> None:
    arguments = ["--reverse", site.url, "--listen", "127.0.0.1:0", "-o", "day.rush", "--rotate", "1s"]
    with socket.create_server(("127.0.0.1", 0)) as sock:
        arguments[3] = f"127.0.0.1:{sock.getsockname()[1]}"
    with _command(*arguments, cwd=tmp_path) as (process, _):
        _until(lambda: "visit:" in (tmp_path / "talk").read_text())
        address = (tmp_path / "talk").read_text().partition("visit:")[2].split()[0]
        for number in range(2):
            time.sleep(1.2 * number)
            httpx.get(f"{address}{number}")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "files, each complete by itself: day-0001.rush to day-0002.rush" in out
    assert f"--target {site.url}" in out
    for number in range(2):
        assert recorded(tmp_path / f"day-000{number + 1}.rush").only(f"/{number}").status == 200


# Settings · what the log must say.
MISTAKES = [
    ([], "rushhour_out is not set"),
    (["rushhour_out=taken"], "exists and is not overwritten"),
    (["rushhour_out=free", "rushhour_scope=a b"], "is not a host"),
]


@pytest.mark.parametrize(("settings", "said"), MISTAKES)
def test_the_addon_refuses_what_it_cannot_do(tmp_path: Path, settings: list[str], said: str) -> None:
    (tmp_path / "taken").write_text("precious")
    code = "from mitmproxy.tools.main import mitmdump; mitmdump()"
    everything = [f"confdir={tmp_path / 'conf'}", "listen_port=0", "listen_host=127.0.0.1", *settings]
    sets = [part for setting in everything for part in ("--set", setting)]
    ended = subprocess.run(
        [sys.executable, "-c", code, *sets, "-s", str(addon_path())],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 1
    assert said in ended.stdout + ended.stderr
    assert (tmp_path / "taken").read_text() == "precious"
