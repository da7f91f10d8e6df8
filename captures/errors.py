"""The one tree of errors.

Each leaf names whose fault it is; what a *target* does wrong is a recorded outcome of a run and never an exception::

    RushhourError
    ├── ConfigError        the user: an option, a rules or scenario file, a missing input   exit 2
    ├── CaptureError       the file: damaged, truncated, of a newer version, over a limit   exit 2
    │   └── CaptureSealed  the disk: full or gone while recording, what was there is kept   exit 4
    ├── TargetRefused      safety: the target is not on the allow-list                      exit 2
    ├── TargetUnreachable  nobody accepts connections there                                 exit 3
    ├── SetupFailed        the user's own command before a run did not succeed              exit 3
    └── ReplayError        us: a lost worker, exhausted descriptors, a broken invariant     exit 4

Exceptions keep their fields in ``args`` and build their text in ``__str__``, so that they survive pickling between
processes. A message says what happened, where, and what to do next.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command (design §9)."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    UNREACHABLE = 3
    INVALID = 4
    INCONCLUSIVE = 5
    CHANGED = 6
    """Of ``golden check``: the target's contract is another than the recorded one."""
    INTERRUPTED = 130


class RushhourError(Exception):
    """Root of every error that Rushhour raises on purpose."""

    exit_code: ExitCode = ExitCode.INVALID


class ConfigError(RushhourError):
    """The user asked for something that cannot be: ``ConfigError(what, hint)``.

    Args:
        what: what is wrong and where, one clause without a full stop.
        hint: what to do next, or an empty string.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}: {self.hint}" if self.hint else self.what


class CaptureError(RushhourError):
    """A capture cannot be used: ``CaptureError(path, problem, offset, hint)``.

    Args:
        path: the file as the user named it.
        problem: what is wrong with it.
        offset: byte offset of the damage, or None where it has no place.
        hint: what to do next, or an empty string.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, path: str, problem: str, offset: int | None = None, hint: str = "") -> None:
        super().__init__(path, problem, offset, hint)
        self.path = path
        self.problem = problem
        self.offset = offset
        self.hint = hint

    def __str__(self) -> str:
        place = f" at byte {self.offset}" if self.offset is not None else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.path}: {self.problem}{place}{hint}"


class CaptureSealed(CaptureError):
    """A capture had to end early while it was written: ``CaptureSealed(path, problem, offset, hint)``.

    ``offset`` is the size of the file at which it was sealed.
    """

    exit_code = ExitCode.INVALID


class TargetRefused(RushhourError):
    """The target is not allowed: ``TargetRefused(target, reason, hint)``."""

    exit_code = ExitCode.USAGE

    def __init__(self, target: str, reason: str, hint: str = "") -> None:
        super().__init__(target, reason, hint)
        self.target = target
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return f"target {self.target} refused: {self.reason}{hint}"


class TargetUnreachable(RushhourError):
    """Nobody accepts connections at the target: ``TargetUnreachable(target, cause)``."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, target: str, cause: str) -> None:
        super().__init__(target, cause)
        self.target = target
        self.cause = cause

    def __str__(self) -> str:
        return f"target {self.target} is unreachable: {self.cause}; start it, or correct --target"


class SetupFailed(RushhourError):
    """What had to happen before a run did not: ``SetupFailed(what, hint)``."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}: {self.hint}" if self.hint else self.what


class ReplayError(RushhourError):
    """Rushhour itself failed, so the run says nothing about the target: ``ReplayError(what, hint)``."""

    exit_code = ExitCode.INVALID

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}: {self.hint}" if self.hint else self.what
