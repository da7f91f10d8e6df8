"""What became of each population of a run: its entry in the summary. Pure.

Counters and gauges of a population carry its name behind an ``@``: ``users_started@sockets``.
"""

from __future__ import annotations

from typing import Any

from analysis.run import Run

_USERS = ("started", "completed", "failed", "retired")
_SESSIONS = ("started", "completed", "failed", "cut", "retired")


def population_reports(run: Run) -> list[dict[str, Any]]:
    """Return one entry per population, in the order of the scenario; none where the run has no populations.

    ``concurrent`` is the most users that were there at the end of a second; ``achieved`` says whether as many started,
    and were there at once, as was planned.
    """
    return [_report(run, dict(facts)) for facts in run.facts.populations]


def unachieved(run: Run) -> list[str]:
    """Say which populations were smaller than planned, one sentence each."""
    return [_shortage(report) for report in population_reports(run) if not report["achieved"]]


def _shortage(report: dict[str, Any]) -> str:
    users = report["users"]
    if users["started"] != users["planned"]:
        return f"population {report['name']}: {users['started']} of {users['planned']} users came"
    return (
        f"population {report['name']}: at most {users['concurrent']} of {users['concurrent_planned']} users were there"
        " at once"
    )


def _report(run: Run, facts: dict[str, Any]) -> dict[str, Any]:
    name, counts = facts["name"], run.whole.counts
    users = {key: counts.get(f"users_{key}@{name}", 0) for key in _USERS}
    peak = max((second.gauges.get(f"users_active@{name}", 0) for second in run.seconds.values()), default=0)
    planned, concurrent = facts["users"], facts["concurrent"]
    return {
        "name": name,
        "capture": facts["capture"],
        "shape": facts["shape"],
        "at_end": facts["at_end"],
        "users": {"planned": planned, **users, "concurrent_planned": concurrent, "concurrent": peak},
        "sessions": {key: counts.get(f"sessions_{key}@{name}", 0) for key in _SESSIONS},
        "along": list(facts["along"]),
        "achieved": users["started"] == planned and (concurrent is None or peak >= concurrent),
    }
