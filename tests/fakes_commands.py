"""Commands that end in every way a command can, for the tests of the front door."""

from __future__ import annotations

import sys
import time

import click

from captures.errors import CaptureError, ConfigError, ReplayError, TargetRefused, TargetUnreachable

ENDINGS: dict[str, BaseException] = {
    "config": ConfigError("--scale 0 is no load", "write a number above 0"),
    "capture": CaptureError("a.rush", "is cut off", 17, "rushhour recover a.rush -o b.rush"),
    "refused": TargetRefused("https://shop.example", "it is not on the allow-list"),
    "unreachable": TargetUnreachable("http://127.0.0.1:1", "connection refused"),
    "ours": ReplayError("worker 2 is gone"),
    "bug": ValueError("two\nlines"),
    "nameless bug": AssertionError(),
    "disk": OSError(28, "No space left on device"),
    "pipe": BrokenPipeError(32, "Broken pipe"),
    "end of file": EOFError(),
    "ctrl-c": KeyboardInterrupt(),
    "abort": click.Abort(),
    "usage": click.UsageError("that cannot be."),
    "verdict": SystemExit(5),
    "text": SystemExit("gave up"),
    "exit": click.exceptions.Exit(1),
    "quiet": SystemExit(),
}


@click.command(epilog="\b\nExamples:\n  rushhour end bug\n  rushhour end exit")
@click.argument("how")
def end(how: str) -> None:
    """End in the way HOW."""
    raise ENDINGS[how]


@click.command()
def flood() -> None:
    """Write far more than a pipe holds, then exit with 5."""
    for number in range(100_000):
        click.echo(f"line {number}")
    raise SystemExit(5)


@click.command()
def wait() -> None:
    """Say ``ready``, then wait to be ended."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    time.sleep(60)
