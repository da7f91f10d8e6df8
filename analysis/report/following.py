"""What to do next with a finished run, in one line that can be typed. Pure."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any


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
        case "inconclusive":
            return "a longer run (--for) or more --users leave less open"
        case _:
            return f"rushhour report {run} shows what was measured until then"
