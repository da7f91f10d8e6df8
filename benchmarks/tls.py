"""What TLS costs the load generator: CPU per request against plaintext, per handshake full and resumed, memory.

Usage: ``python -m benchmarks.tls``. nginx serves ``return 200`` with 166 bytes of JSON on loopback, in plaintext and
over TLS. CPU is this process's own (``time.process_time_ns``), so a busy machine changes little; medians of rounds.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import trustme
import uvloop

from replayer.reach import Reach, TlsSettings
from replayer.targets import TargetSpec
from replayer.wire.connect import Dialer
from replayer.wire.heads import NO_HEAD
from replayer.wire.http1 import Http1Connection
from replayer.wire.outbox import Outbox
from replayer.wire.sse import ServerEvent
from replayer.wire.tally import Tally

N_CONNECTIONS = 50
N_REQUESTS = 40_000
N_HANDSHAKES = 1_000
N_IDLE = 1_000
N_ROUNDS = 5
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"
_PATIENCE_S = 10.0

_CONF = """
daemon off; master_process off; worker_rlimit_nofile 8192; pid {root}/pid; error_log {root}/error.log error;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;
  uwsgi_temp_path {root}/u; scgi_temp_path {root}/s; ssl_session_tickets on;
  server {{
    listen 127.0.0.1:{plain};
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem;
    ssl_protocols {protocols};
    default_type application/json; location / {{ return 200 '{body}'; }}
  }}
}}
"""


class Unread:
    """A GET whose answer nobody reads; implements ``replayer.wire.heads.Asked``."""

    is_head = keeps_body = False
    good_head = NO_HEAD


class Closed:
    """Owns connections that send the next request when an answer is there."""

    user_number = 0

    def __init__(self, n_requests: int) -> None:
        self._left = n_requests
        self.n_open = 0
        self.over = asyncio.get_running_loop().create_future()

    def connection_opened(self, connection: Http1Connection) -> None:
        self.n_open += 1
        self._next(connection)

    def response_received(self, connection: Http1Connection, end_ns: int) -> None:
        assert connection.head.status == 200
        connection.request.good_head = connection.head
        self._next(connection)

    def request_failed(self, connection: Http1Connection, failure: str, end_ns: int) -> None:
        self.over.set_exception(RuntimeError(failure))

    def connection_closed(self, connection: Http1Connection) -> None:
        """Ours, after the run."""

    def events_received(self, connection: Http1Connection, events: list[ServerEvent], end_ns: int) -> None:
        """The server streams none."""

    def _next(self, connection: Http1Connection) -> None:
        if self._left:
            self._left -= 1
            connection.send(REQUEST, Unread())
            return
        connection.close()
        self.n_open -= 1
        if not self.n_open and not self.over.done():
            self.over.set_result(None)


def fail(failure: str) -> None:
    """End the benchmark: what it measures did not happen."""
    raise RuntimeError(failure)


async def requests_us(target: TargetSpec, reach: Reach) -> float:
    """Return this process's CPU per keep-alive request."""
    loop = asyncio.get_running_loop()
    dialer, outbox = Dialer(loop, reach, _raise), Outbox(loop.call_soon, time.monotonic_ns)
    owner = Closed(N_REQUESTS)
    for _ in range(N_CONNECTIONS):
        dialer.dial(Http1Connection(owner, Tally(), outbox), target, fail)
    started_ns = time.process_time_ns()
    await owner.over
    return (time.process_time_ns() - started_ns) / N_REQUESTS / 1000


async def connects_us(target: TargetSpec, reach: Reach) -> float:
    """Return this process's CPU per connection with one request, ten at a time."""
    counts: dict[str, int] = {}

    def count(name: str) -> None:
        counts[name] = counts.get(name, 0) + 1

    loop = asyncio.get_running_loop()
    dialer, outbox = Dialer(loop, reach, _raise, count), Outbox(loop.call_soon, time.monotonic_ns)

    async def lane(user: int, n_connections: int) -> None:
        for _ in range(n_connections):
            owner = Closed(1)
            dialer.dial(Http1Connection(owner, Tally(), outbox), target, fail, user=user)
            await owner.over

    await asyncio.gather(*(lane(user, 1) for user in range(10)))
    started_ns = time.process_time_ns()
    await asyncio.gather(*(lane(user, N_HANDSHAKES // 10) for user in range(10)))
    used_us = (time.process_time_ns() - started_ns) / N_HANDSHAKES / 1000
    if target.scheme == "https":
        wanted = "tls_resumed" if reach.tls.resumes else "tls_full"
        assert counts[wanted] >= N_HANDSHAKES, counts
    return used_us


async def idle_kib(target: TargetSpec, reach: Reach) -> float:
    """Return the resident memory of one connection that has carried one request and is kept."""
    loop = asyncio.get_running_loop()
    dialer, outbox = Dialer(loop, reach, _raise), Outbox(loop.call_soon, time.monotonic_ns)
    kept: list[Http1Connection] = []

    class Keeper(Closed):
        def response_received(self, connection: Http1Connection, end_ns: int) -> None:
            kept.append(connection)
            if len(kept) % N_IDLE == 0 and not self.over.done():
                self.over.set_result(None)

    async def open_many() -> None:
        owner = Keeper(N_IDLE)
        for number in range(N_IDLE):
            dialer.dial(Http1Connection(owner, Tally(), outbox), target, fail)
            if number % 50 == 49:
                await asyncio.sleep(0.05)
        await owner.over
        await asyncio.sleep(0.2)
        gc.collect()

    await open_many()  # The first thousand also fills pools that the second finds filled.
    before = _resident_kib()
    await open_many()
    grown_kib = _resident_kib() - before
    for connection in kept:
        connection.close()
    return grown_kib / N_IDLE


def _resident_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def _raise(exc: BaseException) -> None:
    raise exc


@contextmanager
def nginx(root: Path, protocols: str) -> Iterator[tuple[int, int, str]]:
    """Run nginx; give its plain port, its TLS port and the file of its authority."""
    found = shutil.which("nginx")
    if found is None:
        raise SystemExit("nginx is not installed: apt install nginx-light")
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(root / "ca.pem"))
    leaf.private_key_pem.write_to_path(str(root / "key.pem"))
    (root / "cert.pem").write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
    sockets = [socket.socket() for _ in range(2)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    plain, tls = (each.getsockname()[1] for each in sockets)
    for each in sockets:
        each.close()
    body = '{"id": 1, "symbol": "ACME", "price": 101.25, "change": -0.4}'.ljust(166)
    filled = _CONF.format(root=root, plain=plain, tls=tls, protocols=protocols, body=body)
    (root / "nginx.conf").write_text(filled)
    with subprocess.Popen(
        [found, "-p", str(root), "-c", str(root / "nginx.conf"), "-e", str(root / "error.log")]
    ) as it:
        try:
            _await(plain)
            yield plain, tls, str(root / "ca.pem")
        finally:
            it.terminate()


def _await(port: int) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
        else:
            return


def run(
    work: Callable[[TargetSpec, Reach], Coroutine[Any, Any, float]],
    target: TargetSpec,
    reach: Reach,
    n_rounds: int = N_ROUNDS,
) -> float:
    """Return the median of a measurement's rounds."""
    values = []
    for _ in range(n_rounds):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            values.append(runner.run(work(target, reach)))
    return statistics.median(values)


def target_at(scheme: str, port: int) -> TargetSpec:
    """Return a target on loopback."""
    return TargetSpec(scheme=scheme, host="localhost", port=port, addresses=("127.0.0.1",))


def main() -> None:
    """Print a line per figure."""
    for protocols in ("TLSv1.2", "TLSv1.3"):
        with tempfile.TemporaryDirectory() as directory, nginx(Path(directory), protocols) as (plain, tls, ca_file):
            clear, secure = target_at("http", plain), target_at("https", tls)
            resuming = Reach(tls=TlsSettings(ca_file=ca_file))
            full = Reach(tls=TlsSettings(ca_file=ca_file, resumes=False))
            clear_us, secure_us = run(requests_us, clear, Reach()), run(requests_us, secure, resuming)
            click.echo(
                f"{protocols} request: {secure_us:.1f} us CPU, plaintext {clear_us:.1f}, x {secure_us / clear_us:.2f}"
            )
            costs = [
                run(connects_us, clear, Reach()),
                run(connects_us, secure, full),
                run(connects_us, secure, resuming),
            ]
            click.echo(f"{protocols} connect: plaintext {costs[0]:.0f} us, full {costs[1]:.0f}, resumed {costs[2]:.0f}")
            held = run(idle_kib, secure, resuming, 1) - run(idle_kib, clear, Reach(), 1)
            click.echo(f"{protocols} memory: {held:.1f} KiB per connection above plaintext")


if __name__ == "__main__":
    main()
