"""Storms as people write them, when they strike, and whom."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.errors import ConfigError
from captures.units import NS_PER_S
from replayer.load.policies import Recorded, SocketIo
from replayer.load.storms import (
    Comeback,
    How,
    Loss,
    Mode,
    Storm,
    is_struck,
    luck_of,
    parse_storm,
    resolve_recorded,
    storm_from_body,
    storm_to_body,
    strikes_of,
)


def test_a_storm_holds_everything_that_was_written() -> None:
    text = "every=30s,fraction=50%,how=close:4000,policy=socketio,mode=cold,give_up=90s,attempts=7"
    assert parse_storm(text) == Storm(
        every_ns=30 * NS_PER_S,
        fraction=0.5,
        loss=Loss(how=How.CLOSE, close_code=4000),
        comeback=Comeback(policy=SocketIo(), mode=Mode.COLD, give_up_ns=90 * NS_PER_S, attempts=7),
    )


@pytest.mark.parametrize(
    "text",
    [
        "at=0",
        "at=60s,fraction=0.25,how=silent,notice=3s",
        "at=1s,how=hook:systemctl restart shop",
        "at=1s,how=hook:'restart a,b'",
        "at=1s,how=hook:sh -c 'restart a,\"b c\"'",
        "every=500ms,policy=full-jitter:250ms..8s,mode=cold",
    ],
)
def test_a_storm_is_read_again_from_what_it_writes(text: str) -> None:
    storm = parse_storm(text)
    assert parse_storm(str(storm)) == storm


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("fraction=1", 1, "when"),
        ("at=1s,every=2s", 13, "exclude"),
        ("every=0", 7, "above 0"),
        ("at=soon", 4, "not a duration"),
        ("at=1s,fraktion=1", 7, "did you mean fraction"),
        ("at=1s,at=2s", 7, "twice"),
        ("at=1s,fraction=1.5", 16, "fraction"),
        ("at=1s,fraction=0", 16, "fraction"),
        ("at=1s,how=pull", 11, "rst"),
        ("at=1s,how=rst:3", 11, "rst"),
        ("at=1s,how=close:1006", 11, "close code"),
        ("at=1s,how=hook:", 11, "command"),
        ("at=1s,how=hook:x,fraction=1", 27, "server that decides"),
        ("at=1s,notice=3s", 14, "silent"),
        ("at=1s,policy=hope", 14, "unknown policy"),
        ("at=1s,mode=warm", 12, "resume and cold"),
        ("at=1s,give_up=0", 15, "above 0"),
        ("at=1s,attempts=0", 16, "attempts"),
        ("at=1s,,how=rst", 7, "key=value"),
        ("at=1s,how=hook:'x", 16, "no end"),
    ],
)
def test_errors_point_at_the_column(text: str, column: int, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_storm(text, origin="scenario.toml, line 7")
    first, shown, arrow = str(refused.value).split("\n")
    assert problem in first
    assert first.startswith("scenario.toml, line 7: ")
    assert f"(column {column})" in first
    assert shown == f"  {text}"
    assert arrow.index("^") == column + 1


@given(text=st.text(max_size=60))
def test_any_text_is_a_storm_or_a_complaint(text: str) -> None:
    try:
        storm = parse_storm(text)
    except ConfigError:
        return
    assert parse_storm(str(storm)) == storm


def test_a_storm_strikes_once_or_again_and_again() -> None:
    once, often = parse_storm("at=7s"), parse_storm("every=30s")
    assert [(s.label, s.at_ns) for s in strikes_of(1, once)] == [("1", 7 * NS_PER_S)]
    first = [(s.label, s.at_ns // NS_PER_S) for s in islice(strikes_of(2, often), 3)]
    assert first == [("2.1", 30), ("2.2", 60), ("2.3", 90)]


@given(seed=st.integers(0, 2**64), fraction=st.floats(0.05, 0.95))
def test_who_is_struck_depends_on_seed_strike_and_user_alone(seed: int, fraction: float) -> None:
    storm = Storm(every_ns=NS_PER_S, fraction=fraction)
    first, second = islice(strikes_of(1, storm), 2)
    struck = [is_struck(first, seed, user) for user in range(1000)]
    assert struck == [is_struck(first, seed, user) for user in range(1000)]
    assert abs(sum(struck) / 1000 - fraction) < 0.1
    assert struck != [is_struck(second, seed, user) for user in range(1000)]


def test_everybody_is_struck_by_a_whole_storm() -> None:
    (strike,) = strikes_of(1, parse_storm("at=1s"))
    assert all(is_struck(strike, 7, user) for user in range(1000))


def test_luck_differs_between_users_and_attempts_and_is_the_same_again() -> None:
    (strike,) = strikes_of(1, parse_storm("at=1s"))
    lucks = {(user, attempt): luck_of(strike, 3, user, attempt) for user in range(50) for attempt in range(1, 5)}
    assert len(set(lucks.values())) == len(lucks)
    assert all(0 <= luck < 1 for luck in lucks.values())
    assert luck_of(strike, 3, 7, 2) == lucks[7, 2]


def test_recorded_waits_are_read_only_where_a_storm_asks_for_them() -> None:
    plain, recorded = parse_storm("at=1s"), parse_storm("at=1s,policy=recorded")

    def read() -> tuple[int, ...]:
        raise AssertionError("nobody asked")

    assert resolve_recorded([plain], read) == (plain,)
    (resolved,) = resolve_recorded([recorded], lambda: (5, 6))
    assert resolved.comeback.policy == Recorded(waits_ns=(5, 6))
    with pytest.raises(ConfigError, match="no session of the capture comes back"):
        resolve_recorded([recorded], tuple)


def test_a_storm_reaches_its_worker_as_it_is_but_for_the_hooks_command() -> None:
    for text in ("at=3s,fraction=0.1,how=silent,notice=2s,mode=cold", "every=9s,policy=recorded"):
        (storm,) = resolve_recorded([parse_storm(text)], lambda: (1, 2))
        assert storm_from_body(storm_to_body(storm)) == storm
    hook = parse_storm("at=1s,how=hook:restart --password secret")
    assert "secret" not in str(storm_to_body(hook))
    assert storm_from_body(storm_to_body(hook)).loss.how is How.HOOK
