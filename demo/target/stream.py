"""The WebSocket ``/ws/market``: subscribe and be acknowledged, then snapshots, with status and ping messages between.

client → server   {"type":"subscribe","id":1,"channels":["quotes","indices","foreign","derivatives","prices"]}
                  a channel ``depth:KIT`` asks for the order book of one symbol; it replaces the depth of before
                  {"type":"pong","id":"…"}
server → client   {"type":"ack","id":1,"channels":[…]}
                  {"type":"snapshot","ts":<epoch ms>,"seq":<tick>,"quotes":[…],"indices":[…],"foreign":[…],
                   "derivatives":[…],"prices":{…}}   every tick, with the channels asked for
                  {"type":"depth","ts":…,"seq":…,"symbol":"KIT","last":…,"bids":[…],"asks":[…]}   every 5th tick
                  {"type":"status",…}   on arrival and every 3 s · {"type":"ping","id":"…"}   every 2 s
                  {"type":"error","id":…,"error":"…"}

Theory of operation: one task per socket sleeps until the next tick, sends what is due and goes on with the tick that is
then current: a slow reader misses snapshots and never makes memory grow. The first socket that wakes encodes a
snapshot, the others send the same text. A socket that leaves ``MAX_MISSED_PONGS`` pings unanswered is closed with 4008.
"""

from __future__ import annotations

import asyncio
import json
import secrets

from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from demo.target.asking import note
from demo.target.house import House
from demo.target.market import CHANNELS, NAMES, to_json

NS_PER_S = 1_000_000_000
STATUS_EVERY_NS = 3 * NS_PER_S
PING_EVERY_NS = 2 * NS_PER_S
DEPTH_EVERY_TICKS = 5
MAX_MISSED_PONGS = 5
CLOSE_NO_PONG = 4008
_DEPTH = "depth:"


class Broadcast:
    """Encodes what many sockets send, once per tick."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._tick = -1
        self._texts: dict[object, str] = {}
        self._stamp = ""

    def snapshot(self, tick: int, channels: tuple[str, ...]) -> str:
        """Give the snapshot of a tick with some channels."""
        self._turn(tick)
        text = self._texts.get(channels)
        if text is None:
            inside = self._house.market.frame(tick).channels_json(channels)
            text = self._texts[channels] = f'{{"type":"snapshot",{self._stamp}{"," if inside else ""}{inside}}}'
        return text

    def depth(self, tick: int, symbol: str) -> str:
        """Give the order book of a symbol at a tick."""
        self._turn(tick)
        text = self._texts.get(symbol)
        if text is None:
            inside = to_json(self._house.market.depth(symbol, tick))[1:-1]
            text = self._texts[symbol] = f'{{"type":"depth",{self._stamp},{inside}}}'
        return text

    def _turn(self, tick: int) -> None:
        if tick != self._tick:
            self._tick = tick
            self._texts.clear()
            self._stamp = f'"ts":{self._house.wall_ms()},"seq":{tick}'


class Stream:
    """The endpoint of one target."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._broadcast = Broadcast(house)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one socket from its handshake to its end."""
        house = self._house
        if house.faults.faults.refuses_upgrades:
            await websocket.send_denial_response(JSONResponse({"error": "no upgrades at the moment"}, 503))
            return
        login = house.accounts.ticket(websocket.query_params.get("token", ""), house.now_ns())
        if login is not None:
            note(websocket, login)
        elif house.settings.asks_for_login:
            await websocket.send_denial_response(JSONResponse({"error": "the ticket is unknown or expired"}, 401))
            return
        await websocket.accept()
        house.ledger.sockets.update(open=1, opened=1)
        try:
            await self._talk(_Socket(websocket, house, self._broadcast))
        finally:
            house.ledger.sockets.update(open=-1, closed=1)

    async def _talk(self, socket: _Socket) -> None:
        """Listen and push until one of them ends, then end the other."""
        try:
            async with asyncio.TaskGroup() as tasks:
                pushing = tasks.create_task(socket.push())
                await socket.listen(tasks)
                pushing.cancel()
        except* WebSocketDisconnect:
            pass


class _Socket:
    """One open socket."""

    def __init__(self, websocket: WebSocket, house: House, broadcast: Broadcast) -> None:
        self._websocket = websocket
        self._house = house
        self._broadcast = broadcast
        self._channels: tuple[str, ...] = ()
        self._depth = ""
        self._ping_id = ""
        self._n_missed = 0
        self._subscribed = asyncio.Event()

    async def listen(self, tasks: asyncio.TaskGroup) -> None:
        """Answer messages until the client leaves; an answer that is held back does not hold back the next."""
        while self._websocket.client_state is not WebSocketState.DISCONNECTED:
            event = await self._websocket.receive()
            if event["type"] == "websocket.disconnect":
                return
            self._house.ledger.sockets["received"] += 1
            answer = self._answer(event.get("text"))
            delay_ns = self._house.faults.delay_ns(self._house.now_ns())
            if answer and delay_ns:
                tasks.create_task(self._reply(answer, delay_ns))
            elif answer:
                await self._reply(answer, 0)

    async def _reply(self, answer: str, delay_ns: int) -> None:
        await asyncio.sleep(delay_ns / NS_PER_S)
        await self._send(answer)
        if self._channels or self._depth:
            self._subscribed.set()

    def _answer(self, text: str | None) -> str:
        try:
            message = json.loads(text or "")
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            return _error(None, "not a JSON object")
        match message.get("type"):
            case "pong":
                self._take_pong(message.get("id"))
                return ""
            case "subscribe":
                return self._subscribe(message.get("id"), message.get("channels"))
        return _error(message.get("id"), "type: subscribe or pong")

    def _subscribe(self, number: object, wanted: object) -> str:
        if not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
            return _error(number, "channels: a list of names")
        symbols = [name[len(_DEPTH) :] for name in wanted if name.startswith(_DEPTH)]
        unknown = [name for name in wanted if name not in CHANNELS and name[len(_DEPTH) :] not in symbols]
        if unknown or any(symbol not in NAMES for symbol in symbols):
            return _error(number, f"channels: of {', '.join(CHANNELS)} and depth:SYMBOL")
        self._channels = tuple(name for name in CHANNELS if name in wanted or name in self._channels)
        self._depth = symbols[-1] if symbols else self._depth
        taken = [*self._channels, *([_DEPTH + self._depth] if self._depth else [])]
        return to_json({"type": "ack", "id": number, "channels": taken})

    def _take_pong(self, ping_id: object) -> None:
        if ping_id == self._ping_id:
            self._n_missed = 0

    async def push(self) -> None:
        """Send what is due at every tick, for as long as the socket lives."""
        house = self._house
        await self._send(self._status())
        await self._subscribed.wait()
        # Subtle: what is left of a tick would carry the stamp of its beginning, and look late to who measures.
        tick = house.tick() + 1
        await asyncio.sleep(house.until_tick_s(tick))
        due = {self._status: tick + self._ticks(STATUS_EVERY_NS), self._ping: tick + self._ticks(PING_EVERY_NS)}
        every = {self._status: self._ticks(STATUS_EVERY_NS), self._ping: self._ticks(PING_EVERY_NS)}
        while self._n_missed < MAX_MISSED_PONGS:
            await asyncio.sleep(house.faults.stall_left_ns(house.now_ns()) / NS_PER_S)
            tick = max(tick, house.tick())
            await self._send_market(tick)
            for make, due_tick in due.items():
                if tick >= due_tick:
                    due[make] = tick + every[make]
                    await self._send(make())
            tick += 1
            await asyncio.sleep(house.until_tick_s(tick))
        await self._websocket.close(CLOSE_NO_PONG, f"{MAX_MISSED_PONGS} pings were not answered")

    async def _send_market(self, tick: int) -> None:
        if self._channels:
            await self._send(self._broadcast.snapshot(tick, self._channels))
        if self._depth and tick % DEPTH_EVERY_TICKS == 0:
            await self._send(self._broadcast.depth(tick, self._depth))

    def _ticks(self, duration_ns: int) -> int:
        return max(1, duration_ns // self._house.settings.tick_ns)

    def _status(self) -> str:
        house = self._house
        feed = house.settings.feed.value
        tick_ms = house.settings.tick_ns // 1_000_000
        return to_json({"type": "status", "market": "open", "feed": feed, "tick_ms": tick_ms})

    def _ping(self) -> str:
        self._ping_id = secrets.token_hex(6)
        self._n_missed += 1
        return to_json({"type": "ping", "id": self._ping_id})

    async def _send(self, text: str) -> None:
        states = (self._websocket.application_state, self._websocket.client_state)
        if WebSocketState.DISCONNECTED in states:
            return
        self._house.ledger.sockets["sent"] += 1
        await self._websocket.send_text(text)


def _error(number: object, text: str) -> str:
    return to_json({"type": "error", "id": number if isinstance(number, (int, str)) else None, "error": text})
