"""How often a comparison cries wolf, and how often it sees the wolf: seeded runs with the noise of real ones.

``python -m benchmarks.simulate_gate [TRIALS]``: each trial compares fresh runs of ``tests.analysis.noisy`` with others
of the same build, or of one that is 1.2, 1.5 or 2 times slower. Printed are, as Markdown, the shares of regressed
verdicts on ``http p95`` and ``ws.reply p99``, what is inconclusive with and without ``--strict``, and the share of a
rule that looks at the ratio alone.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

from analysis.baseline import compare_runs
from analysis.comparing import make_chooser
from analysis.comparison import Change, Comparison
from analysis.run import Run
from analysis.thresholds import parse_subject
from tests.analysis.noisy import noisy_run

SUBJECTS = tuple(map(parse_subject, ("http p95", "ws.reply p99")))
SIDES = ((1, 1), (3, 1), (5, 1), (3, 3), (5, 5))
SLOWER = (1.0, 1.2, 1.5, 2.0)
NOISE = {"quiet": 0.01, "nasty": 0.03}
"""Share of windows of requests that a pause makes two to five times slower."""
_MOST = max(max(sides) for sides in SIDES)
_RATIO_LIMIT = 1.2
_COLUMNS = (
    *("noise", "runs", "slower", "`http p95` regressed", "open", "open, `--strict`"),
    *("p95 ratio > 1.2", "`ws.reply p99` regressed"),
)

Row = tuple[str, tuple[int, int], float]


def trial(number: int, noise: str) -> Iterator[tuple[Row, str]]:
    """Yield what is said of every pair of sides, row by row."""
    base = _runs(1_000 * number, noise, 1.0)
    for slower in SLOWER:
        runs = _runs(1_000 * number + 500, noise, slower)
        for n_base, n_runs in SIDES:
            row = (noise, (n_base, n_runs), slower)
            yield from ((row, said) for said in _said(base[:n_base], runs[:n_runs]))


def _runs(first_seed: int, noise: str, slower: float) -> list[Run]:
    return [noisy_run(first_seed + place, pauses=NOISE[noise], slower=slower) for place in range(_MOST)]


def _said(base: list[Run], runs: list[Run]) -> Iterator[str]:
    for strict in (False, True):
        for each in compare_runs(base, runs, make_chooser, gated=SUBJECTS, shown=(), strict=strict):
            yield f"{each.subject} {each.outcome.value}{' strictly' if strict else ''}"
            if each.subject == "http p95" and not strict and _is_above(each):
                yield "ratio"


def _is_above(each: Comparison) -> bool:
    return each.change is not None and 1 + each.change > _RATIO_LIMIT


def lines(n_trials: int) -> Iterator[str]:
    """Yield the table."""
    said: Counter[tuple[Row, str]] = Counter()
    for noise in NOISE:
        for number in range(n_trials):
            said.update(trial(number, noise))
    yield f"| {' | '.join(_COLUMNS)} |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    for noise in NOISE:
        for sides in SIDES:
            for slower in SLOWER:
                yield _line((noise, sides, slower), said, n_trials)


def _line(row: Row, said: Counter[tuple[Row, str]], n_trials: int) -> str:
    noise, (n_base, n_runs), slower = row
    told = (
        f"http p95 {Change.REGRESSED.value}",
        f"http p95 {Change.INCONCLUSIVE.value}",
        f"http p95 {Change.INCONCLUSIVE.value} strictly",
        "ratio",
        f"ws.reply p99 {Change.REGRESSED.value}",
    )
    shares = " | ".join(f"{said[row, what] / n_trials:.0%}" for what in told)
    return f"| {noise} | {n_base} + {n_runs} | {slower:g}× | {shares} |"


def main() -> None:
    """Print the table."""
    n_trials = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for line in lines(n_trials):
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
