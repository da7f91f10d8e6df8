"""Runs the user's commands before and after a run, by the user's shell.

``--before`` runs when everything that needs no target has been checked, and before the target is looked for, so that it
may start one. ``--after`` runs once ``--before`` was begun, or the run was, however that ended. What they print goes to
stderr: stdout holds results. Both are told about the run by variables::

    RUSHHOUR_TARGET      of --target
    RUSHHOUR_RUN_DIR     of the run; --after finds the report there, where a run was made
    RUSHHOUR_VERDICT     only --after: pass, fail, …; empty where no run was made
    RUSHHOUR_EXIT_CODE   only --after: of the verdict, 2 to 4 where no run was made, 130 after Ctrl-C
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

from captures.errors import ExitCode, RushhourError, SetupFailed
from replayer.options.around import AroundOptions
from replayer.pool.hooks import SHELL

_log = logging.getLogger(__name__)


class Around:
    """The commands around one run; use it as a context.

    Args:
        target: as it was typed.
    """

    def __init__(self, options: AroundOptions, *, target: str) -> None:
        self._options = options
        self._variables = {"RUSHHOUR_TARGET": target, "RUSHHOUR_RUN_DIR": ""}
        self._has_begun = False

    def begin(self, directory: Path) -> None:
        """Run the command before.

        Raises:
            SetupFailed: it did not succeed.
        """
        self._has_begun = True
        self._variables["RUSHHOUR_RUN_DIR"] = str(directory)
        if self._options.before:
            problem = self._run(self._options.before)
            if problem:
                raise SetupFailed(f"the command of --before {problem}", "nothing was sent to the target")

    def end(self, *, exit_code: int, verdict: str) -> None:
        """Run the command after, where the one before was begun; a failure is a warning, the verdict stays."""
        if not self._has_begun or not self._options.after:
            return
        self._has_begun = False
        self._variables |= {"RUSHHOUR_EXIT_CODE": str(exit_code), "RUSHHOUR_VERDICT": verdict}
        problem = self._run(self._options.after)
        if problem:
            _log.warning("the command of --after %s; the verdict stays as it is", problem)

    def _run(self, command: str) -> str:
        """Run a command to its end and say what went wrong, "" where nothing did."""
        sys.stderr.flush()
        try:
            ended = subprocess.run(
                [SHELL, "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=2,
                env=os.environ | self._variables,
                check=False,
            )
        except OSError as exc:
            return f"could not be started: {exc.strerror}"
        return f"ended with {ended.returncode}" if ended.returncode else ""


def exit_code_of(error: BaseException) -> int:
    """Return the exit code that an error will end the process with."""
    if isinstance(error, RushhourError):
        return int(error.exit_code)
    return int(ExitCode.INTERRUPTED if isinstance(error, KeyboardInterrupt) else ExitCode.INVALID)
