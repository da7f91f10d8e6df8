"""Workers for the contract of executors: they know bytes and nothing of the conversation."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocess.connection import Connection


def echo(connection: Connection) -> None:
    """Say who it is, then send everything back; end when nobody is there any more."""
    fd = connection.fileno()
    os.write(fd, b"%d\n" % os.getpid())
    while data := os.read(fd, 1 << 16):
        while data:
            data = data[os.write(fd, data) :]


def speaks_and_dies(connection: Connection) -> None:
    """Send more than a pipe holds, then end with a code of its own."""
    data = b"x" * 3_000_000
    while data:
        data = data[os.write(connection.fileno(), data) :]
    sys.exit(3)


def is_deaf(connection: Connection) -> None:
    """Say that it is there, and never read."""
    os.write(connection.fileno(), b"%d\n" % os.getpid())
    time.sleep(60)
