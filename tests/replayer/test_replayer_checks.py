"""What replaying needs of a machine."""

from __future__ import annotations

import os
import resource

import pytest

from replayer import checks


def test_every_finding_says_what_was_found_and_how_to_mend_it() -> None:
    found = checks.checks()
    assert [check.name for check in found] == ["cores", "descriptors", "ports", "clock", "event loop"]
    assert all(check.found for check in found)
    assert all(check.fix for check in found if not check.ok)


def test_a_target_on_this_machine_gets_a_core_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    assert checks.n_workers_of(None, users=100, is_loopback=False) == 4
    assert checks.n_workers_of(None, users=100, is_loopback=True) == 3
    assert checks.n_workers_of(None, users=2, is_loopback=False) == 2
    assert checks.n_workers_of(500, users=3, is_loopback=True) == 3
    assert checks.n_workers_of(6, users=100, is_loopback=True) == 6
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert checks.n_workers_of(None, users=100, is_loopback=True) == 1


def test_the_descriptor_limit_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        assert checks.raise_descriptor_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
