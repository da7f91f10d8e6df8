"""A run in which every text that comes from outside is an attack on whoever shows it."""

from __future__ import annotations

from analysis.recorded import PairingRule, Recorded, RecordedSession, RecordedStep
from analysis.run import CaptureFacts, Ended, Run, RunEnd
from analysis.slots import Measure, SecondSlot, SeriesKey
from analysis.steplog import StepRecord
from tests.analysis.runs import a_run, measured
from tests.analysis.synthetic_run import facts

ATTACK = (
    "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"
    "\x1b]0;owned\x07\x1b[2J[red]\u202e${data}$data'\" &amp; `"
)


def named(name: str) -> str:
    """Return the attack with a name, so that several are different texts."""
    return f"{ATTACK} {name}"


def _slot(second: int) -> SecondSlot:
    measures: dict[tuple[str, tuple[tuple[str, str], ...]], Measure] = {}
    for name in ("http", "ws.connect", "ws.reply", named("series")):
        labels = (("kind", named("kind")), ("origin", named("origin")), ("route", named("route")))
        measures[name, labels] = measured(*[5.0] * 20, errors={named("class"): 2}, mismatches={named("mismatch"): 1})
    slot = SecondSlot(
        worker=0,
        second=second,
        measures=measures,
        lag={100: 5},
        loop={100: 5},
        counts={f"not_sent:{named('reason')}": 2, named("counter"): 1, "sessions_started": 1, "messages_in": 4},
        gauges={named("gauge"): 1},
    )
    for series in measures:
        for outcome in (named("class"), f"mismatch_{named('mismatch')}"):
            for step in range(4):
                slot.steps.append(StepRecord(1, 0, step, series, 10, 20, 30, outcome, 500, named("detail")))
    return slot


def _recorded() -> Recorded:
    labels = (("kind", named("kind")), ("origin", named("origin")), ("route", named("route")))
    steps = tuple(RecordedStep(index=index, series=("http", labels), at_ns=0, duration_ns=10) for index in range(4))
    rule = PairingRule(route=named("route"), sent=named("sent"), reply=named("reply"), rule=named("rule"), support=1)
    times: dict[SeriesKey, dict[int, int]] = {("http", labels): {100: 5}, ("ws.reply", labels): {100: 5}}
    return Recorded(times=times, sessions=(RecordedSession(number=0, steps=steps),), pairings=(rule,))


def a_hostile_run() -> Run:
    """Return the run."""
    texts = [named("note"), named("another note")]
    run_facts = facts(
        capture=CaptureFacts(path=named("path"), sha256=named("sha"), sessions=1),
        plan_sha256=named("plan"),
        options={named("option"): named("value"), "list": texts, "pacing": named("pacing")},
        environment={named("env"): named("machine"), "rushhour": named("version")},
        started_at=named("time"),
        target=named("target"),
        routes=(named("route"),),
        planned={named("planned"): 1, "http": 1},
        dropped_origins={named("dropped"): 1},
        notes=(texts[0],),
    )
    end = RunEnd(duration_s=31.0, ended=Ended.FINISHED, notes=(texts[1],))
    run = a_run([_slot(second) for second in range(31)], end=end, run_facts=run_facts)
    run.damage = [named("damage")]
    run.recorded = _recorded()
    return run
