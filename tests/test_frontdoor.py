"""The front door: what it imports, how it ends, what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import rushhour
from tests.commands import ROOT, run_rushhour

OURS = ("analysis", "captures", "demo", "golden", "recorder", "replayer")
HEAVY = (
    "asyncio",
    "httptools",
    "httpx",
    "mitmproxy",
    "msgpack",
    "multiprocess",
    "rich",
    "starlette",
    "uvicorn",
    "uvloop",
    "websockets",
    "zstandard",
)

# How a command ends · exit code · what stderr must say.
ENDINGS = [
    ("config", 2, "rushhour: --scale 0 is no load: write a number above 0\n"),
    ("capture", 2, "rushhour: a.rush: is cut off at byte 17; rushhour recover a.rush -o b.rush\n"),
    ("refused", 2, "rushhour: target https://shop.example refused: it is not on the allow-list\n"),
    ("unreachable", 3, "connection refused"),
    ("ours", 4, "rushhour: worker 2 is gone\n"),
    ("bug", 4, "rushhour: an error of our own, ValueError: two lines; --log-level debug shows where\n"),
    ("nameless bug", 4, "rushhour: an error of our own, AssertionError; --log-level debug shows where\n"),
    ("disk", 4, "No space left on device"),
    ("pipe", 4, "BrokenPipeError"),
    ("end of file", 4, "EOFError"),
    ("ctrl-c", 130, "rushhour: interrupted\n"),
    ("abort", 130, "rushhour: interrupted\n"),
    ("usage", 2, "that cannot be"),
    ("verdict", 5, ""),
    ("text", 4, "rushhour: gave up\n"),
    ("exit", 1, ""),
    ("quiet", 0, ""),
]


@pytest.fixture
def _fake_commands(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(rushhour.COMMANDS, "end", ("tests.fakes_commands", "end", "End."))
    monkeypatch.setattr(sys, "path", list(sys.path))
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def _main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["rushhour", *arguments])
    with pytest.raises(SystemExit) as ended:
        rushhour.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def _with_fakes(code: str) -> list[str]:
    """Return a command that runs ``code`` with the fake commands in the table."""
    table = 'for name in ("end", "flood", "wait"): rushhour.COMMANDS[name] = ("tests.fakes_commands", name, "")'
    return [sys.executable, "-c", f"import sys, rushhour\n{table}\n{textwrap.dedent(code)}"]


@pytest.mark.usefixtures("_fake_commands")
@pytest.mark.parametrize(("how", "exit_code", "sentence"), ENDINGS)
def test_every_ending_has_its_exit_code_and_one_sentence(
    how: str,
    exit_code: int,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _main(monkeypatch, "end", how) == exit_code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == bool(sentence)
    assert said.err.endswith(sentence) if sentence.endswith("\n") else sentence in said.err


# What is typed · what the sentence names.
MISTYPED = [
    (("nonsense",), "nonsense"),
    (("end",), "HOW"),
    (("end", "--no-such-option", "x"), "--no-such-option"),
    (("--log-level", "loud", "end", "quiet"), "loud"),
]


@pytest.mark.usefixtures("_fake_commands")
@pytest.mark.parametrize(("typed", "named"), MISTYPED)
def test_what_is_mistyped_exits_with_2_and_points_at_the_help(
    typed: tuple[str, ...], named: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(monkeypatch, *typed) == 2
    said = capsys.readouterr().err
    assert named in said
    assert "-h explains" in said
    assert said.count("\n") == 1


@pytest.mark.usefixtures("_fake_commands")
def test_without_arguments_it_says_what_to_do_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(monkeypatch) == 0
    assert "rushhour demo" in capsys.readouterr().out


@pytest.mark.usefixtures("_fake_commands")
def test_the_version_is_the_one_in_the_metadata(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from importlib.metadata import version

    assert _main(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"rushhour {version('rushhour')}\n"


@pytest.mark.process
@pytest.mark.parametrize(
    "arguments",
    [("--log-level", "debug", "end", "bug"), ("end", "bug", "--log-level", "debug")],
    ids=["before the command", "after it"],
)
def test_log_level_debug_shows_the_traceback_wherever_it_stands(arguments: tuple[str, ...]) -> None:
    ended = run_rushhour(*arguments, cwd=ROOT, command=_with_fakes("rushhour.main()"))
    assert ended.returncode == 4
    assert "Traceback" in ended.stderr
    assert ended.stdout == ""


@pytest.mark.process
@pytest.mark.parametrize("arguments", [["--help"], [], ["--version"], *([name, "-h"] for name in rushhour.COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = """
        try:
            rushhour.main()
        except SystemExit as ended:
            assert not ended.code, ended.code
        print(*sys.modules, file=sys.stderr)
    """
    ended = run_rushhour(*arguments, cwd=ROOT, command=_with_fakes(code))
    assert ended.returncode == 0, ended.stderr
    imported = set(ended.stderr.split())
    assert not imported.intersection(HEAVY)
    if arguments and arguments[0] in rushhour.COMMANDS:
        return
    assert {name for name in imported if name.partition(".")[0] in OURS} <= {"captures", "captures.errors"}


@pytest.mark.process
def test_a_reader_that_leaves_early_does_not_change_the_exit_code() -> None:
    with subprocess.Popen(
        [*_with_fakes("rushhour.main()"), "flood"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "line 0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(30) == 5


@pytest.mark.process
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stdout_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [*_with_fakes("rushhour.main()"), "--help"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.returncode == 4
    assert "No space left on device" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_exit_with_130(number: signal.Signals) -> None:
    with subprocess.Popen(
        [*_with_fakes("rushhour.main()"), "wait"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(30) == 130
        assert process.stderr.read() == "rushhour: interrupted\n"


@pytest.mark.process
def test_foreign_packages_in_the_current_directory_are_left_alone(tmp_path: Path) -> None:
    for name in OURS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('a foreign package was imported')\n")
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    ended = run_rushhour(
        "inspect", "missing.rush", cwd=tmp_path, env=environment, command=[sys.executable, "-m", "rushhour"]
    )
    assert ended.returncode == 2
    assert "missing.rush" in ended.stderr


@pytest.mark.usefixtures("_fake_commands")
def test_on_github_an_error_stands_beside_the_job_too(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert _main(monkeypatch, "end", "config") == 2
    _, line = capfd.readouterr().err.splitlines()
    assert line == "::error title=rushhour%2C exit code 2::--scale 0 is no load: write a number above 0"


@pytest.mark.process
def test_without_arguments_it_names_the_capture_that_is_there(market: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    first = run_rushhour(cwd=tmp_path / "elsewhere")
    assert first.returncode == 0
    assert "rushhour demo " in first.stdout
    back = run_rushhour(cwd=tmp_path)
    assert f"rushhour verify {market.name} --target URL" in back.stdout
    for line in (*first.stdout.splitlines(), *back.stdout.splitlines()):
        words = line.split()
        if line.startswith("  rushhour ") and words[1] != "COMMAND":
            assert words[1] in rushhour.COMMANDS
