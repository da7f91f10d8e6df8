"""Help that helps: every command explains itself, and the examples in the help are run."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
import pytest

import rushhour
from demo.server import Target
from tests.commands import run_rushhour

_URL = re.compile(r"https?://[^/\s]+(?P<path>/\S*)?")
_OUT = {"-o", "--out", "--html", "--rules-out", "--identities-template"}
# Commands whose last argument is the file that they write.
_WRITE_THE_LAST = {"convert"}
# A browser's saved login, as Playwright writes it, that holds nothing.
_NO_LOGIN = '{"cookies": [], "origins": []}'
# Options that mean somebody else's machine; a short flag is too easily mistyped for another (-h is help).
_HOSTS = re.compile(r"--(.*-)?(host|target|url|origin|scope|map|resolve|proxy|address)s?")
# A replay may find the machine that runs the tests too slow; what counts is that it gets as far as a verdict.
_VERDICTS = {0, 1, 4, 5}
# Two copies of one short run hold too little for a comparison to decide.
_EXIT_CODES = {
    "replay": _VERDICTS,
    "gate": _VERDICTS,
    "demo": _VERDICTS,
    "compare": {0, 5},
    "golden": _VERDICTS,
    "doctor": {0, 1},
    "scan": {0, 1},
}


def _short_visit(arguments: list[str]) -> list[str]:
    return [] if "--seconds" in arguments else ["--seconds", "4"]


def _quick_replay(arguments: list[str]) -> list[str]:
    return [] if "--speed" in arguments else ["--speed", "10"]


def _single_runs(_arguments: list[str]) -> list[str]:
    return ["--repeat", "1", "--scale", "1", "--speed", "20"]


def _short_recording(arguments: list[str]) -> list[str]:
    duration = [] if "--duration" in arguments else ["--duration", "2s"]
    return duration if {"--headless", "--no-browser", "--reverse"} & set(arguments) else [*duration, "--headless"]


def _quick_check(arguments: list[str]) -> list[str]:
    return [] if "check" not in arguments or {"-h", "--for"} & set(arguments) else ["--users", "2", "--for", "2s"]


# What an example is given on top, so that it comes to an end by itself and soon.
_SHORTER = {
    "demo": _short_visit,
    "record": _short_recording,
    "replay": _quick_replay,
    "gate": _single_runs,
    "golden": _quick_check,
}


def _walk(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if isinstance(command, click.Group):
            yield from _walk(command, *path, name)
        yield (*path, name)


COMMANDS = [*((name,) for name in rushhour.COMMANDS), ("golden", "check"), ("golden", "update")]


def _command(path: tuple[str, ...]) -> click.Command:
    command: click.Command = rushhour.cli
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command


def _examples(path: tuple[str, ...]) -> list[str]:
    """Return the examples of a command; what stands behind three spaces explains one."""
    lines = (_command(path).epilog or "").splitlines()
    return [re.split(r" {3,}", line.strip())[0] for line in lines if line.startswith("  rushhour ")]


every_command = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


def test_the_walk_finds_every_command() -> None:
    assert sorted(_walk(rushhour.cli)) == sorted(COMMANDS)


@pytest.mark.process
@pytest.mark.parametrize("path", [(), *COMMANDS], ids=lambda path: " ".join(path) or "rushhour")
def test_h_and_help_say_the_same_and_exit_with_0(path: tuple[str, ...], tmp_path: Path) -> None:
    short, long = (run_rushhour(*path, flag, cwd=tmp_path) for flag in ("-h", "--help"))
    assert short.returncode == long.returncode == 0
    assert short.stdout == long.stdout
    assert short.stdout.startswith(f"Usage: {' '.join(('rushhour', *path))} ")
    assert short.stderr == long.stderr == ""


# design §10: so they must be spelled; more may come.
_OF_REPLAY = """--target --map --allow-target --trust-clock --scale --users --speed --max-gap --for --at-end --shape
    --start-spread --storm --pacing --http --wire --connect-timeout --request-timeout --message-timeout --max-failures
    --header --insecure --ca --resolve --wait --warmup --before --after --read-only --allow-writes --assets --identities
    --identities-end --rules --workers --seed --threshold --thresholds --baseline --out --format --dry-run
    --print-config --strict --allow-inconclusive --allow-lag --json --scenario"""
_CHOICES = {
    "--at-end": {"end", "restart", "repeat", "hold"},
    "--pacing": {"think", "timeline", "asap"},
    "--http": {"auto", "1.1", "2"},
    "--wire": {"fast", "reference"},
    "--assets": {"replay", "skip"},
    "--identities-end": {"cycle", "fail"},
}
_MANY = {"--map", "--allow-target", "--storm", "--header", "--resolve", "--threshold", "--baseline", "--format"}


def test_options_of_replay_are_spelled_as_others_rely_on() -> None:
    options = {name: option for option in _command(("replay",)).params for name in option.opts}
    assert set(_OF_REPLAY.split()) <= options.keys()
    assert {name for name in _MANY if not options[name].multiple} == set()
    for name, choices in _CHOICES.items():
        kind = options[name].type
        assert isinstance(kind, click.Choice)
        assert set(kind.choices) == choices


@every_command
def test_no_host_option_has_a_short_flag_and_h_is_help_alone(path: tuple[str, ...]) -> None:
    for option in (param for param in _command(path).params if isinstance(param, click.Option)):
        names = [*option.opts, *option.secondary_opts]
        assert "-h" not in names
        if any(_HOSTS.fullmatch(name) for name in names):
            assert all(name.startswith("--") for name in names)


@every_command
def test_every_option_and_command_is_explained(path: tuple[str, ...]) -> None:
    command = _command(path)
    assert command.help
    unexplained = [param.name for param in command.params if isinstance(param, click.Option) and not param.help]
    assert not unexplained


@every_command
def test_every_command_has_two_examples_of_itself(path: tuple[str, ...]) -> None:
    epilog = _command(path).epilog or ""
    assert epilog.startswith("\b\nExamples:\n")
    own = [example for example in _examples(path) if shlex.split(example)[1 : 1 + len(path)] == list(path)]
    assert len(_examples(path)) >= 2
    assert own


class Workshop:
    """A directory in which an example finds what it names: captures, run directories, somebody who answers."""

    def __init__(self, directory: Path, *, capture: Path, run: Path, url: str) -> None:
        self.directory = directory
        self._capture = capture
        self._run = run
        self._url = url

    def prepare(self, example: str) -> list[str]:
        """Return the arguments of an example, and put the files that it reads where it looks for them."""
        arguments = [self._here(argument) for argument in shlex.split(example)[1:]]
        outputs = {argument for before, argument in pairwise(arguments) if before in _OUT}
        if arguments[0] in _WRITE_THE_LAST:
            outputs.add([argument for argument in arguments if not argument.startswith("-")][-1])
        for argument in arguments[1:]:
            if argument in outputs:
                (self.directory / argument).unlink(missing_ok=True)
            else:
                self._provide(argument)
        shorten = _SHORTER.get(arguments[0])
        return [*arguments, *shorten(arguments)] if shorten else arguments

    def _here(self, argument: str) -> str:
        return _URL.sub(lambda url: self._url + (url["path"] or ""), argument)

    def _provide(self, argument: str) -> None:
        path = self.directory / argument
        if argument.startswith("captures/golden/"):
            self._provide_golden(path)
        if path.exists():
            return
        if argument.endswith(".rush"):
            shutil.copy(self._capture, path)
        elif argument.startswith("runs/"):
            shutil.copytree(self._run, path)
        elif argument.endswith(".toml"):
            path.touch()
        elif argument.endswith(".json"):
            path.write_text(_NO_LOGIN)

    def _provide_golden(self, directory: Path) -> None:
        """Make a golden of the first three seconds of the demo's, as it was before any example."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        cut = run_rushhour("edit", str(self._capture), "-o", "market.rush", "--to", "3s", cwd=directory)
        assert cut.returncode == 0, cut.stderr


@pytest.fixture(scope="module")
def finished_run(golden: Path, demo_target: Target, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a short replay of the golden capture."""
    directory = tmp_path_factory.mktemp("finished")
    quick = ("--speed", "20", "--users", "20", "--allow-lag")
    ended = run_rushhour("replay", str(golden), "--target", demo_target.url, *quick, "--out", "run", cwd=directory)
    assert ended.returncode in _VERDICTS, ended.stderr
    return directory / "run"


@pytest.fixture
def workshop(golden: Path, finished_run: Path, demo_target: Target, tmp_path: Path) -> Workshop:
    return Workshop(tmp_path, capture=golden, run=finished_run, url=demo_target.url)


# Options that ask for something else than the usual words.
_FOR_MACHINES = {"--json", "--print", "--print-config", "--dry-run", "--html", "-h", "--addon-path"}
_NEEDS_BROWSER = {("record",), ("golden", "update")}


@pytest.mark.process
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=" ".join(path), marks=[pytest.mark.browser] if path in _NEEDS_BROWSER else [])
        for path in COMMANDS
    ],
)
def test_the_examples_of_every_command_run(path: tuple[str, ...], workshop: Workshop) -> None:
    for example in _examples(path):
        arguments = workshop.prepare(example)
        ended = run_rushhour(*arguments, cwd=workshop.directory)
        assert ended.returncode in _EXIT_CODES.get(arguments[0], {0}), f"{example}\n{ended.stderr}"
        assert "Traceback" not in ended.stderr
        assert "error of our own" not in ended.stderr
        assert ended.stdout or ended.stderr
        if ended.returncode in {0, 1} and not _FOR_MACHINES & set(arguments):
            told = [*ended.stderr.splitlines(), *ended.stdout.splitlines()]
            assert any("rushhour " in line for line in told[-4:] + ended.stderr.splitlines()[-4:]), f"{example}\n{told}"
