"""The front door: one click group, one line per command.

A command's module is imported only when that command runs or its own help is asked, so ``rushhour --help`` stays fast.
Every ending passes through ``main``: an error becomes one sentence on stderr and the exit code of design §9.
It owns the process's stdout, signals, logging and import path, and knows nothing of what the commands do.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

    from captures.checks import Check

__version__ = "0.1.0"

USAGE, INVALID, INTERRUPTED = 2, 4, 130

_LOG = logging.getLogger("rushhour")

# Command: where it lives, and the line that --help shows without importing it.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "record": ("recorder.cli", "record", "Record what a browser does at URL into a capture."),
    "inspect": ("captures.cli", "inspect", "Show what a capture holds."),
    "plan": ("replayer.plan.cli", "plan", "Explain how a capture will be replayed, with the evidence."),
    "verify": ("replayer.verify.cli", "verify", "Play a capture once, and explain every difference to the recording."),
    "replay": ("replayer.cli", "replay", "Replay a capture against a target and judge the run."),
    "report": ("analysis.cli", "report", "Build a run's summary and report again."),
    "compare": (
        "analysis.compare_cli",
        "compare",
        "Say whether runs are slower than a baseline, and how sure.",
    ),
    "gate": (
        "replayer.gate_cli",
        "gate",
        "Replay against two targets in turns, and compare them.",
    ),
    "calibrate": (
        "analysis.calibrate_cli",
        "calibrate",
        "Write thresholds that fit a target, from runs of the same build.",
    ),
    "errors": ("analysis.errors_cli", "errors", "Show what failed in a run, each kind with the first that were seen."),
    "trend": ("analysis.trend_cli", "trend", "Keep one CSV row per run, for trends over many builds."),
    "recover": ("captures.cli", "recover", "Save the good records of a damaged capture."),
    "edit": ("captures.edit.cli", "edit", "Make a capture of parts of others: filter, trim, merge."),
    "convert": ("captures.convert.cli", "convert", "Turn recordings of other tools into captures, and back."),
    "scan": ("captures.redact.cli", "scan", "Look for secrets that are left in a capture."),
    "redact": ("captures.redact.cli", "redact", "Take the secrets out of a capture."),
    "golden": ("golden.cli", "golden", "Check a golden capture against its target, or record it again."),
    "scenarios": ("demo.catalogue", "scenarios", "List ready runs: purpose, users, duration, command."),
    "demo": ("demo.cli", "demo", "See it all: record a session of the demo, replay it, get a verdict."),
    "doctor": ("rushhour", "doctor", "Check this machine, and say how to mend what is missing."),
}

WELCOME = """\
Rushhour records one real browser session and replays rush hour.

  rushhour demo                                    see the whole of it, in under a minute
  rushhour record https://shop.example -o my.rush  record a session of yours in a browser
  rushhour inspect my.rush                         what was recorded
  rushhour verify my.rush --target URL             does one user get what was recorded?
  rushhour replay my.rush --target URL --users 50  replay it, get a verdict and a report
  rushhour doctor                                  what is missing on this machine

rushhour -h lists the commands, rushhour COMMAND -h explains one.
"""


WELCOME_BACK = """\
Rushhour records one real browser session and replays rush hour. Here is {capture}. Next:

  rushhour inspect {capture}
      what was recorded
  rushhour verify {capture} --target URL
      does one user get what was recorded?
  rushhour replay {capture} --target URL --users 50
      replay it, get a verdict and a report

rushhour -h lists the commands, rushhour COMMAND -h explains one.
"""


def _welcome(directory: Path) -> str:
    """Say what to do next: with the newest capture of a directory, where it has one."""
    captures = [path for path in directory.glob("*.rush") if path.is_file()]
    if not captures:
        return WELCOME
    newest = max(captures, key=lambda path: path.stat().st_mtime_ns).name
    shown = newest if newest.isprintable() else "my.rush"
    return WELCOME_BACK.format(capture=shlex.quote(shown))


def _configure_logging(_ctx: click.Context, _param: click.Parameter, level: str | None) -> None:
    if level is not None:
        logging.getLogger().setLevel(level.upper())


def _log_level_option() -> click.Option:
    return click.Option(
        ["--log-level"],
        type=click.Choice(["debug", "info", "warning", "error"]),
        callback=_configure_logging,
        expose_value=False,
        is_eager=True,
        help="How much to say on stderr; debug shows tracebacks.  [default: warning]",
    )


class Commands(click.Group):
    """The group that imports a command's module when the command is needed, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; each takes ``--log-level`` too."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        if not any("--log-level" in param.opts for param in command.params):
            command.params.append(_log_level_option())
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help) for name, (_, _, short_help) in COMMANDS.items()])


@click.group(
    cls=Commands,
    params=[_log_level_option()],
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(__version__, message="rushhour %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Record one real browser session. Replay rush hour."""
    if ctx.invoked_subcommand is None:
        click.echo(_welcome(Path()), nl=False)


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@click.command(epilog=_examples("rushhour doctor", "rushhour doctor --json"))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def doctor(as_json: bool) -> NoReturn:
    """Check this machine for what recording and replaying need, and say how to mend what is missing.

    Exits 0 when all is well and 1 when something is to be mended.
    """
    from recorder.checks import checks as recorder_checks
    from replayer.checks import checks as replayer_checks

    found = [_python_check(), *recorder_checks(), *replayer_checks()]
    is_well = all(check.ok for check in found)
    click.echo(_checks_to_json(found) if as_json else "\n".join(_check_to_lines(check) for check in found))
    if not as_json:
        click.echo("next: rushhour demo" if is_well else "next: mend what is marked, then rushhour doctor again")
    raise SystemExit(0 if is_well else 1)


def _python_check() -> Check:
    from captures.checks import Check

    version = ".".join(map(str, sys.version_info[:3]))
    return Check(
        name="Python",
        ok=sys.version_info >= (3, 11),
        found=f"{version} at {sys.executable}",
        fix="install Python 3.11 or newer",
    )


def _check_to_lines(check: Check) -> str:
    line = f"{'ok  ' if check.ok else 'MEND'}  {check.name:<12} {check.found}"
    return line if check.ok or not check.fix else f"{line}\n      {'':<12} → {check.fix}"


def _checks_to_json(checks: list[Check]) -> str:
    rows = [{"name": check.name, "ok": check.ok, "found": check.found, "fix": check.fix} for check in checks]
    return json.dumps({"ok": all(check.ok for check in checks), "checks": rows}, indent=2)


def _prefer_own_packages() -> None:
    """Put our own directory first on ``sys.path``, which spawned workers inherit.

    Subtle: ``python -m rushhour`` puts the current directory first, where packages called ``analysis`` or ``captures``
    may well be somebody else's. Nothing of ours is imported before this has run.
    """
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [here, *(entry for entry in sys.path if entry != here)]


class _PatientPipe(io.FileIO):
    """Standard output that outlives its reader (``| head -1``) or its disk: the rest goes nowhere.

    Attributes:
        problem: why the rest was lost, None where nothing was or nobody wants it any more.
    """

    problem: OSError | None = None

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError as exc:
            # Subtle: what could not be written stays buffered, and would fail again when the interpreter ends.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if not isinstance(exc, BrokenPipeError):
                self.problem = exc
            return memoryview(data).nbytes


def _outlive_reader() -> _PatientPipe | None:
    if sys.stdout is None:  # closed by who started us (>&-)
        sys.stdout = open(os.devnull, "w")
    stdout = sys.stdout
    if stdout is not sys.__stdout__ or not isinstance(stdout, io.TextIOWrapper):
        return None
    pipe = _PatientPipe(stdout.fileno(), "w", closefd=False)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(pipe),
        encoding=stdout.encoding,
        errors=stdout.errors,
        line_buffering=stdout.line_buffering,
    )
    return pipe


def _lost(pipe: _PatientPipe | None, code: int) -> int:
    """Say that not all of stdout was written; only a code that promises success changes."""
    if pipe is None or pipe.problem is None:
        return code
    _say(f"stdout is not whole: {pipe.problem.strerror}; free some space, or write it elsewhere", INVALID)
    return code or INVALID


def _run_command_line() -> None:
    with cli.make_context("rushhour", sys.argv[1:]) as ctx:
        cli.invoke(ctx)


def _exit_code_of(run: Callable[[], object]) -> int:
    """Call ``run``, say on stderr what went wrong, and return the exit code."""
    from captures.errors import RushhourError

    try:
        run()
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else _say(str(exc.code), INVALID) if exc.code else 0
    except click.ClickException as exc:
        return _say(_usage_sentence(exc), USAGE)
    except RushhourError as exc:
        _LOG.debug("raised here", exc_info=True)
        return _say(str(exc), exc.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", INTERRUPTED)
    except Exception as exc:
        _LOG.debug("raised here", exc_info=True)
        what = " ".join(f"{type(exc).__name__}: {exc}".split()).rstrip(": ")
        return _say(f"an error of our own, {what}; --log-level debug shows where", INVALID)
    return 0


def _say(sentence: str, code: int) -> int:
    from captures.defuse import harmless

    click.echo(harmless(f"rushhour: {sentence}"), err=True)
    if os.environ.get("GITHUB_ACTIONS") == "true" and code != INTERRUPTED:
        from analysis.report.annotations import annotation

        click.echo(annotation("error", f"rushhour, exit code {int(code)}", sentence), err=True)
    return int(code)


def _usage_sentence(exc: click.ClickException) -> str:
    message = " ".join(exc.format_message().split()).rstrip(".")
    ctx = getattr(exc, "ctx", None)
    return f"{message}; {ctx.command_path} -h explains" if ctx is not None else message


class _HarmlessFormatter(logging.Formatter):
    """Keeps what captures, targets and file names hold from steering the terminal that the log is read on."""

    def format(self, record: logging.LogRecord) -> str:
        from captures.defuse import harmless

        return harmless(super().format(record))


def _start_logging() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_HarmlessFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    _prefer_own_packages()
    stdout = _outlive_reader()
    _start_logging()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = _exit_code_of(_run_command_line)
    code = _exit_code_of(sys.stdout.flush) or code
    raise SystemExit(_lost(stdout, code))


if __name__ == "__main__":
    main()
