"""From a golden and what was typed to the options of its verification and of its smoke."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from golden.folder import Golden
from replayer.cli import replay
from replayer.options.crowd import CrowdOptions
from replayer.options.judge import JudgeOptions
from replayer.options.plan import plan_from
from replayer.options.population import PopulationOptions
from replayer.options.reach import reach_from
from replayer.options.run import ReplayOptions, options_from
from replayer.options.setting import Given, typed_in
from replayer.options.target import target_from
from replayer.options.wire import wire_from

_WITHOUT_SCENARIO = ("--users", "10", "--shape", "burst", "--for", "30s", "--at-end", "repeat")
"""The smoke of a golden that has no scenario."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a check will do."""

    verification: ReplayOptions
    smoke: ReplayOptions


def request_for(golden: Golden, given: Given, typed: Collection[str]) -> Request:
    """Return the options of both, as ``rushhour verify`` and ``rushhour replay`` would have them.

    Args:
        given, typed: of the command line, by the names of the parameters of ``rushhour replay``.

    Raises:
        RushhourError: a file of the golden, or an option, cannot be.
    """
    context = replay.make_context("replay", _arguments(golden, given["target"]))
    ours = {name: value for name, value in given.items() if name in typed}
    params = {**context.params, **ours}
    identities = params["identities"]
    crowd = CrowdOptions(users=1, identities=identities)
    verification = ReplayOptions(
        capture=golden.capture,
        target=target_from(params),
        crowd=crowd,
        populations=(PopulationOptions(capture=golden.capture, crowd=crowd),),
        plan=plan_from(params),
        wire=wire_from(params),
        reach=reach_from(params),
        judge=JudgeOptions(),
    )
    return Request(verification=verification, smoke=options_from(params, typed={*typed_in(context), *ours}))


def _arguments(golden: Golden, target: str) -> list[str]:
    """Return the command line of the smoke: the files that the golden has, by the options that take them."""
    arguments = [str(golden.capture), "--target", target]
    files: dict[str, Path | None] = {
        "--scenario": golden.scenario,
        "--thresholds": golden.thresholds,
        "--rules": golden.rules,
        "--identities": golden.users,
    }
    for option, path in files.items():
        if path is not None:
            arguments += [option, str(path)]
    return arguments if golden.scenario is not None else [*arguments, *_WITHOUT_SCENARIO]
