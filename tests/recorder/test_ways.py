"""Ways into the recorder and out of it: another proxy behind it, a reverse proxy, several files, long sockets."""

from __future__ import annotations

import itertools
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import trustme
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from captures.errors import ConfigError
from captures.records import Peer
from captures.sessions import load_capture
from recorder.counts import Counts
from recorder.options import RecordOptions, Upstream, Visit
from recorder.record import Watcher, record
from recorder.reverse import Listen
from recorder.rotation import Rotation, part_path
from recorder.upstream_auth import VARIABLE
from tests.recorder.reading import recorded, trusting
from tests.recorder.servers import HOST, LARGE_BYTES, Site, http_server, socket_server

pytestmark = pytest.mark.process

PATIENCE_S = 30.0
SECRET = "ann:correct-horse-battery"


def _until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline_s, "it does not come"
        time.sleep(0.02)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def _company_proxy(tmp_path: Path) -> Iterator[str]:
    """A proxy that lets only one user through."""
    log = tmp_path / "company.log"
    code = "from mitmproxy.tools.main import mitmdump; mitmdump()"
    settings = [f"confdir={tmp_path / 'company'}", "listen_port=0", f"listen_host={HOST}", f"proxyauth={SECRET}"]
    settings += ["ssl_insecure=true", "ignore_hosts=.*"]
    sets = [part for setting in settings for part in ("--set", setting)]
    with open(log, "w") as out:
        process = subprocess.Popen([sys.executable, "-u", "-c", code, *sets], stdout=out, stderr=out)
    try:
        _until(lambda: "listening at" in log.read_text())
        found = re.search(rf"listening at {HOST}:(\d+)", log.read_text())
        assert found
        yield f"http://{HOST}:{found[1]}"
    finally:
        process.kill()
        process.wait()


def test_everything_goes_through_another_proxy_whose_password_is_nowhere(
    tmp_path: Path,
    authority: trustme.CA,
    authority_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)
    out, commands = tmp_path / "a.rush", list[str]()

    def drive(proxy: str, certificate: Path) -> None:
        commands.extend(path.read_text(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline"))
        with httpx.Client(proxy=proxy, verify=trusting(certificate), trust_env=False) as client:
            assert client.get(f"{plain.url}/headers").status_code == 200
            assert client.get(f"{tls.url}/headers").status_code == 200
        with connect(sockets.url, proxy=proxy) as talk:
            talk.send("through two")
            assert talk.recv() == "through two"

    with _company_proxy(tmp_path) as proxy, http_server() as plain, http_server(authority=authority) as tls:
        with socket_server() as sockets:
            ours = RecordOptions(url=plain.url, out=out, upstream=Upstream(ca_file=authority_file, proxy=proxy))
            record(ours, drive=drive)
    assert not any("correct-horse" in command for command in commands if "company" not in command)
    assert "correct-horse" not in "".join(capfd.readouterr())
    found = recorded(out)
    assert [exchange.status for exchange in found.exchanges] == [200, 200, 101]
    assert not any(name.lower().startswith(b"proxy-") for each in found.exchanges for name, _ in each.request_headers)
    assert not any(b"Proxy-Auth" in each.response_body.data for each in found.exchanges)


def test_a_proxy_that_knows_nobody_is_seen_in_the_capture(tmp_path: Path, site: Site) -> None:
    with _company_proxy(tmp_path) as proxy:
        options = RecordOptions(url=site.url, out=tmp_path / "a.rush", upstream=Upstream(proxy=proxy))
        record(options, drive=lambda ours, _: httpx.get(f"{site.url}/a", proxy=ours) and None)
    assert recorded(tmp_path / "a.rush").only("/a").status == 407


# URL · what is said.
PROXIES = [
    ("http://ann:secret@proxy:3128", "has credentials"),
    ("socks5://proxy:1080", "is not a proxy"),
    ("proxy:3128", "is not a proxy"),
    ("http://proxy:99999", "is not a proxy"),
]


@pytest.mark.parametrize(("url", "said"), PROXIES)
def test_what_is_no_proxy_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refusal:
        Upstream(proxy=url)
    assert "secret" not in str(refusal.value)


def test_credentials_that_name_nobody_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "password-only")
    with pytest.raises(ConfigError, match="USER:PASSWORD") as refusal:
        Upstream(proxy="http://proxy:3128")
    assert "password-only" not in str(refusal.value)


def _visit(site: Site, out: Path, visit: Callable[[str, Path], None], **changes: object) -> None:
    listen = Listen(host=HOST, port=_free_port())
    wanted: dict[str, object] = {"url": site.url, "out": out, "visit": Visit.SOMEONE, "listen": listen}
    record(RecordOptions(**(wanted | changes)), drive=visit)  # type: ignore[arg-type]


def test_people_visit_a_site_through_the_reverse_proxy(tmp_path: Path, site: Site) -> None:
    out = tmp_path / "a.rush"

    def visit(address: str, certificate: Path) -> None:
        encrypted = address.replace("http:", "https:")
        with httpx.Client(base_url=address, headers={"User-Agent": "Ann"}, trust_env=False) as ann:
            cookie = ann.get("/login?ann").headers["Set-Cookie"]
            assert cookie == "sid=ann-0123456789abcdef; Path=/; HttpOnly"
            assert ann.get("/out").headers["Location"] == f"{address}/page?x=1"
            headers = {"Origin": address, "Referer": f"{address}/page"}
            seen = ann.get("/headers", headers=headers).text
            assert f"Host: {HOST}:{site.port}" in seen
            assert f"Origin: {site.url}" in seen
            assert f"Referer: {site.url}/page" in seen
        with httpx.Client(verify=trusting(certificate), headers={"User-Agent": "Bob"}, trust_env=False) as bob:
            assert bob.get(f"{encrypted}/login?bob").headers["Set-Cookie"].endswith("; Path=/; HttpOnly; Secure")
            assert bob.get(f"{encrypted}/plain").text == "this is /plain"

    _visit(site, out, visit)
    found = recorded(out)
    assert {str(exchange.origin) for exchange in found.exchanges} == {site.url}
    groups = [[exchange.path for exchange in session.exchanges] for session in found.capture.sessions]
    assert groups == [["/login", "/out", "/headers"], ["/login", "/plain"]]
    assert (b"Location", f"{site.url}/page?x=1".encode()) in found.only("/out").response_headers


def test_a_site_with_tls_is_visited_over_tls(tmp_path: Path, authority: trustme.CA, authority_file: Path) -> None:
    def visit(address: str, certificate: Path) -> None:
        with httpx.Client(verify=trusting(certificate), trust_env=False) as client:
            assert client.get(f"{address}/plain").text == "this is /plain"

    with http_server(authority=authority) as site:
        _visit(site, tmp_path / "a.rush", visit, upstream=Upstream(ca_file=authority_file))
    assert recorded(tmp_path / "a.rush").only("/plain").origin.scheme == "https"


def test_an_address_that_is_taken_is_said_so(tmp_path: Path, site: Site) -> None:
    listen = Listen(host=HOST, port=site.port)
    options = RecordOptions(url=site.url, out=tmp_path / "a.rush", visit=Visit.SOMEONE, listen=listen)
    with pytest.raises(ConfigError, match="choose another address"):
        record(options)


def test_a_long_recording_goes_on_in_further_files_each_complete_by_itself(tmp_path: Path, sockets: Site) -> None:
    out, noise = tmp_path / "day.rush", [os.urandom(100_000) for _ in range(60)]

    def drive(proxy: str, _: Path) -> None:
        with connect(f"{sockets.url}/long", proxy=proxy) as talk:
            for data in noise:
                talk.send(data)
                assert talk.recv() == data

    url = sockets.url.replace("ws:", "http:")
    result = record(RecordOptions(url=url, out=out, rotation=Rotation(size_bytes=2 << 20)), drive=drive)
    assert not out.exists()
    assert result.paths == tuple(part_path(out, number) for number in range(1, len(result.paths) + 1))
    assert len(result.paths) >= 3
    assert result.counts.n_file_bytes == sum(path.stat().st_size for path in result.paths)
    sent: list[bytes] = []
    for number, path in enumerate(result.paths, 1):
        capture = load_capture(path)
        (session,) = capture.sessions
        (handshake,) = session.exchanges
        assert handshake.socket is not None
        assert (session.id, handshake.id, handshake.status, handshake.path) == (1, 1, 101, "/long")
        assert all(message.t_ns >= handshake.start_ns >= 0 for message in handshake.socket.messages)
        sent += [message.data for message in handshake.socket.messages if message.sender is Peer.CLIENT]
        assert (capture.header["part"], capture.header["predecessor"]) == (
            number,
            result.paths[number - 2].name if number > 1 else "",
        )
    assert [len(data) for data in sent] == [len(data) for data in noise]
    last = load_capture(result.paths[-1]).sessions[0].exchanges[0].socket
    assert last is not None
    assert last.close_code == 1000


def test_files_change_by_age_only_while_something_happens(tmp_path: Path, site: Site) -> None:
    def drive(proxy: str, _: Path) -> None:
        httpx.get(f"{site.url}/first", proxy=proxy)
        time.sleep(1.3)
        assert not part_path(out, 2).exists()
        httpx.get(f"{site.url}/second", proxy=proxy)

    out = tmp_path / "a.rush"
    result = record(RecordOptions(url=site.url, out=out, rotation=Rotation(age_ns=1_000_000_000)), drive=drive)
    paths = [[exchange.path for exchange in recorded(path).exchanges] for path in result.paths]
    assert paths == [["/first"], ["/second"]]


def test_a_client_that_leaves_half_way_leaves_a_broken_exchange(tmp_path: Path, site: Site) -> None:
    out, counted = tmp_path / "a.rush", list[int]()

    def drive(proxy: str, _: Path) -> None:
        with httpx.Client(proxy=proxy, trust_env=False) as client:
            with client.stream("GET", f"{site.url}/slow") as answer:
                next(answer.iter_raw())
            with pytest.raises(httpx.ReadTimeout):
                client.get(f"{site.url}/stuck", timeout=0.3)
        _until(lambda: bool(counted) and counted[-1] == 2)

    watcher = Watcher(on_counts=lambda counts: counted.append(counts.n_errors))
    record(RecordOptions(url=site.url, out=out), drive=drive, watcher=watcher)
    slow, stuck = recorded(out).only("/slow"), recorded(out).only("/stuck")
    assert slow.status == 200
    assert "disconnected" in slow.error.lower()
    assert 0 < len(slow.response_body.data) < LARGE_BYTES
    assert stuck.status is None
    assert "disconnected" in stuck.error.lower()


@pytest.mark.parametrize(("code", "reason"), [(4001, "seen enough"), (1000, "")])
def test_a_socket_that_its_client_closes_keeps_code_and_reason(
    tmp_path: Path, sockets: Site, code: int, reason: str
) -> None:
    def drive(proxy: str, _: Path) -> None:
        with connect(sockets.url, proxy=proxy) as talk:
            talk.close(code, reason)

    url = sockets.url.replace("ws:", "http:")
    record(RecordOptions(url=url, out=tmp_path / "a.rush"), drive=drive)
    talk = recorded(tmp_path / "a.rush").only("/").socket
    assert talk is not None
    assert (talk.closed_by, talk.close_code, talk.close_reason) == (Peer.CLIENT, code, reason)


def test_a_socket_that_is_torn_off_ends_abnormally(tmp_path: Path, sockets: Site) -> None:
    def drive(proxy: str, _: Path) -> None:
        with connect(sockets.url, proxy=proxy) as talk:
            talk.send("last words")
            talk.recv()
            talk.socket.shutdown(socket.SHUT_RDWR)
            with pytest.raises(ConnectionClosed):
                talk.recv()
        _until(lambda: bool(counted) and counted[-1].n_messages == 2)
        time.sleep(0.5)

    url = sockets.url.replace("ws:", "http:")
    counted: list[Counts] = []
    record(RecordOptions(url=url, out=tmp_path / "a.rush"), drive=drive, on_counts=counted.append)
    talk = recorded(tmp_path / "a.rush").only("/").socket
    assert talk is not None
    assert (talk.closed_by, talk.close_code) == (Peer.CLIENT, 1006)


def _rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_long_socket_takes_no_more_memory_than_a_short_one(tmp_path: Path, sockets: Site) -> None:
    message, n_messages, warm_up = os.urandom(1 << 18), 200, 40
    seen: list[int] = []
    n_written = 0

    def hear(counts: Counts) -> None:
        nonlocal n_written
        n_written = counts.n_messages

    def let_the_writer_follow(number: int) -> None:
        # What waits for a writer that a busy machine holds up is bounded too, and not what is looked at here.
        deadline_s = time.monotonic() + 60
        while n_written < 2 * number and time.monotonic() < deadline_s:
            time.sleep(0.05)

    def drive(proxy: str, _: Path) -> None:
        (pid,) = _listeners(int(proxy.rpartition(":")[2]))
        with connect(sockets.url, proxy=proxy, compression=None) as talk:
            for number in itertools.count():
                if number % 20 == 0:
                    let_the_writer_follow(number)
                if number in (warm_up, warm_up + n_messages):
                    seen.append(_rss_bytes(pid))
                if number > warm_up + n_messages:
                    return
                talk.send(message)
                talk.recv()

    url = sockets.url.replace("ws:", "http:")
    result = record(
        RecordOptions(url=url, out=tmp_path / "a.rush", max_body_bytes=1 << 10), drive=drive, on_counts=hear
    )
    pushed_bytes = 2 * n_messages * len(message)
    assert result.counts.n_lost == 0
    assert seen[1] - seen[0] < pushed_bytes / 5, seen


def _listeners(port: int) -> list[int]:
    """Processes that listen on a port of this machine."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{line[9]}]" for line in lines if line[3] == "0A" and int(line[1].split(":")[1], 16) == port}
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) in inodes:
                found.add(int(link.parts[2]))
        except OSError:
            continue
    return sorted(found)
