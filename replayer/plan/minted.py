"""Values that the recorded client made up itself: which generator makes them afresh for every user. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from replayer.plan.scoring import ValueClass, entropy_bits, plain_key, value_class

_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
# A page's clock value may be as old as the page; a whole minute is a date that somebody chose.
_MAX_AGE_MS_NS = 24 * 3600 * _NS_PER_S
_MAX_AGE_S_NS = 600 * _NS_PER_S

# Source: RFC 9562 §5, versions 1, 4, 6, 7 and variant 10: those that clients make. In a redacted capture stand-ins keep
# the form but not the version.
_UUID = re.compile(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
# Source: W3C Trace Context §3.2.2.
_TRACEPARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]")
_NONCE_KEYS = re.compile(
    r"(?:c|client)?nonce|(?:client)?requestid|correlationid|idempotency(?:key|token)?|traceid|spanid|transactionid"
    r"|clientmutationid|client(?:order|message|msg|request|session|instance)?id|msgid|messageid|tabid|deviceid"
    r"|connectionid|boundary|cachebuster"
)
_HEX = re.compile(rb"[0-9a-f]{8,}")
_ALNUM = re.compile(rb"[A-Za-z0-9]{8,}")
# Source: RFC 7636 §4.1.
_VERIFIER = re.compile(rb"[A-Za-z0-9._~-]{43,128}")
# Of an authorization request (RFC 6749 §4.1.1): long, or it is the state of something.
_STATE = re.compile(rb"(?=[^\d]*\d)[A-Za-z0-9_-]{16,128}")
_BASE36 = re.compile(rb"[a-z0-9]+")
_SESSION_KEYS = re.compile(
    r".*(?:session|visitor|guest|tab|instance|connection|conversation|client)(?:hash|id|key|token|uid)?|.*hash|sid|cid"
)
_SCRIPT_BITS = 2.5
_RANDOM_BITS = 2.75
"""Eight letters that are all different have 3 bits each, eight of which two are alike 2.75."""
# Source: ECMA-262 §21.4.4.36, Date.prototype.toISOString.
_ISO = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# Source: RFC 3339 §5.6, full-date.
_DAY = re.compile(rb"\d{4}-\d\d-\d\d")
_NEAR_DAYS = 366
"""A date this near to the recording is one of its time; a birthday or a founding year is not."""
_S_PER_DAY = 24 * 3600


def generator_of(value: bytes, wall_ns: int, key: str = "") -> str:
    """Return the name of the generator of a value that no response had shown, "" where it is none.

    Args:
        wall_ns: wall clock when the value was sent, ns since the epoch.
        key: name of the place; random letters and digits are taken for minted only where it says so.
    """
    if _UUID.fullmatch(value):
        return "uuid7" if value[14:15] == b"7" else "uuid4"
    if _TRACEPARENT.fullmatch(value):
        return "traceparent"
    if is_nonce_key(key):
        return _nonce(value)
    if plain_key(key) == "codeverifier" and _VERIFIER.fullmatch(value):
        return f"alnum:{len(value)}"
    if plain_key(key) == "state" and _STATE.fullmatch(value) and value_class(value) == ValueClass.OTHER:
        return f"alnum:{len(value)}"
    if value.isdigit():
        return _epoch(value, wall_ns)
    if _ISO.fullmatch(value):
        return _iso(value, wall_ns)
    return _day(value, wall_ns) if _DAY.fullmatch(value) else ""


def is_shifted(generator: str) -> bool:
    """Tell whether a generator keeps its distance to the day of the replay: everybody may have sent the same then."""
    return generator.startswith(("day:", "iso:"))


def _day(value: bytes, wall_ns: int) -> str:
    """A date of a year around the recording keeps its distance to it. Worked: yesterday, recorded, is ``day:-1``."""
    days = _iso_ns(value + b"T00:00:00.000Z") // _NS_PER_S // _S_PER_DAY - wall_ns // _NS_PER_S // _S_PER_DAY
    return f"day:{days}" if abs(days) <= _NEAR_DAYS else ""


def _iso(value: bytes, wall_ns: int) -> str:
    """A time of the moment is the moment's; one of a year around it keeps its distance in whole days."""
    distance_ns = _iso_ns(value) - wall_ns
    if abs(distance_ns) <= _MAX_AGE_S_NS:
        return "iso"
    days = _iso_ns(value) // _NS_PER_S // _S_PER_DAY - wall_ns // _NS_PER_S // _S_PER_DAY
    return f"iso:{days}T{value[11:].decode()}" if abs(days) <= _NEAR_DAYS else ""


@lru_cache(maxsize=4096)
def is_nonce_key(key: str) -> bool:
    """Tell whether a name is one that programs give to what they draw themselves."""
    return _NONCE_KEYS.fullmatch(plain_key(key)) is not None


@lru_cache(maxsize=4096)
def is_session_key(key: str) -> bool:
    """Tell whether a name is one that programs give to what tells their own session, tab or connection."""
    return _SESSION_KEYS.fullmatch(plain_key(key)) is not None


def drawn_by_script(value: bytes) -> str:
    """Return the generator of a value as ``Math.random().toString(36)`` and its like make it, "" where it is none.

    Whoever asks must know that it was sent several times as the name of a session, and never shown before.
    """
    has_both = any(0x30 <= byte <= 0x39 for byte in value) and not value.isdigit()
    if not 8 <= len(value) <= 32 or not has_both or entropy_bits(value) < _SCRIPT_BITS:
        return ""
    if _BASE36.fullmatch(value):
        return f"base36:{len(value)}"
    return f"alnum:{len(value)}" if _ALNUM.fullmatch(value) else ""


def _nonce(value: bytes) -> str:
    """Letters of one case, or digits alone, keep to what they are: a server may check the form."""
    n = len(value)
    if not 8 <= n <= 128 or value_class(value) in (ValueClass.FIXED, ValueClass.WORDS):
        return ""
    if value.isdigit():
        return f"digits:{n}"
    if _HEX.fullmatch(value):
        return f"hex:{n}"
    return f"alnum:{n}" if _ALNUM.fullmatch(value) and entropy_bits(value) >= _RANDOM_BITS else ""


def _epoch(value: bytes, wall_ns: int) -> str:
    number = int(value) if len(value) in (10, 13) else 0
    if len(value) == 13 and number % 60_000 and abs(number * _NS_PER_MS - wall_ns) <= _MAX_AGE_MS_NS:
        return "epoch_ms"
    if len(value) == 10 and number % 60 and abs(number * _NS_PER_S - wall_ns) <= _MAX_AGE_S_NS:
        return "epoch_s"
    return ""


def _iso_ns(value: bytes) -> int:
    try:
        moment = datetime.fromisoformat(value.decode())
    except ValueError:
        return -1 << 62
    return int(moment.timestamp()) * _NS_PER_S


def constants(values: Iterable[set[bytes]]) -> frozenset[bytes]:
    """Return the values that several sessions sent: nobody made them up for one of them. One set per session."""
    seen: set[bytes] = set()
    shared: set[bytes] = set()
    for sent in values:
        shared |= seen & sent
        seen |= sent
    return frozenset(shared)
