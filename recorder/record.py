"""Records: starts the proxy and the browsers, waits for the end, stops everything in order.

The order of stopping is that of a user who closes the window: first the browsers, so that their goodbyes are recorded,
then the proxy, then the writer seals the capture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from captures.errors import ReplayError
from recorder.authority import Authority, open_authority, spki_hash
from recorder.browser import Browser, Visitor, require_browser, require_display
from recorder.counts import Counts
from recorder.login import read_state
from recorder.options import RecordOptions, RecordResult, Stop, Visit
from recorder.proxy import HOST, Proxy, require_mitmproxy
from recorder.rotation import part_path
from recorder.status import Status, Word

POLL_S = 0.1
_NS_PER_S = 1_000_000_000
_DIED_EARLY_S = 5.0

Drive = Callable[[str, Path], object]
"""A scripted session: called with the proxy's address (``http://127.0.0.1:PORT``) and the CA's certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who wants to hear how a recording goes; each call comes from another thread but ``on_ready``.

    Attributes:
        on_ready: recording has begun: the proxies' addresses (``http://127.0.0.1:PORT``) and the CA's certificate.
        on_counts: the counts, twice a second.
        on_trouble: nothing more is recorded, and why; the proxy works on.
    """

    on_ready: Callable[[tuple[str, ...], Path], None] = lambda _addresses, _certificate: None
    on_counts: Callable[[Counts], None] = lambda _counts: None
    on_trouble: Callable[[str], None] = lambda _text: None


class Recording:
    """A recording in progress, as its processes report it."""

    def __init__(self, watcher: Watcher) -> None:
        self.last = Status(word=Word.COUNTS)
        self.sealed_early = ""
        self._watcher = watcher

    def hear(self, status: Status) -> None:
        """Take a status line; called from the proxy's reading thread."""
        if status.word in (Word.SEALED, Word.WRITER_LOST):
            self.sealed_early = status.text
            self._watcher.on_trouble(status.text)
        if status.word in (Word.COUNTS, Word.SEALED, Word.ENDED):
            self.last = status
            self._watcher.on_counts(status.counts)


def record(
    options: RecordOptions,
    *,
    drive: Drive | None = None,
    on_counts: Callable[[Counts], None] | None = None,
    watcher: Watcher | None = None,
) -> RecordResult:
    """Record one capture.

    Args:
        options: what to record; with ``Visit.SOMEONE`` no browser is started.
        drive: a scripted session instead of a browser; the recording stops when it returns.
        on_counts: called with the counts twice a second, from another thread; for callers who need no ``watcher``.
        watcher: who wants to hear more than that.

    Returns:
        What was recorded. Ctrl-C while waiting for the browser or the duration is a clean stop.

    Raises:
        ConfigError: mitmproxy, the browser or a display is missing, or an option is wrong.
        ReplayError: the proxy does not start, or the browser fails at once.
    """
    require_mitmproxy()
    if watcher is None:
        watcher = Watcher(on_counts=on_counts) if on_counts is not None else Watcher()
    program = _program(Visit.SOMEONE if drive is not None else options.visit)
    recording = Recording(watcher)
    stop = Stop.ASKED
    try:
        with open_authority() as authority, _proxy(options, authority, recording) as proxy:
            watcher.on_ready(proxy.addresses, authority.certificate)
            if drive is None:
                stop = _visit(options, program, proxy, authority)
            else:
                drive(proxy.addresses[0], authority.certificate)
                stop = Stop.DRIVEN
    except KeyboardInterrupt:
        if drive is not None:
            raise
    return _result(options, recording, stop)


def _program(visit: Visit) -> str:
    if visit is Visit.SOMEONE:
        return ""
    program = require_browser()
    if visit is Visit.WINDOW:
        require_display()
    return program


@contextmanager
def _proxy(options: RecordOptions, authority: Authority, recording: Recording) -> Iterator[Proxy]:
    proxy = Proxy(options, authority, recording.hear)
    try:
        proxy.start()
        yield proxy
    finally:
        proxy.stop()


def _visit(options: RecordOptions, program: str, proxy: Proxy, authority: Authority) -> Stop:
    with ExitStack() as stack:
        browsers: list[Browser] = []
        if program:
            spki = spki_hash(authority.certificate)
            for port in proxy.ports:
                visitor = Visitor(
                    program=program,
                    url=options.url,
                    proxy=f"{HOST}:{port}",
                    spki=spki,
                    is_headless=options.visit is Visit.HEADLESS,
                    args=options.browser_args,
                    profile=options.login.profile,
                    state=read_state(options.login.state) if options.login.state is not None else None,
                )
                browsers.append(Browser(visitor))
                stack.callback(browsers[-1].stop)
                browsers[-1].log_in()
        return _wait(options, proxy, browsers)


def _wait(options: RecordOptions, proxy: Proxy, browsers: list[Browser]) -> Stop:
    started_s = time.monotonic()
    while True:
        if proxy.has_ended():
            return Stop.PROXY_DIED
        passed_s = time.monotonic() - started_s
        if options.duration_ns is not None and passed_s * _NS_PER_S >= options.duration_ns:
            return Stop.DURATION
        if browsers and all(browser.has_ended() for browser in browsers):
            _check_end(browsers[0], passed_s)
            return Stop.BROWSER_CLOSED
        time.sleep(POLL_S)


def _check_end(browser: Browser, passed_s: float) -> None:
    """A browser that fails within seconds was not closed by anybody."""
    if browser.exit_code and passed_s < _DIED_EARLY_S:
        raise ReplayError(f"the browser ended at once (exit code {browser.exit_code})", browser.log_tail())


def _result(options: RecordOptions, recording: Recording, stop: Stop) -> RecordResult:
    last = recording.last
    has_ended = last.word is Word.ENDED
    early = recording.sealed_early
    if not early and (stop is Stop.PROXY_DIED or not has_ended):
        early = "the proxy died" if stop is Stop.PROXY_DIED else "the process that writes the capture did not finish"
    is_empty = has_ended and not last.counts.n_exchanges
    paths: tuple[Path, ...] = (options.out,)
    if options.rotation.is_on:
        paths = tuple(part_path(options.out, number) for number in range(1, max(1, last.counts.n_files) + 1))
    if is_empty:
        for path in paths:
            path.unlink(missing_ok=True)
    return RecordResult(
        path=paths[-1],
        paths=paths,
        counts=last.counts,
        left_out=dict(last.left_out),
        stop=stop,
        sealed_early=early,
        is_kept=not is_empty,
        columns=last.columns,
    )
