"""What a virtual user asks of the world: the seam between deciding and acting.

The worker implements it with sockets and a timer heap, tests with lists. A user never reads a clock but through it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from replayer.plan.records import Plan
from replayer.user.checks import Budget
from replayer.user.ending import AtEnd
from replayer.user.meter import Meter
from replayer.user.pacing import Deadlines, Pacing
from replayer.wire.heads import Asked, Head
from replayer.wire.sse import EventReader

if TYPE_CHECKING:
    from replayer.user.exhibits import Exhibits
    from replayer.user.storm import Storms


class Connection(Protocol):
    """An HTTP connection as the user sees it (``replayer.wire.http1`` describes the attributes)."""

    head: Head
    body_bytes: int
    events: EventReader | None
    n_sent: int
    has_answer_bytes: bool
    is_busy: bool
    is_watched: bool
    is_retry: bool
    deadline_ns: int
    index: int
    intended_ns: int
    actual_ns: int
    request: Any

    @property
    def keeps_alive(self) -> bool:
        """Whether the answer leaves the connection usable."""

    @property
    def is_alive(self) -> bool:
        """Whether a request can still be written."""

    @property
    def body(self) -> bytes:
        """The body as sent, where it was asked for."""

    def send(self, data: bytes, request: Asked) -> None:
        """Send a rendered request."""

    def close(self) -> None:
        """End the connection."""

    def expire(self, now_ns: int) -> None:
        """End what is in flight as timed out."""


class SocketConnection(Protocol):
    """A WebSocket as the user sees it (``replayer.wire.websocket`` describes the methods)."""

    set_cookies: list[bytes]
    failure: str

    @property
    def is_deflated(self) -> bool:
        """Whether permessage-deflate was agreed on."""

    def send(self, data: bytes, *, is_text: bool) -> None:
        """Send one message."""

    def is_open(self) -> bool:
        """Tell whether messages can be sent."""

    def close(self, code: int) -> None:
        """Begin the close handshake."""

    def abort(self) -> None:
        """End the connection at once."""

    def reset(self) -> None:
        """Cut the TCP connection with RST, as a crashed machine's kernel does."""

    def silence(self) -> None:
        """Be as if the network had gone away: read and send nothing more; only ``abort`` ends it."""


class Port(Protocol):
    """What the worker does for its users."""

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC in ns."""

    def wall_ns(self) -> int:
        """Return the wall clock in ns since the epoch."""

    def may_send(self, now_ns: int) -> bool:
        """Tell whether the worker still holds its lease; without it nothing is sent any more."""

    def call_at(self, due_ns: int, call: Callable[[Any, int], None], argument: Any) -> None:
        """Call ``call(argument, due_ns)`` as soon as the clock has reached ``due_ns``."""

    def dial(self, owner: Any, origin: int, on_failed: Callable[[str], None]) -> None:
        """Open an HTTP connection for ``owner`` (``http1.Owner``), or call ``on_failed`` by its deadline."""

    def open_socket(
        self,
        owner: Any,
        origin: int,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        subprotocols: tuple[str, ...],
        *,
        offers_deflate: bool,
    ) -> SocketConnection:
        """Begin to open a WebSocket for ``owner`` (``websocket.SocketOwner``)."""

    def watch(self, connection: Connection) -> None:
        """Expire ``connection`` when its ``deadline_ns`` passes while it is busy."""

    def user_ended(self, user: Any) -> None:
        """Forget a user whose script is over."""


@dataclass(slots=True, kw_only=True)
class Run:
    """What all users of a worker share.

    Attributes:
        start_ns: monotonic instant of the run's start; times in records are relative to it.
        key: secret of the run that minted values derive from.
        clock: CLOCK_MONOTONIC in ns, as ``port.now_ns``, without a call between.
        is_stopping: no step begins any more; is_retiring: because ``--for`` is over, as planned.
        at_end: what a user does whose script is over.
        request_ns: ``deadlines.request_ns``, call_at: the port's, dues: the meter's, all at hand.
        storms: what the run's storms have in common; None where there are none.
        exhibits: makes what is kept of failures, once there is one.
        lease_until_ns: until when the worker may send without asking its port (monotonic ns).
    """

    plan: Plan
    port: Port
    meter: Meter
    budget: Budget
    pacing: Pacing
    deadlines: Deadlines
    speed: float
    max_gap_ns: int | None
    max_failures: int
    start_ns: int
    key: bytes
    clock: Callable[[], int]
    request_ns: int
    is_stopping: bool = False
    is_retiring: bool = False
    at_end: AtEnd = AtEnd.END
    lease_until_ns: int = 0
    storms: Storms | None = None
    exhibits: Exhibits | None = None
    call_at: Callable[[int, Callable[[Any, int], None], Any], None] = field(init=False)
    dues: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.call_at = self.port.call_at
        self.dues = self.meter.dues
