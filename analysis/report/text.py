"""Text from captures and targets made safe to show, and numbers written for people. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from captures.defuse import defused

_LIMIT = 400


def printable(text: object, limit: int = _LIMIT) -> str:
    """Return a text in which nothing steers a terminal, a CI system or the order of a line, cut after ``limit``.

    Control characters, escapes, bidirectional marks, surrogates and the like become ``\\x1b`` or ``\\u202e``.
    """
    raw = str(text)
    shown = defused("".join(char if char.isprintable() else _escaped(char) for char in raw[: limit + 1]))
    return shown if len(raw) <= limit else shown[: limit - 1] + "…"


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def route_name(labels: Mapping[str, str]) -> str:
    """Name a series by its route, and its origin where it has one; "" where it has no route."""
    route, origin = labels.get("route", ""), labels.get("origin", "")
    return f"{route} at {origin}" if route and origin else route


def json_for_script(data: object) -> str:
    """Return JSON that may stand inside a ``<script>`` element: no ``<``, ``>``, ``&`` or line separator survives."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def format_ms(value_ms: float | None) -> str:
    """Write ms with three digits and a fitting unit: ``0.42 ms``, ``118 ms``, ``2.35 s``; None is ``–``."""
    if value_ms is None:
        return "–"
    if value_ms >= 59_950:
        return f"{value_ms / 60_000:.3g} min"
    if value_ms >= 999.5:
        return f"{value_ms / 1000:.3g} s"
    return f"{value_ms:.3g} ms" if value_ms >= 0.0005 or value_ms == 0 else "<0.001 ms"


def format_count(n: float) -> str:
    """Write a count in groups: ``12,345``."""
    return f"{n:,.0f}"


def format_value(value: float | None, unit: str) -> str:
    """Write a value of a threshold in its unit (``ms``, ``%``, ``/s`` or none)."""
    if value is None:
        return "no data"
    if unit == "ms":
        return format_ms(value)
    if unit == "%":
        return format_percent(value)
    return f"{value:.4g}{unit}" if unit else format_count(value)


def format_percent(percent: float) -> str:
    """Write a share with two decimals at most: ``0.22%``, ``98.4%``, ``100%``; a smaller one with two digits."""
    if 0 < percent < 0.01:
        return f"{percent:.2g}%"
    shown = f"{percent:.2f}"
    if shown == "100.00" and percent < 100:
        return "99.99%"
    return shown.rstrip("0").rstrip(".") + "%"


def format_seconds(seconds: float) -> str:
    """Write a duration: ``42.3 s``, ``3 min 20 s``, ``1 h 05 min``."""
    if seconds < 99.95:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def format_instant(iso: str) -> str:
    """Write an ISO 8601 time for people: ``2026-03-14 09:26:53 UTC``; what is none stays as it is."""
    try:
        instant = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{instant:%Y-%m-%d %H:%M:%S} {instant.tzname() or ''}".rstrip()


def format_bytes(n_bytes: float) -> str:
    """Write a size: ``812 B``, ``4.2 MB`` (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 999.5 or unit == "GB":
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    raise AssertionError("unreachable")


def plural(n: int, noun: str) -> str:
    """Write a count with its noun: ``1 user``, ``20 users``."""
    return f"{format_count(n)} {noun}" + ("" if n == 1 else "s")


def busiest(generator: Mapping[str, Any]) -> str:
    """Say how busy the busiest of several workers was, "" of one: a mean hides one that is full."""
    ratios = [each["cpu_ratio"] for each in generator["cpu_by_worker"]]
    return f" (the busiest {max(ratios):.0%})" if len(ratios) > 1 else ""
