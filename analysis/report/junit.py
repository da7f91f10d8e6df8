"""``junit.xml``: the verdict as a test report, for every CI system that reads JUnit's. Pure.

One test case per threshold and per comparison that decides, and two more that every run has: that it came to its end,
and that its measurement can be trusted. A broken threshold is a ``failure``; what ended the run or makes it invalid is
an ``error``; what cannot be decided, does not apply, or only warns is ``skipped``, with the reason.
Source: https://github.com/testmoapp/junitxml
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from analysis.report.text import format_value, printable

_DECLARATION = "<?xml version='1.0' encoding='utf-8'?>"
_LIMIT = 2_000
_NOT_TO_ITS_END = frozenset({"interrupted", "aborted", "unreachable"})
_BROKEN = {"regressed": "failure", "inconclusive": "skipped", "shown": "skipped"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One test case; ``tag`` is empty where it passed."""

    of: str
    name: str
    tag: str = ""
    message: str = ""
    body: str = ""


def render_junit(summary: dict[str, Any]) -> str:
    """Return the whole file.

    Args:
        summary: what ``summarise`` returned.
    """
    cases = [*_run_cases(summary), *map(_threshold, summary["thresholds"]), *map(_comparison, _gated(summary))]
    counts = {
        "tests": len(cases),
        "failures": sum(case.tag == "failure" for case in cases),
        "errors": sum(case.tag == "error" for case in cases),
        "skipped": sum(case.tag == "skipped" for case in cases),
    }
    shown = {name: str(n) for name, n in counts.items()} | {"time": f"{summary['duration_s']:.3f}"}
    root = ElementTree.Element("testsuites", {"name": "rushhour", **shown})
    suite = ElementTree.SubElement(root, "testsuite", {"name": _safe(f"rushhour {summary['target']}"), **shown})
    suite.set("timestamp", _safe(summary["started_at"]))
    suite.set("hostname", _safe(summary["environment"].get("host", "localhost")))
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(summary):
        ElementTree.SubElement(properties, "property", name=name, value=_safe(value))
    for case in cases:
        _write(suite, case)
    ElementTree.SubElement(suite, "system-out").text = "\n".join(map(_safe, _story(summary)))
    ElementTree.indent(root)
    return f"{_DECLARATION}\n{ElementTree.tostring(root, encoding='unicode')}\n"


def _safe(value: object) -> str:
    """Return a text that XML 1.0 may hold: no control character, no surrogate, no non-character."""
    return printable(value, _LIMIT)


def _write(suite: ElementTree.Element, case: _Case) -> None:
    element = ElementTree.SubElement(
        suite, "testcase", classname=_safe(f"rushhour.{case.of}"), name=_safe(case.name), time="0"
    )
    if case.tag:
        told = ElementTree.SubElement(element, case.tag, message=_safe(case.message))
        if case.tag != "skipped":
            told.set("type", case.of)
            told.text = _safe(case.body or case.message)


def _properties(summary: dict[str, Any]) -> Iterator[tuple[str, object]]:
    yield "verdict", summary["verdict"]
    yield "exit_code", summary["exit_code"]
    yield "capture", summary["capture"]["path"]
    yield "capture_sha256", summary["capture"]["sha256"]
    yield "plan_sha256", summary["plan"]["sha256"]
    yield "target", summary["target"]
    yield "users", summary["users"]["planned"]
    yield "workers", summary["workers"]
    for name, value in summary["environment"].items():
        yield f"environment.{_safe(name)}", value


def _story(summary: dict[str, Any]) -> Iterator[str]:
    yield f"{summary['verdict'].upper()} (exit code {summary['exit_code']})"
    yield from summary["reasons"]
    yield from (f"warning: {sentence}" for sentence in summary["warnings"])


def _run_cases(summary: dict[str, Any]) -> Iterator[_Case]:
    has_stopped = summary["verdict"] in _NOT_TO_ITS_END
    yield _Case(
        of="run",
        name="came to its end",
        tag="error" if has_stopped else "",
        message=summary["reasons"][0] if has_stopped else "",
    )
    invalid = summary["generator"]["invalid"]
    yield _Case(
        of="generator",
        name="the measurement can be trusted",
        tag="error" if invalid else "",
        message="; ".join(invalid),
    )


def _threshold(row: dict[str, Any]) -> _Case:
    value = format_value(row["value"], row["unit"])
    note = f" ({row['note']})" if row["note"] else ""
    tag, message = "", ""
    match row["outcome"], row["severity"]:
        case "fail", "warn":
            tag, message = "skipped", f"only warns: {value}{note}"
        case "fail", severity:
            tag, message = "error" if severity == "invalid" else "failure", f"{row['expr']}: {value}{note}"
        case "inconclusive", _:
            tag, message = "skipped", f"cannot be decided: {value}{note}"
        case "not_applicable", _:
            tag, message = "skipped", f"does not apply{note}"
    body = f"measured {value} of {row['n']} samples, limit {format_value(row['limit'], row['unit'])}, set by "
    doubt = ", not calibrated on this target" if row["calibrated"] is False else ""
    return _Case(
        of=row["expr"].split("{")[0].split()[0],
        name=row["expr"],
        tag=tag,
        message=message,
        body=f"{message}; {body}{row['origin']}, {row['confidence']} confidence{doubt}",
    )


def _gated(summary: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return (each for each in summary["baseline"]["comparisons"] if each["is_gated"])


def _comparison(each: dict[str, Any]) -> _Case:
    tag = _BROKEN.get(each["outcome"], "")
    return _Case(of="baseline", name=f"{each['subject']} against the baseline", tag=tag, message=each["sentence"])
