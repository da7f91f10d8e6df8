"""Records a visit with the real recorder while Chromium is driven through its DevTools port."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from websockets.sync.client import connect

from tests.commands import RUSHHOUR
from tests.demo.devtools import Tab, poll

LONGEST = "300s"
SEAL_S = 60.0
_SHIFT, _CTRL = 8, 2


def record_visit(url: str, out: Path, visit: Callable[[Page], None]) -> None:
    """Record ``url`` into ``out`` while ``visit`` drives the page.

    Raises:
        TimeoutError: the page never came to what ``visit`` waits for.
        subprocess.CalledProcessError: the recorder failed.
    """
    out.unlink(missing_ok=True)
    port = _free_port()
    command = [RUSHHOUR, "record", url, "--headless", "-o", str(out), "--duration", LONGEST]
    command += [f"--browser-arg=--remote-debugging-port={port}", "--browser-arg=--window-size=1400,900"]
    recorder = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = poll(lambda: _first_page(port), what="the recorded page")
        with connect(address, max_size=None, proxy=None, compression=None) as link:
            tab = Tab(link)
            for domain in ("Page", "Runtime"):
                tab.call(f"{domain}.enable")
            visit(Page(tab))
    finally:
        recorder.send_signal(signal.SIGINT)
        code = recorder.wait(SEAL_S)
    if code:
        raise subprocess.CalledProcessError(code, command)


class Page:
    """What a visitor does with a page: looks, clicks, types."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab

    def run(self, code: str) -> object:
        """Give the value of a JavaScript expression."""
        return self._tab.evaluate(code)

    def wait_for(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        self._tab.until(condition)

    def click(self, selector: str) -> None:
        """Wait for an element to be visible and click its middle."""
        place = json.dumps(selector)
        self.wait_for(f"document.querySelector({place})?.getBoundingClientRect().width > 0")
        middle = "(({x, y, width, height}) => [x + width / 2, y + height / 2])"
        x, y = self._tab.evaluate(f"{middle}(document.querySelector({place}).getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self._tab.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type a text where the cursor is."""
        self._tab.call("Input.insertText", text=text)

    def shift_enter(self) -> None:
        """Press Shift and Enter."""
        self._key("Enter", "Enter", 13, _SHIFT, text="\r")

    def save(self) -> None:
        """Press Ctrl and S."""
        self._key("s", "KeyS", 83, _CTRL)

    def _key(self, key: str, code: str, number: int, modifiers: int, **more: str) -> None:
        what = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers}
        self._tab.call("Input.dispatchKeyEvent", type="keyDown", **what, **more)
        self._tab.call("Input.dispatchKeyEvent", type="keyUp", **what)


def pause(seconds: float) -> None:
    """Look at the page for a while."""
    time.sleep(seconds)


def _first_page(port: int) -> str | None:
    try:
        targets = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
    except httpx.TransportError:
        return None
    return next((str(target["webSocketDebuggerUrl"]) for target in targets if target["type"] == "page"), None)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
