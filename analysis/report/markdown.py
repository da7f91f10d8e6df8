"""``summary.md``: the verdict for a step summary, a merge request or a chat, as GitHub's and GitLab's Markdown. Pure.

Text from outside never becomes markup, link, image or mention: everything that Markdown, HTML, autolinks or ``@name``
could be made of is written as a character reference, which by definition is no structure.
Source: https://spec.commonmark.org/0.31.2/#entity-and-numeric-character-references
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from analysis.comparison import Drawn
from analysis.report.text import (
    format_count,
    format_instant,
    format_ms,
    format_seconds,
    format_value,
    plural,
    printable,
    route_name,
)

_MARKS = {
    "pass": "✅",
    "fail": "❌",
    "inconclusive": "❔",
    "invalid": "🚫",
    "unreachable": "🔌",
    "aborted": "🛑",
    "interrupted": "✋",
    "not_applicable": "➖",
}
_CHANGES = {"regressed": "❌", "ok": "✅", "improved": "🚀", "inconclusive": "❔", "shown": "➖"}
_MOST_REASONS = 10
_MOST_ROWS = 100
_MOST_CHANGES = 20
_STRUCTURE = frozenset("\\`*_{}[]<>#!|&~^$@")
_LIST = re.compile(r"([+\-=]|\d+[.)])")
"""What makes a list or a heading of a line that begins with it."""
_WORD_JOINER = "\u2060"


def render_markdown(summary: dict[str, Any]) -> str:
    """Return the whole file, well under GitHub's limit of 1 MiB.

    Args:
        summary: what ``summarise`` returned.
    """
    blocks = [
        _head(summary),
        _thresholds(summary["thresholds"]),
        _not_calibrated(summary["calibration"]["not_calibrated"]),
        _baseline(summary["baseline"]),
        _details("Series", _series(summary["series"])),
        _details("Failures and wrong answers", _failures(summary)),
        _details("What ran", _facts(summary)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def render_comparison(document: Mapping[str, Any], about: Sequence[str] = ()) -> str:
    """Return what came of runs against a baseline, for a comment on a merge request.

    Args:
        document: ``comparing.to_json``.
        about: what is to be said besides, in sentences.
    """
    word = document["verdict"]
    mark = _CHANGES.get(word) or _MARKS[word]
    said = [*document["invalid"], *document["unlike"], *about, *(f"⚠️ {warning}" for warning in document["warnings"])]
    head = "\n".join([f"## {mark} Rushhour: {word.upper()}", "", *_bullets([*map(text, said)], _MOST_REASONS)])
    exits = f"{plural(len(document['runs']), 'run')}, exit code {document['exit_code']}"
    return "\n\n".join(filter(None, (head.rstrip(), _baseline(document["baseline"]), exits))) + "\n"


def text(value: object, limit: int = 400) -> str:
    """Return a text that shows as it is, whatever it holds: no markup, link, mention or reference."""
    shown = printable(value, limit)
    begins = _LIST.match(shown)
    n_plain = begins.end() - 1 if begins else 0
    inside = "".join(map(_escaped, shown[:n_plain])) + (f"&#{ord(shown[n_plain])};" if begins else "")
    inside += "".join(map(_escaped, shown[n_plain + bool(begins) :]))
    return inside.replace("://", "&#58;//").replace("www.", "www&#46;")


def _escaped(char: str) -> str:
    if char not in _STRUCTURE:
        return char
    return f"&#{ord(char)};{_WORD_JOINER if char in '@#' else ''}"


def code(value: object, limit: int = 200) -> str:
    """Return a text as code; it may stand in a table."""
    shown = printable(value, limit)
    if shown.strip() and not set(shown) & set("`|\\"):
        return f"`{shown}`"
    return f"<code>{text(value, limit)}</code>"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; columns whose name begins with ``>`` are aligned to the right."""
    heads = [column.removeprefix(">") for column in columns]
    lines = ["---:" if column.startswith(">") else "---" for column in columns]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, lines, *rows))


def _details(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>" if body else ""


def _bullets(sentences: Sequence[str], most: int) -> list[str]:
    more = [f"- and {len(sentences) - most} more"] if len(sentences) > most else []
    return [*(f"- {sentence}" for sentence in sentences[:most]), *more]


def _head(summary: dict[str, Any]) -> str:
    word = summary["verdict"]
    first, *others = summary["reasons"]
    lines = [f"## {_MARKS[word]} Rushhour: {word.upper()}", "", f"**{text(first)}**", ""]
    lines += _bullets([text(reason) for reason in others], _MOST_REASONS)
    lines += _bullets([f"⚠️ {text(warning)}" for warning in summary["warnings"]], _MOST_REASONS)
    users, sessions = summary["users"], summary["sessions"]
    parts = (
        code(summary["target"]),
        plural(users["started"], "user"),
        f"{format_count(sessions['completed'])} of {plural(sessions['started'], 'session')} complete",
        f"{format_seconds(summary['duration_s'])}",
        f"exit code {summary['exit_code']}",
    )
    return "\n".join([*lines, "", " · ".join(parts)])


def _thresholds(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    found = []
    for row in rows:
        is_off = row["outcome"] == "not_applicable"
        value = "–" if is_off else format_value(row["value"], row["unit"])
        note = f"{row['confidence']} confidence" if row["confidence"] == "low" else ""
        parts = filter(None, (note, text(row["note"]) if row["note"] else ""))
        samples = format_count(row["n"]) if row["n"] else ""
        found.append((_MARKS[row["outcome"]], code(row["expr"]), value, samples, row["origin"], "; ".join(parts)))
    return _table(("", "Threshold", ">Measured", ">Samples", "Limit set by", "Note"), found)


def _not_calibrated(expressions: Sequence[str]) -> str:
    if not expressions:
        return ""
    return f"Not calibrated on this target: {', '.join(map(code, expressions))}"


def _baseline(baseline: dict[str, Any]) -> str:
    gated = [each for each in baseline["comparisons"] if each["is_gated"]]
    others = [each for each in baseline["comparisons"] if not each["is_gated"]]
    is_recording = any(each["drawn"] == Drawn.RECORDED.value for each in others)
    changed = others if is_recording else [each for each in others if each["outcome"] not in ("ok", "shown")]
    if not gated and not others:
        return ""
    sentences = [f"{_CHANGES[each['outcome']]} {text(each['sentence'])}" for each in (*gated, *changed)]
    of_runs = f"a baseline of {plural(len(baseline['runs']), 'run')}"
    head = f"**Against {'the recording' if is_recording else of_runs}**"
    return "\n".join([head, "", *_bullets(sentences, _MOST_CHANGES)])


def _series(series: Sequence[dict[str, Any]]) -> str:
    columns = ("Series", ">Count", ">/s", ">p50", ">p95", ">p99", ">Errors", ">Wrong")
    rows = [
        (
            code(entry["name"]) if not entry["labels"] else f"  {code(_label(entry['labels']))}",
            format_count(entry["count"]),
            f"{entry['rate_per_s']:.1f}",
            *(format_ms(entry["latency_ms"][quantile]) for quantile in ("p50", "p95", "p99")),
            format_count(sum(entry["errors"].values())),
            format_count(entry["mismatches"]),
        )
        for entry in series[:_MOST_ROWS]
    ]
    more = f"\n\nand {len(series) - _MOST_ROWS} more in the report" if len(series) > _MOST_ROWS else ""
    return _table(columns, rows) + more if rows else ""


def _label(labels: dict[str, str]) -> str:
    return route_name(labels) or ", ".join(f"{key}={value}" for key, value in labels.items())


def _failures(summary: dict[str, Any]) -> str:
    found = [*summary["totals"]["errors"].items()]
    found += [(f"mismatch {kind}", n) for kind, n in summary["verification"]["by_kind"].items()]
    found += [(f"not sent: {reason}", n) for reason, n in summary["totals"]["not_sent"].items()]
    rows = [(code(name), format_count(n)) for name, n in sorted(found, key=lambda item: -item[1])[:_MOST_ROWS]]
    return _table(("Class", ">Steps"), rows) if rows else ""


def _facts(summary: dict[str, Any]) -> str:
    return _table(("", ""), ((name, value) for name, value in _pairs(summary)))


def _pairs(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    capture, generator = summary["capture"], summary["generator"]
    yield "Capture", f"{code(capture['path'])}, {plural(capture['sessions'], 'session')}"
    yield "Fingerprints", f"capture {code(capture['sha256'][:12])}, plan {code(summary['plan']['sha256'][:12])}"
    yield "Started", text(format_instant(summary["started_at"]))
    lag, loop = generator["lag_ms"]["p99"], generator["loop_ms"]["p99"]
    allowed = format_ms(generator["limit_ms"])
    yield "Load generator", f"sends p99 {format_ms(lag)} late, loop p99 {format_ms(loop)} late, {allowed} allowed"
    for name, value in summary["environment"].items():
        yield text(name, 60), text(value, 200)
