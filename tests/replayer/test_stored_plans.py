"""The cache of compiled captures: found again, never trusted, bounded, and private."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from captures.errors import CaptureError, ConfigError
from captures.sessions import load_capture
from replayer import stored_plans
from replayer.plan.codec import plan_to_bytes
from replayer.plan.compile import compile_plan
from replayer.stored_plans import PlanRequest, facts_of_capture, stored_plan
from tests.commands import ROOT

GOLDEN = ROOT / "captures" / "golden" / "demo" / "market.rush"


def _request(directory: Path, **fields: object) -> PlanRequest:
    return PlanRequest(capture=GOLDEN, directory=directory, **fields)  # type: ignore[arg-type]


def test_a_plan_is_compiled_once_and_found_again(tmp_path: Path) -> None:
    first, second = stored_plan(_request(tmp_path)), stored_plan(_request(tmp_path))
    assert (first.is_cached, second.is_cached) == (False, True)
    assert second.plan == first.plan == compile_plan(load_capture(GOLDEN))
    assert second.encoded == plan_to_bytes(first.plan)
    assert second.facts == first.facts == facts_of_capture(load_capture(GOLDEN))


def test_a_cached_plan_is_had_without_loading_the_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored_plan(_request(tmp_path))

    def refuse(*_: object) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(stored_plans, "load_capture", refuse)
    assert stored_plan(_request(tmp_path)).is_cached


def test_other_rules_another_map_and_another_capture_are_other_plans(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[route]]\nname = "GET /api/indices"\nplay = "once"\n')
    cache = tmp_path / "cache"
    stored_plan(_request(cache))
    assert not stored_plan(_request(cache, rules=rules)).is_cached
    assert not stored_plan(_request(cache, also=(GOLDEN,))).is_cached
    assert stored_plan(_request(cache, rules=rules)).is_cached
    rules.write_text('[[route]]\nname = "GET /api/indices"\nplay = "skip"\n')
    assert not stored_plan(_request(cache, rules=rules)).is_cached


def test_another_compiler_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored_plan(_request(tmp_path))
    monkeypatch.setattr(stored_plans, "compiler_digest", lambda: "another")
    assert not stored_plan(_request(tmp_path)).is_cached


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b"", lambda b: b[:60] + b"\x00" + b[61:], lambda b: b"x" * 99]
)
def test_a_damaged_file_is_compiled_again(tmp_path: Path, damage: object) -> None:
    plan = stored_plan(_request(tmp_path)).plan
    (file,) = tmp_path.glob("*.plan")
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    again = stored_plan(_request(tmp_path))
    assert not again.is_cached and again.plan == plan
    assert stored_plan(_request(tmp_path)).is_cached


def test_plans_are_private(tmp_path: Path) -> None:
    cache = tmp_path / "rushhour"
    stored_plan(_request(cache))
    (file,) = cache.glob("*.plan")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_the_plans_used_longest_ago_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_plans, "MAX_FILES", 2)
    for number in range(3):
        rules = tmp_path / f"{number}.toml"
        rules.write_text(f"version = 1 # {number}\n")
        stored_plan(_request(tmp_path / "cache", rules=rules))
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert stored_plan(_request(tmp_path / "cache", rules=tmp_path / "2.toml")).is_cached
    assert not stored_plan(_request(tmp_path / "cache", rules=tmp_path / "0.toml")).is_cached


def test_a_cache_that_cannot_be_written_is_no_reason_not_to_replay(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not stored_plan(_request(tmp_path / "file" / "cache")).is_cached


def test_the_users_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    stored_plan(PlanRequest(capture=GOLDEN))
    assert list((tmp_path / "rushhour" / "plans").glob("*.plan"))


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(CaptureError):
        stored_plan(PlanRequest(capture=tmp_path / "none.rush", directory=tmp_path))
    with pytest.raises(ConfigError, match="cannot read the rules"):
        stored_plan(_request(tmp_path, rules=tmp_path / "none.toml"))
