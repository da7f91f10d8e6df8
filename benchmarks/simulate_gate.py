"""How often a comparison cries wolf, and how often it sees the wolf: seeded runs with the noise of real ones.

``python -m benchmarks.simulate_gate [TRIALS]``: each trial compares fresh runs of ``tests.analysis.noisy`` with others
of the same build, or of one that is 1.2, 1.5 or 2 times slower. Printed are the shares of regressed and of inconclusive
verdicts on ``http p95`` and ``ws.reply p99``, and of a rule that looks at the ratio alone.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

from analysis.baseline import compare_runs
from analysis.comparing import make_chooser
from analysis.comparison import Change, Comparison
from analysis.resampling import median
from analysis.run import Run
from analysis.thresholds import parse_subject
from tests.analysis.noisy import noisy_run

SUBJECTS = tuple(map(parse_subject, ("http p95", "ws.reply p99")))
SIDES = ((1, 1), (3, 1), (5, 1), (3, 3), (5, 5))
NOISE = {"quiet": 0.01, "nasty": 0.03}
"""Share of windows of requests that a pause makes two to five times slower."""


def trial(number: int, sides: tuple[int, int], slower: float, pauses: float) -> tuple[Comparison, ...]:
    """Compare runs of a build with runs of one that is ``slower`` times as slow; ``sides`` are how many of each."""
    n_base, n_runs = sides
    first = 1_000 * number
    base = [noisy_run(first + place, pauses=pauses) for place in range(n_base)]
    runs = [noisy_run(first + 500 + place, pauses=pauses, slower=slower) for place in range(n_runs)]
    return compared(base, runs)


def compared(base: list[Run], runs: list[Run]) -> tuple[Comparison, ...]:
    """Return what is said of the two statistics that decide."""
    found = compare_runs(base, runs, make_chooser, gated=SUBJECTS)
    return tuple(each for each in found if each.is_gated)


def outcomes(n_trials: int, sides: tuple[int, int], slower: float, pauses: float) -> dict[str, Counter[Change]]:
    """Count what is said in so many trials, by statistic; and by the ratio of ``http p95`` alone."""
    found: dict[str, Counter[Change]] = {str(subject): Counter() for subject in SUBJECTS}
    found["ratio > 1.2 alone, p95"] = Counter()
    for number in range(n_trials):
        for each in trial(number, sides, slower, pauses):
            found[each.subject][each.outcome] += 1
            if each.subject == "http p95":
                found["ratio > 1.2 alone, p95"][_by_value(each)] += 1
    return found


def _by_value(each: Comparison) -> Change:
    base = median([value for value in each.base if value is not None])
    runs = median([value for value in each.runs if value is not None])
    return Change.REGRESSED if runs > 1.2 * base else Change.OK


def lines(n_trials: int) -> Iterator[str]:
    """Yield the table."""
    yield f"{n_trials} trials; 1,000 requests and replies a run"
    yield f"{'noise':6} {'runs':>6} {'slower':>7}  {'statistic':24} {'regressed':>9} {'open':>6}"
    for noise, pauses in NOISE.items():
        for sides in SIDES:
            for slower in (1.0, 1.2, 1.5, 2.0):
                for name, counts in outcomes(n_trials, sides, slower, pauses).items():
                    shares = (counts[Change.REGRESSED] / n_trials, counts[Change.INCONCLUSIVE] / n_trials)
                    cells = f"{name:24} {shares[0]:9.0%} {shares[1]:6.0%}"
                    yield f"{noise:6} {sides[0]:3}+{sides[1]:<2} {slower:6.1f}x  {cells}"


def main() -> None:
    """Print the table."""
    n_trials = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    for line in lines(n_trials):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
