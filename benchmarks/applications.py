"""Real applications, recorded in Chromium and replayed as twenty users: ``python -m benchmarks.applications``.

JupyterLab is installed from PyPI and the Socket.IO client from npm, into a directory that is kept for the next time
(``--cache DIR``, by default below the user's cache). Prints one row per application: steps, slots, unbound values, what
``verify`` says, and of twenty users: completed, errors by class, mismatches, and what the servers saw: as many
sessions, kernels, orders as users. ``--keep DIR`` keeps the captures. Everything runs on 127.0.0.1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.browsing import Page, pause, record_visit
from tests.applications.serving import INPUTS, serving
from tests.commands import RUSHHOUR

N_USERS = 20
PATIENCE_S = 1200.0
_NOTEBOOK = ".jp-Notebook .jp-Cell .cm-content"


@dataclass(frozen=True, slots=True)
class Application:
    """How an application is served, visited and asked what it saw.

    Attributes:
        serve: a context that yields the origin.
        path: of the page that is recorded.
        identities: from what the server tells after the run, names and how many different ones it saw.
        options: of the replay: deadlines that two cores can keep.
    """

    name: str
    serve: Callable[[], Any]
    path: str
    visit: Callable[[Page], None]
    identities: Callable[[str], Mapping[str, int]]
    options: tuple[str, ...] = ()


# What visitors do.


def _visit_page(page: Page) -> None:
    page.wait_for("typeof visit === 'function' && document.readyState === 'complete'")
    page.run(f"void visit({INPUTS['user']!r}, {INPUTS['password']!r})")
    page.wait_for("document.title.startsWith('left after')")


def _visit_jupyter(page: Page) -> None:
    """Open a notebook, run a cell, save it under the name it has."""
    page.click(".jp-LauncherCard[data-category=Notebook]")
    page.wait_for(f"document.querySelector('{_NOTEBOOK}') !== null")
    page.wait_for("document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle'")
    pause(1)
    page.click(_NOTEBOOK)
    page.type("print(6 * 7)")
    page.shift_enter()
    page.wait_for("document.querySelector('.jp-OutputArea-output')?.innerText.includes('42')")
    page.save()
    page.click(".jp-Dialog .jp-mod-accept")
    page.wait_for("document.querySelector('.jp-Dialog') === null")
    pause(3)


# What servers saw.


def _asked(url: str) -> Any:
    return httpx.get(url, trust_env=False, timeout=60).json()


def _seen_by_chat(origin: str) -> Mapping[str, int]:
    ledger = _asked(f"{origin}/admin/ledger")
    return {
        "sockets": len(set(ledger["sockets"])),
        "receipts": len(set(ledger["receipts"])),
        "refused": len(ledger["refused"]),
    }


def _seen_by_orders(origin: str) -> Mapping[str, int]:
    ledger = _asked(f"{origin}/admin/ledger")
    return {"orders": len(set(ledger["orders"])), "keys": len(set(ledger["keys"])), "refused": len(ledger["refused"])}


def _seen_by_jupyter(origin: str) -> Mapping[str, int]:
    sessions = _asked(f"{origin}/api/sessions")
    return {
        "sessions": len({each["id"] for each in sessions}),
        "kernels": len({each["kernel"]["id"] for each in sessions}),
        "notebooks": len({each["path"] for each in sessions}),
    }


# Servers.


@contextmanager
def _serve_own(name: str, environ: Mapping[str, str]) -> Iterator[str]:
    with serving(name, environ=environ) as running:
        yield running.url


@contextmanager
def _serve_jupyter(python: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="rushhour-lab-", ignore_cleanup_errors=True) as home:
        variables = {**os.environ, "HOME": home, "JUPYTER_NO_CONFIG": "1"}
        flags = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", f"--ServerApp.root_dir={home}"]
        flags += ["--IdentityProvider.token=", "--LabApp.news_url="]
        command = [str(python), "-m", "jupyterlab", *flags]
        process = subprocess.Popen(command, env=variables, cwd=home, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if "http://127.0.0.1:" in line:
                    port = line.partition("127.0.0.1:")[2].partition("/")[0].strip()
                    break
            drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)
            drain.wait(60)


# Preparation.


def _jupyter_python(cache: Path) -> Path:
    python = cache / "lab" / "bin" / "python"
    if not (cache / "lab" / "bin" / "jupyter-lab").exists():
        venv.create(cache / "lab", with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "jupyterlab", "ipykernel"], check=True)
    return python


def _socket_io_client(cache: Path) -> Path:
    script = cache / "package" / "dist" / "socket.io.min.js"
    if not script.exists():
        done = subprocess.run(
            ["npm", "pack", "--silent", "socket.io-client@4"], cwd=cache, check=True, capture_output=True, text=True
        )
        with tarfile.open(cache / done.stdout.split()[-1]) as archive:
            archive.extractall(cache, filter="data")
    return script


# One application.


def _run(*arguments: str) -> tuple[int, Any]:
    variables = {f"RUSHHOUR_{column.upper()}": value for column, value in INPUTS.items()}
    done = subprocess.run(
        [RUSHHOUR, *arguments], env=os.environ | variables, capture_output=True, text=True, timeout=PATIENCE_S
    )
    if not done.stdout.strip():
        raise RuntimeError(f"rushhour {arguments[0]} said nothing but: {done.stderr.strip()[-600:]}")
    return done.returncode, json.loads(done.stdout)


def _measured(application: Application, directory: Path) -> dict[str, Any]:
    capture = directory / f"{application.name}.rush"
    with application.serve() as origin:
        record_visit(origin + application.path, capture, application.visit)
    _, plan = _run("plan", str(capture), "--json")
    with application.serve() as origin:  # A fresh one: what the visitor left is not there.
        code, verified = _run("verify", str(capture), "--target", origin, "--json")
    with application.serve() as origin:
        out = str(directory / f"run-{application.name}")
        arguments = ["replay", str(capture), "--target", origin, "--users", str(N_USERS), "--out", out, "--json"]
        _, summary = _run(*arguments, *application.options)
        identities = application.identities(origin)
    sessions = plan["sessions"]
    literals = [literal for session in sessions for literal in session["literals"]]
    return {
        "application": application.name,
        "steps": sum(len(session["steps"]) for session in sessions),
        "slots": sum(len(session["slots"]) for session in sessions),
        "unbound": sum(literal["why"] == "unbound" for literal in literals),
        "verify": f"exit {code}, {verified['explained']} explained, {verified['unexplained']} not",
        "completed": f"{summary['sessions']['completed']} of {N_USERS}",
        "errors": summary["totals"]["errors"] | summary["totals"]["not_sent"],
        "mismatched": summary["totals"]["mismatched"],
        "checked": f"{summary['verification']['checked']} of {summary['verification']['eligible']}",
        "server saw": dict(identities),
    }


def _applications(cache: Path) -> list[Application]:
    client = {"CHAT_CLIENT_JS": str(_socket_io_client(cache))}
    python = _jupyter_python(cache)
    slow = ("--start-spread", "40s", "--message-timeout", "60s", "--request-timeout", "120s", "--allow-lag")
    return [
        Application("chat", lambda: _serve_own("chat", client), "/", _visit_page, _seen_by_chat),
        Application("orders", lambda: _serve_own("orders", {}), "/", _visit_page, _seen_by_orders),
        Application("jupyterlab", lambda: _serve_jupyter(python), "/lab", _visit_jupyter, _seen_by_jupyter, slow),
    ]


def main() -> int:
    """Print the table; 1 where a user did not complete or was answered wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="chat, orders, jupyterlab; all without")
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser.add_argument("--cache", type=Path, default=home / "rushhour-applications")
    parser.add_argument("--keep", type=Path, help="keep captures and runs in this directory")
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    chosen = [each for each in _applications(given.cache) if not given.names or each.name in given.names]
    is_fine = True
    with tempfile.TemporaryDirectory(prefix="rushhour-applications-") as scratch:
        directory = given.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        for application in chosen:
            row = _measured(application, directory)
            sys.stdout.write("".join(f"{name:12} {value}\n" for name, value in row.items()) + "\n")
            sys.stdout.flush()
            is_fine = is_fine and not row["mismatched"] and row["completed"].split()[0] == str(N_USERS)
    return 0 if is_fine else 1


if __name__ == "__main__":
    sys.exit(main())
