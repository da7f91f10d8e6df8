"""What to do next with a finished run, in one line that can be typed. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from analysis.representation import UNLIKE
from analysis.run import RunFacts

_UNLIKE_RECORDED = re.compile(r"mismatch_.*|status_4\d\d|not_sent_(?:correlation_miss|producer_failed)")
"""Classes of an answer that was not what the recording had there, and of what follows from it."""


def next_step(summary: dict[str, Any], directory: Path) -> str:
    """Return the most useful next command for a run's verdict, and what it is good for."""
    run = shlex.quote(str(directory))
    match summary["verdict"]:
        case "pass":
            return f"rushhour replay … --baseline {run} holds the next run against this one"
        case "fail" | "aborted" if summary["failures"]:
            return f"rushhour errors {run} shows the first failures of each kind"
        case "fail" | "aborted":
            return "the report shows when it became slow, and on which route"
        case "invalid":
            return "rushhour doctor checks this machine; fewer users, or more of a machine, make the figures count"
        case "inconclusive" if any(reason.startswith(UNLIKE) for reason in summary["reasons"]):
            command = _verify(summary["capture"]["path"], summary["target"], summary["options"])
            return f"{command} explains where answers differ from the recorded ones"
        case "inconclusive":
            return "a longer run (--for) or more --users leave less open"
        case _:
            return f"rushhour report {run} shows what was measured until then"


def next_after_errors(facts: RunFacts, classes: Iterable[str], directory: Path) -> str:
    """Return the command that explains these classes of failure best, and what it is good for.

    Where the target answers otherwise than it did when it was recorded, one user at recorded speed shows where that
    begins; where it merely fails, the report shows when.
    """
    if not any(map(_UNLIKE_RECORDED.fullmatch, classes)):
        return f"rushhour report {shlex.quote(str(directory))}; its report.html shows them over time"
    command = _verify(facts.capture.path, facts.target, facts.options)
    return f"{command} explains, step by step, where answers differ from the recorded ones"


def _verify(capture: str, target: str, options: Mapping[str, Any]) -> str:
    given = options.get("identities")
    users = f" --identities {shlex.quote(str(given))}" if given else ""
    return f"rushhour verify {shlex.quote(capture)} --target {shlex.quote(target)}{users}"
