"""A real nginx with HTTP/2 over TLS on a free port, its configuration and log in a directory of the test's own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.fakes_server import closed_port

# Debian keeps it where only root looks.
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt install nginx-light")
_PATIENCE_S = 10.0

_CONF = """
daemon off; master_process off; pid {root}/pid; error_log {root}/error.log error;
events {{ worker_connections 512; }}
http {{
  log_format spoken '$server_protocol $request_method $request_uri $status $http_accept $content_type $content_length';
  access_log {root}/access.log spoken;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
  keepalive_requests {keepalive_requests};
  server {{
    listen 127.0.0.1:{port} ssl{http2};
    listen 127.0.0.1:{plain_port} http2;
    ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem;
    default_type text/plain;
    location /files/ {{ root {root}; }}
    {locations}
    location / {{ return 404; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nginx:
    """A running server; ``ca_file`` is to be trusted, ``root / "files"`` is served below ``/files/``.

    At ``plain_port`` it speaks HTTP/2 without TLS to who knows that it does.
    """

    port: int
    plain_port: int
    root: Path
    ca_file: str

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def log(self) -> list[str]:
        """Return a line per request: protocol, method, target, status, and some of its headers."""
        return (self.root / "access.log").read_text(encoding="utf-8").splitlines()


@contextmanager
def running_nginx(
    root: Path, *, locations: str = "", keepalive_requests: int = 1000, is_http2: bool = True
) -> Iterator[Nginx]:
    """Serve until the block ends."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(root / "ca.pem"))
    leaf = authority.issue_cert("localhost")
    leaf.private_key_pem.write_to_path(str(root / "key.pem"))
    (root / "cert.pem").write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
    (root / "files").mkdir()
    port, plain_port = closed_port(), closed_port()
    filled = _CONF.format(
        root=root,
        port=port,
        plain_port=plain_port,
        http2=" http2" if is_http2 else "",
        locations=locations,
        keepalive_requests=keepalive_requests,
    )
    (root / "nginx.conf").write_text(filled, encoding="utf-8")
    command = [NGINX or "nginx", "-p", str(root), "-c", str(root / "nginx.conf"), "-e", str(root / "error.log")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            _await_accept(process, port)
            yield Nginx(port=port, plain_port=plain_port, root=root, ca_file=str(root / "ca.pem"))
        finally:
            process.terminate()


def _await_accept(process: subprocess.Popen[str], port: int) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < deadline_s, "nginx does not accept"
            time.sleep(0.02)
        else:
            return
