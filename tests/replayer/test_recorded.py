"""What a run file keeps of the recording is filed under the series that the run measures."""

from __future__ import annotations

from dataclasses import replace

from captures.units import NS_PER_MS
from replayer.load.populations import PopulationLoad
from replayer.load.schedule import LoadOptions
from replayer.plan.records import MessageKind, Pairing
from replayer.recorded import recorded_of
from replayer.targets import TargetSpec
from replayer.user.link import LinkedScript
from replayer.user.meter import Meter
from replayer.user.pacing import Pacing
from tests.replayer.test_pruning import PLAN, SCRIPT, SOCKET, STEPS

KINDS = tuple(
    MessageKind(name=name, route=SOCKET, value=name, is_sent=name == "ask", n_recorded=1) for name in ("ask", "told")
)
CONNECT, SEND, RECEIVE = (
    replace(STEPS[4], duration_ns=8 * NS_PER_MS),
    replace(STEPS[5], message_kind=0),
    replace(STEPS[6], message_kind=1, pairing=Pairing(rule="id", support=7)),
)
TALKING = replace(PLAN, scripts=(replace(SCRIPT, steps=(*STEPS[:4], CONNECT, SEND, RECEIVE)),), message_kinds=KINDS)


def played(speed: float = 1.0) -> list[PopulationLoad]:
    return [PopulationLoad(n_scripts=1, load=LoadOptions(users=2, speed=speed))]


def test_recorded_steps_have_the_series_in_which_their_outcomes_count() -> None:
    target = TargetSpec(scheme="http", host="127.0.0.1", port=80, addresses=("127.0.0.1",))
    linked = LinkedScript(
        TALKING,
        TALKING.scripts[0],
        targets=(target,),
        added=(),
        meter=Meter(0),
        speed=2.0,
        max_gap_ns=None,
        pacing=Pacing.THINK,
    )
    (session,) = recorded_of(TALKING, played(speed=2.0)).sessions
    assert [step.index for step in session.steps] == [0, 1, 2, 3, 4, 6]
    assert [step.series for step in session.steps] == [linked.recorders[step.index].key for step in session.steps]
    assert [step.at_ns for step in session.steps[:5]] == linked.ideal_ns[:5]


def test_a_reply_took_from_what_was_sent_to_what_came_and_no_speed_shortens_that() -> None:
    recorded = recorded_of(TALKING, played(speed=4.0))
    reply = recorded.sessions[0].steps[-1]
    assert (reply.at_ns, reply.duration_ns) == (25 * NS_PER_MS, 10 * NS_PER_MS)
    assert recorded.distribution("ws.reply").histogram.n == 1
    assert recorded.distribution("http").histogram.n == 2  # without the two assets
    assert (recorded.distribution("ws.connect").quantile_us(0.5) or 0) // 1000 == 8


def test_the_rules_that_pair_messages_are_kept_with_their_support() -> None:
    (rule,) = recorded_of(TALKING, played()).pairings
    assert (rule.route, rule.sent, rule.reply, rule.rule, rule.support) == ("WS /ws", "ask", "told", "id", 7)
