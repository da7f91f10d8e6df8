"""Failures and wrong answers: how often, what was sent, what was recorded, what came instead. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analysis.report.markup import Html, tag
from analysis.report.text import format_count, format_ms, format_seconds, printable
from analysis.verification import MISMATCHES

_MOST_GROUPS = 60
_MOST_OPEN = 5
_MOST_EXAMPLES = 3
_MISMATCH = "mismatch_"

Report = Mapping[str, Any]


def failures_section(groups: Sequence[Report]) -> Html | None:
    """Return every kind of failure and wrong answer with its first evidence; None where there was none.

    Args:
        groups: ``failures`` of the summary, the most frequent first.
    """
    if not groups:
        return None
    shown = [_group(group, is_open=place < _MOST_OPEN) for place, group in enumerate(groups[:_MOST_GROUPS])]
    n_more = len(groups) - len(shown)
    note = tag("p", f"and {format_count(n_more)} more kinds in summary.json", class_="muted") if n_more else None
    return tag("div", *shown, note, class_="failures")


def _group(group: Report, *, is_open: bool) -> Html:
    kind, examples = group["class"], _varied(group["examples"])
    is_mismatch = kind.startswith(_MISMATCH)
    explains = MISMATCHES.get(kind.removeprefix(_MISMATCH), "") if is_mismatch else ""
    where = " ".join(part for part in (group["route"] or group["series"], group["message"]) if part)
    first = f"first at {format_seconds(max(0.0, group['examples'][0]['at_s']))}" if group["examples"] else ""
    head = tag(
        "summary",
        tag("span", format_count(group["count"]), class_="times"),
        tag("code", kind, class_="mismatch" if is_mismatch else "failure"),
        tag("span", tag("code", where) if where else None, tag("span", explains, class_="note") if explains else None),
        tag("span", first, class_="where"),
    )
    body = tag("ol", *map(_example, examples)) if examples else tag("p", "no whole record was kept", class_="muted")
    return tag("details", head, body, open="open" if is_open and examples else None)


def _varied(examples: Iterable[Report]) -> list[Report]:
    """Return the first few that differ in what was seen."""
    first: dict[tuple[object, object], Report] = {}
    for example in examples:
        first.setdefault((example["seen"], example["recorded"]), example)
    return list(first.values())[:_MOST_EXAMPLES]


def _example(example: Report) -> Html:
    seen = example["seen"] or (f"status {example['status']}" if example["status"] else "no answer")
    slots = ", ".join(f"{slot['name']}={slot['value']}" for slot in example["slots"])
    rows = (
        ("sent", example["request"], "sent"),
        ("with", slots, "sent"),
        ("recorded", example["recorded"], "expected"),
        ("came", seen, "came"),
    )
    lines = [tag("p", tag("b", name), tag("code", text), class_=kind) for name, text, kind in rows if text]
    return tag("li", *lines, tag("p", " · ".join(_facts(example)), class_="muted"))


def _facts(example: Report) -> Iterable[str]:
    if example["route"]:
        yield printable(example["route"], 120)
    yield f"at {format_seconds(max(0.0, example['at_s']))}"
    yield f"user {example['user']}, session {example['session']}, step {example['step']}"
    yield f"after {format_ms(example['latency_ms'])}"
