"""A real headless Chromium, watched through its DevTools protocol: what the console said, what the page shows."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from websockets.sync.client import ClientConnection, connect

from recorder.browser import require_browser

T = TypeVar("T")
TIMEOUT_S = 30.0
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-port=0",
)


class Tab:
    """One page; collects console errors and warnings, uncaught exceptions and complaints of the browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._n_sent = 0
        self.complaints: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call the protocol and wait for the answer; events that come before it are heard."""
        self._n_sent += 1
        self._socket.send(json.dumps({"id": self._n_sent, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(TIMEOUT_S))
            if message.get("id") == self._n_sent:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._hear(message)

    def evaluate(self, expression: str) -> Any:
        """Give the value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true."""
        poll(lambda: self.evaluate(expression), what=expression)

    def screenshot(self, path: Path) -> None:
        """Save what the page shows as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def _hear(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.complaints.append(str(params["entry"]))


def poll(ask: Callable[[], T | None], *, what: str) -> T:
    """Ask until the answer is true, and give it."""
    end_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end_s:
        if answer := ask():
            return answer
        time.sleep(0.05)
    raise TimeoutError(what)


@contextmanager
def open_tab(url: str, *, width: int = 1440, height: int = 900) -> Iterator[Tab]:
    """Open a page in a Chromium of its own, which ends with the context."""
    with tempfile.TemporaryDirectory(prefix="rushhour-test-", ignore_cleanup_errors=True) as profile:
        root_flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        size = f"--window-size={width},{height}"
        command = [require_browser(), *_FLAGS, *root_flags, size, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with connect(_page_address(Path(profile)), max_size=None, proxy=None, compression=None) as socket:
                tab = Tab(socket)
                for domain in ("Page", "Runtime", "Log"):
                    tab.call(f"{domain}.enable")
                tab.call("Page.navigate", url=url)
                yield tab
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)
    shutil.rmtree(profile, ignore_errors=True)


def _page_address(profile: Path) -> str:
    port = poll(lambda: _port_in(profile / "DevToolsActivePort"), what="Chromium's port")
    return poll(lambda: _first_page(port), what="Chromium's page")


def _port_in(path: Path) -> str | None:
    return next(iter(path.read_text().split()), None) if path.exists() else None


def _first_page(port: str) -> str | None:
    targets = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
    return next((str(target["webSocketDebuggerUrl"]) for target in targets if target["type"] == "page"), None)
