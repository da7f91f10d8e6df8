"""One replay from options to exit code: capture, plan, target, workers, outputs, in this order.

Everything that can be refused is refused before a worker starts; nothing but the probe's connect reaches the target
before GO.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from analysis.ci import formats_for, tell_ci
from analysis.live import LiveView
from analysis.outputs import SUMMARY_FILE, write_outputs
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
from replayer.pool.run import Outcome, run_workers
from replayer.preparation import Prepared, announcements, assignments_of, facts_of, prepare

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


def replay(options: ReplayOptions, *, talk: Console, results: Console, worker_main: str = WORKER_MAIN) -> int:
    """Replay a capture and return the exit code of its verdict.

    Args:
        talk: for what people want to know meanwhile, on stderr; with ``--json`` for the report too.
        results: for the report, or the one JSON document, on stdout.
        worker_main: what runs in the workers.

    Raises:
        RushhourError: there was no run; the target was sent nothing.
    """
    around = Around(options.around, target=str(options.target.target))
    try:
        prepared = prepare(options, before=around.begin)
        code, verdict = _play(options, prepared, talk=talk, results=results, worker_main=worker_main)
    except BaseException as exc:
        around.end(exit_code=exit_code_of(exc), verdict="")
        raise
    around.end(exit_code=code, verdict=verdict)
    return code


def _play(
    options: ReplayOptions, prepared: Prepared, *, talk: Console, results: Console, worker_main: str
) -> tuple[int, str]:
    """Run the workers and judge the run; returns exit code and verdict, which is empty where none was started."""
    for sentence in announcements(prepared):
        talk.print(printable(sentence, _ANNOUNCED_CHARS), markup=False, highlight=False, soft_wrap=True)
    raise_descriptor_limit()
    stage = _Stage(options, prepared, talk)
    try:
        outcome = run_workers(
            assignments_of(options, prepared),
            executor=LocalExecutor(worker_main),
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
    if not outcome.has_started:
        talk.print("interrupted before the start; nothing was sent to the target", highlight=False)
        return int(ExitCode.INTERRUPTED), ""
    return _conclude(options, prepared, talk=talk, results=results)


class _Stage:
    """What a running replay writes and shows; it is opened when all workers are ready."""

    def __init__(self, options: ReplayOptions, prepared: Prepared, console: Console) -> None:
        self._prepared = prepared
        self._console = console
        self._facts = facts_of(options, prepared)
        gathered = prepared.gathered
        timings = [timing_of(script) for script in gathered.plan.scripts]
        self._n_users = arriving_by_worker(timings, gathered.populations, prepared.n_workers)
        self._n_ended: Counter[int] = Counter()
        self._writer: RunWriter | None = None
        self._view: LiveView | None = None

    def open(self, warnings: Sequence[str]) -> None:
        for warning in warnings:
            _log.warning("%s", warning)
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        facts = replace(self._facts, started_at=started_at, notes=(*self._facts.notes, *warnings))
        self._writer = open_run(self._prepared.directory, facts)
        self._view = LiveView(facts, self._prepared.thresholds, self._console)

    def add(self, slot: SecondSlot) -> None:
        if self._writer is not None and self._view is not None:
            self._writer.add(slot)
            self._view.update(slot)
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
        if self._writer is not None:
            self._writer.finish(
                RunEnd(
                    duration_s=outcome.duration_s,
                    ended=_ENDED[outcome.ending],
                    lost_workers=outcome.lost,
                    notes=outcome.notes,
                )
            )
            self._writer = None

    def abandon(self) -> None:
        """Leave a run file alone that cannot be written any more."""
        self._writer = None

    def close(self) -> None:
        """Take the view down; a run that was not finished stays readable without an end."""
        if self._view is not None:
            self._view.close()
        if self._writer is not None:
            self._writer.close()


def _conclude(options: ReplayOptions, prepared: Prepared, *, talk: Console, results: Console) -> tuple[int, str]:
    judge, directory = options.judge, prepared.directory
    judged = write_outputs(
        directory,
        prepared.thresholds,
        strict=judge.strict,
        allow_lag=judge.allow_lag,
        allow_inconclusive=judge.allow_inconclusive,
        formats=formats_for(os.environ, options.formats),
    )
    text = (directory / SUMMARY_FILE).read_text(encoding="utf-8")
    if options.as_json:
        results.print(text.rstrip("\n"), markup=False, highlight=False, soft_wrap=True, emoji=False)
    told = talk if options.as_json else results
    render_terminal(judged.summary, told, directory=directory)
    tell_ci(judged.summary, os.environ, told)
    return int(judged.verdict.exit_code), judged.verdict.word.value
