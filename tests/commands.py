"""The real command in a process of its own, as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUSHHOUR = str(Path(sys.executable).with_name("rushhour"))
TIMEOUT_S = 120.0


def run_rushhour(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, command: Sequence[str] = (RUSHHOUR,)
) -> subprocess.CompletedProcess[str]:
    """Run ``rushhour`` with these arguments to its end; stdin is empty, stdout and stderr are kept apart."""
    return subprocess.run(
        [*command, *arguments],
        cwd=cwd,
        env=os.environ | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
