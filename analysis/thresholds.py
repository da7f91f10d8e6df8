"""The threshold language: text to ``Threshold``, with errors that point at the column. Pure.

Grammar (spaces are free between the parts)::

    threshold = metric [ "{" key "=" string { "," key "=" string } "}" ] stat op limit { ";" clause }
    metric    = http | ws.connect | ws.reply | session | verify | … (``series.METRICS``)
    stat      = p50 … p99.99 | avg | min | max | errors | mismatch | complete | failed | misses | ratio | count | rate
    op        = "<" | "<=" | ">" | ">=" | "=="
    limit     = number unit | number "x baseline"       unit: us ms s m for times, % for shares, /s for rates
    clause    = "abort" | "after" duration | "min_samples" integer | "severity" ( fail | warn | invalid )
              | "floor" duration

``abort`` ends a run that breaks it, from second ``after`` on. ``severity`` says what a broken one makes of the run:
``warn`` only a warning, ``invalid`` a measurement that cannot be trusted. ``floor`` is the least difference to a
baseline that counts, 5 ms unless given.

Examples: ``http p95 < 200ms`` · ``http{route="GET /api/quotes"} p95 < 300ms`` · ``session complete >= 99%`` ·
``http errors < 5%; abort; after 10s; min_samples 200`` · ``http p95 <= 1.2x baseline; floor 2ms`` ·
``generator.lag p99 < 5ms; severity invalid``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from analysis.series import METRICS, Labels, Metric, Stat, Unit, format_series
from captures.errors import ConfigError


class Op(Enum):
    """How a value is compared with its limit."""

    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    EQ = "=="

    def holds(self, value: float, limit: float) -> bool:
        """Return whether the comparison is true."""
        if self is Op.EQ:
            return value == limit
        if self in (Op.LT, Op.GT):
            return value < limit if self is Op.LT else value > limit
        return value <= limit if self is Op.LE else value >= limit

    @property
    def is_upper(self) -> bool:
        """True where small values are good."""
        return self in (Op.LT, Op.LE, Op.EQ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a threshold looks at: a statistic of a series; ``quantile`` (0–1) of ``Stat.QUANTILE`` only."""

    metric: str
    labels: Labels = ()
    stat: Stat
    quantile: float | None = None

    def __str__(self) -> str:
        stat = self.stat.value if self.quantile is None else f"p{self.quantile * 100:.10g}"
        return f"{format_series(self.metric, self.labels)} {stat}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What it is compared with: ``value`` in ms, %, 1/s or a number, or ``factor`` times the baseline's value."""

    value: float = 0.0
    unit: Unit
    factor: float | None = None


class Severity(Enum):
    """What a broken threshold makes of a run."""

    FAIL = "fail"
    WARN = "warn"
    INVALID = "invalid"


class Origin(Enum):
    """Who set a limit."""

    DEFAULT = "default"
    USER = "user"
    CALIBRATED = "calibrated"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One condition a run has to meet.

    Attributes:
        expr: as it was written.
        origin: where it was written: ``default``, ``--threshold``, a file's name, ``calibrated:`` and a file's name.
        abort_after_s: from that second on a broken threshold ends the run; None where it never does.
        min_samples: fewer samples are few; None leaves that to the quantile.
        severity: what it makes of a run that breaks it.
        floor_ms: of a limit relative to a baseline, the least difference that counts; None leaves it at 5 ms.
    """

    expr: str
    origin: str
    subject: Subject
    op: Op
    limit: Limit
    abort_after_s: float | None = None
    min_samples: int | None = None
    severity: Severity = Severity.FAIL
    floor_ms: float | None = None

    @property
    def set_by(self) -> Origin:
        """Who set its limit."""
        if self.limit.factor is not None:
            return Origin.BASELINE
        if self.origin.startswith(CALIBRATED_PREFIX):
            return Origin.CALIBRATED
        return Origin.DEFAULT if self.origin == DEFAULT_ORIGIN else Origin.USER

    @property
    def source(self) -> str:
        """Where it was written, without who set it."""
        return self.origin.removeprefix(CALIBRATED_PREFIX)


DEFAULT_ORIGIN = "default"
CALIBRATED_PREFIX = "calibrated:"
"""Before the name of a file that ``rushhour calibrate`` wrote."""

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    | (?P<string>"(?:[^"\\]|\\["\\])*")
    | (?P<number>\d{1,15}(?:\.\d{1,9})?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
    | (?P<op><=|>=|==|<|>)
    | (?P<mark>[{}=,;%/])""",
    re.VERBOSE | re.ASCII,
)
_MS_PER_UNIT = {"us": Decimal("0.001"), "ms": Decimal(1), "s": Decimal(1000), "m": Decimal(60_000)}
_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,6})?)", re.ASCII)
_UNIT_HINTS = {
    Unit.MS: "a time needs a unit: us, ms, s or m, such as 200ms",
    Unit.PERCENT: "a share needs a percent sign, such as 1%",
    Unit.PER_SECOND: "a rate is written per second, such as 50/s",
    Unit.NUMBER: "a count has no unit",
}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


@dataclass(slots=True)
class _Clauses:
    abort_after_s: float | None = None
    min_samples: int | None = None
    severity: Severity = Severity.FAIL
    floor_ms: float | None = None


_CLAUSES = ("abort", "after", "min_samples", "severity", "floor")
_CLAUSE_HINT = "abort, after 10s, min_samples 200, severity warn or floor 5ms"


class _Parser:
    """Walks the tokens of one expression; every complaint knows its place."""

    def __init__(self, text: str, origin: str, *, has_baseline: bool) -> None:
        self._text = text
        self._origin = origin
        self._has_baseline = has_baseline
        self._tokens = self._split()
        self._next = 0

    def _split(self) -> list[_Token]:
        tokens, at = [], 0
        while at < len(self._text):
            match = _TOKEN.match(self._text, at)
            if match is None:
                problem = "this string has no end" if self._text[at] == '"' else "this means nothing here"
                raise self._error(problem, at)
            if match.lastgroup != "space":
                tokens.append(_Token(str(match.lastgroup), match[0], at))
            at = match.end()
        tokens.append(_Token("end", "", len(self._text.rstrip()) if self._text.strip() else 0))
        return tokens

    def _error(self, problem: str, at: int) -> ConfigError:
        shown, column = _printable(self._text), len(_printable(self._text[:at]))
        where = self._origin.removeprefix(CALIBRATED_PREFIX)
        return ConfigError(f"{where}: {problem} (column {at + 1})\n  {shown}\n  {' ' * column}^")

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _expect(self, kind: str, problem: str, text: str | None = None) -> _Token:
        token = self._take()
        if token.kind != kind or (text is not None and token.text != text):
            raise self._error(problem, token.at)
        return token

    def _accept(self, text: str) -> bool:
        is_there = self._peek().text == text and self._peek().kind in ("mark", "word")
        if is_there:
            self._take()
        return is_there

    def parse(self) -> Threshold:
        """Return the threshold that the text is."""
        subject = self.subject()
        op = Op(self._expect("op", "a comparison is due here: <, <=, >, >= or ==").text)
        limit = self._limit(subject)
        clauses = self._clauses(limit)
        return Threshold(
            expr=" ".join(self._text.split()),
            origin=self._origin,
            subject=subject,
            op=op,
            limit=limit,
            abort_after_s=clauses.abort_after_s,
            min_samples=clauses.min_samples,
            severity=clauses.severity,
            floor_ms=clauses.floor_ms,
        )

    def only_subject(self) -> Subject:
        """Return the subject that the whole text is."""
        subject = self.subject()
        self._expect("end", "nothing may follow a statistic here")
        return subject

    def subject(self) -> Subject:
        """Return the metric, labels and statistic that come next."""
        metric = self._metric()
        labels = self._labels(metric) if self._accept("{") else ()
        return self._stat(metric, labels)

    def _metric(self) -> Metric:
        token = self._expect("word", "a threshold begins with a metric, such as http")
        metric = METRICS.get(token.text)
        if metric is None:
            raise self._error(f"unknown metric {token.text}; {_known(token.text, METRICS)}", token.at)
        return metric

    def _labels(self, metric: Metric) -> Labels:
        labels: dict[str, str] = {}
        while True:
            key = self._expect("word", "a label is due here")
            if key.text not in metric.labels:
                known = _known(key.text, metric.labels) if metric.labels else "it has none"
                raise self._error(f"{metric.name} has no label {key.text}; {known}", key.at)
            if key.text in labels:
                raise self._error(f"the label {key.text} stands here twice", key.at)
            self._expect("mark", "an = is due here", "=")
            value = self._expect("string", "the value of a label stands in double quotes")
            labels[key.text] = re.sub(r"\\(.)", r"\1", value.text[1:-1])
            if self._accept("}"):
                return tuple(sorted(labels.items()))
            self._expect("mark", "a comma or a closing brace is due here", ",")

    def _stat(self, metric: Metric, labels: Labels) -> Subject:
        token = self._expect("word", f"a statistic is due here; {_stats_of(metric)}")
        match = _QUANTILE.fullmatch(token.text)
        if match is not None and 0 < Decimal(match[1]) < 100 and Stat.QUANTILE in metric.stats:
            return Subject(
                metric=metric.name, labels=labels, stat=Stat.QUANTILE, quantile=float(Decimal(match[1]) / 100)
            )
        for stat in metric.stats:
            if stat is not Stat.QUANTILE and stat.value == token.text:
                return Subject(metric=metric.name, labels=labels, stat=stat)
        raise self._error(f"{metric.name} has no statistic {token.text}; {_stats_of(metric)}", token.at)

    def _limit(self, subject: Subject) -> Limit:
        number = self._expect("number", "a number is due here")
        unit = subject.stat.unit
        suffix = self._peek()
        if suffix.text == "x":
            return self._baseline(Decimal(number.text), unit)
        if unit is Unit.MS:
            scale = _MS_PER_UNIT.get(suffix.text)
            if scale is None:
                raise self._error(_UNIT_HINTS[unit], suffix.at)
            self._take()
            return Limit(value=float(Decimal(number.text) * scale), unit=unit)
        for mark in unit.value:
            if not self._accept(mark):
                raise self._error(_UNIT_HINTS[unit], self._peek().at)
        if unit is Unit.PERCENT and Decimal(number.text) > 100:
            raise self._error("a share is at most 100%", number.at)
        return Limit(value=float(number.text), unit=unit)

    def _baseline(self, factor: Decimal, unit: Unit) -> Limit:
        at = self._take().at
        self._expect("word", "the word baseline is due here, as in 1.2x baseline", "baseline")
        if not self._has_baseline:
            raise self._error("a limit relative to a baseline needs --baseline RUN_DIR", at)
        return Limit(unit=unit, factor=float(factor))

    def _clauses(self, limit: Limit) -> _Clauses:
        found, seen = _Clauses(), dict[str, int]()
        after_s = 0.0
        while self._peek().kind != "end":
            self._expect("mark", "only ; and a clause may follow here", ";")
            word = self._expect("word", f"a clause is due here: {_CLAUSE_HINT}")
            if word.text in seen:
                raise self._error(f"{word.text} stands here twice", word.at)
            seen[word.text] = word.at
            match word.text:
                case "abort":
                    found.abort_after_s = 0.0
                case "after":
                    after_s = self._duration_ms("10s") / 1000
                case "min_samples":
                    found.min_samples = self._count()
                case "severity":
                    found.severity = self._severity()
                case "floor":
                    found.floor_ms = self._floor_ms(limit, word)
                case _:
                    hint = _known(word.text, _CLAUSES) if _near(word.text, _CLAUSES) else f"write {_CLAUSE_HINT}"
                    raise self._error(f"unknown clause {word.text}; {hint}", word.at)
        self._check_abort(limit, found, seen)
        if "abort" in seen:
            found.abort_after_s = after_s
        return found

    def _check_abort(self, limit: Limit, found: _Clauses, seen: Mapping[str, int]) -> None:
        if "after" in seen and "abort" not in seen:
            raise self._error("after says when abort may begin; write ; abort; after 10s", self._peek().at)
        if "abort" in seen and found.severity is Severity.WARN:
            raise self._error("what only warns cannot abort a run", seen["abort"])
        if "abort" in seen and limit.factor is not None:
            raise self._error("a baseline is compared with a whole run, it cannot abort one", seen["abort"])

    def _duration_ms(self, example: str) -> float:
        number = self._expect("number", f"a duration is due here, such as {example}")
        scale = _MS_PER_UNIT.get(self._peek().text)
        if scale is None:
            raise self._error(f"a duration needs a unit: us, ms, s or m, such as {example}", self._peek().at)
        self._take()
        return float(Decimal(number.text) * scale)

    def _severity(self) -> Severity:
        word = self._expect("word", "a severity is due here: fail, warn or invalid")
        try:
            return Severity(word.text)
        except ValueError:
            raise self._error(f"unknown severity {word.text}; write fail, warn or invalid", word.at) from None

    def _floor_ms(self, limit: Limit, word: _Token) -> float:
        if limit.factor is None or limit.unit is not Unit.MS:
            raise self._error("floor is of a time relative to a baseline, such as <= 1.2x baseline", word.at)
        return self._duration_ms("5ms")

    def _count(self) -> int:
        number = self._expect("number", "a whole number is due here, such as 200")
        if "." in number.text or int(number.text) < 1:
            raise self._error("a whole number from 1 on is due here, such as 200", number.at)
        return int(number.text)


def parse_threshold(text: str, *, origin: str = "--threshold", has_baseline: bool = False) -> Threshold:
    """Read one threshold.

    Args:
        text: as in the grammar above.
        origin: who wrote it, for errors and reports.
        has_baseline: whether the run is compared with one.

    Raises:
        ConfigError: the text is no threshold; the message shows the column.
    """
    return _Parser(text, origin, has_baseline=has_baseline).parse()


def parse_subject(text: str, *, origin: str = "--metric") -> Subject:
    """Read what a threshold looks at, without a limit: ``http{route="GET /"} p95``.

    Raises:
        ConfigError: the text is none; the message shows the column.
    """
    return _Parser(text, origin, has_baseline=False).only_subject()


def in_force(own: Sequence[Threshold]) -> tuple[Threshold, ...]:
    """Return the thresholds of a run: the user's own, and the defaults whose subject none of them names."""
    subjects = {threshold.subject for threshold in own}
    return (*(default for default in DEFAULTS if default.subject not in subjects), *own)


def check_labels(thresholds: Iterable[Threshold], known: Mapping[str, Sequence[str]]) -> None:
    """Refuse thresholds on a label value that the plan does not have, before the run.

    Args:
        known: values of the plan, by the label's key: ``route``, ``kind``, ``message``.

    Raises:
        ConfigError: the value and the nearest one.
    """
    for threshold in thresholds:
        for key, value in threshold.subject.labels:
            if key in known and value not in known[key]:
                raise ConfigError(
                    f"{threshold.source}: the plan has no {key} {_printable(value)} ({_printable(threshold.expr)})",
                    _known(value, known[key]) if known[key] else f"it has no {key}s at all",
                )


def _known(text: str, names: Iterable[str]) -> str:
    known = list(names)
    near = _near(text, known)
    if near:
        return f"did you mean {_printable(near[0])}?"
    listed = ", ".join(_printable(name) for name in known[:12])
    return f"known are {listed}" + (" …" if len(known) > 12 else "")


def _near(text: str, known: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(text, known, n=1)


def _stats_of(metric: Metric) -> str:
    names = ["p50 to p99.99" if stat is Stat.QUANTILE else stat.value for stat in metric.stats]
    return f"{metric.name} has {', '.join(names)}"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


DEFAULT_EXPRESSIONS = (
    "http p95 < 200ms",
    "ws.reply p99 < 100ms",
    "ws.push_lag p99 < 100ms",
    "http errors < 1%",
    "ws.connect errors < 1%",
    "session complete >= 99%",
    "verify mismatch < 1%",
    "correlation misses == 0",
)
DEFAULTS = tuple(parse_threshold(text, origin=DEFAULT_ORIGIN) for text in DEFAULT_EXPRESSIONS)
