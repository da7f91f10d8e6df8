"""How tests convert and what they look at."""

from __future__ import annotations

from pathlib import Path

from captures.convert.formats import Conversion, convert_file
from captures.records import Exchange
from captures.sessions import Capture, load_capture


def imported(source: Path) -> tuple[Capture, Conversion]:
    """Convert to a capture beside the source, and load it."""
    out = source.with_name(f"{source.name}.rush")
    conversion = convert_file(str(source), str(out))
    return load_capture(out), conversion


def exchanges_of(capture: Capture) -> list[Exchange]:
    """All exchanges, of all sessions, in order of their start."""
    found = [exchange for session in capture.sessions for exchange in session.exchanges]
    return sorted(found, key=lambda exchange: (exchange.start_ns, exchange.id))


def exchange_of(capture: Capture) -> Exchange:
    """The only exchange."""
    (exchange,) = exchanges_of(capture)
    return exchange
