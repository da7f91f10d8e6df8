"""The target's process: for people, for programs, and when something is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from demo.server import running_target
from demo.target.settings import Settings
from tests.commands import ROOT
from tests.demo.devtools import poll

pytestmark = pytest.mark.process

_HOLDER = """
import sys, time
from demo.server import running_target
from demo.target.settings import Settings
with running_target(Settings()) as target:
    print(target.pid, target.url, flush=True)
    time.sleep(60)
"""


def _is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_a_person_starts_it_reads_where_it_is_and_stops_it_by_its_pid() -> None:
    command = [sys.executable, "-m", "demo.server", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        assert int(words[words.index("pid") + 1]) == process.pid
        url = words[words.index("at") + 1]
        assert httpx.get(url, trust_env=False).status_code == 200
        os.kill(process.pid, signal.SIGTERM)
        process.wait(20)


def test_a_setting_that_cannot_be_read_ends_with_2_and_one_sentence() -> None:
    command = [sys.executable, "-m", "demo.server", "--port", "0"]
    env = os.environ | {"DEMO_FEED": "broken"}
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert "DEMO_FEED=broken" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_target_ends_with_the_context_and_its_port_is_free_again() -> None:
    with running_target(Settings()) as target:
        port = httpx.URL(target.url).port or 0
        assert not _is_gone(target.pid)
    assert _is_gone(target.pid)
    with running_target(Settings(), port=port) as again:
        assert httpx.get(again.url, trust_env=False).status_code == 200


def test_the_target_never_outlives_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLDER], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, url = parent.stdout.readline().split()
        assert httpx.get(url, trust_env=False).status_code == 200
        parent.kill()
        parent.wait(20)
    poll(lambda: _is_gone(int(pid)), what="the target to end")


def test_ctrl_c_at_the_terminal_leaves_the_target_to_its_parent() -> None:
    with running_target(Settings()) as target:
        assert os.getpgid(target.pid) == target.pid != os.getpgrp()
