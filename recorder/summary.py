"""Sentences about a recording, for people; pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from captures.redact.inputs import IDENTITIES_SUFFIX, identities_csv
from recorder.counts import Counts

MAX_LEFT_OUT = 12
"""Left-out hosts that are listed; the rest is counted."""

# Chromium calls these on its own account, whatever its flags; nobody wants to record them.
_BROWSER_HOSTS = frozenset(
    [
        "clients2.google.com",
        "content-autofill.googleapis.com",
        "edgedl.me.gvt1.com",
        "optimizationguide-pa.googleapis.com",
        "redirector.gvt1.com",
        "safebrowsing.googleapis.com",
        "update.googleapis.com",
    ]
)


def counted(counts: Counts) -> str:
    """Say in one line what has been recorded so far: ``12 exchanges, 1 socket, 348 messages, 96.2 KiB on disk``."""
    parts = [
        _plural(counts.n_exchanges, "exchange"),
        _plural(counts.n_sockets, "socket"),
        _plural(counts.n_messages, "message"),
        f"{_size(counts.n_file_bytes)} on disk",
    ]
    if counts.n_errors:
        parts.insert(3, f"{counts.n_errors} broken")
    return ", ".join(parts)


def told(counts: Counts, origins: Mapping[str, int], path: str) -> list[str]:
    """Say at the end what was recorded, what needs attention, and what was left out as options ready to type."""
    sessions = f" in {counts.n_sessions} sessions" if counts.n_sessions > 1 else ""
    recorded = f"recorded {counted(counts)}{sessions}: {path}"
    return [recorded, *replaced(counts), *warnings(counts), *left_out(origins)]


def replaced(counts: Counts) -> list[str]:
    """Say what was replaced before it was written."""
    found = [
        _plural(count, noun)
        for count, noun in (
            (counts.n_secrets, "secret"),
            (counts.n_credentials, "credential"),
            (counts.n_personal, "personal value"),
        )
        if count
    ]
    return [f"replaced before it was written: {', '.join(found)}"] if found else []


def inputs(path: str, columns: Sequence[str], *, is_written: bool = True) -> list[str]:
    """Say what must be typed again for a replay, and where; ``is_written``: the file for it is there."""
    if not columns:
        return []
    file = shlex.quote(path + IDENTITIES_SUFFIX)
    lines = [f"typed by somebody, not kept: {', '.join(columns)}; fill in {file}, one row per user"]
    if not is_written:
        names = identities_csv(columns).rstrip()
        lines.append(f"it could not be written: make it when there is room, with this as its first line: {names}")
    return lines


def next_commands(path: str, url: str, identities: str = "") -> list[str]:
    """Give the commands to type next; ``identities`` is the file of those who log in, "" where nobody does."""
    file = shlex.quote(path)
    users = f" --identities {shlex.quote(identities)}" if identities else ""
    origin = urlsplit(url)
    target = shlex.quote(f"{origin.scheme}://{origin.netloc}") if origin.netloc else "URL"
    return [
        f"rushhour inspect {file}",
        f"rushhour plan {file}",
        f"rushhour verify {file} --target {target}{users}",
        f"rushhour replay {file} --target {target}{users} --scale 10",
    ]


def left_out(origins: Mapping[str, int]) -> list[str]:
    """List what was outside the scope, the busiest first, one ``--scope`` option each."""
    by_host: dict[str, int] = {}
    for origin, count in origins.items():
        host = urlsplit(origin).hostname or origin
        if host not in _BROWSER_HOSTS:
            by_host[host] = by_host.get(host, 0) + count
    if not by_host:
        return []
    ranked = sorted(by_host.items(), key=lambda item: (-item[1], item[0]))
    listed = [f"  --scope {shlex.quote(host)}   ({_plural(count, 'time')})" for host, count in ranked[:MAX_LEFT_OUT]]
    rest = len(ranked) - MAX_LEFT_OUT
    more = [f"  and {_plural(rest, 'host')} more"] if rest > 0 else []
    return ["left out, passed through untouched; to record it too, add:", *listed, *more]


def warnings(counts: Counts) -> Iterator[str]:
    """Say what went wrong, or may surprise."""
    if counts.n_open:
        yield f"{counts.n_open} still open at the end"
    if counts.n_lost:
        yield f"{_plural(counts.n_lost, 'event')} LOST: the writer could not keep up, the capture has gaps"
    if counts.n_late:
        yield f"{_plural(counts.n_late, 'value')} in CLEAR: known as secret too late; make a copy with rushhour redact"
    if counts.n_connect_failed:
        yield f"{_plural(counts.n_connect_failed, 'connection')} to recorded hosts could not be made by the proxy"
    if counts.n_ca_refused:
        yield f"the browser refused the proxy's CA {_plural(counts.n_ca_refused, 'time')}: let it trust the CA first"
    if counts.n_tls_failed:
        noun = _plural(counts.n_tls_failed, "TLS handshake")
        yield f"{noun} with the proxy failed: rushhour inspect shows host and reason"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _size(n_bytes: int) -> str:
    if n_bytes < 1 << 10:
        return f"{n_bytes} B"
    if n_bytes < 1 << 20:
        return f"{n_bytes / (1 << 10):.1f} KiB"
    return f"{n_bytes / (1 << 20):.1f} MiB"
