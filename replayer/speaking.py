"""Which version of HTTP a run speaks to each target, and how that differs from the recording.

It is settled before the run, for requests are rendered before it: as recorded where the target offers that, or as
``--http`` says. Without TLS nothing is offered: there HTTP/2 is spoken only where it was asked for and only to this
very machine, whose server its owner knows (RFC 9113 §3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from captures.errors import ConfigError
from captures.records import Origin
from captures.sessions import Capture
from replayer.options.wire import HttpVersion
from replayer.plan.records import Plan
from replayer.safety import is_loopback
from replayer.stored_plans import RecordedFacts, facts_of_capture
from replayer.targets import TargetSpec

HTTP_1_1 = "1.1"
HTTP_2 = "2"

Negotiate = Callable[[TargetSpec], str]
"""Returns the ALPN protocol that an https target chose of ``h2`` and ``http/1.1``, "" for none."""


def recorded_http(plan: Plan, capture: Capture | RecordedFacts) -> tuple[str, ...]:
    """Return by origin of the plan what most of its exchanges spoke: ``1.1``, or ``2`` for HTTP/2 and above.

    Sockets are not counted: their handshakes are HTTP/1.1 wherever browsers open them.
    """
    facts = facts_of_capture(capture) if isinstance(capture, Capture) else capture
    newer = {origin for origin, n_http1, n_http2 in facts.spoken if n_http2 > n_http1}
    return tuple(HTTP_2 if origin in newer else HTTP_1_1 for origin in plan.origins)


def spoken_to(
    targets: Sequence[TargetSpec], recorded: Sequence[str], wish: HttpVersion, negotiate: Negotiate
) -> tuple[TargetSpec, ...]:
    """Return the targets with the version that will be spoken to each.

    Args:
        recorded: by target what was recorded.
        negotiate: is asked once per https target, and only where the answer matters.

    Raises:
        ConfigError: ``--http 2`` was asked for and cannot be.
    """
    chosen: dict[TargetSpec, str] = {}
    settled = []
    for target, version in zip(targets, recorded, strict=True):
        wants_http2 = wish is HttpVersion.HTTP_2 or (wish is HttpVersion.AUTO and version == HTTP_2)
        if not wants_http2:
            settled.append(target)
            continue
        if target not in chosen:
            chosen[target] = _choose(target, wish, negotiate)
        settled.append(replace(target, http=chosen[target]))
    return tuple(settled)


def _choose(target: TargetSpec, wish: HttpVersion, negotiate: Negotiate) -> str:
    is_asked_for = wish is HttpVersion.HTTP_2
    if target.scheme == "http":
        if is_asked_for and not is_loopback([target]):
            hint = "give an https URL, or leave --http at auto"
            raise ConfigError(f"--http 2: {target.origin} has no TLS to agree on HTTP/2 with", hint)
        return HTTP_2 if is_asked_for else HTTP_1_1
    offers_it = negotiate(target) == "h2"
    if is_asked_for and not offers_it:
        raise ConfigError(f"--http 2: {target.origin} does not offer HTTP/2", "leave --http at auto")
    return HTTP_2 if offers_it else HTTP_1_1


def versions(targets: Sequence[TargetSpec]) -> str:
    """Return what is spoken, for the label of a report: ``1.1``, ``2`` or ``1.1, 2``."""
    return ", ".join(sorted({target.http for target in targets}))


def differences(origins: Sequence[Origin], recorded: Sequence[str], targets: Sequence[TargetSpec]) -> tuple[str, ...]:
    """Return a sentence for each origin that is replayed over another version than it was recorded over."""
    meaning = {
        HTTP_1_1: "up to six connections a user, one request on each at a time",
        HTTP_2: "one connection a user, all requests on it at once",
    }
    return tuple(
        f"{origin} was recorded over HTTP/{before} and replayed over HTTP/{target.http}: {meaning[target.http]}"
        for origin, before, target in zip(origins, recorded, targets, strict=True)
        if before != target.http
    )
