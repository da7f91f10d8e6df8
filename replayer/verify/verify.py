"""One verification from options to exit code: prepare as a replay does, play one user, compare, tell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from captures.errors import ExitCode
from captures.redact.censor import Censor
from captures.redact.keys import random_key
from captures.redact.policy_file import load_policy
from captures.redact.prose import Prose
from captures.redact.pseudonyms import Pseudonyms
from captures.redact.structure import Structure
from captures.sessions import load_capture
from captures.view.terminal import printable
from replayer.options.run import ReplayOptions
from replayer.preparation import announcements, assignments_of, prepare
from replayer.verify.playing import play
from replayer.verify.rendering import render, to_document
from replayer.verify.reporting import Report, Reporter

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN_CHARS = 60


def verify(options: ReplayOptions, *, policy: Path | None, talk: Console, results: Console) -> ExitCode:
    """Play one session at recorded speed and compare every step with its recording.

    Args:
        options: of a replay with one population and one user.
        policy: what is secret beside the default, as of ``rushhour redact``.
        talk: for what people want to know meanwhile.
        results: for the report, or the one JSON document.

    Returns:
        ``FAIL`` where a difference is not explained, else ``PASS``.

    Raises:
        RushhourError: there was nothing to play, or the target is refused; nothing was sent.
    """
    report = verified(options, policy=policy, talk=talk)
    if options.as_json:
        results.print(json.dumps(to_document(report), indent=2), markup=False, highlight=False, soft_wrap=True)
    else:
        render(report, results)
        results.print(Text(f"next: {_next(options, is_same=not report.n_unexplained)}"), soft_wrap=True)
    return ExitCode.FAIL if report.n_unexplained else ExitCode.PASS


def verified(options: ReplayOptions, *, policy: Path | None, talk: Console) -> Report:
    """Play one session at recorded speed, and return how it compares with its recording.

    Raises:
        RushhourError: as ``verify``.
    """
    prepared = prepare(options)
    for sentence in announcements(prepared):
        shown = printable(sentence.replace("replaying", "verifying", 1))
        talk.print(shown, markup=False, highlight=False, soft_wrap=True)
    plan = prepared.gathered.plan
    reporter = Reporter(load_capture(options.capture), plan, plan.scripts[0], show=shower(policy))
    (assignment,) = assignments_of(options, prepared)
    played = play(assignment)
    return reporter.report(played.witness, played.measured, target=prepared.targets[0].origin)


def _next(options: ReplayOptions, *, is_same: bool) -> str:
    file = printable(shlex.quote(str(options.capture)))
    if is_same:
        given = options.crowd.identities
        users = f" --identities {printable(shlex.quote(str(given)))}" if given is not None else ""
        return f"rushhour replay {file} --target {options.target.target}{users} --users 10"
    return f"rushhour plan {file} --rules-out rules.toml"


def shower(policy: Path | None) -> Callable[[str, Any], str]:
    """Return what makes a value fit to be shown under its key: without secrets, and short."""
    censor = Censor(load_policy(policy), Pseudonyms(random_key()), trusts_marks=True)
    structure = Structure(censor, Prose(censor))

    def show(key: str, value: Any) -> str:
        plain = json.dumps({key: value}, ensure_ascii=False, default=repr).encode("utf-8", "replace")
        text = structure.message(plain).decode("utf-8", "replace")
        shown = text[text.find(":") + 1 :].strip().removesuffix("}").strip()
        return shown if len(shown) <= _SHOWN_CHARS else f"{shown[:_SHOWN_CHARS]}… ({len(shown)})"

    return show
