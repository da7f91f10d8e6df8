"""A comparison with a baseline, and which limits were calibrated, for a terminal. Pure but for what it prints to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from analysis.comparison import Drawn
from analysis.report.text import plural, printable

_STYLES = {
    "regressed": "bold red",
    "ok": "green",
    "improved": "bold green",
    "inconclusive": "bold yellow",
    "shown": "dim",
}
_MOST_ROWS = 12


def render_comparisons(baseline: dict[str, Any], console: Console) -> None:
    """Print what came of a comparison: what decides whole, of the rest what changed; nothing without a baseline.

    Args:
        baseline: ``summary["baseline"]``.
    """
    comparisons = baseline["comparisons"]
    if not comparisons:
        return
    console.print()
    is_recording = any(each["drawn"] == Drawn.RECORDED.value for each in comparisons)
    head = "against the recording" if is_recording else f"baseline of {plural(len(baseline['runs']), 'run')}"
    console.print(Text(head, "dim"))
    gated = [each for each in comparisons if each["is_gated"]]
    others = [each for each in comparisons if not each["is_gated"]]
    changed = others if is_recording else [each for each in others if each["outcome"] not in ("ok", "shown")]
    for each in (*gated, *changed[:_MOST_ROWS]):
        style = _STYLES[each["outcome"]] if each["is_gated"] else "dim"
        console.print(Text.assemble(("  ", style), (printable(each["sentence"], 400), style)), soft_wrap=True)
    n_more = len(others) - min(len(changed), _MOST_ROWS)
    if n_more:
        console.print(Text(f"  {n_more} more were compared and decide nothing; --json has them", "dim"))


def render_compared(verdict: str, baseline: dict[str, Any], console: Console, *, doubts: Sequence[str] = ()) -> None:
    """Print what came of runs against a baseline, the verdict first.

    Args:
        baseline: ``Baseline.to_body``.
        doubts: why nothing can be said whatever was compared, in sentences.
    """
    style = _STYLES.get(verdict, "bold magenta")
    gated = [each for each in baseline["comparisons"] if each["is_gated"]]
    found = [*doubts, *(each["sentence"] for each in gated if each["outcome"] == verdict)]
    usual = "nothing decides against the recording" if verdict == "shown" else "nothing was measured that decides"
    head = printable(found[0], 400) if found else usual
    console.print(Text.assemble((verdict.upper(), style), f"  {head}"), soft_wrap=True)
    for sentence in doubts[1:]:
        console.print(Text(f"  {printable(sentence)}"), soft_wrap=True)
    render_comparisons(baseline, console)


def calibration_line(summary: dict[str, Any]) -> Text | None:
    """Return the sentence on limits that were never measured on this target, None where all were or none is there."""
    missing = summary["calibration"]["not_calibrated"]
    if not missing:
        return None
    listed = ", ".join(printable(expr, 60) for expr in missing[:4]) + (" …" if len(missing) > 4 else "")
    return Text(f"not calibrated on this target: {listed} (rushhour calibrate RUN… measures limits that fit)", "dim")
