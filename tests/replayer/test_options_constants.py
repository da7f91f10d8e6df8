"""The numbers that are no options, for ``--print-config``: read where they are defined, each with what it means."""

from __future__ import annotations

import pytest

from replayer.options.constants import Constant, constants


def _listed() -> dict[str, Constant]:
    return {each.name: each for each in constants()}


def test_every_number_has_a_name_of_its_own_a_unit_and_a_meaning() -> None:
    found = list(constants())
    assert len({each.name for each in found}) == len(found)
    assert all(each.unit and each.meaning and each.value > 0 for each in found)


def test_what_decides_waits_and_checks_is_among_them() -> None:
    waits = {"drain", "recorded-waits", "silent-greeting", "close-timeout", "tcp-end-timeout", "reconnect-spacing"}
    checks = {"parsing-at-first", "parsing-at-least", "parsing-reserve", "stall", "stall-factor", "allowed-lag"}
    assert waits | checks <= _listed().keys()


def test_a_number_is_the_one_that_is_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replayer.user.awaited.TIMES_RECORDED", 7)
    monkeypatch.setattr("replayer.wire.websocket.CLOSE_S", 4.5)
    assert (_listed()["recorded-waits"].value, _listed()["close-timeout"].value) == (7, 4.5)
