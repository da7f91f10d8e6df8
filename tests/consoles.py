"""Console sessions in Markdown: read, run as a person would type them, and compared with what the page shows.

A block ``console`` holds commands (``$ …``, going on in the next line after a backslash) and what they print. Its lines
have to come in this order; ``…`` alone in a line stands for any lines between, at the end of a line for the rest of it.
Numbers and blanks are not compared: figures differ from run to run, what they are figures of does not. Replays are
allowed to be late, which on a machine that runs tests they may be; how late they may be is no matter of a page.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^```toml\n# (\S+\.toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d[\d.,:]*")
_UNIT = re.compile(r"# ?(?:ns|µs|us|ms|s|min|KiB|MiB|kB|MB|B)\b")
_TIMEOUT_S = 120
_VERDICTS = {1, 4, 5}
_ANY = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of a page, and the lines that the page shows of its output."""

    line: str
    shown: tuple[str, ...]

    @property
    def serves(self) -> bool:
        """Whether it goes on until it is ended."""
        return re.match(r"(?:[A-Z_]+=\S+ )?rushhour demo --serve", self.line) is not None

    @property
    def is_of_a_run(self) -> bool:
        """Whether it measures: a busy machine may come to another verdict then."""
        return any(
            word in self.line for word in ("replay", "rushhour demo", "golden check", "verify", "gate", "compare")
        )


def commands_of(page: Path) -> list[Command]:
    """Return the commands of a page in their order."""
    return [command for block in _BLOCK.findall(page.read_text(encoding="utf-8")) for command in _commands(block)]


def _commands(block: str) -> Iterator[Command]:
    text = block.replace("\\\n", " ")
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, *shown = part.splitlines()
        yield Command(line=line.strip(), shown=tuple(shown))


def files_of(page: Path) -> dict[str, str]:
    """Return by name the files that a page says to save: blocks ``toml`` that begin with their name."""
    return {found[1]: found[2] for found in _FILE.finditer(page.read_text(encoding="utf-8"))}


def difference(shown: tuple[str, ...], printed: str) -> str:
    """Return the first line that a page shows and the command did not print in its place, "" where there is none."""
    lines = [plain(line) for line in printed.splitlines()]
    position = 0
    for line in shown:
        if line.strip() in ("", _ANY):
            continue
        wanted = plain(line)
        found = next((at for at in range(position, len(lines)) if _matches(wanted, lines[at])), None)
        if found is None:
            return line
        position = found + 1
    return ""


def plain(line: str) -> str:
    """Return a line without its figures."""
    return " ".join(_UNIT.sub("#", _NUMBER.sub("#", line)).replace("*", "").replace("%", "").split())


def _matches(wanted: str, line: str) -> bool:
    return line.startswith(wanted.removesuffix(_ANY).rstrip()) if wanted.endswith(_ANY) else line == wanted


@dataclass(slots=True)
class Terminal:
    """Where a page is typed: a directory, an environment that ``export`` changes, servers that are ended at the end."""

    directory: Path
    env: dict[str, str] = field(default_factory=dict)
    _ports: dict[str, str] = field(default_factory=dict)
    _servers: list[subprocess.Popen[str]] = field(default_factory=list)

    def type(self, command: Command) -> tuple[int, str]:
        """Run a command; returns its exit code and what it printed, with the ports that the page names."""
        if command.line.startswith("export "):
            self.env |= dict(word.split("=", 1) for word in shlex.split(command.line)[1:])
            return 0, ""
        if command.serves:
            return 0, self._serve(command.line)
        ended = subprocess.run(
            ["bash", "-c", self._here(_patient(command.line))],
            cwd=self.directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        return ended.returncode, self._as_shown(ended.stdout)

    def _serve(self, line: str) -> str:
        process = subprocess.Popen(
            ["bash", "-c", f"exec env {self._here(line)}"],
            cwd=self.directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._servers.append(process)
        assert process.stdout is not None
        return self._as_shown(process.stdout.readline())

    def close(self) -> None:
        """End the servers."""
        for process in self._servers:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)

    def _environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "COLUMNS": "100", "PYTHONUNBUFFERED": "1"}
        hidden = {"RUSHHOUR_USER", "RUSHHOUR_PASSWORD"}
        return {name: value for name, value in os.environ.items() if name not in hidden} | own | self.env

    def _here(self, line: str) -> str:
        """Put free ports in the place of those that a page names."""
        for port in re.findall(r"\b80\d\d\b", line):
            line = line.replace(port, self._ports.setdefault(port, _free_port()))
        return line

    def _as_shown(self, text: str) -> str:
        for port, real in self._ports.items():
            text = text.replace(real, port)
        return text


def _patient(line: str) -> str:
    """Let a replay be late: the option goes before whatever the shell does with its output."""
    is_run = line.startswith("rushhour replay") and "--dry-run" not in line
    return line.replace("rushhour replay", "rushhour replay --allow-lag", 1) if is_run else line


def is_excused(command: Command, code: int) -> bool:
    """Tell whether a busy machine explains that a run ended otherwise than the page shows."""
    return command.is_of_a_run and code in _VERDICTS


def _free_port() -> str:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return str(server.getsockname()[1])
