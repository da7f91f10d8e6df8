"""A shop with GraphQL only: login, query, mutation, and a subscription over ``graphql-transport-ws``.

Run by ``uvicorn``; keeps all in memory. Errors come inside a 200, as GraphQL has it. ``/admin/ledger`` tells what the
server has seen. Protocol: https://github.com/graphql/graphql-over-http and graphql-ws' PROTOCOL.md.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from typing import Any

from ariadne import MutationType, QueryType, SubscriptionType, make_executable_schema
from ariadne.asgi import GraphQL
from ariadne.asgi.handlers import GraphQLTransportWSHandler
from graphql import GraphQLError
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route, WebSocketRoute

SCHEMA = """
type Product { id: ID! name: String! price: Int! }
type Order { id: ID! status: String! quantity: Int! product: Product! }
type OrderEvent { order: ID! status: String! seq: Int! }
type Login { token: String! viewer: Viewer! }
type Viewer { id: ID! name: String! }
type Query { products: [Product!]! order(id: ID!): Order! }
type Mutation { login(user: String!, password: String!): Login placeOrder(input: OrderInput!): Order!
  cancelOrder(id: ID!, version: String!): Order! }
type Subscription { orderEvents(id: ID!): OrderEvent! }
input OrderInput { product: ID! quantity: Int! key: ID! }
"""
PAGE = """<!doctype html><title>orders</title><link rel="icon" href="data:,"><h1>orders</h1>
<script>
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
let token = null;
async function ask(operationName, query, variables) {
  const headers = {"Content-Type": "application/json"};
  if (token) headers.Authorization = "Bearer " + token;
  const body = JSON.stringify({operationName, query, variables});
  const answer = await (await fetch("/graphql", {method: "POST", headers, body})).json();
  if (answer.errors) throw new Error(JSON.stringify(answer.errors));
  return answer.data;
}
async function visit(user, password) {
  const login = (await ask("Login", `mutation Login($user: String!, $password: String!) {
    login(user: $user, password: $password) { token viewer { id name } } }`, {user, password})).login;
  token = login.token;
  const products = (await ask("Products", "query Products { products { id name price } }", {})).products;
  await pause(300);
  const input = {product: products[1].id, quantity: 2, key: crypto.randomUUID()};
  const order = (await ask("PlaceOrder", `mutation PlaceOrder($input: OrderInput!) {
    placeOrder(input: $input) { id status quantity product { name } } }`, {input})).placeOrder;
  const address = location.origin.replace("http", "ws") + "/graphql";
  const socket = new WebSocket(address, "graphql-transport-ws");
  const told = [];
  const send = (message) => socket.send(JSON.stringify(message));
  const id = crypto.randomUUID();
  socket.onopen = () => send({type: "connection_init", payload: {token}});
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === "ping") send({type: "pong"});
    if (message.type === "connection_ack") send({id, type: "subscribe", payload: {
      operationName: "OrderEvents", variables: {id: order.id},
      query: "subscription OrderEvents($id: ID!) { orderEvents(id: $id) { order status seq } }"}});
    if (message.type === "next") told.push(message.payload.data.orderEvents);
  };
  while (told.length < 3) await pause(20);
  const query = "query Order($id: ID!) { order(id: $id) { id status quantity } }";
  const seen = (await ask("Order", query, {id: order.id})).order;
  send({id, type: "complete"});
  await pause(200);
  socket.close(1000);
  document.title = "left after " + seen.status;
}
</script>"""
PRODUCTS = [{"id": f"p{n}-{name}", "name": name, "price": 10 * n} for n, name in enumerate(("tea", "salt", "rice"), 1)]
STATUSES = ("accepted", "packed", "sent")


class Shop:
    """What the server knows, and what it has seen."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.ledger: dict[str, Any] = {"logins": 0, "orders": [], "keys": [], "refused": [], "events": 0, "read": 0}

    def viewer(self, token: str | None) -> str:
        viewer = self.tokens.get(token or "")
        if viewer is None:
            self.refuse("token")
        return str(viewer)

    def refuse(self, why: str) -> None:
        self.ledger["refused"].append(why)
        raise GraphQLError(f"refused: {why}")

    def own_order(self, viewer: str, number: str) -> dict[str, Any]:
        order = self.orders.get(number)
        if order is None or order["viewer"] != viewer:
            self.refuse("order")
        assert order is not None
        return order


def application() -> Starlette:
    """Return the ASGI application, with a state of its own."""
    shop = Shop()
    schema = make_executable_schema(SCHEMA, _query(shop), _mutation(shop), _subscription(shop))

    def context(request: Any, _data: Any = None) -> dict[str, Any]:
        header = request.headers.get("authorization", "") if request.scope["type"] == "http" else ""
        return {"request": request, "token": header.removeprefix("Bearer ")}

    def connected(socket: Any, payload: Any) -> None:
        socket.scope["token"] = payload.get("token") if isinstance(payload, dict) else None
        shop.viewer(socket.scope["token"])

    handler = GraphQLTransportWSHandler(on_connect=connected)
    graphql = GraphQL(schema, context_value=context, websocket_handler=handler, introspection=False)
    return Starlette(
        routes=[
            Route("/", lambda _request: HTMLResponse(PAGE)),
            Route("/admin/ledger", lambda _request: JSONResponse(shop.ledger)),
            Route("/graphql", graphql, methods=["POST"]),
            WebSocketRoute("/graphql", graphql),
        ]
    )


def _query(shop: Shop) -> QueryType:
    query = QueryType()

    @query.field("products")
    def products(_root: Any, info: Any) -> list[dict[str, Any]]:
        shop.viewer(info.context["token"])
        return PRODUCTS

    @query.field("order")
    def order(_root: Any, info: Any, *, id: str) -> dict[str, Any]:
        found = shop.own_order(shop.viewer(info.context["token"]), id)
        shop.ledger["read"] += 1
        return found

    return query


def _mutation(shop: Shop) -> MutationType:
    mutation = MutationType()

    @mutation.field("login")
    def login(_root: Any, _info: Any, *, user: str, password: str) -> dict[str, Any]:
        if password != "correct horse" or not user:
            shop.refuse("login")
        token, viewer = secrets.token_urlsafe(24), secrets.token_hex(8)
        shop.tokens[token] = viewer
        shop.ledger["logins"] += 1
        return {"token": token, "viewer": {"id": viewer, "name": user}}

    @mutation.field("placeOrder")
    def place(_root: Any, info: Any, *, input: dict[str, Any]) -> dict[str, Any]:
        viewer = shop.viewer(info.context["token"])
        product = next((each for each in PRODUCTS if each["id"] == input["product"]), None)
        if product is None or input["key"] in shop.ledger["keys"]:
            shop.refuse("key")
        number = secrets.token_hex(10)
        order = {"id": number, "status": "placed", "quantity": input["quantity"], "product": product, "viewer": viewer}
        shop.orders[number] = order
        shop.ledger["orders"].append(number)
        shop.ledger["keys"].append(input["key"])
        return order

    return mutation


def _subscription(shop: Shop) -> SubscriptionType:
    subscription = SubscriptionType()

    @subscription.source("orderEvents")
    async def events(_root: Any, info: Any, *, id: str) -> AsyncGenerator[dict[str, Any], None]:
        order = shop.own_order(shop.viewer(info.context["request"].scope.get("token")), id)
        for number, status in enumerate(STATUSES):
            await asyncio.sleep(0.15)
            order["status"] = status
            shop.ledger["events"] += 1
            yield {"order": id, "status": status, "seq": number}
        await asyncio.sleep(30)

    @subscription.field("orderEvents")
    def shown(event: dict[str, Any], _info: Any, *, id: str) -> dict[str, Any]:
        return event

    return subscription
