"""Compiled captures, kept in the user's cache directory: a replay of a known capture neither loads nor compiles it.

A file is found by the digests of the capture, of the rules, of further captures, by the mapped origins and by the
compiler's own source: another compiler finds nothing. What cannot be read, or is not what its digest says, is compiled
again without a word. Plans may hold what captures hold: files are 0600 in a directory of mode 0700.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgpack

from captures.errors import ConfigError, ReplayError
from captures.format.reader import sha256_of
from captures.records import Origin
from captures.sessions import Capture, load_capture
from replayer.plan.codec import VERSION, plan_from_bytes, plan_to_bytes
from replayer.plan.compile import compile_explained
from replayer.plan.records import Plan
from replayer.plan.rules import NO_RULES, Rules, rules_from
from replayer.plan.unbound import unbound_places

MAX_FILES = 64
MAX_TOTAL_BYTES = 512 * 1024 * 1024
"""What the cache may hold; the plans used longest ago go first."""

_MAGIC = b"rushplan"
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFacts:
    """What a run has to know of a capture besides its plan.

    Attributes:
        sha256: of the file, in hex.
        spoken: by recorded origin: exchanges over HTTP/1.1, and over HTTP/2 and above; sockets are not counted.
    """

    path: str
    sha256: str
    n_sessions: int
    spoken: tuple[tuple[Origin, int, int], ...]

    @property
    def origins(self) -> frozenset[Origin]:
        """Everything that was recorded, whether or not the plan goes there."""
        return frozenset(origin for origin, _, _ in self.spoken)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlan:
    """A compiled capture.

    Attributes:
        encoded: the plan as workers are sent it; its sha256 is ``plan_sha256`` of the plan.
        unbound: places of values that look minted and that nothing brings.
        is_cached: it was not compiled anew.
    """

    facts: RecordedFacts
    plan: Plan
    encoded: bytes
    unbound: tuple[str, ...] = ()
    is_cached: bool = False

    def load(self) -> Capture:
        """Return the whole capture, for what the plan does not say."""
        return load_capture(self.facts.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What is compiled, and how.

    Attributes:
        mapped: origins besides the page's that have a target.
        rules: a rules file, or None.
        also: captures to compare with.
    """

    capture: Path
    mapped: frozenset[Origin] = frozenset()
    rules: Path | None = None
    also: tuple[Path, ...] = ()
    directory: Path | None = field(default=None)


def read_rules(path: Path | None) -> Rules:
    """Read a rules file.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    if path is None:
        return NO_RULES
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise ConfigError(
            f"cannot read the rules {path}: {reason}", "rushhour plan FILE --rules-out writes one"
        ) from exc
    return rules_from(text, str(path))


def stored_plan(request: PlanRequest) -> StoredPlan:
    """Return the plan of a capture, from the cache where it is there.

    Raises:
        RushhourError: the capture cannot be read, or the rules do not fit it.
    """
    rules = read_rules(request.rules)
    digest = _digest_of_file(request.capture)
    file = _directory(request) / f"{_key(request, rules, digest)}.plan" if digest else None
    found = _read(file, request.capture) if file is not None else None
    if found is not None:
        return found
    capture = load_capture(request.capture)
    also = [load_capture(path) for path in request.also]
    compiled = compile_explained(capture, mapped=request.mapped, rules=rules, also=also)
    stored = StoredPlan(
        facts=facts_of_capture(capture),
        plan=compiled.plan,
        encoded=plan_to_bytes(compiled.plan),
        unbound=tuple(unbound_places(compiled)),
    )
    write_plan(request, stored)
    return stored


def write_plan(request: PlanRequest, stored: StoredPlan) -> None:
    """Keep a plan that somebody compiled, for the next who asks for it."""
    digest = _digest_of_file(request.capture)
    if digest:
        _write(_directory(request) / f"{_key(request, read_rules(request.rules), digest)}.plan", stored)


def facts_of_capture(capture: Capture) -> RecordedFacts:
    """Return what a run has to know of a loaded capture."""
    spoken: Counter[tuple[Origin, bool]] = Counter()
    origins = set()
    for session in capture.sessions:
        for exchange in session.exchanges:
            origins.add(exchange.origin)
            if exchange.socket is None:
                version = (exchange.response_http_version or exchange.http_version).upper()
                spoken[exchange.origin, version.startswith(("HTTP/2", "HTTP/3", "H2", "H3"))] += 1
    return RecordedFacts(
        path=capture.path,
        sha256=capture.sha256,
        n_sessions=len(capture.sessions),
        spoken=tuple((origin, spoken[origin, False], spoken[origin, True]) for origin in sorted(origins)),
    )


# Keys.


def _digest_of_file(path: Path) -> str:
    """Return the digest of the capture, "" where it cannot be read: loading it says why."""
    try:
        return sha256_of(path)
    except OSError:
        return ""


def _key(request: PlanRequest, rules: Rules, capture_sha256: str) -> str:
    parts = (
        capture_sha256,
        rules.sha256,
        *(_digest_of_file(path) for path in request.also),
        *sorted(map(str, request.mapped)),
        compiler_digest(),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def compiler_digest() -> str:
    """Return the digest of everything that decides what a plan looks like."""
    here = Path(__file__).parent
    captures = here.parent / "captures"
    names = (
        "leaves",
        "envelopes",
        "graphql",
        "msgpack_leaves",
        "bodies",
        "assembly",
        "bindings",
        "sessions",
        "records",
    )
    files = [*sorted((here / "plan").glob("*.py")), here / "pruning.py", *(captures / f"{name}.py" for name in names)]
    digest = hashlib.sha256(f"{VERSION}".encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + (file.read_bytes() if file.is_file() else b""))
    return digest.hexdigest()


def _directory(request: PlanRequest) -> Path:
    """Return where plans are kept.

    Source: XDG Base Directory Specification, "XDG_CACHE_HOME": a relative path is ignored.
    """
    if request.directory is not None:
        return request.directory
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if given and Path(given).is_absolute() else Path.home() / ".cache"
    return base / "rushhour" / "plans"


# Files.


def _read(file: Path, capture: Path) -> StoredPlan | None:
    try:
        data = file.read_bytes()
    except OSError:
        return None
    digest, body = data[len(_MAGIC) : len(_MAGIC) + _DIGEST_BYTES], data[len(_MAGIC) + _DIGEST_BYTES :]
    if data[: len(_MAGIC)] != _MAGIC or hashlib.sha256(body).digest() != digest:
        return None
    try:
        sha256, n_sessions, spoken, unbound, encoded = msgpack.unpackb(body, raw=False)
        plan = plan_from_bytes(encoded)
    except (ReplayError, ValueError, TypeError, msgpack.UnpackException):
        return None
    _touch(file)
    facts = RecordedFacts(path=str(capture), sha256=sha256, n_sessions=n_sessions, spoken=_spoken_from(spoken))
    return StoredPlan(facts=facts, plan=plan, encoded=encoded, unbound=tuple(unbound), is_cached=True)


def _spoken_from(rows: Sequence[Sequence[Any]]) -> tuple[tuple[Origin, int, int], ...]:
    return tuple((Origin(scheme, host, port), n_1, n_2) for scheme, host, port, n_1, n_2 in rows)


def _write(file: Path, stored: StoredPlan) -> None:
    """Keep a plan; a cache that cannot be written is no reason not to replay."""
    facts = stored.facts
    spoken = [(origin.scheme, origin.host, origin.port, n_1, n_2) for origin, n_1, n_2 in facts.spoken]
    body = msgpack.packb(
        [facts.sha256, facts.n_sessions, spoken, list(stored.unbound), stored.encoded], use_bin_type=True
    )
    data = _MAGIC + hashlib.sha256(body).digest() + body
    if len(data) > MAX_TOTAL_BYTES // 2:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_room(file.parent, len(data))
        descriptor, name = tempfile.mkstemp(dir=file.parent, suffix=".part")  # mkstemp makes files of mode 0600.
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
        Path(name).replace(file)
    except OSError:
        return


def _make_room(directory: Path, n_bytes: int) -> None:
    files = []
    for path in (*directory.glob("*.plan"), *directory.glob("*.part")):
        status = path.stat()
        files.append((status.st_mtime_ns, status.st_size, path))
    files.sort()
    total = n_bytes + sum(size for _, size, _ in files)
    while files and (total > MAX_TOTAL_BYTES or len(files) >= MAX_FILES):
        _, size, path = files.pop(0)
        path.unlink(missing_ok=True)
        total -= size


def _touch(file: Path) -> None:
    try:
        os.utime(file)
    except OSError:
        return
