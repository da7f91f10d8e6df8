"""The live view of a run: a few lines that stay in place on a terminal, one line every ten seconds elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from analysis.evaluate import Outcome
from analysis.progress import Light, Progress, ProgressModel, Rates
from analysis.report.text import format_count, format_ms, format_seconds, format_value, printable
from analysis.run import RunFacts
from analysis.slots import SecondSlot
from analysis.thresholds import Threshold

_LINE_EVERY_S = 10.0
_REDRAW_EVERY_S = 0.25
_LIGHTS_EVERY_S = 1.0
_LIGHT_STYLES = {
    Outcome.PASS: ("●", "green"),
    Outcome.FAIL: ("●", "red"),
    Outcome.INCONCLUSIVE: ("○", "dim"),
    Outcome.NOT_APPLICABLE: ("○", "dim"),
}


class LiveView:
    """Shows a run while it goes on; the caller owns the clock.

    Args:
        console: where to draw; stderr in commands, since stdout is for results.
    """

    def __init__(self, facts: RunFacts, thresholds: Sequence[Threshold], console: Console) -> None:
        self._model = ProgressModel(facts, thresholds)
        self._facts = facts
        self._console = console
        self._live: Live | None = None
        self._lights: tuple[Light, ...] = ()
        self._drawn_s = self._lit_s = float("-inf")
        self._said_s = 0.0

    def update(self, slot: SecondSlot) -> None:
        """Take a second-slot of a worker."""
        self._model.update(slot)

    def tick(self, now_s: float) -> None:
        """Draw what is due, ``now_s`` seconds after the start; call it some times a second."""
        if self._console.is_terminal:
            self._draw(now_s)
        elif now_s - self._said_s >= _LINE_EVERY_S:
            self._said_s = now_s - now_s % _LINE_EVERY_S
            self._console.print(Text(progress_line(self._model.progress(now_s))), soft_wrap=True)

    def broken(self, now_s: float) -> Threshold | None:
        """Return the threshold with ``abort`` that ends the run now, or None."""
        return self._model.broken(now_s)

    def close(self) -> None:
        """Take the view off the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, now_s: float) -> None:
        if now_s - self._drawn_s < _REDRAW_EVERY_S:
            return
        self._drawn_s = now_s
        if now_s - self._lit_s >= _LIGHTS_EVERY_S:
            self._lit_s = now_s
            self._lights = self._model.lights(now_s)
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        shown = progress_view(self._facts, self._model.progress(now_s), self._lights, width=self._console.width)
        self._live.update(shown, refresh=True)


def progress_line(progress: Progress) -> str:
    """Return the figures of the moment in one line."""
    p95 = progress.http.quantiles_ms[1]
    parts = [
        format_seconds(progress.now_s),
        f"{format_count(progress.users_active)} users",
        f"{format_count(progress.sockets_open)} sockets",
        f"{progress.http.rate_per_s:.0f} req/s",
        f"p95 {format_ms(p95)}",
        f"{progress.http.errors_per_s + progress.replies.errors_per_s:.1f} errors/s",
        f"lag p99 {format_ms(progress.lag_p99_ms)}",
    ]
    return "  ".join(parts)


def progress_view(facts: RunFacts, progress: Progress, lights: Sequence[Light], *, width: int) -> RenderableType:
    """Return the picture of a running test; at most ``width`` columns."""
    parts: list[RenderableType] = [_head(facts, progress, width)]
    parts.append(_figures(progress, is_narrow=width < 64))
    if progress.errors:
        shown = "  ".join(f"{printable(name, 40)} {format_count(n)}" for name, n in progress.errors)
        parts.append(Text.assemble(("errors ", "red"), shown, overflow="ellipsis", no_wrap=True))
    parts += [_light(light) for light in lights]
    return Group(*parts)


def _head(facts: RunFacts, progress: Progress, width: int) -> RenderableType:
    grid = Table.grid(padding=(0, 1), expand=False)
    users = f"{format_count(progress.users_active)} of {format_count(facts.users_planned)} users"
    title = Text(f"{format_seconds(max(0.0, progress.now_s))}  {users}", "bold")
    if progress.done_ratio is None:
        grid.add_row(title)
    else:
        bar = ProgressBar(total=1.0, completed=progress.done_ratio, width=max(8, min(32, width - 36)))
        grid.add_row(title, bar, Text(f"{progress.done_ratio:.0%}"))
    return grid


def _figures(progress: Progress, *, is_narrow: bool) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    columns = ["/s", "p95"] if is_narrow else ["/s", "p50", "p95", "p99", "errors/s"]
    table.add_column("last 10 s")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for name, rates in (("http", progress.http), ("ws.reply", progress.replies)):
        table.add_row(name, *(_figure(rates, column) for column in columns))
    lag = f"lag p99 {format_ms(progress.lag_p99_ms)}, loop p99 {format_ms(progress.loop_p99_ms)}"
    sessions = f"{format_count(progress.sessions_completed)} of {format_count(progress.sessions_started)} sessions done"
    open_now = f"{format_count(progress.connections_open)} connections, {format_count(progress.sockets_open)} sockets"
    return Group(table, Text(f"{sessions}, {open_now}", "dim"), Text(lag, "dim"))


def _figure(rates: Rates, column: str) -> str:
    if column == "/s":
        return f"{rates.rate_per_s:.0f}"
    if column == "errors/s":
        return f"{rates.errors_per_s:.1f}"
    return format_ms(rates.quantiles_ms[("p50", "p95", "p99").index(column)])


def _light(light: Light) -> Text:
    mark, style = _LIGHT_STYLES[light.outcome]
    value = "" if light.value is None else f"  {format_value(light.value, light.threshold.limit.unit.value)}"
    return Text.assemble(
        (mark, style), f" {printable(light.threshold.expr)}", (value, "dim"), overflow="ellipsis", no_wrap=True
    )
