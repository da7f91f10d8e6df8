"""What ``replay`` was asked for, validated where it is made; files and the environment that options point at.

Every record is frozen. What contradicts itself or cannot be is a ``ConfigError`` here, before anything is opened.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from captures.errors import ConfigError
from captures.records import Origin
from replayer.identities import IdentitiesEnd
from replayer.load.schedule import LoadOptions
from replayer.load.shapes import Recorded, Shape, duration_text
from replayer.safety import parse_host
from replayer.user.pacing import Deadlines, Pacing

CONFIG_FILE = "rushhour.toml"

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_HEADER_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset({"host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "expect"})


class Assets(Enum):
    """What becomes of recorded images, scripts and styles."""

    REPLAY = "replay"
    SKIP = "skip"


class HttpVersion(Enum):
    """Which HTTP is spoken to the target."""

    AUTO = "auto"
    HTTP_1_1 = "1.1"


class Wire(Enum):
    """Which implementation speaks it."""

    FAST = "fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """Where the run goes and what may be gone to; see ``replayer.safety``."""

    target: Origin
    maps: Mapping[Origin, Origin] = field(default_factory=dict)
    allow_targets: frozenset[str] = frozenset()
    pinned: Mapping[str, str] = field(default_factory=dict)
    allow_writes: bool = False
    wait_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdOptions:
    """How many, how fast, when.

    Attributes:
        scale: users per recorded session, or None; never together with ``users``.
        users: virtual users, or None; neither is ``--scale 1``.
        identities: CSV file of input columns, or None: the environment.
    """

    scale: float | None = None
    users: int | None = None
    speed: float = 1.0
    max_gap_ns: int | None = None
    shape: Shape = field(default_factory=Recorded)
    start_spread_ns: int | None = None
    pacing: Pacing = Pacing.THINK
    seed: int = 0
    identities: Path | None = None
    identities_end: IdentitiesEnd = IdentitiesEnd.CYCLE

    def __post_init__(self) -> None:
        if self.scale is not None and self.users is not None:
            raise ConfigError("--scale and --users contradict each other", "give one of them")
        if self.scale is not None and not (math.isfinite(self.scale) and self.scale > 0):
            raise ConfigError(f"--scale {self.scale:g} is no load", "write a number above 0, such as --scale 20")
        if self.users is not None and self.users < 1:
            raise ConfigError(f"--users {self.users} is no load", "write 1 or more")
        if self.start_spread_ns is not None and not isinstance(self.shape, Recorded):
            raise ConfigError(f"--start-spread means nothing with --shape {self.shape}", "leave one of them out")

    def load_for(self, n_sessions: int) -> LoadOptions:
        """Return the load of a capture with so many sessions.

        Raises:
            ConfigError: there are none, or the scale makes less than one user of them.
        """
        if n_sessions < 1:
            raise ConfigError("the capture holds no session to replay", "rushhour inspect FILE shows what it holds")
        users = self.users if self.users is not None else math.floor((self.scale or 1) * n_sessions + 0.5)
        if users < 1:
            raise ConfigError(f"--scale {self.scale:g} of {n_sessions} sessions is no user", "use a larger scale")
        spread_ns = 0 if self.start_spread_ns is None and self.pacing is Pacing.ASAP else self.start_spread_ns
        return LoadOptions(
            users=users,
            speed=self.speed,
            max_gap_ns=self.max_gap_ns,
            shape=self.shape,
            start_spread_ns=spread_ns,
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WireOptions:
    """How requests are sent and how long they may take."""

    deadlines: Deadlines = Deadlines()
    max_failures: int = 10
    headers: tuple[tuple[bytes, bytes], ...] = ()
    insecure: bool = False
    ca_file: Path | None = None
    http: HttpVersion = HttpVersion.AUTO
    wire: Wire = Wire.FAST
    assets: Assets = Assets.REPLAY

    def __post_init__(self) -> None:
        for name, value_ns in (
            ("connect", self.deadlines.connect_ns),
            ("request", self.deadlines.request_ns),
            ("message", self.deadlines.message_ns),
        ):
            if value_ns <= 0:
                raise ConfigError(f"--{name}-timeout must be above 0", f"write --{name}-timeout 10s")
        if self.max_failures < 1:
            raise ConfigError(
                f"--max-failures {self.max_failures} would end users that never failed", "write 1 or more"
            )
        if self.insecure and self.ca_file is not None:
            raise ConfigError("--insecure and --ca contradict each other", "give one of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """What the run is held to: (expression, where it was written)."""

    thresholds: tuple[tuple[str, str], ...] = ()
    strict: bool = False
    allow_inconclusive: bool = False
    allow_lag: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """Everything ``replay`` was asked for; ``workers`` None is chosen when the target is known."""

    capture: Path
    target: TargetOptions
    crowd: CrowdOptions
    wire: WireOptions
    judge: JudgeOptions
    out: Path | None = None
    workers: int | None = None
    as_json: bool = False

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"--workers {self.workers} is nobody", "write 1 or more")

    def to_table(self) -> dict[str, Any]:
        """Return the options by their names on the command line, as TOML and run files hold them; no secrets."""
        crowd, wire, target = self.crowd, self.wire, self.target
        table: dict[str, Any] = {
            "capture": str(self.capture),
            "target": str(target.target),
            "map": [f"{recorded}={mapped}" for recorded, mapped in target.maps.items()],
            "allow-target": sorted(target.allow_targets),
            "allow-writes": target.allow_writes,
            "resolve": [f"{host}={address}" for host, address in target.pinned.items()],
            "wait": duration_text(target.wait_ns),
            "scale": crowd.scale if crowd.scale is not None or crowd.users is not None else 1.0,
            "users": crowd.users,
            "speed": crowd.speed,
            "max-gap": _shown(crowd.max_gap_ns),
            "shape": str(crowd.shape),
            "start-spread": _shown(crowd.start_spread_ns),
            "pacing": crowd.pacing.value,
            "identities": str(crowd.identities) if crowd.identities else None,
            "identities-end": crowd.identities_end.value,
            "seed": crowd.seed,
            "connect-timeout": duration_text(wire.deadlines.connect_ns),
            "request-timeout": duration_text(wire.deadlines.request_ns),
            "message-timeout": duration_text(wire.deadlines.message_ns),
            "max-failures": wire.max_failures,
            "header": [name.decode() for name, _ in wire.headers],
            "insecure": wire.insecure,
            "ca": str(wire.ca_file) if wire.ca_file else None,
            "http": wire.http.value,
            "wire": wire.wire.value,
            "assets": wire.assets.value,
            "workers": self.workers,
            "threshold": [expr for expr, _ in self.judge.thresholds],
            "strict": self.judge.strict,
            "allow-inconclusive": self.judge.allow_inconclusive,
            "allow-lag": self.judge.allow_lag,
            "out": str(self.out) if self.out else None,
        }
        return {name: value for name, value in table.items() if value is not None}


def parse_header(text: str, environment: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Read ``NAME=env:VAR``: a header whose value comes from the environment, so that no secret is in a command line.

    Raises:
        ConfigError: not of this form, a header that the wire makes itself, or the variable is not set.
    """
    name, equals, source = text.partition("=")
    if not equals or not _HEADER_NAME.fullmatch(name) or not source.startswith("env:") or source == "env:":
        raise ConfigError(f"--header {text.partition('=')[0]!r} is not NAME=env:VAR", "write X-Api-Key=env:API_KEY")
    if name.lower() in _OURS or name.lower().startswith("sec-websocket-"):
        raise ConfigError(f"--header {name} is made by the wire itself", "leave it out")
    variable = source.removeprefix("env:")
    value = environment.get(variable)
    if value is None:
        raise ConfigError(f"--header {name}: the variable {variable} is not set", f"export {variable} first")
    encoded = value.encode("utf-8", "surrogateescape")
    if not _HEADER_VALUE.fullmatch(encoded):
        raise ConfigError(f"--header {name}: the value of {variable} has a line break or control character", "mend it")
    return name.encode(), encoded


def read_thresholds(path: Path) -> list[str]:
    """Read the list ``thresholds`` of a TOML file.

    Raises:
        ConfigError: the file cannot be read or holds no such list.
    """
    listed = _read_toml(path).get("thresholds")
    if not isinstance(listed, list) or not all(isinstance(expr, str) for expr in listed):
        raise ConfigError(f"{path} has no list of thresholds", 'write thresholds = ["http p95 < 200ms"]')
    return listed


def read_allowed_targets(directory: Path) -> frozenset[str]:
    """Return the hosts that ``[targets] allow`` of a directory's ``rushhour.toml`` lists; none without the file.

    Raises:
        ConfigError: the file is damaged or the list is none.
    """
    path = directory / CONFIG_FILE
    if not path.is_file():
        return frozenset()
    targets = _read_toml(path).get("targets", {})
    allow = targets.get("allow", []) if isinstance(targets, dict) else None
    if not isinstance(allow, list) or not all(isinstance(host, str) for host in allow):
        raise ConfigError(f"{path}: targets.allow is not a list of hosts", '[targets] allow = ["staging.example"]')
    return frozenset(parse_host(host, option=f"{path}: targets.allow") for host in allow)


def pairs(items: Sequence[tuple[Any, Any]], *, option: str) -> dict[Any, Any]:
    """Return pairs as a dict.

    Raises:
        ConfigError: a left side stands there twice.
    """
    found = dict(items)
    if len(found) < len(items):
        raise ConfigError(f"{option} names the same left side twice", "keep one")
    return found


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} is not TOML: {exc}") from exc


def _shown(value_ns: int | None) -> str | None:
    return None if value_ns is None else duration_text(value_ns)
