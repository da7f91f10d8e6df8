"""What a reader of the report must know about how the targets were reached. Pure sentences."""

from __future__ import annotations

from collections.abc import Sequence

from captures.records import Origin
from replayer.reach import Reach
from replayer.targets import TargetSpec
from replayer.wire.kinds import WireKind


def caveats(
    origins: Sequence[Origin], targets: Sequence[TargetSpec], reach: Reach, wire: WireKind, pinned: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return one sentence for each way in which the run's connections differ from a browser's to the recorded site.

    Args:
        origins, targets: by number, where each recorded origin went.
        pinned: hosts whose address was given by hand.
    """
    return (
        *_of_tls(targets, reach),
        *_of_schemes(origins, targets),
        *(_of_proxy(target, reach) for target in dict.fromkeys(targets) if target.via >= 0),
        *(f"the address of {host} was given with --resolve" for host in pinned),
        *_of_wire(targets, wire),
    )


def _of_tls(targets: Sequence[TargetSpec], reach: Reach) -> list[str]:
    if not any(target.scheme == "https" for target in targets):
        return []
    said = []
    if reach.tls.insecure:
        said.append("certificates were not verified (--insecure): who answered is not known")
    if reach.tls.cert_file is not None:
        said.append("all users showed the same client certificate (--cert)")
    if not reach.tls.resumes:
        said.append("every TLS handshake was a full one (--tls-resume off): browsers resume, this is a harder load")
    return said


def _of_schemes(origins: Sequence[Origin], targets: Sequence[TargetSpec]) -> list[str]:
    said = []
    for origin, target in dict.fromkeys(zip(origins, targets, strict=True)):
        if origin.scheme == "https" and target.scheme == "http":
            said.append(f"{origin} was recorded with TLS and replayed without: handshakes and encryption cost nothing")
        elif origin.scheme == "http" and target.scheme == "https":
            said.append(f"{origin} was recorded without TLS and replayed with it: connects take longer than recorded")
    return said


def _of_proxy(target: TargetSpec, reach: Reach) -> str:
    proxy = reach.proxies[target.via]
    return (
        f"{target.origin} was reached through the proxy {proxy}, which resolves the name itself: "
        "its time is part of every latency"
    )


def _of_wire(targets: Sequence[TargetSpec], wire: WireKind) -> list[str]:
    if wire is WireKind.FAST:
        return []
    full = ", and every TLS handshake is a full one" if any(target.scheme == "https" for target in targets) else ""
    return [f"the reference wire sent (--wire reference): right, but slow; its latencies are not comparable{full}"]
