"""From the values of the command line to ``ReplayOptions``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from captures.errors import ConfigError
from replayer.identities import IdentitiesEnd
from replayer.options import (
    Assets,
    CrowdOptions,
    HttpVersion,
    JudgeOptions,
    ReplayOptions,
    TargetOptions,
    Wire,
    WireOptions,
    pairs,
    parse_header,
    read_thresholds,
)
from replayer.safety import parse_host, parse_map, parse_resolve, parse_target
from replayer.user.pacing import Deadlines, Pacing


def options_from(given: Mapping[str, Any]) -> ReplayOptions:
    """Return validated options from the command line's values, by the names of the command's parameters.

    Raises:
        ConfigError: the first thing that cannot be.
    """
    return ReplayOptions(
        capture=given["capture"],
        target=_target(given),
        crowd=_crowd(given),
        wire=_wire(given),
        judge=_judge(given),
        out=given["out"],
        workers=given["workers"],
        as_json=given["as_json"],
    )


def _target(given: Mapping[str, Any]) -> TargetOptions:
    return TargetOptions(
        target=parse_target(given["target"]),
        maps=pairs([parse_map(text) for text in given["maps"]], option="--map"),
        allow_targets=frozenset(parse_host(host) for host in given["allow_target"]),
        pinned=pairs([parse_resolve(text) for text in given["resolve"]], option="--resolve"),
        allow_writes=given["allow_writes"],
        wait_ns=given["wait"],
    )


def _crowd(given: Mapping[str, Any]) -> CrowdOptions:
    return CrowdOptions(
        scale=given["scale"],
        users=given["users"],
        speed=given["speed"],
        max_gap_ns=given["max_gap"],
        shape=given["shape"],
        start_spread_ns=given["start_spread"],
        pacing=Pacing(given["pacing"]),
        seed=given["seed"],
        identities=given["identities"],
        identities_end=IdentitiesEnd(given["identities_end"]),
    )


def _wire(given: Mapping[str, Any]) -> WireOptions:
    return WireOptions(
        deadlines=Deadlines(
            connect_ns=given["connect_timeout"],
            request_ns=given["request_timeout"],
            message_ns=given["message_timeout"],
        ),
        max_failures=given["max_failures"],
        headers=tuple(parse_header(text, os.environ) for text in given["headers"]),
        insecure=given["insecure"],
        ca_file=_readable(given["ca"]),
        http=HttpVersion(given["http"]),
        wire=Wire(given["wire"]),
        assets=Assets(given["assets"]),
    )


def _judge(given: Mapping[str, Any]) -> JudgeOptions:
    path: Path | None = given["thresholds_file"]
    listed = [(expr, str(path)) for expr in read_thresholds(path)] if path is not None else []
    typed = [(expr, "--threshold") for expr in given["threshold"]]
    return JudgeOptions(
        thresholds=(*listed, *typed),
        strict=given["strict"],
        allow_inconclusive=given["allow_inconclusive"],
        allow_lag=given["allow_lag"],
    )


def _readable(path: Path | None) -> Path | None:
    """Check a file of authorities before a worker trips over it."""
    if path is None:
        return None
    import ssl

    try:
        ssl.create_default_context(cafile=path)
    except OSError as exc:
        raise ConfigError(f"--ca {path} cannot be used: {exc.strerror or exc}", "name a PEM file") from exc
    return path.resolve()
