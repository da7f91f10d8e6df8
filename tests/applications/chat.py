"""A chat over Socket.IO: login by REST, rooms, acknowledgements, broadcasts. Run by ``uvicorn``; keeps all in memory.

The page speaks with the official browser client (``CHAT_CLIENT_JS`` names its file), which begins with long polling and
upgrades to a WebSocket. ``/admin/ledger`` tells what the server has seen.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import socketio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

PAGE = """<!doctype html><title>chat</title><link rel="icon" href="data:,"><h1>chat</h1><ol id="said"></ol>
<script src="/client/socket.io.js"></script>
<script>
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
async function visit(user, password) {
  const headers = {"Content-Type": "application/json"};
  const body = JSON.stringify({user, password});
  const login = await (await fetch("/api/login", {method: "POST", headers, body})).json();
  const socket = io({auth: {token: login.token}});
  const said = [];
  socket.on("said", (message) => { said.push(message); document.querySelector("#said").append(message.text); });
  await new Promise((done, refuse) => { socket.on("connect", done); socket.on("connect_error", refuse); });
  const joined = await socket.emitWithAck("join", {room: "lobby", session: login.session});
  await pause(400);
  const first = await socket.emitWithAck("say", {room: "lobby", text: "hello", nonce: crypto.randomUUID()});
  while (!said.some((message) => message.id === first.id)) await pause(20);
  const bearer = {Authorization: "Bearer " + login.token};
  const read = await (await fetch("/api/messages/" + first.id, {headers: bearer})).json();
  await pause(300);
  await socket.emitWithAck("say", {room: "lobby", text: "again", nonce: crypto.randomUUID(), reply_to: read.id});
  await socket.emitWithAck("receipt", {message: first.id, key: read.receipt_key});
  await pause(200);
  socket.disconnect();
  document.title = "left after " + joined.room;
}
</script>"""


class Chat:
    """What the server knows, and what it has seen."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.messages: dict[str, dict[str, Any]] = {}
        self.names: dict[str, str] = {}
        self.ledger: dict[str, Any] = {"logins": 0, "sockets": [], "refused": [], "said": 0, "receipts": [], "read": 0}

    def refuse(self, why: str) -> dict[str, str]:
        self.ledger["refused"].append(why)
        return {"error": why}


def application() -> Any:
    """Return the ASGI application, with a state of its own."""
    chat = Chat()
    server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", ping_interval=5, ping_timeout=5)
    _listen(server, chat)

    async def login(request: Request) -> Response:
        asked = await request.json()
        if asked.get("password") != "correct horse" or not asked.get("user"):
            return JSONResponse(chat.refuse("login"), 401)
        token, session = secrets.token_urlsafe(24), secrets.token_hex(8)
        chat.tokens[token] = session
        chat.ledger["logins"] += 1
        return JSONResponse({"token": token, "session": session, "user": {"name": asked["user"]}})

    async def message(request: Request) -> Response:
        session = chat.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        found = chat.messages.get(request.path_params["id"])
        if session is None or found is None or found["session"] != session:
            return JSONResponse(chat.refuse("read"), 404)
        chat.ledger["read"] += 1
        return JSONResponse({key: found[key] for key in ("id", "room", "text", "receipt_key")})

    routes = [
        Route("/", lambda _request: HTMLResponse(PAGE)),
        Route("/client/socket.io.js", lambda _request: FileResponse(Path(os.environ["CHAT_CLIENT_JS"]))),
        Route("/api/login", login, methods=["POST"]),
        Route("/api/messages/{id}", message),
        Route("/admin/ledger", lambda _request: JSONResponse(chat.ledger)),
    ]
    return socketio.ASGIApp(server, Starlette(routes=routes))


def _listen(server: Any, chat: Chat) -> None:
    @server.event  # type: ignore[untyped-decorator]
    async def connect(sid: str, _environ: dict[str, Any], auth: dict[str, Any] | None) -> None:
        session = chat.tokens.get((auth or {}).get("token", ""))
        if session is None:
            chat.refuse("connect")
            raise socketio.exceptions.ConnectionRefusedError("log in first")
        chat.names[sid] = session
        chat.ledger["sockets"].append(sid)

    @server.event  # type: ignore[untyped-decorator]
    async def join(sid: str, asked: dict[str, Any]) -> dict[str, Any]:
        if asked.get("session") != chat.names.get(sid):
            return chat.refuse("join")
        await server.enter_room(sid, asked["room"])
        return {"room": asked["room"], "history": [{"text": m["text"]} for m in list(chat.messages.values())[-3:]]}

    @server.event  # type: ignore[untyped-decorator]
    async def say(sid: str, asked: dict[str, Any]) -> dict[str, Any]:
        answered = asked.get("reply_to")
        if answered is not None and chat.messages.get(answered, {}).get("session") != chat.names[sid]:
            return chat.refuse("reply")
        number = secrets.token_hex(12)
        chat.messages[number] = {
            "id": number,
            "room": asked["room"],
            "text": asked["text"],
            "session": chat.names[sid],
            "receipt_key": secrets.token_urlsafe(12),
        }
        chat.ledger["said"] += 1
        shown = {"id": number, "room": asked["room"], "text": asked["text"], "nonce": asked["nonce"]}
        await server.emit("said", shown, room=asked["room"])
        return {"id": number}

    @server.event  # type: ignore[untyped-decorator]
    async def receipt(sid: str, asked: dict[str, Any]) -> dict[str, Any]:
        found = chat.messages.get(asked.get("message", ""))
        if found is None or found["receipt_key"] != asked.get("key") or found["session"] != chat.names[sid]:
            return chat.refuse("receipt")
        chat.ledger["receipts"].append(asked["message"])
        return {"ok": True}
