"""Serves the metrics of a running test over HTTP: ``GET /metrics``, one thread, loopback unless an address is named."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from analysis.metrics import CONTENT_TYPE, Metrics
from analysis.metrics_address import MetricsAddress
from analysis.run import RunFacts
from analysis.slots import SecondSlot
from captures.errors import ConfigError

_ANSWER_TIMEOUT_S = 10.0


class MetricsPage:
    """What is served: empty until the run begins, then its figures so far; may be asked from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._metrics: Metrics | None = None

    def begin(self, facts: RunFacts) -> None:
        """Begin with a run of which nothing is measured yet."""
        with self._lock:
            self._metrics = Metrics(facts, version=str(facts.environment.get("rushhour", "")))

    def update(self, slot: SecondSlot) -> None:
        """Count a second-slot."""
        with self._lock:
            if self._metrics is not None:
                self._metrics.update(slot)

    def text(self) -> str:
        """Return the page."""
        with self._lock:
            return self._metrics.exposition() if self._metrics is not None else "# the run has not begun\n"


class MetricsServer:
    """Listens from the moment it is made, so that a port that is taken is known before a run begins.

    Args:
        page: what is served, until the context is left.

    Raises:
        ConfigError: nothing can listen there.
    """

    def __init__(self, address: MetricsAddress, page: MetricsPage) -> None:
        try:
            self._server = _server_of(address)((address.host, address.port), _handler(page.text))
        except OSError as exc:
            reason = exc.strerror or str(exc)
            hint = "choose another port, or 0 for any that is free"
            raise ConfigError(f"--metrics-port {address}: cannot listen there, {reason}", hint) from exc
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def url(self) -> str:
        """What to read."""
        host, port = self._server.server_address[:2]
        return f"http://[{host!s}]:{port}/metrics" if ":" in str(host) else f"http://{host!s}:{port}/metrics"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def _server_of(address: MetricsAddress) -> type[ThreadingHTTPServer]:
    return _Server6 if ":" in address.host else ThreadingHTTPServer


def _handler(page: Callable[[], str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _ANSWER_TIMEOUT_S

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(HTTPStatus.NOT_FOUND, explain="only /metrics is here")
                return
            body = page().encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the terminal is the live view's."""

    return Handler
