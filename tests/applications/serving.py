"""Runs a test application in a process of its own, and asks its ledger."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
CAPTURES = Path(__file__).parent / "captures"
INPUTS = {"user": "bo.example", "password": "correct horse"}
"""What whoever visits a test application types."""
TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Running:
    """An application that answers."""

    url: str

    def ledger(self) -> dict[str, Any]:
        """Return what the server has seen."""
        answer: dict[str, Any] = httpx.get(f"{self.url}/admin/ledger", trust_env=False, timeout=TIMEOUT_S).json()
        return answer


@contextmanager
def serving(name: str, *, environ: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Serve ``tests.applications.<name>`` with uvicorn on a free port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        command = [sys.executable, "-m", "uvicorn", "--factory", f"tests.applications.{name}:application"]
        command += ["--fd", str(listener.fileno()), "--log-level", "critical", "--ws", "websockets-sansio"]
        variables = {**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})}
        process = subprocess.Popen(
            command, pass_fds=[listener.fileno()], env=variables, cwd=ROOT, stderr=subprocess.DEVNULL
        )
        try:
            running = Running(f"http://127.0.0.1:{listener.getsockname()[1]}")
            running.ledger()  # The first answer: it stands.
            yield running
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)
