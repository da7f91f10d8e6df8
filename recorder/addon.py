"""The addon: the only file that knows mitmproxy.

Works in ``rushhour record`` and in anybody's own proxy::

    mitmdump -s "$(rushhour record --addon-path)" --set rushhour_out=market.rush

Hooks are synchronous and only put notices into a channel: while a hook works, its stream stands still, and with it the
clock of what comes next. A process started from here writes the capture.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mitmproxy import addonmanager, connection, ctx, exceptions, http, tls
from mitmproxy.proxy import server, server_hooks
from mitmproxy.version import VERSION

ROOT = str(Path(__file__).resolve().parent.parent)
# mitmproxy puts a script's own directory first, where this package's modules would shadow others' top-level names.
sys.path[:] = [ROOT, *(place for place in sys.path if place != str(Path(__file__).resolve().parent))]

from captures.errors import ConfigError  # noqa: E402
from captures.records import Origin, Peer  # noqa: E402
from recorder.channel import Channel  # noqa: E402
from recorder.control_lines import ControlLog  # noqa: E402
from recorder.notices import Kind  # noqa: E402
from recorder.reverse import Front, site_of  # noqa: E402
from recorder.rotation import Rotation, parse_rotation, part_path  # noqa: E402
from recorder.scope import Scope, scope_of  # noqa: E402
from recorder.settings import SETTINGS, facts_of, problem_of  # noqa: E402
from recorder.status import Status, Word  # noqa: E402
from recorder.streams import is_streamed_request, is_streamed_response  # noqa: E402
from recorder.summary import told  # noqa: E402
from recorder.upstream_auth import taken_auth  # noqa: E402
from recorder.writer import Writer  # noqa: E402

logger = logging.getLogger("rushhour")

IDLE_TIMEOUT_S = 86_400
"""mitmproxy cuts a connection that is quiet for ten minutes, which a market's socket may well be."""

_TIMEOUT_NAME = "TCP_TIMEOUT"
_CLOSE_TIMEOUT_S = 20.0
_UNTRUSTED = "The client does not trust"
_FRONT = "rushhour_front"
_ADDRESS_MODES = frozenset({"transparent", "local", "wireguard", "tun"})


Hook = Callable[["Recorder", Any], None]


def recorded(hook: Hook) -> Hook:
    """Run a hook only while recording; tell of its failure, which mitmproxy would merely log."""

    @functools.wraps(hook)
    def guarded(self: Recorder, subject: Any) -> None:
        if not self.is_live:
            return
        try:
            hook(self, subject)
        except Exception as exc:
            self.channel.put(Kind.HOOK_FAILED, hook=hook.__name__, message=repr(exc))
            raise

    return guarded


class Recorder:
    """Hooks of one recording, in the order of a flow's life."""

    def __init__(self) -> None:
        self.channel = Channel()
        self.is_live = False
        self._scope = Scope()
        self._rotation = Rotation()
        self._flows: set[str] = set()
        self._sockets: dict[object, str] = {}
        self._control_log = ControlLog(self._control)
        self._writer: Writer | None = None

    # Life of the addon

    def load(self, loader: addonmanager.Loader) -> None:
        for each in SETTINGS:
            loader.add_option(each.name, each.kind, each.default, each.help, each.choices)

    def configure(self, updated: set[str]) -> None:
        if updated & {"rushhour_url", "rushhour_scope", "rushhour_rotate"}:
            try:
                self._scope = scope_of(ctx.options.rushhour_url, ctx.options.rushhour_scope)
                self._rotation = parse_rotation(tuple(ctx.options.rushhour_rotate))
            except ConfigError as exc:
                refusal: Any = exceptions.OptionsError
                raise refusal(str(exc)) from exc

    def running(self) -> None:
        options = ctx.options
        out = options.rushhour_out
        if problem := problem_of(out, part_path(Path(out), 1) if self._rotation.is_on else Path(out)):
            logger.error(problem)
            return
        _outlast_quiet_connections()
        _identify_upstream()
        self._writer = Writer(Path(options.rushhour_out), options.rushhour_status_fd, self._writer_ended)
        redaction = (options.rushhour_redact, options.rushhour_policy, options.rushhour_redact_key)
        self.channel.put(
            Kind.START,
            facts=facts_of(options, VERSION),
            max_body_bytes=options.rushhour_max_body,
            redaction=redaction,
            rotation=(self._rotation.size_bytes, self._rotation.age_ns),
            by_identity=options.rushhour_sessions == "identity",
        )
        self.channel.start(self._writer.input_fd)
        logging.getLogger(server.__name__).addHandler(self._control_log)
        self.is_live = True
        if options.rushhour_lifeline_fd >= 0:
            threading.Thread(target=_follow, args=(options.rushhour_lifeline_fd, ctx.master), daemon=True).start()

    def done(self) -> None:
        """Flush what is known; sockets that are open end after this, unseen (the writer tells them as open)."""
        if self._writer is None:
            return
        was_live, self.is_live = self.is_live, False
        logging.getLogger(server.__name__).removeHandler(self._control_log)
        self.channel.put(Kind.STOP)
        if not self.channel.close(_CLOSE_TIMEOUT_S):
            logger.error("the capture's writer does not take what is waiting; the end of the recording is lost")
        if was_live:
            self._writer.wait()
            self._log_end(self._writer.last)

    def _log_end(self, last: Status | None) -> None:
        if last is not None and last.word is Word.ENDED:
            for line in told(last.counts, last.left_out, ctx.options.rushhour_out):
                logger.info(line)
        elif self._writer is not None and self._writer.is_busy:
            logger.info("%s is still being gone over again; that ends by itself", ctx.options.rushhour_out)

    def _writer_ended(self, text: str) -> None:
        """The writer's process is gone while the proxy works on; runs in a thread of its own."""
        if self.is_live:
            self.is_live = False
            self.channel.is_broken = True
            ctx.master.event_loop.call_soon_threadsafe(logger.error, text)

    # Connections

    @recorded
    def client_connected(self, client: connection.Client) -> None:
        host, port = client.peername[:2]
        self.channel.put(Kind.CONNECTED, connection_id=client.id, listener=client.sockname[1], peer=f"{host}:{port}")

    @recorded
    def client_disconnected(self, client: connection.Client) -> None:
        self._sockets.pop(client.peername, None)
        self.channel.put(Kind.DISCONNECTED, connection_id=client.id)

    @recorded
    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        address = data.context.server.address
        host, port = address[:2] if address else (data.client_hello.sni or "", 443)
        if host and not self._scope.has(host):
            data.ignore_connection = True
            self._leave_out("https", host, port)

    @recorded
    def tls_failed_client(self, data: tls.TlsData) -> None:
        address, message = data.context.server.address, data.conn.error or ""
        host = address[0] if address else ""
        if _UNTRUSTED in message:
            self.channel.put(Kind.CA_REFUSED, host=host)
        else:
            self.channel.put(Kind.TLS_FAILED, host=host, message=message)

    @recorded
    def server_connect_error(self, data: server_hooks.ServerConnectionHookData) -> None:
        address = data.server.address
        if address and self._scope.has(address[0]):
            message = data.server.error or ""
            self.channel.put(Kind.CONNECT_FAILED, address=f"{address[0]}:{address[1]}", message=message)

    # Exchanges

    @recorded
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        request = flow.request
        if flow.client_conn.proxy_mode.type_name == "reverse":
            _face_site(flow)
        origin = _origin_of(flow)
        if not self._scope.has(origin[1]):
            self._leave_out(*origin)
            return
        self._flows.add(flow.id)
        client = flow.client_conn
        proxy_user = flow.metadata.get("proxyauth", ("",))[0]
        alpn = (client.alpn or b"").decode("latin-1")
        self.channel.put(
            Kind.REQUEST,
            flow_id=flow.id,
            at_s=request.timestamp_start,
            browser=(client.id, client.tls_version or "", alpn, proxy_user),
            method=request.method,
            origin=origin,
            target=request.data.path,
            http_version=request.http_version,
            headers=request.headers.fields,
        )
        if is_streamed_request(request.headers.get("content-type", ""), request.headers.get("content-length", "")):
            request.stream = self._tee(Kind.REQUEST_CHUNK, flow.id)

    @recorded
    def request(self, flow: http.HTTPFlow) -> None:
        if flow.id in self._flows:
            data = None if callable(flow.request.stream) else flow.request.raw_content
            self.channel.put(Kind.REQUEST_DONE, flow_id=flow.id, at_s=flow.request.timestamp_end, data=data)

    @recorded
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        response = flow.response
        assert response is not None
        is_streamed = is_streamed_response(
            flow.request.method,
            response.status_code,
            response.headers.get("content-type", ""),
            response.headers.get("content-length", ""),
        )
        if flow.id not in self._flows:
            response.stream = response.stream or is_streamed
            return
        upstream = flow.server_conn
        self.channel.put(
            Kind.RESPONSE,
            flow_id=flow.id,
            at_s=response.timestamp_start,
            status=response.status_code,
            reason=response.reason,
            http_version=response.http_version,
            headers=response.headers.fields,
            connect=(upstream.timestamp_start, upstream.timestamp_tls_setup or upstream.timestamp_tcp_setup),
        )
        _face_visitor(flow)
        if is_streamed:
            response.stream = self._tee(Kind.RESPONSE_CHUNK, flow.id)

    @recorded
    def response(self, flow: http.HTTPFlow) -> None:
        response = flow.response
        if flow.id not in self._flows or response is None:
            return
        is_upgrade = flow.websocket is not None
        data = None if callable(response.stream) else response.raw_content
        self.channel.put(
            Kind.RESPONSE_DONE, flow_id=flow.id, at_s=response.timestamp_end, data=data, is_upgrade=is_upgrade
        )
        if not is_upgrade:
            self._flows.discard(flow.id)

    @recorded
    def error(self, flow: http.HTTPFlow) -> None:
        if flow.id in self._flows and flow.error is not None:
            self._flows.discard(flow.id)
            self.channel.put(Kind.BROKEN, flow_id=flow.id, at_s=flow.error.timestamp, message=flow.error.msg)

    # Sockets

    @recorded
    def websocket_start(self, flow: http.HTTPFlow) -> None:
        if flow.id not in self._flows or flow.response is None:
            return
        self._sockets[flow.client_conn.peername] = flow.id
        headers = flow.response.headers
        self.channel.put(
            Kind.SOCKET,
            flow_id=flow.id,
            extensions=headers.get("sec-websocket-extensions", "").encode("latin-1", "replace"),
            subprotocol=headers.get("sec-websocket-protocol", "").encode("latin-1", "replace"),
        )

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Record the newest message and forget the older ones, which mitmproxy would keep for ever (issue 3915)."""
        assert flow.websocket is not None
        del flow.websocket.messages[:-1]
        self._message(flow)

    @recorded
    def _message(self, flow: http.HTTPFlow) -> None:
        assert flow.websocket is not None
        message = flow.websocket.messages[-1]
        if flow.id in self._flows and not message.injected:
            self.channel.put(
                Kind.MESSAGE,
                flow_id=flow.id,
                at_s=message.timestamp,
                sender=int(Peer.CLIENT if message.from_client else Peer.SERVER),
                opcode=int(message.type),
                data=message.content,
                is_dropped=message.dropped,
            )

    @recorded
    def websocket_end(self, flow: http.HTTPFlow) -> None:
        ended = flow.websocket
        if flow.id not in self._flows or ended is None:
            return
        self._flows.discard(flow.id)
        self._sockets.pop(flow.client_conn.peername, None)
        by_client = ended.closed_by_client
        sender = None if by_client is None else int(Peer.CLIENT if by_client else Peer.SERVER)
        self.channel.put(
            Kind.SOCKET_DONE,
            flow_id=flow.id,
            at_s=ended.timestamp_end,
            sender=sender,
            code=ended.close_code,
            reason=ended.close_reason or "",
        )

    def _control(self, peername: object, line: str) -> None:
        if flow_id := self._sockets.get(peername):
            self.channel.put(Kind.CONTROL, flow_id=flow_id, line=line)

    def _leave_out(self, scheme: str, host: str, port: int) -> None:
        self.channel.put(Kind.LEFT_OUT, origin=str(Origin(scheme, host.lower(), port)))

    def _tee(self, kind: Kind, flow_id: str) -> Callable[[bytes], bytes]:
        def pass_on(data: bytes) -> bytes:
            if data and self.is_live:
                self.channel.put(kind, flow_id=flow_id, data=data)
            return data

        return pass_on


def _origin_of(flow: http.HTTPFlow) -> tuple[str, str, int]:
    request = flow.request
    has_only_address = flow.client_conn.proxy_mode.type_name in _ADDRESS_MODES
    return request.scheme, request.pretty_host if has_only_address else request.host, request.port


def _face_site(flow: http.HTTPFlow) -> None:
    """Let a visitor's request look as if it went to the site itself, before it is recorded and sent."""
    request = flow.request
    host = f"[{request.host}]" if ":" in request.host else request.host
    visited = f"{'https' if flow.client_conn.tls else 'http'}://{request.host_header}" if request.host_header else ""
    front = Front(site=site_of(f"{request.scheme}://{host}:{request.port}"), visited=visited)
    flow.metadata[_FRONT] = front
    request.host_header = front.site.partition("://")[2]
    request.headers.fields = tuple((name, front.to_site(name, value)) for name, value in request.headers.fields)


def _face_visitor(flow: http.HTTPFlow) -> None:
    """Let the site's answer keep the visitor here, once it is recorded."""
    front = flow.metadata.get(_FRONT)
    if isinstance(front, Front) and flow.response is not None:
        flow.response.headers.fields = front.to_visitor(flow.response.headers.fields)


def _identify_upstream() -> None:
    if auth := taken_auth():
        options: Any = ctx.options
        options.update(upstream_auth=auth)


def _outlast_quiet_connections() -> None:
    # Option since 12.2.1, a module's variable before.
    options: Any = ctx.options
    if "tcp_timeout" in options:
        if not options.has_changed("tcp_timeout"):
            options.update(tcp_timeout=IDLE_TIMEOUT_S)
    elif hasattr(server, _TIMEOUT_NAME):
        setattr(server, _TIMEOUT_NAME, IDLE_TIMEOUT_S)


def _follow(lifeline_fd: int, master: Any) -> None:
    """Stop the proxy when whoever started it is gone, or lets go."""
    while os.read(lifeline_fd, 1):
        pass
    master.shutdown()


addons = [Recorder()]
