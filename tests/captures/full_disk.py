"""Records until the disk is full, in a process of its own: ``FILE LIMIT_BYTES AFTER_BYTES``.

No file may be longer than the first limit while it records, or than the second (-1: none) once the capture is sealed.
Prints the last status.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from captures.errors import CaptureSealed
from recorder.status import Status
from tests.captures.recording import Tape

LATE = "lantern42x"
"""Stands in clear before it is typed as a password."""


def limit_files(n_bytes: int) -> None:
    """From here on no file of this process grows beyond that."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if n_bytes < 0 else n_bytes, hard))


def main() -> None:
    """Record."""
    path, limit, after = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    read_fd, write_fd = os.pipe()
    tape = Tape(path, status_fd=write_fd)
    limit_files(limit)
    tape.message(f"my dog is called {LATE} too".encode(), sender=1)
    tape.exchange(b'{"user": "ann", "password": "%s"}' % LATE.encode(), "application/json", "", is_request=True)
    try:
        while True:
            tape.message(os.urandom(4000), sender=2, opcode=2)
    except CaptureSealed as exc:
        limit_files(after)
        tape.sink.seal(exc)
    os.close(write_fd)
    with open(read_fd, "rb") as lines:
        status = Status.from_line(lines.readlines()[-1])
    sys.stdout.write(status.to_line().decode())


if __name__ == "__main__":
    main()
