from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analysis.compare_cli import compare
from analysis.run import RUN_FILE, CaptureFacts, Ended, RunEnd
from analysis.slots import SecondSlot
from captures.errors import ConfigError, ExitCode
from tests.analysis.noisy import noisy_slot, write_noisy, write_side
from tests.analysis.synthetic_run import facts


def compared(runs: list[str], base: list[str], *more: str) -> Result:
    options = [word for name in base for word in ("--base", name)]
    return CliRunner().invoke(compare, [*runs, *options, *more])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_side(tmp_path_factory.mktemp("base"), "old", range(5))


def test_the_same_build_is_ok(base: list[str], tmp_path: Path) -> None:
    result = compared(write_side(tmp_path, "new", range(10, 15)), base)
    assert result.exit_code == 0
    assert result.output.startswith("OK")


def test_a_build_that_doubled_has_regressed_and_the_sentence_says_how_sure_that_is(
    base: list[str], tmp_path: Path
) -> None:
    result = compared(write_side(tmp_path, "new", range(10, 15), slower=2.0), base)
    assert result.exit_code == 1
    head = result.output.splitlines()[0]
    assert head.startswith("REGRESSED  http p95 ")
    assert "(95% CI +" in head
    assert "5 vs 5 runs) REGRESSED (limit +20% and +5 ms)" in head


def test_a_faster_build_has_improved(base: list[str], tmp_path: Path) -> None:
    result = compared(write_side(tmp_path, "new", range(10, 15), slower=0.4), base)
    assert result.exit_code == 0
    assert result.output.startswith("IMPROVED")


def test_an_empty_build_is_fast_and_no_improvement(base: list[str], tmp_path: Path) -> None:
    of_quotes = {"wire_bytes": 900, "decoded_bytes": 900, "items": 0.0}
    sizes = ({"route": "GET /api/quotes", "message": "", "kind": "api", **of_quotes},)
    empty = write_side(tmp_path, "empty", range(10, 15), slower=0.4, sizes=sizes)
    result = compared(empty, base)
    assert result.exit_code == 5
    assert "not representative of the recording: GET /api/quotes: 0.00 of" in result.output.splitlines()[0]
    assert "not representative" in compared(empty, base, "--markdown").output
    document = json.loads(compared(empty, base, "--json").stdout)
    assert (document["verdict"], len(document["unlike"])) == ("inconclusive", 5)
    worse = write_side(tmp_path, "worse", range(10, 15), slower=3.0, sizes=sizes)
    assert compared(worse, base).output.startswith("REGRESSED  http p95")
    alike = write_side(tmp_path, "alike", range(5), sizes=sizes)
    assert compared(empty, alike).output.startswith("IMPROVED"), "both get as little: the recording is of elsewhere"


def test_too_few_runs_say_how_many_more_would_tell(base: list[str], tmp_path: Path) -> None:
    new = [*write_side(tmp_path, "new", [10]), *write_side(tmp_path, "slow", [11], slower=1.6)]
    result = compared(new, base[:2], "--strict")
    assert result.exit_code == 5
    assert "run 3 more of each" in result.output
    assert compared(new, base[:2], "--strict", "--allow-inconclusive").exit_code == 0


def test_single_runs_are_drawn_over_their_users_with_low_confidence(base: list[str], tmp_path: Path) -> None:
    new = write_side(tmp_path, "new", [10], slower=3.0)
    result = compared(new, base[:1])
    assert result.exit_code == 1
    assert "low confidence, drawn over users of one run" in result.output


def test_json_is_one_document_with_every_comparison(base: list[str], tmp_path: Path) -> None:
    result = compared(write_side(tmp_path, "new", range(10, 15), slower=2.0), base, "--json")
    document = json.loads(result.stdout)
    assert (document["verdict"], document["exit_code"]) == ("regressed", 1)
    by_subject = {each["subject"]: each for each in document["baseline"]["comparisons"]}
    assert by_subject["http p95"]["outcome"] == "regressed"
    assert len(by_subject["http p95"]["base"]) == 5
    assert by_subject["http p95"]["low"] > 0
    assert not by_subject["http p50"]["is_gated"]
    assert by_subject['http{route="GET /api/quotes"} p95']["outcome"] == "regressed"


def test_markdown_is_a_comment_for_a_merge_request(base: list[str], tmp_path: Path) -> None:
    result = compared(write_side(tmp_path, "new", range(10, 15), slower=2.0), base, "--markdown")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "## ❌ Rushhour: REGRESSED"
    assert "**Against a baseline of 5 runs**" in lines
    assert any(line.startswith("- ❌ http p95 ") for line in lines)
    assert isinstance(compared(base[:1], base[1:], "--json", "--markdown").exception, ConfigError)


def test_the_same_runs_are_always_said_to_be_the_same(base: list[str], tmp_path: Path) -> None:
    new = write_side(tmp_path, "new", range(10, 13), slower=1.1)
    assert compared(new, base, "--json").stdout == compared(new, base, "--json").stdout


def test_more_failures_and_a_class_that_is_new_are_told(base: list[str], tmp_path: Path) -> None:
    result = compared(write_side(tmp_path, "new", range(10, 15), errors=10), base)
    assert result.exit_code == 1
    assert "http errors 0.99% vs 0%" in result.output
    assert "new errors status_503" in result.output


def test_a_metric_takes_the_place_of_the_defaults(base: list[str], tmp_path: Path) -> None:
    new = write_side(tmp_path, "new", range(10, 15), slower=2.0)
    assert compared(new, base, "--metric", "http errors").exit_code == 0
    refused = compared(new, base, "--metric", "http rate")
    assert isinstance(refused.exception, ConfigError)
    assert "cannot be compared" in str(refused.exception)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"capture": CaptureFacts(path="other.rush", sha256="00" * 32, sessions=1)}, "another capture"),
        ({"plan_sha256": "00" * 32}, "another plan"),
        ({"users_planned": 7}, "another scale (7 users and not 240)"),
        ({"options": {"speed": 1.0}}, "--speed differs (1.0 and not 5.0)"),
        ({"end": RunEnd(duration_s=3.0, ended=Ended.INTERRUPTED)}, "did not run to its end (interrupted)"),
    ],
)
def test_runs_that_are_not_alike_are_refused(
    base: list[str], tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    new = str(write_noisy(tmp_path / "new", 10, **changes))  # type: ignore[arg-type]
    result = compared([new], base)
    assert isinstance(result.exception, ConfigError)
    assert result.exception.exit_code is ExitCode.USAGE
    assert says in str(result.exception)
    assert new in str(result.exception)


def test_a_run_on_both_sides_a_damaged_one_and_what_is_no_run_are_refused(base: list[str], tmp_path: Path) -> None:
    assert "stands on both sides" in str(compared(base[:1], base).exception)
    assert "is not a run directory" in str(compared([str(tmp_path)], base).exception)
    damaged = write_noisy(tmp_path / "damaged", 10)
    (damaged / RUN_FILE).write_bytes((damaged / RUN_FILE).read_bytes()[:-3])
    assert "is damaged or has no end" in str(compared([str(damaged)], base).exception)


def test_another_machine_is_a_warning(base: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    environment = {**facts().environment, "host": "laptop"}
    new = write_side(tmp_path, "new", range(10, 15), environment=environment)
    assert compared(new, base).exit_code == 0
    assert "another machine" in caplog.text


def test_a_directory_of_runs_stands_for_all_of_them(base: list[str], tmp_path: Path) -> None:
    write_side(tmp_path / "new", "new", range(10, 13))
    one_by_one = compared(sorted(map(str, (tmp_path / "new").iterdir())), base, "--json").stdout
    assert compared([str(tmp_path / "new")], [str(Path(base[0]).parent)], "--json").stdout == one_by_one


def _late(slot: SecondSlot) -> SecondSlot:
    slot.lag = {2_000: 100}
    return slot


def test_a_run_whose_measurement_is_invalid_is_no_baseline_and_no_verdict(
    base: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.analysis.noisy.noisy_slot", lambda seed, **changes: _late(noisy_slot(seed, **changes)))
    late = str(write_noisy(tmp_path / "late", 10))
    assert compared([late], base).exit_code == 4
    assert "is no baseline, its measurement is invalid" in str(compared(base[:1], [late]).exception)


def test_help_has_two_examples() -> None:
    assert CliRunner().invoke(compare, ["--help"]).output.count("\n    rushhour compare") >= 2
