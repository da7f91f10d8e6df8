"""Waiting for a target's health by ``httpx``: what ``--wait DUR:URL`` does."""

from __future__ import annotations

import ssl
import time
from collections.abc import Sequence

import httpx

from captures.errors import TargetUnreachable
from captures.units import NS_PER_S
from replayer.reach import TlsSettings
from replayer.reaching import HealthUrl
from replayer.targets import TargetSpec
from replayer.wire.contexts import open_context

_POLL_S = 0.2
_ANSWER_S = 5.0
"""How long one look may take."""


def wait_for_health(
    health: HealthUrl, spec: TargetSpec, tls: TlsSettings, *, headers: Sequence[tuple[bytes, bytes]] = (), wait_ns: int
) -> None:
    """Ask for a URL until the answer is 2xx.

    Args:
        headers: sent along: staging may let nobody in without.
        spec: the admitted target of the URL: only its addresses are connected to; no redirect is followed.

    Raises:
        TargetUnreachable: it was not in time.
    """
    verify: ssl.SSLContext | bool = False
    if spec.scheme == "https":
        verify = open_context(tls, ())
    deadline_s = time.monotonic() + wait_ns / NS_PER_S
    asked = httpx.Headers([(b"Host", spec.authority.encode()), *headers])
    with httpx.Client(verify=verify, trust_env=False, follow_redirects=False, timeout=_ANSWER_S) as client:
        while True:
            seen = _look(client, health, spec, asked)
            if not seen:
                return
            if time.monotonic() + _POLL_S > deadline_s:
                raise TargetUnreachable(spec.origin, f"{health} is not healthy: {seen}")
            time.sleep(_POLL_S)


def _look(client: httpx.Client, health: HealthUrl, spec: TargetSpec, headers: httpx.Headers) -> str:
    """Ask once; return what is wrong, "" for nothing."""
    seen = "nobody answered"
    for address in spec.addresses:
        url = httpx.URL(scheme=spec.scheme, host=address, port=spec.port, path="/")
        extensions = {"sni_hostname": spec.host, "target": health.path.encode()}
        try:
            response = client.get(url, headers=headers, extensions=extensions)
        except httpx.HTTPError as exc:
            seen = str(exc) or type(exc).__name__
        else:
            return "" if response.is_success else f"it answered {response.status_code}"
    return seen
