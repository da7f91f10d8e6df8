"""What of a plan the report holds a run against: recorded times, sessions, pairing rules. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from analysis.histogram import bucket_of
from analysis.recorded import PairingRule, Recorded, RecordedSession, RecordedStep, within_budget
from analysis.slots import Buckets, SeriesKey
from replayer.load.populations import PopulationLoad
from replayer.load.schedule import retime
from replayer.plan.records import Pairing, Plan, Script, Step, StepKind


def recorded_of(plan: Plan, populations: Sequence[PopulationLoad]) -> Recorded:
    """Return what the recording of a plan was like, in the time of its populations."""
    times: dict[SeriesKey, Buckets] = {}
    for script in plan.scripts:
        for key, duration_ns in _durations(plan, script):
            buckets = times.setdefault(key, {})
            bucket = bucket_of(duration_ns // 1000)
            buckets[bucket] = buckets.get(bucket, 0) + 1
    sessions = (
        _session(plan, plan.scripts[number], population)
        for population in populations
        for number in range(population.first_script, population.first_script + population.n_scripts)
    )
    return Recorded(times=times, sessions=within_budget(sessions), pairings=_pairings(plan))


def _durations(plan: Plan, script: Script) -> Iterator[tuple[SeriesKey, int]]:
    for step in script.steps:
        key, duration_ns = _series_of(plan, step), _duration_ns(script, step)
        if key is not None and duration_ns > 0:
            yield key, duration_ns
    for socket in script.sockets:
        connect = script.steps[socket.connect]
        if socket.ready and connect.duration_ns > 0:
            ready_ns = max(script.steps[index].at_ns for index in socket.ready)
            labels = (("route", plan.routes[socket.route].name),)
            yield ("ws.ready", labels), max(0, ready_ns - connect.at_ns - connect.duration_ns)


def _duration_ns(script: Script, step: Step) -> int:
    if step.kind is StepKind.RECEIVE:
        return max(0, step.at_ns - script.steps[step.reply_to].at_ns)
    return step.duration_ns


def _series_of(plan: Plan, step: Step) -> SeriesKey | None:
    """Return the series that the outcome of a step counts in; None of one that has no latency."""
    route = plan.routes[step.route]
    if step.kind is StepKind.REQUEST and not step.kept_open:
        return "http", (("kind", route.kind.value), ("route", route.name))
    if step.kind is StepKind.CONNECT:
        return "ws.connect", (("route", route.name),)
    if step.kind is StepKind.RECEIVE and step.reply_to >= 0:
        message = plan.message_kinds[step.message_kind].name if step.message_kind >= 0 else ""
        return "ws.reply", ((("message", message),) if message else ()) + (("route", route.name),)
    return None


def _session(plan: Plan, script: Script, population: PopulationLoad) -> RecordedSession:
    load = population.load
    sends = [step for step in script.steps if step.kind is not StepKind.RECEIVE]
    placed_ns = retime([step.at_ns for step in sends], speed=load.speed, max_gap_ns=load.max_gap_ns)
    at_ns = {step.index: ns for step, ns in zip(sends, placed_ns, strict=True)}
    return RecordedSession(number=script.session, steps=tuple(_steps(plan, script, at_ns)))


def _steps(plan: Plan, script: Script, at_ns: Mapping[int, int]) -> Iterator[RecordedStep]:
    for step in script.steps:
        key = _series_of(plan, step)
        if key is not None:
            start = step.reply_to if step.kind is StepKind.RECEIVE else step.index
            yield RecordedStep(
                index=step.index,
                series=key,
                at_ns=at_ns[start],
                duration_ns=_duration_ns(script, step),
            )


def _pairings(plan: Plan) -> tuple[PairingRule, ...]:
    found: dict[tuple[int, int, int], Pairing] = {}
    for script in plan.scripts:
        for step in script.steps:
            if step.pairing is not None and step.reply_to >= 0:
                found[step.route, script.steps[step.reply_to].message_kind, step.message_kind] = step.pairing
        for socket in script.sockets:
            for ticker in socket.tickers:
                if ticker.pairing is not None:
                    found[socket.route, ticker.message_kind, ticker.reply_kind] = ticker.pairing
    return tuple(
        PairingRule(
            route=plan.routes[route].name,
            sent=_name(plan, sent),
            reply=_name(plan, reply),
            rule=pairing.rule,
            support=pairing.support,
        )
        for (route, sent, reply), pairing in sorted(found.items())
    )


def _name(plan: Plan, kind: int) -> str:
    return plan.message_kinds[kind].name if kind >= 0 else "any message"
