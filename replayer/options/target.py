"""Where a run goes and what may be gone to: ``--target`` and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from captures.errors import ConfigError
from captures.records import Origin
from captures.units import parse_duration_ns
from replayer.load.shapes import duration_text
from replayer.options.setting import Given, setting
from replayer.options.toml import read_toml
from replayer.reaching import HealthUrl, parse_health
from replayer.safety import parse_host, parse_map, parse_resolve, parse_target

CONFIG_FILE = "rushhour.toml"

TARGET_SETTINGS = (
    setting("--target", required=True, metavar="URL", help="Where the recorded page's origin goes."),
    setting("--map", "maps", multiple=True, metavar="ORIGIN=URL", help="Where another recorded origin goes."),
    setting("--allow-target", multiple=True, metavar="HOST", help="A host besides loopback that may be load-tested."),
    setting("--allow-writes", is_flag=True, help="Let many users write to a target that is not loopback."),
    setting("--trust-clock", is_flag=True, help="The target's clock agrees with this machine's to the millisecond."),
    setting("--resolve", multiple=True, metavar="HOST=ADDR", help="The one address a host has in this run."),
    setting(
        "--wait",
        unit="duration",
        default="0",
        show_default=True,
        metavar="DUR[:URL]",
        help="Wait so long for the target to accept, or for URL to answer 2xx (a path alone is the target's).",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """Where the run goes and what may be gone to; see ``replayer.safety``."""

    target: Origin
    maps: Mapping[Origin, Origin] = field(default_factory=dict)
    allow_targets: frozenset[str] = frozenset()
    pinned: Mapping[str, str] = field(default_factory=dict)
    allow_writes: bool = False
    trust_clock: bool = False
    wait_ns: int = 0
    health: HealthUrl | None = None

    def to_table(self) -> dict[str, Any]:
        """Return the options by their names on the command line."""
        return {
            "target": str(self.target),
            "map": [f"{recorded}={mapped}" for recorded, mapped in self.maps.items()],
            "allow-target": sorted(self.allow_targets),
            "allow-writes": self.allow_writes,
            "trust-clock": self.trust_clock,
            "resolve": [f"{host}={address}" for host, address in self.pinned.items()],
            "wait": duration_text(self.wait_ns) + (f":{self.health}" if self.health else ""),
        }


def target_from(given: Given) -> TargetOptions:
    """Return validated options from the command line's values.

    Raises:
        ConfigError: the first thing that cannot be.
    """
    target = parse_target(given["target"])
    wait, colon, url = given["wait"].partition(":")
    return TargetOptions(
        target=target,
        maps=_pairs([parse_map(text) for text in given["maps"]], option="--map"),
        allow_targets=frozenset(parse_host(host) for host in given["allow_target"]),
        pinned=_pairs([parse_resolve(text) for text in given["resolve"]], option="--resolve"),
        allow_writes=given["allow_writes"],
        trust_clock=given["trust_clock"],
        wait_ns=parse_duration_ns(wait),
        health=parse_health(url, target) if colon else None,
    )


def read_allowed_targets(directory: Path) -> frozenset[str]:
    """Return the hosts that ``[targets] allow`` of a directory's ``rushhour.toml`` lists; none without the file.

    Raises:
        ConfigError: the file is damaged or the list is none.
    """
    path = directory / CONFIG_FILE
    if not path.is_file():
        return frozenset()
    targets = read_toml(path).get("targets", {})
    allow = targets.get("allow", []) if isinstance(targets, dict) else None
    if not isinstance(allow, list) or not all(isinstance(host, str) for host in allow):
        raise ConfigError(f"{path}: targets.allow is not a list of hosts", '[targets] allow = ["staging.example"]')
    return frozenset(parse_host(host, option=f"{path}: targets.allow") for host in allow)


def _pairs(items: Sequence[tuple[Any, Any]], *, option: str) -> dict[Any, Any]:
    found = dict(items)
    if len(found) < len(items):
        raise ConfigError(f"{option} names the same left side twice", "keep one")
    return found
