"""Shows on stderr how a recording goes: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from recorder.counts import Counts
from recorder.summary import counted

PLAIN_EVERY_S = 5.0


class Board:
    """Live counts.

    Args:
        console: where to write; on a terminal the line is rewritten in place.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(Text(), console=console, transient=True, auto_refresh=False) if console.is_terminal else None
        self._shown = ""
        self._shown_s = float("-inf")

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, counts: Counts) -> None:
        """Show the counts; may be called from any thread."""
        line = f"recording: {counted(counts)}"
        if self._live is not None:
            self._live.update(Text(line, style="bold"), refresh=True)
        elif line != self._shown and time.monotonic() - self._shown_s >= PLAIN_EVERY_S:
            self._shown, self._shown_s = line, time.monotonic()
            self.say(line)

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self._console.print(Text(line), soft_wrap=True)
