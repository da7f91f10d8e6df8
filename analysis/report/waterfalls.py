"""Waterfalls: one session step by step, as it was recorded and as it was replayed, on one axis. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.report.markup import Html, join, tag
from analysis.report.played import PlayedSession, PlayedStep, chosen_sessions
from analysis.report.scale import Scale
from analysis.report.text import format_count, format_ms, printable
from analysis.run import Run

MOST_STEPS = 40
_NS_PER_MS = 1e6
_HEADS = {
    "slowest": ("Slowest session", "of those without a failure, the one that ended latest against its recording"),
    "median": ("Median session", "half of the sessions without a failure were later, half were not"),
    "failed": ("Failed session", "the one with a failure of which most was kept"),
}


def waterfalls_section(run: Run) -> Html | None:
    """Return a waterfall for the slowest, the median and a failed session; None where no session was kept whole."""
    chosen = chosen_sessions(run)
    if not chosen:
        return None
    has_recorded = any(step.recorded is not None for _, session in chosen for step in session.steps)
    told = "failed" if any(name == "failed" for name, _ in chosen) else chosen[0][0]
    drawn = [_waterfall(name, session, is_open=name == told) for name, session in chosen]
    return join(_legend(has_recorded=has_recorded), *drawn)


def _legend(*, has_recorded: bool) -> Html:
    entries = [
        *([tag("li", tag("i", class_="then"), "recorded")] if has_recorded else []),
        tag("li", tag("i", class_="wait"), "due, waits to be sent"),
        tag("li", tag("i", class_="took"), "sent, until its last byte"),
        tag("li", tag("i", class_="took bad"), "failed or wrong"),
    ]
    return tag("ul", *entries, class_="keys waterkeys")


def _waterfall(name: str, session: PlayedSession, *, is_open: bool) -> Html:
    title, explains = _HEADS[name]
    steps = _shown(session.steps)
    scale = Scale(low=0.0, high=max(1.0, _end_ns(steps)))
    rows = [_row(step, scale) for step in steps]
    n_more = len(session.steps) - len(steps)
    note = (
        tag("p", f"{format_count(n_more)} more steps, none of them later, are left out", class_="muted")
        if n_more
        else None
    )
    head = tag(
        "summary",
        tag("span", tag("h3", title), tag("span", explains, class_="caption")),
        tag("span", _said(session), class_="said"),
    )
    return tag(
        "details", head, tag("div", _axis(scale), *rows, note, class_="waterfall"), open="open" if is_open else None
    )


def _shown(steps: Sequence[PlayedStep]) -> list[PlayedStep]:
    """Return at most ``MOST_STEPS``, in order: first what failed, then what was latest."""
    ranked = sorted(steps, key=lambda step: (step.is_ok, -step.late_ns))[:MOST_STEPS]
    return sorted(ranked, key=lambda step: (step.intended_ns, step.index))


def _end_ns(steps: Sequence[PlayedStep]) -> float:
    then = (step.recorded.at_ns + step.recorded.duration_ns for step in steps if step.recorded is not None)
    return float(max([*(step.end_ns for step in steps), *then]))


def _said(session: PlayedSession) -> str:
    worst = max(session.steps, key=lambda step: step.end_ns - step.intended_ns)
    parts = [f"user {session.user}", f"recorded session {session.number}", f"took {_ms(session.duration_ns)}"]
    if any(step.recorded is not None for step in session.steps):
        late_ns = session.late_ns
        parts.append(f"{_ms(abs(late_ns))} {'later' if late_ns >= 0 else 'earlier'} than recorded")
    parts.append(f"worst step {_ms(worst.end_ns - worst.intended_ns)}")
    return " · ".join(parts)


def _ms(ns: float) -> str:
    return format_ms(ns / _NS_PER_MS)


def _axis(scale: Scale) -> Html:
    labels = [
        tag(
            "span",
            _ms(at_ns),
            style=f"left:{scale.place(at_ns):.2%}",
            class_="last" if scale.place(at_ns) > 0.95 else None,
        )
        for at_ns in scale.ticks(5)
    ]
    return tag("div", tag("span"), tag("span"), tag("span", *labels, class_="axis"), class_="step", aria_hidden="true")


def _row(step: PlayedStep, scale: Scale) -> Html:
    labels = dict(step.series[1])
    name = labels.get("route", step.series[0])
    message = labels.get("message")
    outcome = None if step.is_ok else tag("span", printable(step.outcome, 60), class_="outcome")
    bars = [
        *(
            [_bar("then", step.recorded.at_ns, step.recorded.at_ns + step.recorded.duration_ns, scale)]
            if step.recorded
            else []
        ),
        _bar("wait", step.intended_ns, step.actual_ns, scale),
        _bar("took" if step.is_ok else "took bad", step.actual_ns, step.end_ns, scale),
    ]
    then = f", recorded {_ms(step.recorded.duration_ns)}" if step.recorded else ""
    hint = f"step {step.index}: {_ms(step.end_ns - step.intended_ns)} from intended start{then}"
    return tag(
        "div",
        tag("code", f"{name} {message}" if message else name, outcome),
        tag("span", _ms(step.end_ns - step.intended_ns), class_="n"),
        tag("span", *bars, class_="lane"),
        class_="step" if step.is_ok else "step bad",
        title=hint,
    )


def _bar(kind: str, start_ns: int, end_ns: int, scale: Scale) -> Html | None:
    if end_ns <= start_ns and kind == "wait":
        return None
    left, right = scale.place(start_ns), scale.place(end_ns)
    return tag("i", class_=kind, style=f"left:{left:.2%};width:{max(0.0, right - left):.2%}")
