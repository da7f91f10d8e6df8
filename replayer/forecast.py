"""``rushhour replay --dry-run``: the planned curve as a plot and as JSON, and where this machine will not do.

Nothing is sent, not even the probe; the target is not resolved.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from replayer.checks import machine_of, n_workers_of
from replayer.facts import planned_duration_s
from replayer.gathering import Gathered, gather
from replayer.load.capacity import Demand, all_of, warnings_of
from replayer.load.dry_run import Curve, add_curves, curve_of
from replayer.load.populations import PopulationLoad
from replayer.load.storms import How, Storm
from replayer.options.run import ReplayOptions
from replayer.strikes import strike_notes, strikes_within

WIDTH = 72
HEIGHT = 5
_BLOCKS = " ▁▂▃▄▅▆▇█"
_ROWS = (
    ("arrivals", "arrivals /s"),
    ("users", "users there"),
    ("sockets", "sockets open"),
    ("requests", "requests /s"),
    ("messages_out", "messages sent /s"),
    ("messages_in", "messages received /s"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run would do: by population, in all, and what people should know.

    ``strikes``: each storm, and when it strikes, s after the start.
    """

    curve: Curve
    demand: Demand
    populations: tuple[tuple[PopulationLoad, Curve, tuple[str, ...]], ...]
    n_workers: int
    strikes: tuple[tuple[Storm, list[float]], ...]
    warnings: tuple[str, ...]


def forecast(options: ReplayOptions) -> Forecast:
    """Compute the planned curve of a replay.

    Raises:
        RushhourError: as the preparation of a replay, but for everything that concerns the target.
    """
    gathered = gather(options, has_identities=False)
    curves = [curve_of(gathered.plan, population) for population in gathered.populations]
    is_local = _is_loopback(options.target.target.host)
    n_workers = n_workers_of(options.workers, users=gathered.users, is_loopback=is_local)
    storms = gathered.with_waits(options.storm.storms)
    duration_s = planned_duration_s(gathered.plan, gathered.populations) if storms else 0.0
    demand = all_of([curve.demand() for curve in curves])
    machine = machine_of(n_workers=n_workers, is_loopback=is_local)
    return Forecast(
        curve=add_curves(curves),
        demand=demand,
        populations=tuple(zip(gathered.populations, curves, gathered.along, strict=True)),
        n_workers=n_workers,
        strikes=tuple((storm, strikes_within(number, storm, duration_s)) for number, storm in enumerate(storms, 1)),
        warnings=(
            *gathered.notes,
            *_closed(gathered),
            *warnings_of(demand, machine),
            *strike_notes(storms, gathered.plan, duration_s),
        ),
    )


def forecast_json(found: Forecast) -> str:
    """Return the forecast as one JSON document; lists have one entry per second."""
    body = {
        "schema": 1,
        "seconds": len(found.curve.users),
        "workers": found.n_workers,
        **_lists(found.curve),
        "peaks": asdict(found.demand),
        "totals": {
            "users": sum(found.curve.arrivals),
            "requests": sum(found.curve.requests),
            "messages_out": sum(found.curve.messages_out),
        },
        "populations": [
            {
                "name": population.name,
                "n_users": sum(curve.arrivals),
                "shape": str(population.load.shape),
                "at_end": population.at_end.value,
                "along": list(along),
                **_lists(curve),
            }
            for population, curve, along in found.populations
        ],
        "storms": [{"spec": str(storm), "strikes_s": strikes_s} for storm, strikes_s in found.strikes],
        "warnings": list(found.warnings),
    }
    return json.dumps(body)


def forecast_text(found: Forecast) -> str:
    """Return the forecast for a terminal: a plot of each quantity over time, and the warnings."""
    curve = found.curve
    head = (
        f"{sum(curve.arrivals):,} users, at most {found.demand.users:,} at once, over {len(curve.users)} s;"
        f" {sum(curve.requests):,} requests, {sum(curve.messages_out):,} messages to send;"
        f" {found.n_workers} worker{'s' if found.n_workers > 1 else ''}; nothing was sent"
    )
    lines = [head]
    for name, title in _ROWS:
        values: Sequence[float] = getattr(curve, name)
        if any(values):
            lines += ["", *_plot(title, values)]
    for population, own, along in found.populations:
        if population.name:
            brought = f"; along for their values: {', '.join(along)}" if along else ""
            peak = own.demand()
            lines.append(
                f"{population.name}: {sum(own.arrivals):,} users, at most {peak.users:,} at once,"
                f" {population.load.shape}, {population.at_end.value}{brought}"
            )
    lines += [_storm_line(number, *each, curve.sockets) for number, each in enumerate(found.strikes, 1)]
    return "\n".join([*lines, *(f"warning: {warning}" for warning in found.warnings)])


def _storm_line(number: int, storm: Storm, strikes_s: Sequence[float], sockets: Sequence[int]) -> str:
    """Say when a storm strikes, and how many of the sockets that are open then it will take."""
    if not strikes_s:
        return f"storm {number}: no strike; {storm}"
    open_then = sockets[min(int(strikes_s[0]), len(sockets) - 1)]
    taken = "the hook decides how many" if storm.loss.how is How.HOOK else f"about {open_then * storm.fraction:,.0f}"
    times = f"{len(strikes_s)} strikes from {strikes_s[0]:g} s to {strikes_s[-1]:g} s"
    when = times if len(strikes_s) > 1 else f"at {strikes_s[0]:g} s"
    return f"storm {number}: {when}, {taken} of {open_then:,} open sockets; {storm}"


def _lists(curve: Curve) -> dict[str, Any]:
    return {name: getattr(curve, name) for name, _ in _ROWS}


def _plot(title: str, values: Sequence[float]) -> Iterator[str]:
    """Yield the lines of one plot: each column is the largest of the seconds it stands for."""
    n_columns = min(WIDTH, len(values))
    columns = [max(values[_edge(i, values, n_columns) : _edge(i + 1, values, n_columns)]) for i in range(n_columns)]
    top = max(columns)
    yield f"{title}, at most {top:,.6g}"
    for row in range(HEIGHT - 1, -1, -1):
        yield "  │" + "".join(_block(value / top * HEIGHT - row) for value in columns).rstrip()
    label = f"{len(values)} s"
    yield f"  0{label:─>{max(len(label), n_columns)}}"


def _edge(column: int, values: Sequence[float], n_columns: int) -> int:
    return column * len(values) // n_columns


def _block(filled: float) -> str:
    return _BLOCKS[max(0, min(8, -(-int(filled * 8_000) // 1_000)))]


def _closed(gathered: Gathered) -> Iterator[str]:
    if any(population.pacing.value == "asap" for population in gathered.populations):
        yield "with --pacing asap the target sets the pace: the curve shows the recorded one"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
