"""Speaks the DevTools protocol with a browser over its pipe, just enough to bring a saved login back.

The pipe is the browser's descriptors 3 and 4, so nobody else can join in; a message is JSON and ends with a zero byte.
The browser ends when the pipe does. Source: chromium, content/browser/devtools/devtools_pipe_handler.cc;
https://chromedevtools.github.io/devtools-protocol/.
"""

from __future__ import annotations

import base64
import json
import os
import select
import time
from collections.abc import Mapping
from typing import Any

from captures.errors import ReplayError
from recorder.login import StorageState

TIMEOUT_S = 20.0
_READ_BYTES = 1 << 16
_BLANK_PAGE = '<!doctype html><title></title><link rel="icon" href="data:,">'


class Devtools:
    """The pipe to one browser.

    Args:
        read_fd, write_fd: this side of the pipe; they belong to whoever made them.
        timeout_s: for everything together.
    """

    def __init__(self, read_fd: int, write_fd: int, *, timeout_s: float = TIMEOUT_S) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._deadline_s = time.monotonic() + timeout_s
        self._held = bytearray()
        self._n_sent = 0

    def log_in(self, state: StorageState, url: str) -> None:
        """Give the browser its cookies and storage, then let it open the page.

        Each origin's storage is filled on an empty page that never leaves the browser.

        Raises:
            ReplayError: the browser does not take it, or does not answer.
        """
        if state.cookies:
            self._call("Storage.setCookies", cookies=list(state.cookies))
        targets = self._call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        session = self._call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        if any(state.storage.values()):
            self._call("Fetch.enable", session, patterns=[{"urlPattern": "*"}])
            for origin, items in state.storage.items():
                self._fill(session, origin, items)
            self._call("Fetch.disable", session)
        self._call("Page.navigate", session, url=url)
        self._call("Target.detachFromTarget", sessionId=session)

    def _fill(self, session: str, origin: str, items: Mapping[str, str]) -> None:
        if not items:
            return
        number = self._send("Page.navigate", session, url=f"{origin}/")
        while (message := self._next()).get("id") != number:
            if message.get("method") == "Fetch.requestPaused":
                body = base64.b64encode(_BLANK_PAGE.encode()).decode()
                answer = {"responseHeaders": [{"name": "Content-Type", "value": "text/html"}], "body": body}
                request = message["params"]["requestId"]
                self._send("Fetch.fulfillRequest", session, requestId=request, responseCode=200, **answer)
        code = f"for (const [key, value] of Object.entries({json.dumps(items)})) localStorage.setItem(key, value)"
        told = self._call("Runtime.evaluate", session, expression=code)
        if "exceptionDetails" in told:
            raise ReplayError(f"the browser does not take what --storage-state has for {origin}", "save it again")

    def _call(self, method: str, session: str = "", /, **params: object) -> dict[str, Any]:
        number = self._send(method, session, **params)
        while (message := self._next()).get("id") != number:
            pass
        if "error" in message:
            # Subtle: the browser's text names fields, never values.
            problem = message["error"].get("message", "")
            raise ReplayError(f"the browser refuses --storage-state ({method}: {problem})", "save it again")
        result: dict[str, Any] = message["result"]
        return result

    def _send(self, method: str, session: str, /, **params: object) -> int:
        self._n_sent += 1
        message: dict[str, object] = {"id": self._n_sent, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        view = memoryview(json.dumps(message).encode() + b"\0")
        try:
            while view:
                self._wait(write=True)
                view = view[os.write(self._write_fd, view[:_READ_BYTES]) :]
        except OSError as exc:
            raise ReplayError("the browser ended before it was logged in") from exc
        return self._n_sent

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._held:
            self._wait(write=False)
            data = os.read(self._read_fd, _READ_BYTES)
            if not data:
                raise ReplayError("the browser ended before it was logged in")
            self._held += data
        text, _, rest = bytes(self._held).partition(b"\0")
        self._held = bytearray(rest)
        message: dict[str, Any] = json.loads(text)
        return message

    def _wait(self, *, write: bool) -> None:
        left_s = self._deadline_s - time.monotonic()
        reads, writes = ([], [self._write_fd]) if write else ([self._read_fd], [])
        if left_s <= 0 or not any(select.select(reads, writes, [], left_s)):
            raise ReplayError("the browser does not answer, and is not logged in")
