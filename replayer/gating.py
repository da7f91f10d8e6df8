"""Two targets replayed against in turns, and compared: what a pull request's pipeline wants to know.

The runs go A B, B A, A B …: whatever the machine does meanwhile, growing slower for instance, weighs on both sides
alike. The baseline is A. A run whose measurement cannot be trusted is made once more; everything that can be refused is
refused before the first one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.comparing import Compared, compare_directories, exit_code_of, to_json
from analysis.evaluate import Outcome
from analysis.outputs import Judged, replace_file
from analysis.report.baseline import render_compared
from analysis.report.markdown import render_comparison
from analysis.report.text import format_ms, printable
from analysis.run import prepare_directory
from analysis.thresholds import Origin
from analysis.verdict import Word
from captures.errors import ConfigError, ExitCode
from replayer.options.run import ReplayOptions
from replayer.preparation import default_directory, prepare
from replayer.replay import Played, play

if TYPE_CHECKING:
    from rich.console import Console

GATE_FILE = "gate.json"
GATE_PAGE = "gate.md"
_STOPS = frozenset({Word.INTERRUPTED, Word.ABORTED, Word.UNREACHABLE})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """What is compared with what, how often.

    Attributes:
        base, candidate: the same replay against A and against B.
        repeat: runs of each side.
        directory: of all runs, one directory each; None is named after the time and the capture.
    """

    base: ReplayOptions
    candidate: ReplayOptions
    repeat: int = 5
    directory: Path | None = None
    as_json: bool = False

    def __post_init__(self) -> None:
        if self.repeat < 1:
            raise ConfigError(f"--repeat {self.repeat} is no run at all", "write 1 or more; 5 tell most")


def turns(repeat: int) -> Iterator[tuple[str, int]]:
    """Yield side and number of every run: a-1, b-1, b-2, a-2, a-3, b-3, …"""
    for number in range(1, repeat + 1):
        for side in ("ab", "ba")[(number + 1) % 2]:
            yield side, number


def gate(options: GateOptions, *, talk: Console, results: Console) -> int:
    """Make all runs, compare them, and return the exit code.

    Raises:
        RushhourError: a run was refused, or could not be stored.
    """
    if options.base.target.target == options.candidate.target.target:
        _log.warning("--interleave names one target twice: what differs is the noise of this machine")
    directory = options.directory or default_directory(f"{options.base.name or options.base.capture.stem}-gate")
    prepare_directory(directory)
    if not options.base.around.before:  # which may have to start the targets
        for replayed in (options.base, options.candidate):
            prepare(replace(replayed, out=None))
    made: dict[str, list[Played]] = {"a": [], "b": []}
    for side, number in turns(options.repeat):
        replayed = options.base if side == "a" else options.candidate
        played = _played(replayed, directory / f"{side}-{number}", talk)
        if played is None:
            return int(ExitCode.INTERRUPTED)
        made[side].append(played)
        talk.print(f"{side}-{number}  {_line(played.judged)}", markup=False, highlight=False, soft_wrap=True)
        if played.judged.verdict.word in _STOPS | {Word.INVALID}:
            return _stopped(played)
    return _concluded(options, directory, made, results)


def _played(options: ReplayOptions, directory: Path, talk: Console) -> Played | None:
    """Make a run; one whose measurement is invalid is made once more, beside the first."""
    played = play(replace(options, out=directory), talk=talk, is_announced=False)
    if played is None or played.judged.verdict.word is not Word.INVALID:
        return played
    why = printable(played.judged.verdict.invalid[0])
    talk.print(f"{directory.name}  made once more: {why}", markup=False, highlight=False, soft_wrap=True)
    return play(replace(options, out=directory.with_name(f"{directory.name}-again")), talk=talk, is_announced=False)


def _line(judged: Judged) -> str:
    series = {entry["name"]: entry for entry in judged.summary["series"] if not entry["labels"]}
    times = [
        f"{name} {quantile} {format_ms(series[name]['latency_ms'][quantile])}"
        for name, quantile in (("http", "p95"), ("ws.reply", "p99"))
        if name in series
    ]
    failed = judged.summary["totals"]["failed"]
    return ", ".join([judged.verdict.word.value, *times, f"{failed} failed"])


def _stopped(played: Played) -> int:
    """Say why there is nothing to compare."""
    summary = played.judged.summary
    _log.error("%s: %s; nothing was compared", played.directory, summary["reasons"][0])
    return int(played.judged.verdict.exit_code)


def _concluded(options: GateOptions, directory: Path, made: dict[str, list[Played]], results: Console) -> int:
    base, candidate = ([played.directory for played in made[side]] for side in "ab")
    compared = compare_directories(candidate, base, strict=options.base.judge.strict)
    broken = _broken([played.judged for played in made["b"]])
    code = _exit_code(compared, broken, allow_inconclusive=options.base.judge.allow_inconclusive)
    document = _to_json(options, compared, broken, code)
    text = json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False)
    unwritten = _written(directory, {GATE_FILE: text + "\n", GATE_PAGE: render_comparison(document, broken)})
    code = ExitCode.INVALID if unwritten and code is ExitCode.PASS else code
    if options.as_json:
        click.echo(text)
        return int(code)
    render_compared(compared.verdict, compared.baseline.to_body(), results, doubts=compared.doubts)
    for sentence in (*broken, *compared.baseline.warnings):
        results.print(printable(sentence), markup=False, highlight=False, soft_wrap=True)
    results.print(f"runs     {printable(directory)}", markup=False, highlight=False, soft_wrap=True)
    return int(code)


def _written(directory: Path, texts: dict[str, str]) -> list[str]:
    """Write files; return the names of those that could not be, and say why."""
    missing = []
    for name, text in texts.items():
        try:
            replace_file(directory / name, text)
        except OSError as exc:
            _log.error("cannot write %s: %s; rushhour compare makes it again", directory / name, exc.strerror)
            missing.append(name)
    return missing


def _broken(judged: list[Judged]) -> list[str]:
    """Say which thresholds that a user set most runs of the candidate did not meet."""
    sentences = []
    for number, result in enumerate(judged[0].verdict.results):
        outcomes = [each.verdict.results[number].outcome for each in judged]
        n_failed = outcomes.count(Outcome.FAIL)
        if result.threshold.set_by is not Origin.DEFAULT and 2 * n_failed > len(judged):
            sentences.append(f"{result.threshold.expr} was not met by {n_failed} of {len(judged)} runs")
    return sentences


def _exit_code(compared: Compared, broken: list[str], *, allow_inconclusive: bool) -> ExitCode:
    code = exit_code_of(compared)
    if broken and code in (ExitCode.PASS, ExitCode.INCONCLUSIVE):
        return ExitCode.FAIL
    if code is ExitCode.INCONCLUSIVE and allow_inconclusive:
        _log.warning("the comparison is inconclusive (exit code 0 by --allow-inconclusive)")
        return ExitCode.PASS
    return code


def _to_json(options: GateOptions, compared: Compared, broken: list[str], code: ExitCode) -> dict[str, Any]:
    targets = {"a": str(options.base.target.target), "b": str(options.candidate.target.target)}
    return {
        **to_json(compared, code),
        "gate": {"repeat": options.repeat, "targets": targets, "order": [f"{s}-{n}" for s, n in turns(options.repeat)]},
        "broken": broken,
    }
