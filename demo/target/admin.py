"""Admin routes, for peers on the loopback only: read and reset the ledger, read and change the faults."""

from __future__ import annotations

import ipaddress
from dataclasses import asdict, replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from demo.target.asking import Denied, fields_of
from demo.target.faults import Faults
from demo.target.house import House
from demo.target.settings import SettingsError, duration_ns_of, share_of

_MAX_ENTRIES = 200_000


class Admin:
    """The handlers of one target."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/admin/ledger", self.ledger),
            Route("/admin/ledger/reset", self.reset, methods=["POST"]),
            Route("/admin/faults", self.faults, methods=["GET", "POST"]),
        ]

    async def ledger(self, request: Request) -> Response:
        """``GET /admin/ledger?since=ID&limit=N``: counts of everything, entries above an id (default: all kept)."""
        check_peer(request)
        since, limit = (_whole(request, name, default) for name, default in (("since", 0), ("limit", _MAX_ENTRIES)))
        return JSONResponse(self._house.ledger.summary(since, limit))

    async def reset(self, request: Request) -> Response:
        """``POST /admin/ledger/reset``."""
        check_peer(request)
        self._house.ledger.reset()
        return JSONResponse(self._house.ledger.summary(0, 0))

    async def faults(self, request: Request) -> Response:
        """``GET`` or ``POST /admin/faults``: what is given changes, ``{"latency":"300ms","stall":"2s@1s",…}``."""
        check_peer(request)
        if request.method == "POST":
            faults = _changed(self._house.faults.faults, await fields_of(request))
            self._house.faults.change(faults, self._house.now_ns())
        return JSONResponse(asdict(self._house.faults.faults))


def check_peer(request: Request) -> None:
    """Let nobody in who does not come from this machine.

    Raises:
        Denied: 403.
    """
    try:
        is_loopback = request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise Denied(403, "only from the loopback")


def _whole(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if text and not (text.isascii() and text.isdigit()):
        raise Denied(400, f"{name}: a whole number")
    return int(text) if text else default


def _changed(faults: Faults, fields: dict[str, object]) -> Faults:
    for name, value in fields.items():
        text = str(value)
        try:
            match name:
                case "latency":
                    faults = replace(faults, latency_ns=duration_ns_of(text))
                case "stall":
                    length, _, start = text.partition("@")
                    stall_ns, after_ns = duration_ns_of(length), duration_ns_of(start or "0")
                    faults = replace(faults, stall_ns=stall_ns, stall_after_ns=after_ns)
                case "error_rate":
                    faults = replace(faults, error_rate=share_of(text))
                case "refuse_upgrades":
                    faults = replace(faults, refuses_upgrades=value is True)
                case _:
                    raise Denied(400, f"{name}: one of latency, stall, error_rate, refuse_upgrades")
        except SettingsError as exc:
            raise Denied(400, f"{name}: {exc}") from exc
    return faults
