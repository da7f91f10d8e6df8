"""Keeps a browser on a leash: a small process that starts it, and ends it with all its children when told to.

The leash is told by the end of its standard input, so it also ends the browser when the one who holds the other end was
killed. Then it removes the throw-away profile. Standard library only: it starts fast.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

POLL_S = 0.1
TERM_TIMEOUT_S = 5.0
KILL_TIMEOUT_S = 2.0
_HIGH_FD = 64
_PR_SET_CHILD_SUBREAPER = 36
"""Source: linux/prctl.h."""


def lead(command: list[str], directory: str, input_fd: int, pipes: tuple[int, ...] = ()) -> int:
    """Run a command in a process group of its own until it ends or the input does; remove the directory after it.

    Args:
        pipes: descriptors that the command gets as its 3, 4 and so on; they are closed here.

    Returns:
        The command's exit code.
    """
    _adopt_orphans()
    inherited = _from_three(pipes)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=inherited)
    for fd in inherited:
        os.close(fd)
    try:
        while process.poll() is None:
            if select.select([input_fd], [], [], POLL_S)[0] and not os.read(input_fd, 1):
                process.terminate()
                break
        with suppress(subprocess.TimeoutExpired):
            process.wait(TERM_TIMEOUT_S)
    finally:
        _end_all(process)
        _remove(directory)
    return process.returncode


def _from_three(pipes: tuple[int, ...]) -> tuple[int, ...]:
    """Move descriptors to 3, 4 and so on, by way of high numbers, so that none overwrites another."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, _HIGH_FD) for fd in pipes]
    for fd in pipes:
        os.close(fd)
    placed = tuple(os.dup2(fd, number) for number, fd in enumerate(high, 3))
    for fd in high:
        os.close(fd)
    return placed


def _adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that all can be waited for (prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the command's group and of its other descendants, and wait for them."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    def is_alone() -> bool:
        for pid in _children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            return False
        return True

    _wait_until(is_alone)


def _children() -> list[int]:
    with suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as listed:
        return [int(pid) for pid in listed.read().split()]
    return []


def _remove(directory: str) -> None:
    def is_gone() -> bool:
        shutil.rmtree(directory, ignore_errors=True)
        return not os.path.exists(directory)

    _wait_until(is_gone)


def _wait_until(is_done: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + KILL_TIMEOUT_S
    while not is_done() and time.monotonic() < deadline_s:
        time.sleep(POLL_S / 4)


def main() -> None:
    """Run as a process of its own: ``leash DIRECTORY PIPES COMMAND…``; the pipes are descriptors with commas."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    directory, pipes, *command = sys.argv[1:]
    code = lead(command, directory, 0, tuple(int(fd) for fd in pipes.split(",") if fd))
    raise SystemExit(code if code >= 0 else 128 - code)
