"""Runs the commands of storms with ``how=hook`` at their instants: the user's own, by the user's shell.

The controller's process runs them, once each, however many workers there are. Output is kept aside and shown where a
command fails; what it started in the background is the user's and is left alone.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

from captures.units import format_duration
from replayer.load.storms import How, Storm, Strike, strikes_of

SHELL = "/bin/sh"
_END_GRACE_S = 1.0
_SHOWN_CHARS = 200


class _Command:
    """One command that was started."""

    def __init__(self, strike: Strike) -> None:
        self.strike = strike
        self.output: IO[bytes] = tempfile.TemporaryFile()  # closed when the command has ended
        self.process = subprocess.Popen(
            [SHELL, "-c", strike.storm.loss.command],
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            start_new_session=True,
        )

    def last_line(self) -> str:
        self.output.seek(0)
        lines = self.output.read().decode("utf-8", "replace").split("\n")
        told = [line.strip() for line in lines if line.strip()]
        return told[-1][:_SHOWN_CHARS] if told else ""


class Hooks:
    """The commands of a run's storms; ``notes`` says what became of those that failed."""

    def __init__(self, storms: Sequence[Storm]) -> None:
        self._due: list[tuple[Strike, Iterator[Strike]]] = []
        self._running: list[_Command] = []
        self.notes: list[str] = []
        for number, storm in enumerate(storms, 1):
            if storm.loss.how is How.HOOK:
                self._arm(strikes_of(number, storm))

    def next_ns(self) -> int | None:
        """Return when the next command is due, after the run's start; None where none is."""
        return min((strike.at_ns for strike, _ in self._due), default=None)

    def tick(self, now_ns: int) -> None:
        """Start what is due ``now_ns`` after the run's start, and look after what was started."""
        for due in [due for due in self._due if due[0].at_ns <= now_ns]:
            self._due.remove(due)
            self._start(due[0])
            self._arm(due[1])
        self._reap()

    def close(self) -> None:
        """End the shells that are still running."""
        self._due.clear()
        for command in self._running:
            command.process.terminate()
        for command in self._running:
            try:
                command.process.wait(_END_GRACE_S)
            except subprocess.TimeoutExpired:
                command.process.kill()
                command.process.wait()
            command.output.close()
            self.notes.append(f"{_name(command.strike)} had not ended when the run had")
        self._running.clear()

    def _arm(self, strikes: Iterator[Strike]) -> None:
        strike = next(strikes, None)
        if strike is not None:
            self._due.append((strike, strikes))

    def _start(self, strike: Strike) -> None:
        try:
            self._running.append(_Command(strike))
        except OSError as exc:
            self.notes.append(f"{_name(strike)} could not be started: {exc.strerror}")

    def _reap(self) -> None:
        for command in [each for each in self._running if each.process.poll() is not None]:
            self._running.remove(command)
            if command.process.returncode:
                line = command.last_line()
                told = f": {line}" if line else ""
                self.notes.append(f"{_name(command.strike)} ended with {command.process.returncode}{told}")
            command.output.close()


def _name(strike: Strike) -> str:
    return f"the hook of storm {strike.label} (at {format_duration(strike.at_ns)})"
