"""``rushhour demo``: the whole promise on this machine. Starts a target, records a visit, replays rush hour, judges."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from captures.errors import ConfigError, ExitCode, ReplayError
from captures.units import format_duration, parse_duration_ns

if TYPE_CHECKING:
    from rich.console import Console

    from demo.server import Target
    from demo.target.faults import Faults
    from demo.target.settings import Settings

_EPILOG = """\b
Examples:
  rushhour demo
  rushhour demo --scale 50 --speed 10
  rushhour demo --latency 300ms
"""


def _duration(ctx: click.Context, param: click.Parameter, value: str) -> int:
    try:
        return parse_duration_ns(value)
    except ConfigError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc


@click.command(epilog=_EPILOG)
@click.option("--scale", type=float, default=20.0, show_default=True, metavar="N", help="Users of the recorded visit.")
@click.option("--speed", type=float, default=5.0, show_default=True, metavar="X", help="Divides recorded gaps.")
@click.option(
    "--seconds",
    type=click.FloatRange(4.0, 120.0),
    default=10.0,
    show_default=True,
    metavar="N",
    help="How long the recorded visit lasts, at least 4.",
)
@click.option(
    "--workers", type=click.IntRange(1), metavar="N", help="Processes that send.  [default: as rushhour replay]"
)
@click.option(
    "--storm/--no-storm",
    default=True,
    show_default=True,
    help="Half of the users lose their sockets midway and come back.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="RUN_DIR", help="[default: runs/<time>-demo]")
@click.option(
    "--serve",
    type=click.IntRange(0, 65_535),
    metavar="PORT",
    help="Only serve the target on 127.0.0.1, until Ctrl-C; 0 takes a free port.",
)
@click.option("--keep", is_flag=True, help="Leave the target running afterwards, until Ctrl-C.")
@click.option(
    "--latency",
    callback=_duration,
    default="0",
    metavar="DUR",
    help="Slow the target down while it is replayed against.",
)
@click.option(
    "--error-rate",
    type=click.FloatRange(0.0, 1.0),
    default=0.0,
    metavar="SHARE",
    help="Let it fail that share of API requests.",
)
@click.option("--refuse-upgrades", is_flag=True, help="Let it refuse every socket.")
def demo(**given: Any) -> None:
    """Record a session of the demo's stock tracker, replay rush hour against it, get a verdict and a report.

    Everything stays on this machine. Exits with the verdict's code, as rushhour replay does; with --latency,
    --error-rate or --refuse-upgrades the target is fine while it is recorded and fails while it is replayed against,
    so that a failing verdict can be seen.
    """
    from rich.console import Console

    raise SystemExit(_run(given, Console(stderr=True, highlight=False, soft_wrap=True)))


def _run(given: dict[str, Any], talk: Console) -> int:
    faults = _faults(given)
    if given["serve"] is not None:
        with _target(faults, port=given["serve"]) as target:
            _wait(target.url, talk=talk)
        return int(ExitCode.PASS)
    directory = given["out"] or Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-demo"
    capture = directory.with_name(directory.name + ".rush")
    _check_crowd(scale=given["scale"], speed=given["speed"])
    _check_room(directory, capture)
    _record(capture, seconds=given["seconds"], talk=talk)
    # Another process than the one recorded: it knows none of the recorded tokens, so each virtual user has to log in.
    with _target(faults) as target:
        for line in _told(faults):
            talk.print(f"on purpose: {line}")
        code = _replay([str(capture), *_replay_args(given, target.url, directory)], talk=talk)
        talk.print(f"capture  {capture}; rushhour plan {shlex.quote(str(capture))} explains its replay", markup=False)
        talk.print("yours    rushhour record URL does it with a site of your own")
        if code == ExitCode.INVALID:
            talk.print(f"again    rushhour demo --scale {max(1, given['scale'] // 4):g} asks less of this machine")
        if given["keep"]:
            _wait(target.url, talk=talk)
    return code


def _faults(given: dict[str, Any]) -> Faults:
    """The faults asked for by option, else by the environment."""
    usual = _settings().faults
    return replace(
        usual,
        latency_ns=given["latency"] or usual.latency_ns,
        error_rate=given["error_rate"] or usual.error_rate,
        refuses_upgrades=given["refuse_upgrades"] or usual.refuses_upgrades,
    )


def _settings() -> Settings:
    from demo.target.settings import SettingsError, settings_from

    try:
        return settings_from(os.environ)
    except SettingsError as exc:
        raise ConfigError(str(exc), "correct or unset the variable") from exc


def _told(faults: Faults) -> Iterator[str]:
    if faults.latency_ns:
        yield f"the target now answers {format_duration(faults.latency_ns)} later"
    if faults.error_rate:
        yield f"the target now fails {faults.error_rate:.0%} of API requests"
    if faults.stall_ns:
        yield f"the target will answer nothing for {format_duration(faults.stall_ns)}"
    if faults.refuses_upgrades:
        yield "the target now refuses every socket"


def _check_crowd(*, scale: float, speed: float) -> None:
    from replayer.options.crowd import CrowdOptions

    CrowdOptions(scale=scale, speed=speed).load_for(1)


def _check_room(directory: Path, capture: Path) -> None:
    """Refuse what would be overwritten before a recording is made for nothing."""
    if capture.exists():
        raise ConfigError(f"{capture} exists and is not overwritten", "choose another --out")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(f"{directory} exists and is not an empty directory", "choose another --out")
    try:
        capture.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"{capture.parent} cannot be made: {exc.strerror}", "choose another --out") from exc


@contextmanager
def _target(faults: Faults, *, port: int = 0) -> Iterator[Target]:
    """Run a target with the settings of the environment, but for its faults."""
    from demo.server import TargetFailed, TargetMissing, running_target

    with ExitStack() as stack:
        try:
            target = stack.enter_context(running_target(replace(_settings(), faults=faults), port=port))
        except TargetMissing as exc:
            raise ConfigError(str(exc)) from exc
        except TargetFailed as exc:
            if port:
                raise ConfigError(str(exc), "name another port, or --serve 0 for a free one") from exc
            raise ReplayError(str(exc)) from exc
        yield target


def _record(capture: Path, *, seconds: float, talk: Console) -> None:
    from demo.showing import has_browser, record_visit
    from demo.target.faults import Faults

    in_browser = has_browser()
    who = "headless Chromium" if in_browser else "no Chromium here, so a script (httpx, websockets)"
    with _target(Faults()) as target:
        talk.print(f"target   a stock tracker, REST and WebSocket, at {target.url}")
        talk.print(f"record   {who}: logs in, watches the stream, places an order; {seconds:g} s")
        counts = record_visit(target.url, capture, seconds=seconds, in_browser=in_browser)
    found = f"{counts.n_exchanges} exchanges, {counts.n_sockets} socket, {counts.n_messages} messages"
    talk.print(f"         {found} in {capture}", markup=False)


def _replay_args(given: dict[str, Any], url: str, directory: Path) -> list[str]:
    args = ["--target", url, "--scale", f"{given['scale']:g}", "--speed", f"{given['speed']:g}", "--shape", "burst"]
    if given["storm"]:
        midway_ms = round(given["seconds"] / given["speed"] * 500)
        args += ["--storm", f"at={midway_ms}ms,fraction=0.5,how=rst,policy=full-jitter:50ms..400ms"]
    if given["workers"] is not None:
        args += ["--workers", str(given["workers"])]
    return [*args, "--out", str(directory)]


def _replay(args: list[str], *, talk: Console) -> int:
    """Run ``rushhour replay`` as a user would type it, and return its exit code."""
    from demo.scripted import USER
    from demo.target.accounts import PASSWORD
    from replayer.cli import replay

    os.environ.setdefault("RUSHHOUR_USER", USER)
    os.environ.setdefault("RUSHHOUR_PASSWORD", PASSWORD)
    talk.print(f"replay   rushhour replay {shlex.join(args)}", markup=False)
    try:
        replay.main(args=args, prog_name="rushhour replay", standalone_mode=False)
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else int(ExitCode.PASS)
    return int(ExitCode.PASS)


def _wait(url: str, *, talk: Console) -> None:
    talk.print(f"keep     the target stays at {url} until Ctrl-C")
    with suppress(KeyboardInterrupt):
        signal.pause()
