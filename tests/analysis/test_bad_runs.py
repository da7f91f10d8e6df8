"""Run files that are damaged, newer or hostile, and outputs that cannot be written: said plainly, nothing lost."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from analysis.baseline import Baseline
from analysis.comparison import Change, Comparison
from analysis.outputs import rebuild_outputs, write_outputs
from analysis.report.baseline import render_compared
from analysis.report.formats import Format, render
from analysis.report.html import render_html
from analysis.run import RUN_FILE, open_run
from analysis.runfile import MAGIC, VERSION
from analysis.series import Unit
from analysis.summary import summarise
from analysis.thresholds import DEFAULTS
from analysis.verdict import judge
from captures.errors import CaptureError, ExitCode
from tests.analysis.hostile import ATTACK, a_hostile_run
from tests.analysis.noisy import write_side
from tests.analysis.runs import FINISHED, QUOTES, a_slot, measured, sessions
from tests.analysis.synthetic_run import facts
from tests.commands import RUSHHOUR, run_rushhour


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("whole") / "run"
    writer = open_run(directory, facts(planned={"http": 3, "session": 1}))
    for second in range(3):
        writer.add(a_slot({QUOTES: measured(*[20.0] * 50)}, second=second, counts=sessions(5)))
    writer.finish(FINISHED)
    write_outputs(directory, DEFAULTS)
    return (directory / RUN_FILE).read_bytes()


def reported(directory: Path, content: bytes) -> str:
    """Return the verdict of a run file, or why there is none."""
    (directory / RUN_FILE).write_bytes(content)
    try:
        judged = rebuild_outputs(directory, tuple(Format))
    except CaptureError as exc:
        assert RUN_FILE in str(exc)
        return "refused"
    assert judged.run.damage or content.startswith(MAGIC)
    return judged.verdict.word.value


def test_every_truncated_run_is_reported_or_refused_and_never_a_pass(tmp_path: Path, whole: bytes) -> None:
    assert reported(tmp_path, whole) == "pass"
    for length in range(0, len(whole), 23):
        word = reported(tmp_path, whole[:length])
        assert word in ("invalid", "refused"), length


def test_every_flipped_byte_is_noticed(tmp_path: Path, whole: bytes) -> None:
    for place in range(0, len(whole), 23):
        flipped = bytearray(whole)
        flipped[place] ^= 0x20
        assert reported(tmp_path, bytes(flipped)) in ("invalid", "refused"), place


def test_a_run_of_a_newer_version_is_refused_and_says_what_to_do(tmp_path: Path, whole: bytes) -> None:
    newer = MAGIC[:-1] + bytes([VERSION + 1]) + whole[len(MAGIC) :]
    (tmp_path / RUN_FILE).write_bytes(newer)
    with pytest.raises(CaptureError) as raised:
        rebuild_outputs(tmp_path)
    assert raised.value.exit_code is ExitCode.USAGE
    assert "written by a newer Rushhour" in str(raised.value)
    assert "upgrade" in str(raised.value)


def hostile_baseline() -> Baseline:
    """Return a baseline in which every text is an attack."""
    comparisons = [
        Comparison(
            subject=f"http{{route={ATTACK}}} p95",
            unit=Unit.MS,
            base=(1.0,),
            runs=(2.0,),
            outcome=outcome,
            note=ATTACK,
            is_gated=is_gated,
        )
        for outcome in Change
        for is_gated in (True, False)
    ]
    run = {"path": ATTACK, "started_at": ATTACK, "target": ATTACK, "host": ATTACK, "duration_s": 1.0}
    return Baseline(runs=(run,), comparisons=tuple(comparisons), warnings=(ATTACK,))


@pytest.mark.parametrize("wanted", Format)
def test_a_hostile_baseline_stays_text_in_every_format(wanted: Format) -> None:
    run = a_hostile_run()
    summary = summarise(run, judge(run, DEFAULTS, baseline=hostile_baseline()))
    text = render(wanted, run, summary)
    assert "\x1b" not in text
    assert "\u202e" not in text
    if wanted is not Format.CSV:
        assert "<script" not in text
        assert "<img" not in text


def test_a_hostile_baseline_stays_text_on_the_page_and_on_the_terminal() -> None:
    run = a_hostile_run()
    baseline = hostile_baseline()
    page = render_html(run, summarise(run, judge(run, DEFAULTS, baseline=baseline)))
    assert "<img src=x" not in page
    assert "\x1b" not in page
    out = io.StringIO()
    render_compared("regressed", baseline.to_body(), Console(file=out, width=80), doubts=[ATTACK, ATTACK])
    assert "\x1b]0;" not in out.getvalue()
    assert "\u202e" not in out.getvalue()


@pytest.mark.process
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_verdict_outlives_a_full_or_closed_stdout(tmp_path: Path) -> None:
    base, slow = write_side(tmp_path, "base", range(3)), write_side(tmp_path, "slow", range(3), slower=3.0)
    command = [RUSHHOUR, "compare", *slow, *(word for name in base for word in ("--base", name))]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert ended.returncode == ExitCode.FAIL
    assert "stdout is not whole: No space left on device" in ended.stderr
    closed = subprocess.run(["/bin/sh", "-c", '"$@" >&-', "sh", *command], check=False, timeout=60)
    assert closed.returncode == ExitCode.FAIL


@pytest.mark.process
def test_a_report_that_cannot_be_written_is_named_and_the_rest_is_there(tmp_path: Path, whole: bytes) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / RUN_FILE).write_bytes(whole)
    (tmp_path / "run" / "report.html").mkdir()
    ended = run_rushhour("report", "run", "--format", "junit", cwd=tmp_path)
    assert ended.returncode == ExitCode.USAGE
    assert ended.stdout.startswith("PASS")
    assert "cannot write run/report.html" in ended.stderr
    assert "rushhour report run writes them again" in ended.stderr
    assert {"summary.json", "junit.xml"} <= {path.name for path in (tmp_path / "run").iterdir()}


@pytest.mark.process
def test_a_hostile_machine_or_directory_does_not_steer_the_terminal(tmp_path: Path) -> None:
    (base,) = write_side(tmp_path, "base", [1])
    (new,) = write_side(tmp_path, "new\x1b[2J", [2], environment={"host": ATTACK})
    ended = run_rushhour("compare", new, "--base", base, cwd=tmp_path)
    assert "another machine" in ended.stderr
    missing = run_rushhour("compare", "none\x1b[2J", "--base", base, cwd=tmp_path)
    assert missing.returncode == ExitCode.USAGE
    assert "is not a run directory" in missing.stderr
    assert "\x1b" not in ended.stderr + ended.stdout + missing.stderr
