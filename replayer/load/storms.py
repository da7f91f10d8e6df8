"""Reconnect storms: when sockets are lost, whose, how, and how their users come back. Pure and clockless.

A storm is written as ``key=value`` pairs with commas between them; a value with a comma stands in quotes::

    at=60s | every=30s      run time, counted from the start, never divided by --speed; one of them
    fraction=0.5            share of the users whose sockets are lost (default 1); not with how=hook
    how=rst                 the TCP connection is reset (default)
    how=close:1012          our close frame with that code (default 1012), then the user comes back
    how=silent              as if the network went away: the user notices after ``notice``
    how=hook:CMD            a command of the user's, run by the shell at that instant: restart the server with it
    notice=10s              with silent: after what silence the user takes the socket for dead
    policy=full-jitter:1s..30s   how the user comes back, see ``policies`` (this is the default)
    mode=resume             what the handshake needs is fetched afresh, then socket and subscriptions (default)
    mode=cold               the way to the socket is gone again from the start: login, tickets, then the same
    give_up=120s            a user that is not back by then stays away
    attempts=10             nor tries more often (default: no limit)

A storm with ``every`` strikes at 1, 2, 3 … times that. Every strike has a label, ``1`` or ``2.3``: the storm's number
as given, and which of its strikes.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from enum import Enum
from itertools import count
from typing import Any

from captures.errors import ConfigError
from captures.units import NS_PER_S, parse_duration_ns
from replayer.load.policies import FullJitter, Policy, Recorded, notice_ns, parse_policy
from replayer.load.seeded import hash_of
from replayer.load.shapes import duration_text

DEFAULT_CLOSE_CODE = 1012
"""Service restart (RFC 6455 §11.7, IANA registry of close codes)."""
_KEYS = ("at", "every", "fraction", "how", "notice", "policy", "mode", "give_up", "attempts")
_HOWS = "rst, close:1012, silent and hook:CMD"
_SALT_STRIKE = 0x5354
_SALT_WAIT = 0x5741


class How(Enum):
    """How sockets are lost."""

    RST = "rst"
    CLOSE = "close"
    SILENT = "silent"
    HOOK = "hook"


class Mode(Enum):
    """What is sent again."""

    RESUME = "resume"
    COLD = "cold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """How sockets are lost; ``close_code`` of CLOSE, ``command`` of HOOK, ``notice_ns`` of SILENT (None: by policy)."""

    how: How = How.RST
    close_code: int = DEFAULT_CLOSE_CODE
    command: str = ""
    notice_ns: int | None = None

    def __str__(self) -> str:
        if self.how is How.CLOSE:
            return f"close:{self.close_code}"
        return f"hook:{self.command}" if self.how is How.HOOK else self.how.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Comeback:
    """How users come back.

    Attributes:
        give_up_ns: from the loss on; an attempt that has begun may end.
        attempts: None is no limit.
    """

    policy: Policy = field(default_factory=lambda: FullJitter(base_ns=NS_PER_S, cap_ns=30 * NS_PER_S))
    mode: Mode = Mode.RESUME
    give_up_ns: int = 120 * NS_PER_S
    attempts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """One ``--storm``. Exactly one of ``at_ns`` and ``every_ns`` is given, run time in ns."""

    at_ns: int | None = None
    every_ns: int | None = None
    fraction: float = 1.0
    loss: Loss = Loss()
    comeback: Comeback = Comeback()

    def __str__(self) -> str:
        when = f"every={duration_text(self.every_ns)}" if self.every_ns else f"at={duration_text(self.at_ns or 0)}"
        parts = [when, f"how={_quoted(str(self.loss))}"]
        if self.loss.how is not How.HOOK:
            parts.insert(1, f"fraction={self.fraction:g}")
        if self.loss.notice_ns is not None:
            parts.append(f"notice={duration_text(self.loss.notice_ns)}")
        comeback = self.comeback
        parts += [f"policy={comeback.policy}", f"mode={comeback.mode.value}"]
        parts.append(f"give_up={duration_text(comeback.give_up_ns)}")
        if comeback.attempts is not None:
            parts.append(f"attempts={comeback.attempts}")
        return ",".join(parts)

    @property
    def notice_ns(self) -> int:
        """After what silence a user notices a silent loss."""
        given_ns = self.loss.notice_ns
        return notice_ns(self.comeback.policy) if given_ns is None else given_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One strike of a storm: ``at_ns`` after the run's start."""

    storm: Storm
    label: str
    at_ns: int


def strikes_of(number: int, storm: Storm) -> Iterator[Strike]:
    """Generate the strikes of the storm with a 1-based number, for as long as anybody asks."""
    if storm.at_ns is not None:
        yield Strike(storm=storm, label=str(number), at_ns=storm.at_ns)
        return
    assert storm.every_ns
    for turn in count(1):
        yield Strike(storm=storm, label=f"{number}.{turn}", at_ns=turn * storm.every_ns)


def is_struck(strike: Strike, seed: int, user: int) -> bool:
    """Tell whether a strike hits a user: a hash of seed, strike and user, the same in every worker."""
    return _uniform(seed, _SALT_STRIKE, strike.label, user) < strike.storm.fraction


def luck_of(strike: Strike, seed: int, user: int, attempt: int) -> float:
    """Return the uniform random number in [0, 1) of one attempt of one user."""
    return _uniform(seed, _SALT_WAIT, strike.label, user * 0x1F1F1F + attempt)


def _uniform(seed: int, salt: int, label: str, index: int) -> float:
    mixed = hash_of(hash_of(seed, int.from_bytes(label.encode())), salt)
    return (hash_of(mixed, index) >> 11) / (1 << 53)


def parse_storm(text: str, *, origin: str = "--storm") -> Storm:
    """Read one storm.

    Args:
        text: as in the grammar above.
        origin: who wrote it, for errors.

    Raises:
        ConfigError: the text is no storm; the message shows the column.
    """
    given: dict[str, tuple[str, int]] = {}
    for at, key, value in _pairs(text, origin):
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(_KEYS)}"
            raise _error(text, origin, f"a storm has no {key!r}; {hint}", at)
        if key in given:
            raise _error(text, origin, f"{key} stands here twice", at)
        given[key] = (value, at + len(key) + 1)
    return _Reader(text, origin, given).storm()


def resolve_recorded(storms: Sequence[Storm], read_waits: Callable[[], Sequence[int]]) -> tuple[Storm, ...]:
    """Give the policy ``recorded`` of some storms the waits of the capture, read only where one asks for them.

    Raises:
        ConfigError: one of them asks for recorded waits, and the capture has none.
    """
    if not any(isinstance(storm.comeback.policy, Recorded) for storm in storms):
        return tuple(storms)
    waits_ns = read_waits()
    if not waits_ns:
        raise ConfigError(
            "--storm: policy=recorded, but no session of the capture comes back after it lost a socket",
            "choose another policy, such as full-jitter:1s..30s",
        )
    policy = Recorded(waits_ns=tuple(waits_ns))
    return tuple(
        replace(storm, comeback=replace(storm.comeback, policy=policy))
        if isinstance(storm.comeback.policy, Recorded)
        else storm
        for storm in storms
    )


def storm_facts(storms: Sequence[Storm]) -> tuple[dict[str, Any], ...]:
    """Return what the report needs to know of the storms, by number from 1 on."""
    return tuple(
        {
            "spec": str(storm),
            "at_ns": storm.at_ns,
            "every_ns": storm.every_ns,
            "how": storm.loss.how.value,
            "hits_all": storm.loss.how is How.HOOK or storm.fraction >= 1,
            "policy": str(storm.comeback.policy),
            "mode": storm.comeback.mode.value,
        }
        for storm in storms
    )


def storm_to_body(storm: Storm) -> list[Any]:
    """Return the storm as msgpack can hold it, for a worker: a hook's command is none of its business."""
    policy = storm.comeback.policy
    waits_ns = list(policy.waits_ns) if isinstance(policy, Recorded) else []
    loss = replace(storm.loss, command="-") if storm.loss.how is How.HOOK else storm.loss
    return [str(replace(storm, loss=loss)), waits_ns]


def storm_from_body(body: list[Any]) -> Storm:
    """Reverse ``storm_to_body``."""
    text, waits_ns = body
    storm = parse_storm(text)
    return resolve_recorded([storm], lambda: waits_ns)[0] if waits_ns else storm


class _Reader:
    """Makes the parts of a storm of its pairs; every complaint knows its column."""

    def __init__(self, text: str, origin: str, given: dict[str, tuple[str, int]]) -> None:
        self._text = text
        self._origin = origin
        self._given = given

    def storm(self) -> Storm:
        """Return the storm."""
        if ("at" in self._given) == ("every" in self._given):
            problem = "at and every exclude each other" if "at" in self._given else "when? write at=60s or every=30s"
            raise self._error(problem, "every" if "every" in self._given else "")
        at_ns, every_ns = self._duration("at", None), self._duration("every", None)
        if every_ns == 0:
            raise self._error("every needs a time above 0", "every")
        loss = self._loss()
        if loss.how is How.HOOK and "fraction" in self._given:
            raise self._error("with a hook it is the server that decides who is hit", "fraction")
        return Storm(at_ns=at_ns, every_ns=every_ns, fraction=self._fraction(), loss=loss, comeback=self._comeback())

    def _loss(self) -> Loss:
        name, colon, argument = self._value("how", "rst").partition(":")
        notice_ns = self._duration("notice", None)
        if notice_ns is not None and name != How.SILENT.value:
            raise self._error("notice belongs to how=silent", "notice")
        if name in (How.RST.value, How.SILENT.value) and not colon:
            return Loss(how=How(name), notice_ns=notice_ns)
        if name == How.CLOSE.value:
            return Loss(how=How.CLOSE, close_code=self._close_code(argument) if colon else DEFAULT_CLOSE_CODE)
        if name == How.HOOK.value:
            if not argument.strip():
                raise self._error("the hook needs a command, as in how=hook:'systemctl restart shop'", "how")
            return Loss(how=How.HOOK, command=argument.strip())
        raise self._error(f"sockets are lost by {_HOWS}", "how")

    def _close_code(self, text: str) -> int:
        code = int(text) if text.isascii() and text.isdigit() and len(text) == 4 else 0
        if not (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) and not 3000 <= code <= 4999:
            raise self._error(f"{text!r} is no close code that may be sent (RFC 6455 §7.4)", "how")
        return code

    def _fraction(self) -> float:
        text = self._value("fraction", "1")
        try:
            share = Decimal(text[:-1]) / 100 if text.endswith("%") else Decimal(text)
        except InvalidOperation:
            share = Decimal(-1)
        if not (share.is_finite() and 0 < share <= 1):
            raise self._error("a fraction is above 0 and at most 1, such as 0.5 or 50%", "fraction")
        return float(share)

    def _comeback(self) -> Comeback:
        usual = Comeback()
        attempts = None
        if "attempts" in self._given:
            text = self._value("attempts", "")
            attempts = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
            if attempts < 1:
                raise self._error("attempts is a whole number from 1 on", "attempts")
        mode = self._value("mode", usual.mode.value)
        if mode not in (Mode.RESUME.value, Mode.COLD.value):
            raise self._error("the modes are resume and cold", "mode")
        give_up_ns = self._duration("give_up", usual.give_up_ns)
        if not give_up_ns:
            raise self._error("give_up needs a time above 0", "give_up")
        return Comeback(policy=self._policy(usual.policy), mode=Mode(mode), give_up_ns=give_up_ns, attempts=attempts)

    def _policy(self, usual: Policy) -> Policy:
        try:
            return parse_policy(self._value("policy", str(usual)))
        except ConfigError as exc:
            raise self._error(str(exc), "policy") from exc

    def _duration(self, key: str, usual_ns: int | None) -> int | None:
        if key not in self._given:
            return usual_ns
        try:
            return parse_duration_ns(self._given[key][0])
        except ConfigError as exc:
            raise self._error(str(exc), key) from exc

    def _value(self, key: str, usual: str) -> str:
        return self._given[key][0] if key in self._given else usual

    def _error(self, problem: str, key: str) -> ConfigError:
        return _error(self._text, self._origin, problem, self._given[key][1] if key in self._given else 0)


def _pairs(text: str, origin: str) -> Iterator[tuple[int, str, str]]:
    """Generate (position, key, value) of a text; quotes around a value are taken off."""
    at = 0
    for piece in _pieces(text, origin):
        key, equals, value = piece.partition("=")
        lead = len(key) - len(key.lstrip())
        if not equals or not key.strip():
            raise _error(text, origin, "key=value is due here, such as at=60s", at + lead)
        yield at + lead, key.strip(), _unquoted(value.strip())
        at += len(piece) + 1


def _pieces(text: str, origin: str) -> Iterator[str]:
    begin, quote, quote_at = 0, "", 0
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote, quote_at = char, at
        elif char == ",":
            yield text[begin:at]
            begin = at + 1
    if quote:
        raise _error(text, origin, "this quote has no end", quote_at)
    yield text[begin:]


def _unquoted(value: str) -> str:
    """Take off quotes around the whole value, or around all that follows its first colon."""
    head, colon, tail = value.partition(":")
    for part, before in ((value, ""), (tail, head + colon)):
        if len(part) > 1 and part[0] in "'\"" and part[-1] == part[0] and part[0] not in part[1:-1]:
            return before + part[1:-1]
    return value


def _quoted(value: str) -> str:
    """Write a value so that it is read back as it is."""
    for written in (value, f"'{value}'", f'"{value}"'):
        try:
            if [found for _, _, found in _pairs(f"how={written}", "")] == [value]:
                return written
        except ConfigError:
            continue
    return value


def _error(text: str, origin: str, problem: str, at: int) -> ConfigError:
    shown = "".join(char if char.isprintable() else " " for char in text)
    return ConfigError(f"{origin}: {problem} (column {at + 1})\n  {shown}\n  {' ' * at}^")
