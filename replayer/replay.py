"""One replay from options to exit code: capture, plan, target, workers, outputs, in this order.

Everything that can be refused is refused before a worker starts; nothing but the probe's connect reaches the target
before GO.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.ci import formats_for, tell_ci
from analysis.live import LiveView
from analysis.metrics_port import MetricsPage, MetricsServer
from analysis.outputs import Judged, judging_of, write_outputs
from analysis.report.terminal import render_terminal
from analysis.report.text import printable
from analysis.run import Ended, RunEnd, RunWriter, open_run
from analysis.slots import SecondSlot
from captures.errors import ExitCode, ReplayError
from replayer.around import Around, exit_code_of
from replayer.checks import raise_descriptor_limit
from replayer.gathering import arriving_by_worker
from replayer.load.schedule import timing_of
from replayer.options.run import ReplayOptions
from replayer.pool.controller import Ending, Patience
from replayer.pool.executors.local import WORKER_MAIN, LocalExecutor
from replayer.pool.hooks import Hooks
from replayer.pool.priority import Rests
from replayer.pool.run import Outcome, run_workers
from replayer.preparation import Prepared, announcements, assignments_of, facts_of, prepare
from replayer.recorded import recorded_of

if TYPE_CHECKING:
    from rich.console import Console

_ENDED = {
    Ending.FINISHED: Ended.FINISHED,
    Ending.INTERRUPTED: Ended.INTERRUPTED,
    Ending.ABORTED: Ended.ABORTED,
    Ending.LOST: Ended.FINISHED,
}
_USER_ENDINGS = ("users_completed", "users_failed", "users_dropped", "users_retired")
_ANNOUNCED_CHARS = 2000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A run that came to an end of some kind, and where it lies."""

    directory: Path
    judged: Judged

    @property
    def exit_code(self) -> ExitCode:
        """The verdict's; whoever waits for the outputs must not take a pass without them for the whole truth."""
        code = self.judged.verdict.exit_code
        return ExitCode.INVALID if self.judged.unwritten and code is ExitCode.PASS else code


def replay(options: ReplayOptions, *, talk: Console, results: Console, worker_main: str = WORKER_MAIN) -> int:
    """Replay a capture and return the exit code of its verdict.

    Args:
        talk: for what people want to know meanwhile, on stderr; with ``--json`` for the report too.
        results: for the report, or the one JSON document, on stdout.
        worker_main: what runs in the workers.

    Raises:
        RushhourError: there was no run; the target was sent nothing.
    """
    played = play(options, talk=talk, worker_main=worker_main)
    if played is None:
        talk.print("interrupted before the start; nothing was sent to the target", highlight=False)
        return int(ExitCode.INTERRUPTED)
    summary = played.judged.summary
    if options.as_json:
        click.echo(json.dumps(summary, indent=2, ensure_ascii=True, allow_nan=False))
    told = talk if options.as_json else results
    render_terminal(summary, told, directory=played.directory)
    tell_ci(summary, os.environ, told)
    for sentence in played.judged.unwritten:
        _log.error("%s", sentence)
    return int(played.exit_code)


def play(
    options: ReplayOptions, *, talk: Console, is_announced: bool = True, worker_main: str = WORKER_MAIN
) -> Played | None:
    """Replay a capture, judge the run and write its outputs; None where it was interrupted before its start.

    Args:
        talk: for what people want to know meanwhile.
        is_announced: whether that begins with what is about to be replayed.
        worker_main: what runs in the workers.

    Raises:
        RushhourError: there was no run, or it could not be stored.
    """
    if options.metrics is None:
        return _play(options, talk=talk, is_announced=is_announced, worker_main=worker_main, page=None)
    page = MetricsPage()
    with MetricsServer(options.metrics, page) as server:
        talk.print(f"metrics at {server.url}", highlight=False)
        return _play(options, talk=talk, is_announced=is_announced, worker_main=worker_main, page=page)


def _play(
    options: ReplayOptions, *, talk: Console, is_announced: bool, worker_main: str, page: MetricsPage | None
) -> Played | None:
    around = Around(options.around, target=str(options.target.target))
    executor = LocalExecutor(worker_main)
    try:
        raise_descriptor_limit()
        executor.launch((0,))  # It imports what it needs while this process prepares the run.
        prepared = prepare(options, before=around.begin)
        for sentence in announcements(prepared) if is_announced else ():
            talk.print(printable(sentence, _ANNOUNCED_CHARS), markup=False, highlight=False, soft_wrap=True)
        played = _run(options, prepared, executor, talk=talk, page=page)
    except BaseException as exc:
        executor.close(0)
        around.end(exit_code=exit_code_of(exc), verdict="")
        raise
    code = ExitCode.INTERRUPTED if played is None else played.exit_code
    around.end(exit_code=int(code), verdict="" if played is None else played.judged.verdict.word.value)
    return played


def _run(
    options: ReplayOptions, prepared: Prepared, executor: LocalExecutor, *, talk: Console, page: MetricsPage | None
) -> Played | None:
    """Run the workers and judge what they measured; None where the run was not started."""
    stage = _Stage(options, prepared, talk, page)
    try:
        outcome = run_workers(
            assignments_of(options, prepared),
            executor=executor,
            on_ready=stage.open,
            on_slot=stage.add,
            on_turn=stage.turn,
            shortfall=stage.shortfall,
            patience=Patience(drain_ns=options.wire.deadlines.drain_ns),
            on_loss=options.storm.on_loss,
            hooks=Hooks(prepared.storms),
        )
        stage.finish(outcome)
    except OSError as exc:
        stage.abandon()
        hint = "free some space, or choose another --out"
        raise ReplayError(f"the run could not be stored in {prepared.directory}: {exc}", hint) from exc
    finally:
        stage.close()
    return _judged(options, prepared) if outcome.has_started else None


class _Stage:
    """What a running replay writes and shows; it is opened when all workers are ready."""

    def __init__(
        self, options: ReplayOptions, prepared: Prepared, console: Console, page: MetricsPage | None = None
    ) -> None:
        self._page = page
        self._prepared = prepared
        self._console = console
        self._facts = facts_of(options, prepared)
        judge = options.judge
        self._judging = judging_of(
            prepared.thresholds,
            strict=judge.strict,
            allow_lag=judge.allow_lag,
            allow_inconclusive=judge.allow_inconclusive,
            calibrations=judge.calibrations,
        )
        gathered = prepared.gathered
        timings = [timing_of(script) for script in gathered.plan.scripts]
        self._n_users = arriving_by_worker(timings, gathered.populations, prepared.n_workers)
        self._n_ended: Counter[int] = Counter()
        self._rest = Rests()
        self._writer: RunWriter | None = None
        self._view: LiveView | None = None

    def open(self, warnings: Sequence[str]) -> None:
        for warning in warnings:
            _log.warning("%s", warning)
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        facts = replace(self._facts, started_at=started_at, notes=(*self._facts.notes, *warnings))
        self._writer = open_run(self._prepared.directory, facts)
        self._writer.judge_by(self._judging)
        gathered = self._prepared.gathered
        self._writer.tell_recorded(recorded_of(gathered.plan, gathered.populations))
        self._view = LiveView(facts, self._prepared.thresholds, self._console)
        if self._page is not None:
            self._page.begin(facts)

    def add(self, slot: SecondSlot) -> None:
        if self._writer is not None and self._view is not None:
            try:
                self._writer.add(slot, self._rest)
            except ReplayError:
                self.abandon()
                raise
            self._rest()
            self._view.update(slot)
            if self._page is not None:
                self._rest()
                self._page.update(slot)
        self._n_ended[slot.worker] += sum(slot.counts.get(name, 0) for name in _USER_ENDINGS)

    def shortfall(self, worker: int) -> str | None:
        """Balance a worker's account: every user of its share must have come to an end."""
        n_users, n_ended = self._n_users[worker], self._n_ended[worker]
        return f"{n_users - n_ended} of its {n_users} users had not ended" if n_ended < n_users else None

    def turn(self, now_s: float) -> str | None:
        if self._view is None:
            return None
        self._view.tick(now_s)
        broken = self._view.broken(now_s)
        return f"aborted after {now_s:.1f} s by the threshold {broken.expr}" if broken is not None else None

    def finish(self, outcome: Outcome) -> None:
        writer = self._writer
        self.abandon()
        if writer is not None:
            writer.finish(
                RunEnd(
                    duration_s=outcome.duration_s,
                    ended=_ENDED[outcome.ending],
                    lost_workers=outcome.lost,
                    notes=outcome.notes,
                )
            )

    def abandon(self) -> None:
        """Leave a run file alone that is finished, or cannot be written any more."""
        self._writer = None

    def close(self) -> None:
        """Take the view down; a run that was not finished stays readable without an end."""
        if self._view is not None:
            self._view.close()
        if self._writer is not None:
            self._writer.close()


def _judged(options: ReplayOptions, prepared: Prepared) -> Played:
    judge = options.judge
    judged = write_outputs(
        prepared.directory,
        prepared.thresholds,
        strict=judge.strict,
        allow_lag=judge.allow_lag,
        allow_inconclusive=judge.allow_inconclusive,
        baseline=judge.baseline,
        calibrations=judge.calibrations,
        formats=formats_for(os.environ, options.formats),
    )
    return Played(directory=prepared.directory, judged=judged)
