"""What a compiled capture is: scripts of steps, templates with slots, extractors, expectations. Pure data.

The compiler (``compile``) writes these, the virtual user (``replayer.user``) plays them. Nothing here names a target:
recorded origins are numbers, and the slots of kind ``ORIGIN`` are filled when a run knows where it goes.

All times are int nanoseconds; ``at_ns`` is relative to the start of the script.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, IntFlag

from captures.envelopes import Framing
from captures.records import Origin
from replayer.plan.push import Push

# A template is rendered by joining its segments: bytes stand for themselves, an int is the number of a slot.
Template = tuple[bytes | int, ...]

# Where a value lies in a JSON document: keys and list positions from the root.
JsonPath = tuple[str | int, ...]


class StepKind(IntEnum):
    """What one step of a virtual user does."""

    REQUEST = 1
    """Send a request, end with its response."""
    CONNECT = 2
    """Open a WebSocket, end with the 101."""
    SEND = 3
    """Send one message; ends when it is handed to the socket."""
    RECEIVE = 4
    """Wait for one message that matches; ends when it arrives."""
    CLOSE = 5
    """Close a WebSocket from our side; ends with the server's close frame."""


class SlotKind(Enum):
    """Where the value of a slot comes from."""

    ORIGIN = "origin"
    """The target that replaces a recorded origin; ``detail`` is ``<origin number>:<form>``, form one of ``origin``
    (``https://host:port``), ``authority`` (``host:port``), ``ws_origin`` (``wss://host:port``)."""
    COOKIE_HEADER = "cookie_header"
    """The jar as a header value pair list, ``a=1; b=2``; a header whose value is only this slot is left out when
    empty."""
    EXTRACTED = "extracted"
    """A value that a response or message of this very user carried."""
    GENERATED = "generated"
    """A value the recorded client minted; ``detail`` names the generator (``replayer.user.slots.Mint``): ``uuid4``,
    ``uuid7``, ``epoch_ms``, ``epoch_s``, ``iso``, ``hex:<n>``, ``alnum:<n>``, ``digits:<n>``, ``traceparent``,
    ``day:<n>``, ``iso:<n>T<time>``."""
    INPUT = "input"
    """A column of the identities; ``detail`` is the column's name."""
    DERIVED = "derived"
    """Another slot's value in another coding; ``detail`` is ``<slot number>:<codec>``."""


LAST_EVENT_ID = "last-event-id"
"""Name under which extractors read the last id of an event stream: the header that a page goes on with."""


class Codec(Enum):
    """How a value is written where it was found or where it is used."""

    RAW = "raw"
    PERCENT = "percent"
    """RFC 3986 percent-encoding of everything but unreserved characters."""
    FORM = "form"
    """``application/x-www-form-urlencoded``: percent-encoding with ``+`` for the space."""
    HTML = "html"
    """HTML character references."""
    JSON_STRING = "json_string"
    """The inside of a JSON string literal."""
    BASE64 = "base64"
    BASE64URL = "base64url"
    MSGPACK_STRING = "msgpack_string"
    """A MessagePack string with its header; only written, never read."""
    MSGPACK_INT = "msgpack_int"
    """A MessagePack integer, shortest form; only written, never read."""
    MSGPACK_BIN = "msgpack_bin"
    """A MessagePack byte string with its header; only written, never read."""
    S256 = "s256"
    """The SHA-256 of the value in base64url (RFC 7636 §4.2); only written, never read."""
    URL_TARGET = "url_target"
    """A URL, absolute or not, of which path and query are meant; only read, never written."""


class Source(Enum):
    """Which part of a response or message an extractor reads."""

    HEADER = "header"
    COOKIE = "cookie"
    JSON = "json"
    TEXT = "text"


class RouteKind(Enum):
    """What a route serves; assets are left out of the headline ``http`` series."""

    API = "api"
    DOCUMENT = "document"
    ASSET = "asset"
    SOCKET = "socket"
    ALONG = "along"
    """Requests that were not asked for, but bring values that others need (``replayer.pruning``): measured apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A per-user variable.

    Attributes:
        name: for people, unique in its script: ``access_token``, ``csrf_2``.
        kind: where its value comes from; ``detail`` as the kind says.
        recorded: the recorded value (of an ORIGIN slot the recorded text).
        is_optional: until it is filled it holds the recorded value: of a Referer, which nothing waits for.
    """

    name: str
    kind: SlotKind
    detail: str = ""
    recorded: bytes = b""
    is_optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """How an element of a list is known besides by its position: ``key`` of it has the value ``value``.

    ``at`` is the index into the extractor's ``path`` where the element's recorded position stands. Where no element has
    that value, the position decides.
    """

    at: int
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extractor:
    """Fills one slot from one response or message.

    Attributes:
        slot: number of the EXTRACTED slot it fills.
        source: which part is read. HEADER and COOKIE use ``name``; JSON uses ``path``; TEXT takes what stands between
            the first ``left`` and the next ``right`` of the decoded body. A HEADER or a string of JSON with ``left``
            is cut in the same way, up to its end where ``right`` is empty: one segment or field of a URL.
        codec: how the value is written there; the slot holds the decoded value.
        prefix: bytes that precede the value inside the part found (``Bearer ``), removed.
        where: of JSON: how elements of lists on the way are found.
    """

    slot: int
    source: Source
    name: str = ""
    path: JsonPath = ()
    left: bytes = b""
    right: bytes = b""
    codec: Codec = Codec.RAW
    prefix: bytes = b""
    where: tuple[Anchor, ...] = ()


class JsonKind(IntFlag):
    """Kinds of JSON value; a set of them says what was seen at a path."""

    NULL = 1
    BOOLEAN = 2
    NUMBER = 4
    STRING = 8
    ARRAY = 16
    OBJECT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a person demands of an answer or message, in a rules file.

    Attributes:
        path: a place that must be there; () for the whole.
        min_items: of the array or object at ``path``; -1 demands that the place exists, no more.
        max_bytes: of the decoded body or message; -1 for no limit. ``path`` and ``min_items`` mean nothing then.
        is_warning: a breach is counted as a warning, not as a mismatch.
    """

    path: JsonPath = ()
    min_items: int = -1
    max_bytes: int = -1
    is_warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the recording shows an answer or a message to look like.

    Attributes:
        statuses: allowed status codes; empty for messages.
        content_type: lower-case media type without parameters, or b"" for any.
        min_bytes, max_bytes: inclusive size range of the decoded body or message.
        required: JSON paths that every recorded example has; empty where the body is not JSON. ``0`` in a path stands
            for the elements of an array: it says something only of arrays that have some.
        non_empty: JSON paths of arrays and objects that were never empty in the recording.
        kinds: by position in ``required``, the ``JsonKind`` seen there; empty where nothing is known of them.
        may_err: a recorded example said itself that something went wrong, so one more is no surprise.
        demands: what a rules file demands beyond the recording.
    """

    statuses: tuple[int, ...] = ()
    content_type: bytes = b""
    min_bytes: int = 0
    max_bytes: int = 1 << 62
    required: tuple[JsonPath, ...] = ()
    non_empty: tuple[JsonPath, ...] = ()
    kinds: tuple[int, ...] = ()
    may_err: bool = False
    demands: tuple[Demand, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTemplate:
    """A request before it is encoded for a wire.

    ``headers`` hold no Host, no hop-by-hop, Content-Length, Transfer-Encoding or ``Sec-WebSocket-*`` header: the wire
    makes those. The jar's cookies stand as a header ``cookie`` whose template holds the COOKIE_HEADER slot.
    ``subprotocols`` and ``offers_deflate`` are of WebSocket handshakes only. Where a subprotocol carries a value of the
    user (a bearer token), ``subprotocol_templates`` hold all of them in the same order; else it is empty.
    """

    method: bytes
    target: Template
    headers: tuple[tuple[bytes, Template], ...]
    body: Template = ()
    subprotocols: tuple[str, ...] = ()
    offers_deflate: bool = False
    subprotocol_templates: tuple[Template, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """How a received message is known to answer a sent one.

    ``send_path`` in the sent and ``reply_path`` in the received message hold equal values. Both empty: the next message
    of the kind answers the oldest open send.
    """

    send_path: JsonPath = ()
    reply_path: JsonPath = ()
    rule: str = ""
    support: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing a virtual user does.

    Attributes:
        index: position in ``Script.steps``, which is in order of ``at_ns``.
        route: number of the route it is measured under.
        origin: number of the recorded origin it goes to.
        at_ns: recorded start (RECEIVE: recorded arrival).
        duration_ns: recorded end − start, 0 where it never ended.
        needs: steps (all earlier ones) that must have ended before this one may start.
        think_ns: recorded reaction time after the last of ``needs`` ended, at least 0; 0 without needs.
        exchange: the capture's exchange it was compiled from.
        request: of REQUEST and CONNECT.
        socket: of CONNECT, SEND, RECEIVE and CLOSE: number in ``Script.sockets``.
        payload, is_text: of SEND.
        parts: of SEND over a socket with framing JUPYTER: how many segments of ``payload`` each part of the message
            has; the offsets in front of the parts are made anew. Empty: the payload is the message.
        reply: of SEND: index of the RECEIVE step that is its answer, or -1.
        reply_to: of RECEIVE: index of the SEND step it answers, or -1.
        message_kind: of SEND and RECEIVE: number in ``Plan.message_kinds``.
        pairing: of a RECEIVE with ``reply_to``.
        close_code: of CLOSE.
        is_unsafe: method or operation that writes.
        sets_cookies: the recorded answer set cookies.
        kept_open: a response that streamed or waited on purpose (SSE, long poll): no request deadline, no latency.
    """

    index: int
    kind: StepKind
    route: int
    origin: int
    at_ns: int
    duration_ns: int = 0
    needs: tuple[int, ...] = ()
    think_ns: int = 0
    exchange: int = 0
    request: RequestTemplate | None = None
    socket: int = -1
    payload: Template = ()
    is_text: bool = True
    parts: tuple[int, ...] = ()
    reply: int = -1
    reply_to: int = -1
    message_kind: int = -1
    pairing: Pairing | None = None
    close_code: int = 1000
    is_unsafe: bool = False
    sets_cookies: bool = False
    kept_open: bool = False
    extractors: tuple[Extractor, ...] = ()
    expectation: Expectation = Expectation()


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """A heartbeat: every message of ``message_kind`` is answered at once with ``payload``, as the recorded client did.

    ``extractors`` fill the slots of ``payload`` from the message that is answered. Responders are no steps: the server
    decides how often they fire, and no step waits for them.
    """

    message_kind: int
    payload: Template
    is_text: bool = True
    extractors: tuple[Extractor, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """A heartbeat of the client's: ``payload`` goes out every ``every_ns`` while the socket is open.

    Protocol timers keep their own time: they are never sped up, and go on for as long as the socket is held. Tickers
    are no steps. GENERATED slots of the payload are made anew for every tick.

    Attributes:
        message_kind: of the payload.
        first_ns: from the open socket to the first tick.
        reply_kind: message kind of the answers, -1 where there are none.
        pairing: of the answers; without paths the next message of the kind answers the oldest open tick.
        n_recorded: ticks in this session.
    """

    message_kind: int
    payload: Template
    every_ns: int
    first_ns: int
    is_text: bool = True
    reply_kind: int = -1
    pairing: Pairing | None = None
    n_recorded: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketScript:
    """One WebSocket of a script.

    ``discriminator`` is where its JSON messages name their kind (``("type",)``), empty where they do not.
    ``closed_by_server`` : the recording ended it so; there is no CLOSE step then.
    ``framing`` says what the messages are wrapped in; paths of extractors and pairings lead into the opened documents.
    ``ready``: the RECEIVE steps that acknowledge what was subscribed to first; when the last has ended the socket is
    ready. Empty: it is ready when it is open.
    ``pushes``: kinds of messages that the server pushed over this very socket.
    ``greets``: the server spoke first, soon after the socket was open.
    """

    route: int
    connect: int
    discriminator: JsonPath = ()
    closed_by_server: bool = False
    close_code: int = 1000
    responders: tuple[Responder, ...] = ()
    tickers: tuple[Ticker, ...] = ()
    framing: Framing = Framing.PLAIN
    ready: tuple[int, ...] = ()
    pushes: tuple[int, ...] = ()
    greets: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageKind:
    """One kind of message on one socket route: ``value`` is what stands at the socket's discriminator.

    ``n_recorded`` counts it in all sessions; ``is_sent`` is True for messages of the client. ``mean_bytes`` is its
    recorded size, ``mean_items`` the elements of its arrays; ``push`` is there where the server sends it unasked.
    """

    name: str
    route: int
    value: str
    is_sent: bool
    n_recorded: int
    expectation: Expectation = Expectation()
    mean_bytes: int = 0
    mean_items: float = 0.0
    push: Push | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A templated endpoint: ``GET /api/quotes/{id}``, ``WS /ws/market``.

    ``mean_wire_bytes`` and ``mean_decoded_bytes`` are of the bodies of its recorded successes, ``mean_items`` of the
    elements of their arrays; 0 where there were none.
    """

    name: str
    kind: RouteKind
    origin: int
    n_recorded: int
    mean_wire_bytes: int = 0
    mean_decoded_bytes: int = 0
    mean_items: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialCookie:
    """A cookie the recorded browser sent although no recorded response set it; ``value`` may use slots."""

    name: bytes
    value: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Requests that bring a fresh credential, played again in order: the recorded refresh, or the login.

    Attributes:
        steps: REQUEST steps; the last one brings the credential.
        copies: (from, to) pairs of slots: after the chain, ``to`` holds what ``from`` holds, because both are one
            credential that the recording shows at two times.
    """

    steps: tuple[int, ...]
    copies: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """A credential that may expire, and how to get a fresh one.

    Attributes:
        slots: that hold it; empty where it is a cookie of the jar.
        steps: that carry it, in order, those of the chains left out.
        chains: ways to get it anew, the first to be tried first.
    """

    slots: tuple[int, ...]
    steps: tuple[int, ...]
    chains: tuple[Chain, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One session's plan: what one virtual user plays.

    Attributes:
        session: number of the recorded session.
        start_ns: recorded start, relative to the first session of the capture.
        duration_ns: recorded time from the first step's start to the last step's end.
    """

    session: int
    start_ns: int
    duration_ns: int
    steps: tuple[Step, ...]
    slots: tuple[Slot, ...]
    sockets: tuple[SocketScript, ...]
    cookies: tuple[InitialCookie, ...] = ()
    refreshes: tuple[Refresh, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A compiled capture.

    Attributes:
        capture_sha256: hex digest of the capture file.
        origins: recorded origins that steps go to; number 0 is the page's, which ``--target`` replaces.
        dropped_origins: (origin, exchanges left out) of all others.
        anchor_wall_ns: wall clock at the start of the first session (ns since the epoch).
    """

    capture_sha256: str
    origins: tuple[Origin, ...]
    routes: tuple[Route, ...]
    message_kinds: tuple[MessageKind, ...]
    scripts: tuple[Script, ...]
    dropped_origins: tuple[tuple[str, int], ...] = ()
    anchor_wall_ns: int = 0
