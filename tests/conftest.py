"""What every test stands on: no traffic off this machine, no process left behind, a reason for every skip."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.server import Target, running_target
from demo.target.accounts import PASSWORD
from demo.target.settings import Settings
from recorder.browser import INSTALL_HINT, find_browser
from tests.commands import ROOT

_LEAVING_S = 5.0

# The golden capture is redacted: what its visitor typed are columns, which every replay of it needs.
os.environ.setdefault("RUSHHOUR_USER", "demo042")
os.environ.setdefault("RUSHHOUR_PASSWORD", PASSWORD)

# A CI system that runs the tests is told nothing by the runs inside them.
for _name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITLAB_CI"):
    os.environ.pop(_name, None)

_strays: list[str] = []


def _refuse_strays(event: str, args: tuple[object, ...]) -> None:
    """Audit hook: let no socket of this process connect to anything but loopback.

    Subtle: uvloop connects without Python's sockets and raises no audit event; who may be connected to from there is
    the business of ``replayer.safety`` and its tests.
    """
    if event != "socket.connect":
        return
    connecting, address = args
    if not isinstance(connecting, socket.socket) or connecting.family not in (socket.AF_INET, socket.AF_INET6):
        return
    if not isinstance(address, tuple) or not _is_loopback(str(address[0])):
        _strays.append(str(address))
        raise PermissionError(f"a test may not connect to {address}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


sys.addaudithook(_refuse_strays)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a browser where there is none, and say how to come by one."""
    if find_browser() is None:
        reason = f"neither Chromium nor Chrome is installed: {INSTALL_HINT}"
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _loopback_only() -> Iterator[None]:
    _strays.clear()
    yield
    assert not _strays, f"connected to {', '.join(_strays)}"


@pytest.fixture(autouse=True, scope="module")
def _leave_no_process() -> Iterator[None]:
    before = _children()
    yield
    deadline_s = time.monotonic() + _LEAVING_S
    while (left := _children() - before - _kept) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not left, f"still running: {', '.join(map(_command_line, left))}"


_kept: set[int] = set()


def _children() -> set[int]:
    """Return the pids of this process's living children; none where there is no procfs."""
    listed: set[int] = set()
    for path in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        listed |= {int(pid) for pid in path.read_text().split()}
    return {pid for pid in listed if (line := _command_line(pid)) and "resource_tracker" not in line}


def _command_line(pid: int) -> str:
    """Return a process's command line, empty for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


@pytest.fixture(scope="session")
def golden() -> Path:
    """The golden capture of the demo; read only."""
    (path,) = (ROOT / "captures" / "golden" / "demo").glob("*.rush")
    return path


@pytest.fixture
def market(golden: Path, tmp_path: Path) -> Path:
    """A copy of the golden capture in the test's own directory."""
    return Path(shutil.copy(golden, tmp_path / "market.rush"))


@pytest.fixture(scope="session")
def demo_target() -> Iterator[Target]:
    """The demo's target in a process of its own, for tests that only need somebody to answer."""
    with running_target(Settings()) as target:
        _kept.add(target.pid)
        yield target
