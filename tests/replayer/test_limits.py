"""Descriptors and ports are looked at before anything is opened."""

from __future__ import annotations

import resource

import pytest
from click.testing import CliRunner

from captures.errors import ConfigError, TargetUnreachable
from replayer.checks import ASSUMED_PORTS, machine_of, raise_descriptor_limit
from replayer.cli import replay

GOLDEN = "captures/golden/demo/market.rush"
NOBODY = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSHHOUR_USER", "demo001")
    monkeypatch.setenv("RUSHHOUR_PASSWORD", "any")


def error_of(users: int) -> BaseException | None:
    shape = f"stages:0s@{users},5s@{users}"
    arguments = [GOLDEN, "--target", NOBODY, "--shape", shape, "--at-end", "hold", "--workers", "1"]
    return CliRunner().invoke(replay, arguments).exception


def test_more_sockets_than_descriptors_are_refused_before_the_target_is_asked() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("this system has no limit")
    error = error_of(hard)
    assert isinstance(error, ConfigError)
    assert f"the limit is {hard:,}" in str(error)
    assert isinstance(error_of(2), TargetUnreachable)  # who has enough goes on


def test_the_machine_says_what_it_has() -> None:
    here, elsewhere = (machine_of(n_workers=2, is_loopback=is_local) for is_local in (True, False))
    assert here.descriptors == elsewhere.descriptors and here.ports >= 1_000 <= ASSUMED_PORTS
    assert here.sources >= elsewhere.sources == 1


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        assert raise_descriptor_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
