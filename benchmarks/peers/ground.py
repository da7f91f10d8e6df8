"""What the benchmark runs against: one nginx and one WebSocket server, pinned to a core of their own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme

SERVER_CORE = 1
CLIENT_CORE = 0
HOST = "127.0.0.1"
BODY = (
    '{"symbol":"FPT","price":100.25,"volume":123456,"bid":100.2,"ask":100.3,"changes":[1,2,3,4,5],'
    '"name":"FPT Corporation","updated":"2026-11-23T10:00:00Z","status":"open"%s}'
)
TOKEN = "1f0cc94e3b7d4a6f8e21d5b7c3a9e6f4"

_NGINX = """
worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log crit;
events {{ worker_connections 20000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600; default_type application/json;
  client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c; uwsgi_temp_path {dir}/d;
  scgi_temp_path {dir}/e;
  ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
  ssl_session_cache shared:S:20m; ssl_session_timeout 10m; ssl_session_tickets on;
  server {{
    listen {host}:{plain} backlog=8192; listen {host}:{tls} ssl backlog=8192;
    location / {{ return 200 '{body}'; }}
    location /api/orders {{ return 200 '{with_id}'; }}
  }}
  server {{
    listen {host}:{h2} ssl http2 backlog=8192;
    location / {{ return 200 '{body}'; }}
  }}
  server {{ listen {host}:{closing} ssl backlog=8192; keepalive_timeout 0; location / {{ return 200 '{body}'; }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the servers listen, the authority that vouches for them, and their process ids."""

    plain: int
    tls: int
    h2: int
    closing: int
    stream: int
    ca_file: Path
    pids: tuple[int, ...]


@contextmanager
def ground(directory: Path) -> Iterator[Ground]:
    """Start both servers, and end them."""
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST, "localhost")
    certificate.cert_chain_pems[0].write_to_path(directory / "cert.pem")
    certificate.private_key_pem.write_to_path(directory / "key.pem")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    ports = {name: _free_port() for name in ("plain", "tls", "h2", "closing", "stream")}
    config = directory / "nginx.conf"
    with_id = BODY % ',"id":"$request_id"'
    config.write_text(_NGINX.format(dir=directory, host=HOST, body=BODY % "", with_id=with_id, **ports))
    stream = [sys.executable, "-m", "benchmarks.peers.stream_server", str(ports["stream"])]
    with _server(["nginx", "-c", str(config)], ports["plain"]) as nginx, _server(stream, ports["stream"]) as streamer:
        yield Ground(**ports, ca_file=directory / "ca.pem", pids=(nginx, streamer))


@contextmanager
def _server(command: list[str], port: int) -> Iterator[int]:
    process = subprocess.Popen(["taskset", "-c", str(SERVER_CORE), *command])
    try:
        _wait_for(port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    deadline_s = time.monotonic() + 15
    while time.monotonic() < deadline_s:
        with suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on {HOST}:{port}: is nginx installed?")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
