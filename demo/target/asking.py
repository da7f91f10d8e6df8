"""What every API route asks of a request: who it is, how often, and a body that can be read."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from demo.target.accounts import Login, is_csrf_token
from demo.target.gate import entry_of
from demo.target.house import House

COOKIE = "session"
MAX_BODY_BYTES = 64 * 1024


class Denied(Exception):
    """A request is turned away: ``Denied(status, text)``; becomes a JSON answer with ``error``."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text
        self.headers = headers


def to_answer(_request: Request, denied: Exception) -> Response:
    """Turn ``Denied`` into the answer."""
    assert isinstance(denied, Denied)
    return JSONResponse({"error": denied.text}, denied.status, denied.headers)


def visitor(house: House, request: HTTPConnection) -> Login | None:
    """Find whose bearer token a request carries, and count it against that login's rate.

    Returns:
        The login; None where there is none and none is asked for.

    Raises:
        Denied: 401 or 429.
    """
    login = house.accounts.bearer(_bearer(request), house.now_ns())
    count(house, request, login)
    if login is not None:
        note(request, login)
    elif house.settings.asks_for_login:
        raise Denied(401, "log in first, or refresh the token", {"www-authenticate": "Bearer"})
    return login


def count(house: House, request: HTTPConnection, login: Login | None) -> None:
    """Count a request against the rate of its login; of a stranger, against that of the connection.

    Raises:
        Denied: 429 with Retry-After.
    """
    if house.limit is None:
        return
    key: object = login.number if login is not None else request.scope.get("client")
    wait_s = house.limit.retry_after_s(key, house.now_ns())
    if wait_s:
        raise Denied(429, "too many requests", {"retry-after": str(wait_s)})


def note(request: HTTPConnection, login: Login) -> None:
    """Write into the ledger who it was."""
    entry = entry_of(request.scope)
    entry.user, entry.login = login.user, login.number


def session_of(house: House, request: HTTPConnection) -> Login | None:
    """Find whose session cookie a request carries."""
    return house.accounts.session(request.cookies.get(COOKIE, ""), house.now_ns())


def check_csrf(house: House, request: Request, login: Login | None, field: str) -> None:
    """Check that the CSRF token, of the header or of the form's field, is of the session of this login.

    Raises:
        Denied: 403.
    """
    if not house.settings.asks_for_login:
        return
    session = session_of(house, request)
    if session is None or session is not login:
        raise Denied(403, "the session cookie is missing or belongs to somebody else")
    if not is_csrf_token(session, request.headers.get("x-csrf-token") or field):
        raise Denied(403, "the CSRF token is missing or not of this session: GET /orders/new hands it out")


async def fields_of(request: Request) -> dict[str, object]:
    """Read a body of JSON or of a form.

    Raises:
        Denied: 400 or 413.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Denied(413, f"a body of more than {MAX_BODY_BYTES} bytes")
    is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if is_form and not body.startswith(b"{"):
        return {name: values[-1] for name, values in parse_qs(body.decode("latin-1")).items()}
    try:
        fields = json.loads(bytes(body))
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise Denied(400, "the body is not a JSON object")
    return fields


def text_field(fields: dict[str, object], name: str) -> str:
    """Give a field of text, an empty string where it is missing or something else."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _bearer(request: HTTPConnection) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
