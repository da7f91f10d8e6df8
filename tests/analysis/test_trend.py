"""One row per run over many builds: what is kept, what is left out, and what nobody mixes up."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analysis.run import Ended, RunEnd
from analysis.trend import METRIC_COLUMNS, parse_attributes
from analysis.trend_cli import trend
from captures.errors import ConfigError
from tests.analysis.noisy import write_noisy


def a_run_at(parent: Path, name: str, seed: int, started_at: str, **changes: object) -> str:
    return str(write_noisy(parent / name, seed, started_at=started_at, **changes))  # type: ignore[arg-type]


def kept(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(trend, [*arguments, "-o", str(path)])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_runs_are_kept_in_the_order_of_their_starts_and_once(tmp_path: Path) -> None:
    late = a_run_at(tmp_path, "late", 1, "2026-03-15T01:00:00+02:00")
    early = a_run_at(tmp_path, "early", 2, "2026-03-14T09:00:00+00:00")
    path = tmp_path / "trend.csv"
    assert "1 runs, 1 of them new" in kept(path, late).output
    assert "2 runs, 1 of them new" in kept(path, early, late).output
    rows = rows_of(path)
    assert [row["time"] for row in rows] == ["2026-03-14T09:00:00+00:00", "2026-03-14T23:00:00+00:00"]
    assert all(float(row["http_p95_ms"]) > 0 for row in rows)
    assert {row["ws_push_lag_p99_ms"] for row in rows} == {"nan"}
    assert set(METRIC_COLUMNS) <= rows[0].keys()


def test_attributes_are_columns_and_stay_the_same_over_time(tmp_path: Path) -> None:
    path = tmp_path / "trend.csv"
    run = a_run_at(tmp_path, "run", 1, "2026-03-14T09:00:00+00:00")
    assert kept(path, run, "--attribute", "commit==SUM(A1)").exit_code == 0
    assert rows_of(path)[0]["commit"] == "'=SUM(A1)"
    before = path.read_bytes()
    assert "has other columns" in str(kept(path, run).exception)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["commit", "=x", "time=now", "http_p95_ms=1", "a b=c"])
def test_an_attribute_that_is_no_new_column_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="names no new column"):
        parse_attributes([text])


def test_runs_that_carry_no_figures_are_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = a_run_at(tmp_path, "good", 1, "2026-03-14T09:00:00+00:00")
    cut = RunEnd(duration_s=3.0, ended=Ended.ABORTED)
    aborted = a_run_at(tmp_path, "aborted", 2, "2026-03-14T09:00:00+00:00", end=cut)
    result = kept(tmp_path / "trend.csv", good, aborted)
    assert "1 runs, 1 of them new" in result.output
    assert "aborted did not run to its end (aborted); it is left out" in caplog.text


def test_what_is_no_trend_is_not_written_over(tmp_path: Path) -> None:
    run = a_run_at(tmp_path, "run", 1, "2026-03-14T09:00:00+00:00")
    for content in (b"mine", b"\xff\xfe", b'"'):
        (tmp_path / "trend.csv").write_bytes(content)
        assert isinstance(kept(tmp_path / "trend.csv", run).exception, ConfigError)
        assert (tmp_path / "trend.csv").read_bytes() == content
