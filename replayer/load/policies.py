"""How clients come back after they lost their socket: reconnect policies as pure functions.

A policy says how long a client waits before its n-th attempt, told a uniform random number. Grammar::

    immediate            at once, every time: the worst case
    fixed:5s             5 s before every attempt
    full-jitter:1s..30s  uniform between 0 and min(30 s, 1 s · 2^(n−1))
    socketio             the defaults of socket.io-client
    phoenix              the defaults of phoenix.js
    recorded             the waits that the capture shows
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from captures.errors import ConfigError
from captures.units import NS_PER_MS, NS_PER_S, parse_duration_ns
from replayer.load.shapes import duration_text

POLICY_HINT = "the policies are immediate, fixed:5s, full-jitter:1s..30s, socketio, phoenix and recorded"

_PHOENIX_MS = (10, 50, 100, 150, 200, 250, 500, 1000, 2000)
_PHOENIX_LAST_MS = 5000
_SOCKETIO_MIN_NS = 1000 * NS_PER_MS
_SOCKETIO_MAX_NS = 5000 * NS_PER_MS
_SOCKETIO_JITTER = 0.5
_MAX_DOUBLINGS = 40
"""2^40 times the shortest base is beyond every cap."""
_USUAL_NOTICE_NS = 10 * NS_PER_S
_RANGE = re.compile(r"(.+?)\.\.(.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Immediate:
    """At once, after every failure again."""

    def __str__(self) -> str:
        return "immediate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """``wait_ns`` before every attempt."""

    wait_ns: int

    def __str__(self) -> str:
        return f"fixed:{duration_text(self.wait_ns)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FullJitter:
    """Exponential backoff from ``base_ns``, capped at ``cap_ns``, and a uniform part of it."""

    base_ns: int
    cap_ns: int

    def __str__(self) -> str:
        return f"full-jitter:{duration_text(self.base_ns)}..{duration_text(self.cap_ns)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketIo:
    """As socket.io-client does with its default options."""

    def __str__(self) -> str:
        return "socketio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phoenix:
    """As phoenix.js does with its default options."""

    def __str__(self) -> str:
        return "phoenix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The waits that the capture shows, in order; the last one repeats. Empty until the capture has been read."""

    waits_ns: tuple[int, ...] = ()

    def __str__(self) -> str:
        return "recorded"


Policy = Immediate | Fixed | FullJitter | SocketIo | Phoenix | Recorded


def wait_ns(policy: Policy, attempt: int, u: float) -> int:
    """Return how long a client waits before an attempt, from the loss or from the end of the last attempt.

    ``full-jitter`` is U(0, min(cap, base · 2^(n−1))): with 1s..30s, n = 3 and u = 0.5 it is 2 s. ``socketio`` is
    min · 2^(n−1) ± up to half of it, cut at 5 s *after* the jitter, so that late attempts of many clients meet at the
    cap: with n = 1 and u = 0.30 (its third tenth is odd) it is 1000 + 150 = 1150 ms.

    Args:
        attempt: n, from 1.
        u: uniform in [0, 1).

    Raises:
        ValueError: a recorded policy without a recorded wait.

    Source: Exponential backoff and jitter, AWS Architecture Blog (2015); socket.io-client 4, ``Manager`` and its
    ``Backoff`` (reconnectionDelay 1000, reconnectionDelayMax 5000, randomizationFactor 0.5, no limit of attempts);
    phoenix.js, ``reconnectAfterMs``.
    """
    match policy:
        case Immediate():
            return 0
        case Fixed(wait_ns=fixed_ns):
            return fixed_ns
        case FullJitter(base_ns=base_ns, cap_ns=cap_ns):
            return int(u * min(cap_ns, base_ns << min(attempt - 1, _MAX_DOUBLINGS)))
        case SocketIo():
            return _socketio_ns(attempt, u)
        case Phoenix():
            return (_PHOENIX_MS[attempt - 1] if attempt <= len(_PHOENIX_MS) else _PHOENIX_LAST_MS) * NS_PER_MS
        case Recorded(waits_ns=waits_ns):
            if not waits_ns:
                raise ValueError("no recorded waits")
            return waits_ns[min(attempt, len(waits_ns)) - 1]


def notice_ns(policy: Policy) -> int:
    """Return after what silence a client of this kind takes its socket for dead; 10 s where nothing is known.

    Source: socket.io's server defaults that its client follows, pingInterval 25 s + pingTimeout 20 s; phoenix.js sends
    a heartbeat every 30 s and gives up where the one before is still unanswered, at most 60 s.
    """
    match policy:
        case SocketIo():
            return 45 * NS_PER_S
        case Phoenix():
            return 60 * NS_PER_S
        case _:
            return _USUAL_NOTICE_NS


def parse_policy(text: str) -> Policy:
    """Read a policy.

    Raises:
        ConfigError: no such policy, or its argument is missing, unexpected or out of order.
    """
    name, colon, argument = text.partition(":")
    parse = _PARSERS.get(name)
    if parse is None:
        raise ConfigError(f"unknown policy {text!r}", POLICY_HINT)
    if bool(argument) != (name in _WITH_ARGUMENT) or (colon and not argument):
        wanted = "needs a time" if name in _WITH_ARGUMENT else "takes no argument"
        raise ConfigError(f"the policy {name} {wanted}", POLICY_HINT)
    return parse(argument)


def _full_jitter(argument: str) -> Policy:
    match = _RANGE.fullmatch(argument)
    if match is None:
        raise ConfigError(f"{argument!r} is not a range of times", "write full-jitter:1s..30s")
    base_ns, cap_ns = parse_duration_ns(match[1]), parse_duration_ns(match[2])
    if not 0 < base_ns <= cap_ns:
        raise ConfigError(f"full-jitter:{argument} does not rise from above 0", "write full-jitter:1s..30s")
    return FullJitter(base_ns=base_ns, cap_ns=cap_ns)


def _socketio_ns(attempt: int, u: float) -> int:
    grown_ns = _SOCKETIO_MIN_NS << min(attempt - 1, _MAX_DOUBLINGS)
    deviation_ns = int(u * _SOCKETIO_JITTER * grown_ns)
    is_longer = int(u * 10) % 2 == 1
    return min(grown_ns + deviation_ns if is_longer else grown_ns - deviation_ns, _SOCKETIO_MAX_NS)


_WITH_ARGUMENT = frozenset({"fixed", "full-jitter"})
_PARSERS: dict[str, Callable[[str], Policy]] = {
    "immediate": lambda _: Immediate(),
    "fixed": lambda argument: Fixed(wait_ns=parse_duration_ns(argument)),
    "full-jitter": _full_jitter,
    "socketio": lambda _: SocketIo(),
    "phoenix": lambda _: Phoenix(),
    "recorded": lambda _: Recorded(),
}
