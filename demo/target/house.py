"""What all routes of one target share: its settings, market, accounts, ledger, faults and clock."""

from __future__ import annotations

import random
import time

from demo.target.accounts import Accounts, Login
from demo.target.faults import FaultClock
from demo.target.ledger import Ledger
from demo.target.limits import RateLimit
from demo.target.market import Frame, Market
from demo.target.settings import Settings

_NS_PER_MS = 1_000_000


class House:
    """One running target."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.market = Market(settings.seed, settings.feed)
        self.accounts = Accounts(settings.token_ttl_ns)
        self.ledger = Ledger()
        self.faults = FaultClock(settings.faults)
        self.limit = RateLimit(settings.rate_limit_per_s) if settings.rate_limit_per_s is not None else None
        self.dice = random.Random(settings.seed)
        self.orders: dict[str, Order] = {}
        self._started_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        """Monotonic time."""
        return time.monotonic_ns()

    def wall_ms(self) -> int:
        """Wall clock, ms since the epoch."""
        return time.time_ns() // _NS_PER_MS

    def tick(self) -> int:
        """Ticks since the start."""
        return (self.now_ns() - self._started_ns) // self.settings.tick_ns

    def until_tick_s(self, tick: int) -> float:
        """Seconds until a tick begins, at least 0."""
        return max(0, self._started_ns + tick * self.settings.tick_ns - self.now_ns()) / 1e9

    def frame(self) -> Frame:
        """The market as it is."""
        return self.market.frame(self.tick())


class Order:
    """An order that was accepted."""

    __slots__ = ("login", "placed_ms", "row")

    def __init__(self, login: Login | None, row: dict[str, object], placed_ms: int) -> None:
        self.login = login
        self.row = row
        self.placed_ms = placed_ms
