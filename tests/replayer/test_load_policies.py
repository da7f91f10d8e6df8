"""Reconnect policies: the waits of real clients, as functions of attempt and luck."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.errors import ConfigError
from captures.units import NS_PER_MS, NS_PER_S
from replayer.load.policies import (
    Fixed,
    FullJitter,
    Immediate,
    Phoenix,
    Policy,
    Recorded,
    SocketIo,
    notice_ns,
    parse_policy,
    wait_ns,
)

JITTER = FullJitter(base_ns=NS_PER_S, cap_ns=30 * NS_PER_S)


@pytest.mark.parametrize(
    ("policy", "attempt", "u", "expected_ms"),
    [
        (Immediate(), 7, 0.9, 0),
        (Fixed(wait_ns=5 * NS_PER_S), 3, 0.1, 5000),
        # full jitter: half of min(cap, 1 s · 2^(n−1)); the cap holds from the sixth attempt on.
        (JITTER, 1, 0.5, 500),
        (JITTER, 3, 0.5, 2000),
        (JITTER, 9, 0.5, 15_000),
        (JITTER, 10_000, 0.5, 15_000),
        # socket.io: an even tenth of the luck shortens, an odd one lengthens; the cap comes after the jitter.
        (SocketIo(), 1, 0.30, 1150),
        (SocketIo(), 1, 0.20, 900),
        (SocketIo(), 2, 0.50, 2500),
        (SocketIo(), 4, 0.90, 5000),
        (SocketIo(), 40, 0.0, 5000),
        # phoenix.js has no jitter.
        (Phoenix(), 1, 0.7, 10),
        (Phoenix(), 9, 0.7, 2000),
        (Phoenix(), 10, 0.7, 5000),
        # recorded waits in order, the last one for ever.
        (Recorded(waits_ns=(100 * NS_PER_MS, 200 * NS_PER_MS)), 1, 0.5, 100),
        (Recorded(waits_ns=(100 * NS_PER_MS, 200 * NS_PER_MS)), 5, 0.5, 200),
    ],
)
def test_waits_are_those_of_the_clients_that_a_policy_is_named_after(
    policy: Policy, attempt: int, u: float, expected_ms: int
) -> None:
    assert wait_ns(policy, attempt, u) == expected_ms * NS_PER_MS


@given(attempt=st.integers(1, 1000), u=st.floats(0, 1, exclude_max=True))
def test_no_wait_is_negative_or_beyond_its_cap(attempt: int, u: float) -> None:
    assert 0 <= wait_ns(JITTER, attempt, u) <= 30 * NS_PER_S
    assert 500 * NS_PER_MS <= wait_ns(SocketIo(), attempt, u) <= 5 * NS_PER_S


@pytest.mark.parametrize(
    "text", ["immediate", "fixed:5s", "fixed:1500ms", "full-jitter:1s..30s", "socketio", "phoenix", "recorded"]
)
def test_a_policy_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_policy(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "retry", "fixed", "fixed:", "fixed:soon", "immediate:1s", "full-jitter:5s", "full-jitter:9s..1s", "phoenix:"],
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_policy(text)


def test_clients_with_heartbeats_of_their_own_notice_silence_by_them() -> None:
    assert notice_ns(SocketIo()) == 45 * NS_PER_S
    assert notice_ns(Phoenix()) == 60 * NS_PER_S
    assert notice_ns(Immediate()) == 10 * NS_PER_S
