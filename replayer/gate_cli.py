"""``rushhour gate``: is build B slower than build A? The command line, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from replayer.options.judge import JUDGE_SETTINGS
from replayer.options.run import ALL_SETTINGS, options_from
from replayer.options.setting import FILE, Declare, names_of, typed_in, with_settings
from replayer.options.target import TARGET_SETTINGS

_NOT_HERE = frozenset({"target", "baseline"})
"""Options of replay that ``--interleave`` takes the place of."""
_EPILOG = """\b
Examples:
  rushhour gate market.rush --interleave http://127.0.0.1:8000 http://127.0.0.1:8001
  rushhour gate market.rush --interleave http://127.0.0.1:8000 http://127.0.0.1:8001 --repeat 3 --scale 20 --json
"""


def _settings() -> tuple[tuple[Declare, ...], ...]:
    """Return those of replay without the ones that have no place here."""
    touched = (TARGET_SETTINGS, JUDGE_SETTINGS)
    return tuple(
        tuple(each for each in group if not names_of([each]) & _NOT_HERE) if group in touched else tuple(group)
        for group in ALL_SETTINGS
    )


@click.command(epilog=_EPILOG)
@click.argument("capture", type=FILE, metavar="[FILE]", required=False)
@click.option(
    "--interleave",
    nargs=2,
    required=True,
    metavar="URL_A URL_B",
    help="The build that is there, and the one that is to be judged.",
)
@click.option("--repeat", type=int, default=5, show_default=True, metavar="N", help="Runs of each; 5 tell most.")
@with_settings(*_settings())
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def gate(interleave: tuple[str, str], repeat: int, **given: Any) -> None:
    """Replay FILE against two targets in turns, and say whether B is slower or fails more than A, and how sure that is.

    Takes the options of rushhour replay. What drifts on this machine meanwhile weighs on both alike. --out is the
    directory of all runs, each in one of its own, and of gate.json and gate.md.

    \b
    Exits with 0 ok or improved · 1 regressed, or most runs of B broke a threshold that was typed · 2 bad input
    · 3 unreachable or aborted · 4 a measurement cannot be trusted · 5 inconclusive · 130 interrupted.
    """
    from rich.console import Console

    from replayer.gating import GateOptions
    from replayer.gating import gate as run_gate

    typed = typed_in(click.get_current_context())
    directory: Path | None = given.pop("out")
    base, candidate = (
        options_from({**given, "target": url, "out": None, "baseline": ()}, typed=typed) for url in interleave
    )
    options = GateOptions(
        base=base, candidate=candidate, repeat=repeat, directory=directory, as_json=bool(given["as_json"])
    )
    raise SystemExit(run_gate(options, talk=Console(stderr=True), results=Console()))
