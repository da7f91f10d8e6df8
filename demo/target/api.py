"""The REST side: login and refresh, the market, orders."""

from __future__ import annotations

import secrets
from typing import cast

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from demo.target.accounts import Grant, csrf_token, is_account, is_password
from demo.target.asking import COOKIE, Denied, check_csrf, count, fields_of, note, session_of, text_field, visitor
from demo.target.house import House, Order
from demo.target.market import NAMES, SYMBOLS, to_json

MAX_QUANTITY = 100_000
_KEPT_ORDERS = 100_000
_FILLED_AFTER_MS = 300

_FORM = """\
<form class="order" id="order-form" method="post" action="/api/orders">
  <input type="hidden" name="csrf" value="{csrf}">
  <label>Symbol <select name="symbol">{options}</select></label>
  <label>Side <select name="side"><option value="buy">Buy</option><option value="sell">Sell</option></select></label>
  <label>Quantity <input name="quantity" type="number" min="1" max="100000" inputmode="numeric" required></label>
  <label>Price <input name="price" type="number" min="0.01" step="0.01" inputmode="decimal" required></label>
  <button type="submit">Place order</button>
</form>
"""


class Api:
    """The handlers of one target."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("/api/login", self.log_in, methods=["POST"]),
            Route("/api/refresh", self.refresh, methods=["POST"]),
            Route("/api/quotes", self.quotes),
            Route("/api/quotes/{symbol}", self.quote),
            Route("/api/indices", self.indices),
            Route("/api/foreign-flow", self.foreign_flow),
            Route("/orders/new", self.order_form),
            Route("/api/orders", self.place_order, methods=["POST"]),
            Route("/api/orders/{id}", self.order),
        ]

    async def log_in(self, request: Request) -> Response:
        """``POST /api/login`` with user and password: tokens, a ticket for the socket, a session cookie."""
        house = self._house
        count(house, request, None)
        fields = await fields_of(request)
        user, password = text_field(fields, "user"), text_field(fields, "password")
        if not is_account(user) or (house.settings.asks_for_login and not is_password(password)):
            raise Denied(401, "unknown user or wrong password")
        grant = house.accounts.log_in(user, house.now_ns())
        note(request, grant.login)
        answer = _grant_answer(grant)
        answer.set_cookie(COOKIE, grant.login.session, httponly=True, samesite="lax")
        return answer

    async def refresh(self, request: Request) -> Response:
        """``POST /api/refresh`` with refresh_token: fresh tokens; the old refresh token is used up."""
        house = self._house
        count(house, request, None)
        token = text_field(await fields_of(request), "refresh_token")
        grant = house.accounts.refresh(token, house.now_ns())
        if grant is None:
            raise Denied(401, "the refresh token is unknown, used or expired: log in again")
        note(request, grant.login)
        return _grant_answer(grant)

    async def quotes(self, request: Request) -> Response:
        """``GET /api/quotes``: all quotes."""
        visitor(self._house, request)
        return _json(self._named(self._house.frame().quotes_json))

    async def quote(self, request: Request) -> Response:
        """``GET /api/quotes/{symbol}``: one quote with its order book."""
        visitor(self._house, request)
        symbol = request.path_params["symbol"]
        frame = self._house.frame()
        row = frame.by_symbol.get(symbol)
        if row is None:
            raise Denied(404, "no such symbol")
        depth = self._house.market.depth(symbol, frame.tick)
        document = {**row, "name": NAMES[symbol], "bids": depth["bids"], "asks": depth["asks"]}
        return _json(self._named(to_json(document).encode()))

    def _named(self, quotes: bytes) -> bytes:
        """Name the last price as the version of the API does."""
        return quotes if self._house.settings.api_version == 1 else quotes.replace(b'"last":', b'"price":')

    async def indices(self, request: Request) -> Response:
        """``GET /api/indices``."""
        visitor(self._house, request)
        return _json(self._house.frame().indices_json)

    async def foreign_flow(self, request: Request) -> Response:
        """``GET /api/foreign-flow``: what foreigners bought and sold."""
        visitor(self._house, request)
        return _json(self._house.frame().foreign_json)

    async def order_form(self, request: Request) -> Response:
        """``GET /orders/new``: the form as an HTML fragment, with a CSRF token bound to the session cookie."""
        session = session_of(self._house, request)
        count(self._house, request, session)
        if session is not None:
            note(request, session)
        elif self._house.settings.asks_for_login:
            raise Denied(401, "log in first")
        csrf = csrf_token(session) if session is not None else secrets.token_hex(24)
        options = "".join(f'<option value="{symbol}">{symbol}</option>' for symbol in SYMBOLS)
        return HTMLResponse(_FORM.format(csrf=csrf, options=options), headers={"cache-control": "no-store"})

    async def place_order(self, request: Request) -> Response:
        """``POST /api/orders``: needs the bearer token and the CSRF token; answers 201 with the order's id."""
        house = self._house
        login = visitor(house, request)
        fields = await fields_of(request)
        check_csrf(house, request, login, text_field(fields, "csrf"))
        order_id = secrets.token_hex(8)
        row = {"id": order_id, **_order_row(fields)}
        house.orders[order_id] = Order(login, row, house.wall_ms())
        if len(house.orders) > _KEPT_ORDERS:
            del house.orders[next(iter(house.orders))]
        placed = {**row, "status": "accepted", "placed_at": house.orders[order_id].placed_ms}
        return JSONResponse(placed, 201, {"location": f"/api/orders/{order_id}"})

    async def order(self, request: Request) -> Response:
        """``GET /api/orders/{id}``: an order of one's own, of this very login."""
        login = visitor(self._house, request)
        order = self._house.orders.get(request.path_params["id"])
        if order is None or order.login is not login:
            raise Denied(404, "no such order of yours")
        is_filled = self._house.wall_ms() - order.placed_ms >= _FILLED_AFTER_MS
        status = "filled" if is_filled else "accepted"
        return JSONResponse({**order.row, "status": status, "placed_at": order.placed_ms})


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json", headers={"cache-control": "no-store"})


def _grant_answer(grant: Grant) -> JSONResponse:
    body = {
        "access_token": grant.access_token,
        "token_type": "Bearer",
        "expires_in": grant.expires_in_s,
        "refresh_token": grant.refresh_token,
        "ws_ticket": grant.ws_ticket,
        "account": {"user": grant.login.user, "currency": "RHC"},
    }
    return JSONResponse(body, headers={"cache-control": "no-store"})


def _order_row(fields: dict[str, object]) -> dict[str, object]:
    symbol, side = text_field(fields, "symbol"), text_field(fields, "side")
    if symbol not in NAMES:
        raise Denied(422, "symbol: no such symbol")
    if side not in ("buy", "sell"):
        raise Denied(422, "side: buy or sell")
    quantity = _number(fields, "quantity", MAX_QUANTITY)
    if quantity != int(quantity):
        raise Denied(422, "quantity: a whole number")
    return {"symbol": symbol, "side": side, "quantity": int(quantity), "price": _number(fields, "price", 1e6)}


def _number(fields: dict[str, object], name: str, most: float) -> float:
    value = fields.get(name)
    try:
        number = float(cast(str, value)) if isinstance(value, (int, float, str)) else 0.0
    except (ValueError, OverflowError):
        number = 0.0
    if not 0 < number <= most:
        raise Denied(422, f"{name}: a number above 0 and at most {most:g}")
    return number
