"""What a recorded file holds, as tests ask for it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from captures.format.reader import open_capture
from captures.records import Exchange
from captures.sessions import Capture, load_capture


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A capture, opened whatever its state."""

    capture: Capture

    @property
    def exchanges(self) -> list[Exchange]:
        """All exchanges, of all sessions."""
        return [exchange for session in self.capture.sessions for exchange in session.exchanges]

    def only(self, path: str) -> Exchange:
        """The one exchange with this path."""
        (found,) = [exchange for exchange in self.exchanges if exchange.path == path]
        return found

    def notes(self, name: str) -> list[object]:
        """Values of the notes of one name."""
        return [note.value for note in self.capture.notes if note.name == name]


def recorded(path: Path) -> Recorded:
    """Load a capture, damaged or not."""
    return Recorded(capture=load_capture(path, allow_damage=True))


def event_names(path: Path) -> list[str]:
    """Names of all event types in a file, in order."""
    with open_capture(path) as reader:
        return [event.type.name for event in reader.events()]


def trusting(certificate: Path) -> ssl.SSLContext:
    """A client's TLS that trusts one CA."""
    return ssl.create_default_context(cafile=str(certificate))
