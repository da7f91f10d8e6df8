"""Records a visit of the demo's page with the real recorder: in headless Chromium, or scripted where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from captures.errors import ReplayError
from demo.target.accounts import PASSWORD

if TYPE_CHECKING:
    from recorder.counts import Counts

# A headless Chromium needs a moment to start, and one to go.
GRACE_S = 20.0
_NS_PER_S = 1_000_000_000


def has_browser() -> bool:
    """Tell whether a Chromium or Chrome is here."""
    from recorder.browser import find_browser

    return find_browser() is not None


def record_visit(url: str, out: Path, *, seconds: float, in_browser: bool) -> Counts:
    """Record one visit into a capture.

    Args:
        url: ``http://127.0.0.1:PORT`` of the target.
        out: the capture; must not exist.
        seconds: how long the visit lasts.
        in_browser: whether Chromium visits, else ``demo.scripted``.

    Returns:
        What is in the capture.

    Raises:
        ConfigError: mitmproxy is missing, or ``out`` exists.
        ReplayError: the recording failed or is not whole.
        KeyboardInterrupt: Ctrl-C; the recorder takes it for the end of a recording, a visit is not whole then.
    """
    from recorder.options import RecordOptions, Stop, Visit
    from recorder.record import record

    options = RecordOptions(
        url=f"{url}/?autoplay=1&seconds={seconds:g}&close=1",
        out=out,
        visit=Visit.HEADLESS if in_browser else Visit.SOMEONE,
        duration_ns=round((seconds + GRACE_S) * _NS_PER_S),
    )
    result = record(options, drive=None if in_browser else lambda proxy, _ca: _visit(url, proxy, seconds))
    if result.stop is Stop.ASKED:
        raise KeyboardInterrupt
    if result.sealed_early or not result.counts.n_sockets or result.counts.n_open:
        found = result.sealed_early or "the page did not come as far as closing its socket"
        raise ReplayError(
            f"the visit was not recorded whole: {found}", "try again; rushhour doctor checks this machine"
        )
    return result.counts


def _visit(url: str, proxy: str, seconds: float) -> None:
    import httpx
    from websockets.exceptions import WebSocketException

    from demo.scripted import visit

    try:
        visit(url, proxy=proxy, password=PASSWORD, seconds=seconds)
    except* (httpx.HTTPError, WebSocketException, OSError) as exc:
        raise ReplayError(f"the scripted visit failed: {exc.exceptions[0]}") from exc
