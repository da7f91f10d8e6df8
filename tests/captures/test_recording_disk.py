"""A disk that fills up under a recording: the page works on, what fitted is kept, the user is told."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from captures.format.reader import open_capture
from captures.records import EventType
from captures.sessions import load_capture
from tests.commands import RUSHHOUR
from tests.recorder.servers import http_server, socket_server

PATIENCE_S = 40.0
LIMIT_BYTES = 48 << 10
_LIMITED = (
    "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}));"
    " os.execv(sys.argv[1], sys.argv[1:])"
)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that must come."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline_s, "it does not come"
        time.sleep(0.02)


@pytest.mark.process
def test_a_disk_that_fills_up_leaves_the_page_working_and_what_fitted_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    out, talk = tmp_path / "full.rush", tmp_path / "talk"
    with http_server() as site, socket_server() as echo, open(talk, "w") as stderr:
        command = [RUSHHOUR, "record", "--no-browser", f"{site.url}/page", "-o", str(out)]
        process = subprocess.Popen(
            [sys.executable, "-c", _LIMITED.format(LIMIT_BYTES), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        try:
            until(lambda: "proxy:" in talk.read_text() or process.poll() is not None)
            proxy = talk.read_text().partition("proxy:")[2].split()[0]
            with connect(echo.url, proxy=proxy) as socket:
                said = []
                while "nothing more is recorded" not in talk.read_text():
                    said.append(json.dumps([random.randrange(100_000) for _ in range(250)]))
                    socket.send(said[-1])
                    assert socket.recv() == said[-1]
                    assert len(said) < 5000, "the disk is never full"
                socket.send("after")
                assert socket.recv() == "after", "the socket that was open works on"
                assert httpx.get(f"{site.url}/plain", proxy=proxy).status_code == 200
            process.send_signal(signal.SIGINT)
            told, _ = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 4 and "ends early" in told
    assert out.stat().st_size <= LIMIT_BYTES
    with open_capture(out) as reader:
        assert any("ended early" in sentence or "cut off" in sentence for sentence in reader.damage)
        kept = [event.fields["data"] for event in reader.events() if event.type is EventType.MESSAGE]
        assert kept == [text.encode() for text in said for _ in range(2)][: len(kept)] and kept
    assert load_capture(out, allow_damage=True).sessions
