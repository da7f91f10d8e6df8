"""``rushhour scenarios``: which ready runs there are, how long they take, and how to start them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from captures.errors import ConfigError, RushhourError
from captures.units import format_duration

if TYPE_CHECKING:
    from replayer.options.run import ReplayOptions

OWN = Path(__file__).with_name("scenarios")
ANY_TARGET = "http://127.0.0.1:8000"
"""A target that is only named: nothing is sent."""

_EPILOG = """\b
Examples:
  rushhour scenarios
  rushhour scenarios --json
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One scenario as it is listed; ``problem`` says why it cannot be run, and is empty where it can."""

    name: str
    purpose: str
    path: str
    command: str
    users: int = 0
    duration_s: float = 0.0
    problem: str = ""


@click.command(epilog=_EPILOG)
@click.argument("directory", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def scenarios(directory: Path | None, as_json: bool) -> None:
    """List the scenarios of the demo, or those in DIRECTORY: purpose, users, duration and the command.

    Those of the demo want its target: rushhour demo --serve 8000.
    """
    found = list(entries(directory or OWN))
    if as_json:
        import json

        click.echo(json.dumps({"scenarios": [asdict(entry) for entry in found]}, indent=2))
    else:
        click.echo("\n\n".join(map(_shown, found)))
        click.echo("\nnext: rushhour demo --serve 8000 in another terminal, then one of these commands")


def entries(directory: Path) -> Iterator[Entry]:
    """Generate the scenarios of a directory, the short ones first.

    Raises:
        ConfigError: it holds none.
    """
    paths = sorted(directory.glob("*.toml"))
    if not paths:
        raise ConfigError(f"{directory} holds no scenario", "name a directory with TOML files")
    yield from sorted(map(_entry, paths), key=lambda entry: (entry.duration_s, entry.name))


def _entry(path: Path) -> Entry:
    from replayer.cli import replay
    from replayer.options.run import options_from
    from replayer.options.scenario import load_scenario

    shown = _relative(path)
    command = f"rushhour replay --scenario {shown} --target {ANY_TARGET}"
    name, purpose = path.stem, ""
    try:
        ctx = replay.make_context("replay", ["--scenario", str(path), "--target", ANY_TARGET])
        scenario = load_scenario(path, ctx)
        name, purpose = scenario.name, scenario.purpose
        users, duration_s = _planned(options_from(ctx.params))
    except RushhourError as exc:
        return Entry(name=name, purpose=purpose, path=shown, command=command, problem=str(exc))
    return Entry(name=name, purpose=purpose, path=shown, command=command, users=users, duration_s=duration_s)


def _planned(options: ReplayOptions) -> tuple[int, float]:
    from replayer.facts import planned_duration_s
    from replayer.gathering import gather

    gathered = gather(options, has_identities=False)
    return gathered.users, planned_duration_s(gathered.plan, gathered.populations)


def _relative(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _shown(entry: Entry) -> str:
    facts = f"{entry.users} users, {format_duration(round(entry.duration_s) * 1_000_000_000)}"
    return "\n".join(
        [f"{entry.name}  {entry.problem or facts}", f"  {entry.purpose or '(no purpose given)'}", f"  {entry.command}"]
    )
