"""``golden check`` from folder to cause: scan the capture, verify the target against it, smoke it; stop where it ends.

Each stage answers a question that the next one takes for granted: is there a secret left in the capture, does one user
get what was recorded, do several get it in time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.outputs import SUMMARY_FILE
from captures.errors import ExitCode, TargetUnreachable
from golden.causes import EXIT_CODES, Cause, Finding, cause_of_report, cause_of_summary
from golden.folder import Golden
from golden.request import Request
from golden.scanning import scanned
from replayer.preparation import default_directory
from replayer.replay import replay
from replayer.verify.rendering import conclusion
from replayer.verify.verify import verified

if TYPE_CHECKING:
    from rich.console import Console

Say = Callable[[str, str], None]
"""Tells people of a stage: its name, and one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check came to.

    Attributes:
        run: the run directory of the smoke, None where there was none.
    """

    finding: Finding
    run: Path | None = None

    @property
    def exit_code(self) -> ExitCode:
        """What the command exits with."""
        return EXIT_CODES[self.finding.cause]

    def sentence(self, golden: Golden) -> str:
        """Say it in one sentence, with what to do."""
        evidence = self.finding.evidence
        match self.finding.cause:
            case Cause.AS_RECORDED:
                return f"as recorded: {golden.directory} still describes the target, in time"
            case Cause.CHANGED:
                return f"contract changed: record again (rushhour golden update {golden.directory}): {evidence}"
            case Cause.BROKEN:
                return f"server broken: {evidence}"
            case Cause.SLOWER:
                return f"slower: {evidence}; one user still gets what was recorded"
            case Cause.UNTRUSTED:
                return f"this machine was too busy to tell: {evidence}"
            case Cause.OPEN:
                return f"not enough to tell: {evidence}"

    def to_document(self, golden: Golden) -> dict[str, Any]:
        """Return it as one JSON document."""
        return {
            "golden": str(golden.directory),
            "cause": self.finding.cause.value,
            "exit_code": int(self.exit_code),
            "sentence": self.sentence(golden),
            "evidence": self.finding.evidence,
            "run": str(self.run) if self.run is not None else None,
        }


def check(golden: Golden, request: Request, *, talk: Console, say: Say) -> Checked:
    """Scan, verify and smoke, up to the first that ends it.

    Args:
        talk: for what ``verify`` and ``replay`` tell people meanwhile.
        say: for the sentences of this check.

    Raises:
        ConfigError: the capture holds what looks like secrets.
        RushhourError: the capture or an option cannot be used.
        KeyboardInterrupt: Ctrl-C in the smoke.
    """
    say("scan", scanned(golden.capture, golden.policy))
    try:
        report = verified(request.verification, policy=golden.policy, talk=talk)
    except TargetUnreachable as exc:
        return Checked(finding=Finding(cause=Cause.BROKEN, evidence=str(exc)))
    say("verify", conclusion(report))
    finding = cause_of_report(report)
    if finding is not None:
        return Checked(finding=finding)
    directory = request.smoke.out or default_directory(f"golden-{golden.capture.stem}")
    try:
        code = replay(replace(request.smoke, out=directory), talk=talk, results=talk)
    except TargetUnreachable as exc:
        return Checked(finding=Finding(cause=Cause.BROKEN, evidence=f"under load, {exc}"))
    if code == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    summary = json.loads((directory / SUMMARY_FILE).read_text(encoding="utf-8"))
    say("smoke", f"{summary['verdict']}: {summary['reasons'][0]}; {directory}")
    return Checked(finding=cause_of_summary(summary), run=directory)
