"""``rushhour verify``: its command line, and nothing else; most options are ``replay``'s."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from replayer.options.plan import PLAN_SETTINGS, plan_from
from replayer.options.reach import REACH_SETTINGS, reach_from
from replayer.options.setting import FILE, with_settings
from replayer.options.target import TARGET_SETTINGS, target_from
from replayer.options.wire import WIRE_SETTINGS, wire_from

_EPILOG = """\b
Examples:
  rushhour verify market.rush --target http://127.0.0.1:8000
  rushhour verify market.rush --target http://127.0.0.1:8000 --session 1 --json
"""


@click.command(epilog=_EPILOG)
@click.argument("capture", type=FILE, metavar="FILE")
@with_settings(TARGET_SETTINGS)
@click.option("--session", type=int, metavar="N", help="The recorded session to play.  [default: the first]")
@click.option("--identities", type=FILE, metavar="FILE", help="CSV file of input columns; its first row is taken.")
@with_settings(PLAN_SETTINGS, WIRE_SETTINGS, REACH_SETTINGS)
@click.option("--policy", type=FILE, metavar="FILE", help="What else is secret: a TOML file, see rushhour redact -h.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, and nothing else there.")
def verify(
    capture: Path, session: int | None, identities: Path | None, policy: Path | None, as_json: bool, **given: Any
) -> None:
    """Play FILE once at recorded speed, as one user, and explain every difference to the recording.

    \b
    Exits with 0 where every difference is explained · 1 where one is not
    · 2 bad input or refused target · 3 unreachable.
    """
    from rich.console import Console

    from replayer.options.crowd import CrowdOptions
    from replayer.options.judge import JudgeOptions
    from replayer.options.population import PopulationOptions
    from replayer.options.run import ReplayOptions
    from replayer.pruning import Keep
    from replayer.verify.verify import verify as run_verify

    crowd = CrowdOptions(users=1, identities=identities)
    keep = Keep(sessions=() if session is None else (session,))
    options = ReplayOptions(
        capture=capture,
        target=target_from(given),
        crowd=crowd,
        populations=(PopulationOptions(capture=capture, keep=keep, crowd=crowd),),
        plan=plan_from(given),
        wire=wire_from(given),
        reach=reach_from(given),
        judge=JudgeOptions(),
        as_json=as_json,
    )
    code = run_verify(options, policy=policy, talk=Console(stderr=True), results=Console())
    raise SystemExit(int(code))
