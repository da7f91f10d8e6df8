"""Which close codes of a socket say that its credential has expired. Pure."""

from __future__ import annotations

from replayer.plan.records import Script, SocketScript, StepKind

EXPIRED_CODES = frozenset({1008, 3000, 3003, 4001, 4003, 4401, 4403})
"""Close codes that tell a socket's user to authenticate again. Source: IANA WebSocket registry (1008, 3000, 3003); the
others are what applications use in the private range, RFC 6455 §7.4.2."""
_PRIVATE_CODES = range(4000, 5000)


def expiry_codes(script: Script) -> frozenset[int]:
    """Return the codes that ask a script's user for a fresh credential: the usual ones, and the application's own.

    Its own is one of the private range with which the recorded server ended a socket whose client then got a fresh
    credential, and opened the same route again.
    """
    own = (socket.close_code for socket in script.sockets if _shows_an_expiry(script, socket))
    return EXPIRED_CODES.union(own)


def _shows_an_expiry(script: Script, socket: SocketScript) -> bool:
    if not socket.closed_by_server or socket.close_code not in _PRIVATE_CODES:
        return False
    route = script.steps[socket.connect].route
    connects = [step.index for step in script.steps if step.kind is StepKind.CONNECT and step.route == route]
    brought = (
        chain.steps[-1] for refresh in script.refreshes if socket.connect in refresh.steps for chain in refresh.chains
    )
    return any(socket.connect < step < max(connects) for step in brought)
