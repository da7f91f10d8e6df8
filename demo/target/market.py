"""The market: what every instrument costs at every tick. Pure, and a function of seed and tick alone.

A price is ``reference × (1 + swing)``: two sine waves and a hash noise, so that any tick is computed without those
before it. All companies, indices and prices are invented.
"""

from __future__ import annotations

import json
import math
import random
import zlib
from dataclasses import dataclass
from functools import cached_property

from demo.target.settings import Feed

Row = dict[str, str | int | float]

CHANNELS = ("quotes", "indices", "foreign", "derivatives", "prices")

COMPANIES = (
    ("ALB", "Albatross Air"),
    ("ARB", "Arbor Timber"),
    ("BLU", "Bluewater Shipping"),
    ("BRK", "Brick & Lime"),
    ("CAN", "Canal Foods"),
    ("CDR", "Cedar Paper"),
    ("DNE", "Dune Solar"),
    ("ELM", "Elm Insurance"),
    ("FRN", "Fern Pharma"),
    ("GLD", "Gilded Retail"),
    ("HBR", "Harbour Bank"),
    ("ISL", "Island Hotels"),
    ("KIT", "Kite Telecom"),
    ("LMN", "Lumen Optics"),
    ("MAP", "Maple Grain"),
    ("NTH", "North Rail"),
    ("ORC", "Orchard Dairy"),
    ("PLM", "Plume Textiles"),
    ("QRZ", "Quartz Mining"),
    ("RVR", "River Power"),
    ("STL", "Stillwater Steel"),
    ("TDE", "Tide Energy"),
    ("VLT", "Vault Bank"),
    ("WVE", "Wave Software"),
)
SYMBOLS = tuple(symbol for symbol, _ in COMPANIES)
NAMES = dict(COMPANIES)
_INDICES = (("RHX", "Rush Hour Index", 24), ("RH10", "Rush Hour 10", 10), ("RHB", "Banks", 4), ("RHT", "Technology", 5))
_DERIVATIVES = (("RH10F1M", 1.0012), ("RH10F2M", 1.0031), ("RH10F1Q", 1.0065))
_LIMIT = 0.069
_FULL_CIRCLE = 2 * math.pi


@dataclass(frozen=True, slots=True, kw_only=True)
class _Instrument:
    symbol: str
    reference: float
    waves: tuple[tuple[float, float, float], ...]
    volume_per_tick: int
    trades_every_ticks: int
    foreign_lean: float

    def traded_at(self, tick: int) -> int:
        """Give the tick of the last trade."""
        return max(0, tick - (tick + self.volume_per_tick // 10) % self.trades_every_ticks)

    def price_at(self, traded_tick: int, noise: float) -> float:
        swing = sum(height * math.sin(traded_tick / length + phase) for height, length, phase in self.waves) + noise
        return round(self.reference * (1 + max(-_LIMIT, min(_LIMIT, swing))), 2)


class Frame:
    """The whole market at one tick; what leaves as JSON is encoded once."""

    def __init__(self, tick: int, tables: dict[str, list[Row]], prices: dict[str, float]) -> None:
        self.tick = tick
        self.tables = tables
        self.prices = prices

    @cached_property
    def by_symbol(self) -> dict[str, Row]:
        """Quotes by symbol."""
        return {str(row["symbol"]): row for row in self.tables["quotes"]}

    @cached_property
    def quotes_json(self) -> bytes:
        """Body of ``GET /api/quotes``."""
        return to_json({"tick": self.tick, "quotes": self.tables["quotes"]}).encode()

    @cached_property
    def indices_json(self) -> bytes:
        """Body of ``GET /api/indices``."""
        return to_json({"tick": self.tick, "indices": self.tables["indices"]}).encode()

    @cached_property
    def foreign_json(self) -> bytes:
        """Body of ``GET /api/foreign-flow``."""
        rows = self.tables["foreign"]
        bought = sum(int(row["bought"]) for row in rows)
        sold = sum(int(row["sold"]) for row in rows)
        total = {"bought": bought, "sold": sold, "net": bought - sold}
        return to_json({"tick": self.tick, "total": total, "foreign": rows}).encode()

    def channels_json(self, channels: tuple[str, ...]) -> str:
        """Encode some channels as the inside of a JSON object, in the order of ``CHANNELS``."""
        parts: dict[str, object] = {name: self.tables[name] for name in channels if name != "prices"}
        if "prices" in channels:
            parts["prices"] = self.prices
        return to_json(parts)[1:-1]


class Market:
    """Computes frames; ``frame(tick)`` of equal seeds are equal."""

    def __init__(self, seed: int, feed: Feed) -> None:
        self._seed = seed
        self._feed = feed
        self._instruments = () if feed is Feed.EMPTY else tuple(_instrument(seed, symbol) for symbol in SYMBOLS)
        self._latest = self._compute(0)

    def frame(self, tick: int) -> Frame:
        """Give the market at ``tick`` (≥ 0); the latest one is kept."""
        if self._feed is not Feed.LIVE or tick == self._latest.tick:
            return self._latest
        self._latest = self._compute(tick)
        return self._latest

    def depth(self, symbol: str, tick: int) -> Row | dict[str, object]:
        """Give the order book of one symbol: five bids and five asks, best first, as [price, quantity]."""
        last = self.frame(tick).prices.get(symbol, 0.0)
        dice = random.Random(f"{self._seed}:{symbol}:{self._latest.tick}:depth")
        step = _step_of(last)
        sides = {
            side: [[round(last + sign * step * level, 2), 100 * dice.randint(3, 90)] for level in range(1, 6)]
            for side, sign in (("bids", -1), ("asks", 1))
        }
        return {"symbol": symbol, "last": last, **sides}

    def _compute(self, tick: int) -> Frame:
        quotes = [_quote(each, tick, self._seed) for each in self._instruments]
        prices = {str(row["symbol"]): float(row["last"]) for row in quotes}
        indices = _indices(quotes)
        tables = {
            "quotes": quotes,
            "indices": indices,
            "foreign": [_foreign(each, tick) for each in self._instruments],
            "derivatives": _derivatives(indices),
        }
        return Frame(tick, tables, prices)


def to_json(value: object) -> str:
    """Encode without blanks."""
    return json.dumps(value, separators=(",", ":"))


def _noise(text: str) -> float:
    """Give a number from -1 to 1 that looks random and is always the same for the same text."""
    return zlib.crc32(text.encode()) / 0x7FFFFFFF - 1.0


def _step_of(price: float) -> float:
    return 0.01 if price < 10 else 0.05 if price < 50 else 0.1


def _instrument(seed: int, symbol: str) -> _Instrument:
    dice = random.Random(f"{seed}:{symbol}")
    return _Instrument(
        symbol=symbol,
        reference=round(math.exp(dice.uniform(math.log(6), math.log(180))), 2),
        waves=tuple(
            (dice.uniform(0.006, 0.024), dice.uniform(*lengths), dice.uniform(0, _FULL_CIRCLE))
            for lengths in ((90.0, 400.0), (18.0, 60.0))
        ),
        volume_per_tick=dice.randint(2, 60) * 10,
        trades_every_ticks=dice.randint(1, 9),
        foreign_lean=dice.uniform(0.35, 0.65),
    )


def _quote(each: _Instrument, tick: int, seed: int) -> Row:
    traded = each.traded_at(tick)
    last = each.price_at(traded, 0.0012 * _noise(f"{seed}:{each.symbol}:{traded}"))
    step = _step_of(last)
    return {
        "symbol": each.symbol,
        "last": last,
        "change": round(last - each.reference, 2),
        "change_pct": round(100 * (last / each.reference - 1), 2),
        "bid": round(last - step, 2),
        "ask": round(last + step, 2),
        "volume": each.volume_per_tick * (traded + 400),
    }


def _foreign(each: _Instrument, tick: int) -> Row:
    traded = each.volume_per_tick * (tick + 400) // 5
    lean = each.foreign_lean + 0.12 * math.sin(tick / 70 + each.reference)
    bought = round(traded * lean)
    return {"symbol": each.symbol, "bought": bought, "sold": traded - bought, "net": 2 * bought - traded}


def _indices(quotes: list[Row]) -> list[Row]:
    if not quotes:
        return []
    rows: list[Row] = []
    for number, (code, name, size) in enumerate(_INDICES):
        members = quotes[number :: len(quotes) // size][:size]
        change_pct = sum(float(row["change_pct"]) for row in members) / len(members)
        reference = 1000 + 240 * number
        value = round(reference * (1 + change_pct / 100), 2)
        rows.append({"code": code, "name": name, "value": value, "change_pct": round(change_pct, 2)})
    return rows


def _derivatives(indices: list[Row]) -> list[Row]:
    if not indices:
        return []
    spot = float(indices[1]["value"])
    return [
        {"code": code, "last": round(spot * premium, 1), "basis": round(spot * (premium - 1), 1)}
        for code, premium in _DERIVATIVES
    ]
