"""A trend: one CSV row per run, kept over many builds, as Apache Otava and spreadsheets read it.

Columns: ``time`` (ISO 8601, UTC), what was run, the user's own attributes, then figures whose unit is in their name.
``nan`` stands where a run measured none. A run that is there already keeps its row.
Source: https://otava.apache.org/docs/csv (importer ``csv``, time column ``time``)
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from analysis.comparable import NamedRun, check_ended
from analysis.comparing import distrust, read_runs
from analysis.evaluate import point_of
from analysis.evidence import evidence_for
from analysis.outputs import replace_file
from analysis.report.csv import Cell, cell, write_csv
from analysis.run import Run
from analysis.thresholds import parse_subject
from captures.errors import ConfigError

_FACTS = ("time", "run", "verdict", "target", "capture", "plan", "users", "host", "rushhour")
_TIMES = (("p50", "ms"), ("p95", "ms"), ("p99", "ms"))
_OUTCOMES = (("errors", "percent"), ("rate", "per_s"))
_SERIES = {
    "http": (*_TIMES, *_OUTCOMES),
    "ws.connect": (*_TIMES, *_OUTCOMES),
    "ws.reply": (*_TIMES, *_OUTCOMES),
    "ws.push_lag": _TIMES,
    "session": (("complete", "percent"),),
    "verify": (("mismatch", "percent"),),
}
_SUBJECTS = {
    f"{name.replace('.', '_')}_{stat}_{unit}": parse_subject(f"{name} {stat}")
    for name, stats in _SERIES.items()
    for stat, unit in stats
}
METRIC_COLUMNS = tuple(_SUBJECTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of a trend: rows in all, new ones, and which runs were left out, in sentences."""

    n_rows: int
    n_new: int
    left_out: tuple[str, ...]


def keep_trend(path: Path, directories: Sequence[Path], attributes: Mapping[str, str]) -> Kept:
    """Add runs to a trend, in the order of their starts; the file is made where there is none.

    Args:
        attributes: columns of the user's own, such as ``commit``, the same for all of these runs.

    Raises:
        ConfigError: the file is no such trend, has other columns, or cannot be written; a directory is no run.
        CaptureError: a run file is not one.
    """
    columns = (*_FACTS, *attributes, *METRIC_COLUMNS)
    rows = _read(path, columns)
    n_before, left_out = len(rows), []
    for each in read_runs(directories):
        doubt = _doubt(each)
        if doubt:
            left_out.append(f"{doubt}; it is left out")
            continue
        row = [cell(value) for value in _row(each, attributes)]
        rows.setdefault((row[0], row[1]), row)
    try:
        replace_file(path, write_csv(columns, [rows[key] for key in sorted(rows)]))
    except OSError as exc:
        raise ConfigError(f"cannot write {path}: {exc.strerror}", "choose another -o") from exc
    return Kept(n_rows=len(rows), n_new=len(rows) - n_before, left_out=tuple(left_out))


def parse_attributes(texts: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` of ``--attribute``.

    Raises:
        ConfigError: one has no name, or one that a column has already.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier() or name in (*_FACTS, *METRIC_COLUMNS, *found):
            raise ConfigError(f"--attribute {text}: this names no new column", "write --attribute commit=4f2a91c")
        found[name] = value
    return found


def _doubt(each: NamedRun) -> str:
    try:
        check_ended(each)
    except ConfigError as exc:
        return exc.what
    doubts = distrust(each.run)
    return f"{each.name} cannot be trusted: {doubts[0]}" if doubts else ""


def _row(each: NamedRun, attributes: Mapping[str, str]) -> Iterator[Cell]:
    facts = each.run.facts
    yield from (_instant(facts.started_at), each.name, _verdict(each.run), facts.target, facts.capture.sha256[:12])
    yield from (facts.plan_sha256[:12], facts.users_planned)
    yield from (str(facts.environment.get(name, "")) for name in ("host", "rushhour"))
    yield from attributes.values()
    for subject in _SUBJECTS.values():
        value, _ = point_of(subject, evidence_for(each.run, subject))
        yield float("nan") if value is None else round(value, 4)


def _verdict(run: Run) -> str:
    from analysis.verdict import judge, thresholds_of

    judging = run.judging
    allow_lag = judging is not None and judging.allow_lag
    return judge(run, thresholds_of(judging), allow_lag=allow_lag).word.value


def _instant(iso: str) -> str:
    """Return a time in UTC, so that rows sort by it; what is none stays as it is."""
    try:
        return datetime.fromisoformat(iso).astimezone(UTC).isoformat(timespec="seconds")
    except ValueError:
        return iso


def _read(path: Path, columns: Sequence[str]) -> dict[tuple[str, str], list[str]]:
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            first, *rows = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise ConfigError(f"cannot read {path}: {exc}", "choose another -o") from exc
    if first != list(columns) or any(len(row) != len(columns) for row in rows):
        raise ConfigError(f"{path} has other columns than these runs", "give the same --attribute, or another -o")
    return {(row[0], row[1]): row for row in rows}
