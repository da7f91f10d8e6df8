"""Dates of a recording keep their distance to the day of the replay; others stay as they were recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from replayer.plan.compile import compile_plan
from replayer.plan.minted import generator_of
from replayer.plan.records import Script, SlotKind
from replayer.user.slots import Mint
from tests.fakes_captures import WALL_NS, Tape, capture_of

RECORDED = datetime.fromtimestamp(WALL_NS / 1e9, UTC)
NS_PER_DAY = 24 * 3600 * 1_000_000_000


def day(offset: int, *, of: datetime = RECORDED) -> str:
    return (of.date() + timedelta(days=offset)).isoformat()


def generated(script: Script) -> dict[str, str]:
    """By recorded value the generator that makes it anew."""
    return {slot.recorded.decode(): slot.detail for slot in script.slots if slot.kind is SlotKind.GENERATED}


@pytest.mark.parametrize("offset", [0, -1, 1, -30, 365])
def test_a_date_is_made_anew_with_its_distance(offset: int) -> None:
    generator = generator_of(day(offset).encode(), WALL_NS)
    assert generator == f"day:{offset}"
    a_year_later = RECORDED + timedelta(days=365)
    made = Mint(b"key", 0).make(generator, WALL_NS + 365 * NS_PER_DAY)
    assert made.decode() == day(offset, of=a_year_later)


@pytest.mark.parametrize("text", ["1984-05-17", "2030-01-01", f"{RECORDED.year}-02-30", "2026-9-1", "1234-56-78"])
def test_what_is_no_date_of_that_time_stays(text: str) -> None:
    assert generator_of(text.encode(), WALL_NS) == ""


def test_a_time_of_a_day_keeps_the_time_and_moves_the_day() -> None:
    generator = generator_of(f"{day(-7)}T00:00:00.000Z".encode(), WALL_NS)
    made = Mint(b"key", 0).make(generator, WALL_NS + 10 * NS_PER_DAY)
    assert made.decode() == f"{day(3)}T00:00:00.000Z"


def test_a_time_of_the_moment_is_the_moment_of_the_replay() -> None:
    text = RECORDED.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert generator_of(text.encode(), WALL_NS) == "iso"


def recorded(number: int, since: str, until: str) -> Tape:
    tape = Tape(number)
    tape.get("/", html="<p>hello</p>")
    tape.get(f"/api/history?from={since}&to={until}", answer_json={"rows": [1, 2]})
    tape.post("/api/alerts", send_json={"until": until, "born": "1984-05-17"}, answer_json={"ok": True})
    return tape


@pytest.mark.parametrize("n_sessions", [1, 2])
def test_dates_in_queries_and_bodies_are_shifted_however_many_sessions_sent_the_same(n_sessions: int) -> None:
    tapes = [recorded(number, day(-7), day(0)) for number in range(1, n_sessions + 1)]
    for script in compile_plan(capture_of(*tapes)).scripts:
        assert generated(script) == {day(-7): "day:-7", day(0): "day:0"}


def test_a_date_that_the_server_had_shown_moves_too() -> None:
    tape = Tape()
    document: Any = {"trading_day": day(0)}
    tape.get("/api/session", answer_json=document)
    tape.get(f"/api/history?trading_day={day(0)}", answer_json={"rows": [1]})
    (script,) = compile_plan(capture_of(tape)).scripts
    assert generated(script) == {day(0): "day:0"}
