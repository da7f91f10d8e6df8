"""The application of one target: the page, the REST side, the socket and the admin routes behind one gate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp

from demo.target.admin import Admin
from demo.target.api import Api
from demo.target.asking import Denied, to_answer
from demo.target.gate import Gate
from demo.target.house import House
from demo.target.settings import Settings
from demo.target.stream import Stream

PAGE = Path(__file__).resolve().parent.parent / "page"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_SAFE = "default-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; frame-ancestors 'none'"


def make_app(settings: Settings) -> ASGIApp:
    """Make an ASGI application with a state of its own."""
    house = House(settings)
    routes: list[BaseRoute] = [
        Route("/", _file_handler("index.html", "no-cache")),
        *(Route(f"/page/{path.name}", _file_handler(path.name, "max-age=3600")) for path in sorted(PAGE.iterdir())),
        *Api(house).routes(),
        *Admin(house).routes(),
        WebSocketRoute("/ws/market", Stream(house).serve),
    ]
    handlers = {Denied: to_answer, 404: _plain_error, 405: _plain_error}
    return Gate(Starlette(routes=routes, exception_handlers=handlers), house)


def _file_handler(name: str, caching: str) -> Callable[[Request], Awaitable[Response]]:
    path = PAGE / name
    body = path.read_bytes()
    headers = {"cache-control": caching, "content-security-policy": _SAFE, "x-content-type-options": "nosniff"}

    async def send_file(_request: Request) -> Response:
        return Response(body, media_type=_TYPES[path.suffix], headers=headers)

    return send_file


def _plain_error(_request: Request, exc: Exception) -> Response:
    status = getattr(exc, "status_code", 500)
    return JSONResponse({"error": getattr(exc, "detail", "failed")}, status, getattr(exc, "headers", None))
