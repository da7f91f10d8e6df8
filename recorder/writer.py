"""The process that writes the capture, as seen from the process that makes notices."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from captures.errors import ExitCode
from recorder.status import Status, Word, tell

ROOT = str(Path(__file__).resolve().parent.parent)
END_TIMEOUT_S = 30.0
TELL_TIMEOUT_S = 1.0
_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from recorder.sink import main; main(sys.argv[2])"


class Writer:
    """A running writer.

    Args:
        path: the capture to write; must not exist.
        status_fd: where the writer tells its status; -1: here, for ``last``.
        on_early_end: called with the cause, from a thread, when the writer is gone before it was told to end.

    Attributes:
        input_fd: where notices go; closing it ends the writer. Belongs to whoever writes there.
        last: the last status told here, or None.
    """

    def __init__(self, path: Path, status_fd: int, on_early_end: Callable[[str], None]) -> None:
        self._path = path
        self._status_fd = status_fd
        self._on_early_end = on_early_end
        self.last: Status | None = None
        command = [sys.executable, "-P", "-c", _CODE, ROOT, str(path)]
        stdout = status_fd if status_fd >= 0 else subprocess.PIPE
        # Subtle: a group keeps Ctrl-C away as a session would; but processes of two sessions do not give way to each
        # other, whatever their priorities (sched(7), "The autogroup feature").
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stdout, process_group=0)
        assert self._process.stdin is not None
        self.input_fd = os.dup(self._process.stdin.fileno())
        self._process.stdin.close()
        self._watch = threading.Thread(target=self._follow_to_end, name="rushhour-writer", daemon=True)
        self._watch.start()

    def tell(self, word: Word, text: str = "") -> None:
        """Tell whoever started the proxy."""
        if self._status_fd >= 0:
            tell(self._status_fd, Status(word=word, text=text), wait_s=TELL_TIMEOUT_S)

    @property
    def is_busy(self) -> bool:
        """Whether it has not ended."""
        return self._watch.is_alive()

    def wait(self) -> None:
        """Wait for the writer to seal the capture, after its input was closed."""
        self._watch.join(END_TIMEOUT_S)

    def _follow_to_end(self) -> None:
        for line in self._process.stdout or ():
            self.last = Status.from_line(line)
        code = self._process.wait()
        text = f"{self._path} is sealed, nothing more is recorded"
        if code == ExitCode.INVALID:
            cause = f": {self.last.text}" if self.last else ""
            self._on_early_end(f"{text}{cause}; the proxy works on")
        elif code:
            self.tell(Word.WRITER_LOST, f"the process that writes the capture died ({code})")
            self._on_early_end(f"the process that writes {self._path} died ({code}); the proxy works on, unrecorded")
