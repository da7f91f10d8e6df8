"""Options: what contradicts itself is refused where it is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from captures.errors import ConfigError
from captures.units import NS_PER_S
from replayer.load.shapes import Burst
from replayer.options.crowd import CrowdOptions
from replayer.options.judge import read_thresholds
from replayer.options.target import read_allowed_targets
from replayer.options.wire import WireOptions
from replayer.user.pacing import Deadlines, Pacing


@pytest.mark.parametrize(
    ("crowd", "n_sessions", "users"),
    [
        ({}, 3, 3),  # neither scale nor users: as recorded
        ({"scale": 20.0}, 3, 60),
        ({"scale": 0.5}, 3, 2),  # 1.5 rounds up
        ({"scale": 1.5}, 1, 2),
        ({"users": 7}, 3, 7),
    ],
)
def test_users_come_from_scale_or_are_given(crowd: dict[str, Any], n_sessions: int, users: int) -> None:
    assert CrowdOptions(**crowd).load_for(n_sessions).users == users


@pytest.mark.parametrize(
    ("crowd", "complaint"),
    [
        ({"scale": 2.0, "users": 3}, "contradict"),
        ({"scale": 0.0}, "--scale 0 is no load"),
        ({"scale": -1.0}, "--scale -1 is no load"),
        ({"scale": float("nan")}, "--scale nan is no load"),
        ({"scale": float("inf")}, "--scale inf is no load"),
        ({"users": 0}, "--users 0 is no load"),
        ({"start_spread_ns": 1, "shape": Burst()}, "--start-spread means nothing with --shape burst"),
    ],
)
def test_impossible_crowds_are_refused(crowd: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        CrowdOptions(**crowd)


def test_a_scale_that_makes_no_user_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no user"):
        CrowdOptions(scale=0.1).load_for(2)


@pytest.mark.parametrize("crowd", [CrowdOptions(), CrowdOptions(users=3)])
def test_a_capture_without_sessions_is_no_load(crowd: CrowdOptions) -> None:
    with pytest.raises(ConfigError, match="holds no session"):
        crowd.load_for(0)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_speeds_are_refused(speed: float) -> None:
    with pytest.raises(ConfigError, match="--speed"):
        CrowdOptions(speed=speed).load_for(1)


def test_asap_starts_all_copies_at_once_unless_a_spread_was_asked_for() -> None:
    assert CrowdOptions().load_for(1).start_spread_ns is None
    assert CrowdOptions(pacing=Pacing.ASAP).load_for(1).start_spread_ns == 0
    assert CrowdOptions(pacing=Pacing.ASAP, start_spread_ns=NS_PER_S).load_for(1).start_spread_ns == NS_PER_S


@pytest.mark.parametrize(
    ("wire", "complaint"),
    [
        ({"deadlines": Deadlines(request_ns=0)}, "--request-timeout"),
        ({"max_failures": 0}, "--max-failures"),
    ],
)
def test_impossible_wires_are_refused(wire: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        WireOptions(**wire)


def test_thresholds_are_a_toml_list(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text('thresholds = ["http p95 < 200ms", "http errors < 1%"]\n')
    assert read_thresholds(path) == ([("http p95 < 200ms", str(path)), ("http errors < 1%", str(path))], ())
    for wrong in ("thresholds = 1", "thresholds = [1]", "", "thresholds = ["):
        path.write_text(wrong)
        with pytest.raises(ConfigError, match=r"limits\.toml"):
            read_thresholds(path)
    with pytest.raises(ConfigError, match="cannot read"):
        read_thresholds(tmp_path / "none.toml")


def test_allowed_targets_come_from_the_projects_file(tmp_path: Path) -> None:
    assert read_allowed_targets(tmp_path) == frozenset()
    path = tmp_path / "rushhour.toml"
    path.write_text('[targets]\nallow = ["Staging.Example", "10.0.0.7"]\n')
    assert read_allowed_targets(tmp_path) == {"staging.example", "10.0.0.7"}
    for wrong in ('targets = "x"', "[targets]\nallow = 1", '[targets]\nallow = ["http://x"]'):
        path.write_text(wrong)
        with pytest.raises(ConfigError, match=r"rushhour\.toml"):
            read_allowed_targets(tmp_path)
