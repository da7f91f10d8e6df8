"""The market is a function of seed and tick."""

from __future__ import annotations

import json

import pytest

from demo.target.market import CHANNELS, SYMBOLS, Market
from demo.target.settings import Feed

EVERYTHING = CHANNELS


def _text(market: Market, tick: int) -> str:
    return market.frame(tick).channels_json(EVERYTHING)


def test_equal_seeds_give_equal_markets_in_whatever_order_ticks_are_asked_for() -> None:
    one, other = Market(7, Feed.LIVE), Market(7, Feed.LIVE)
    forwards = [_text(one, tick) for tick in range(40)]
    backwards = [_text(other, tick) for tick in reversed(range(40))]
    assert forwards == backwards[::-1]
    assert one.depth("KIT", 12) == other.depth("KIT", 12)


def test_another_seed_gives_another_market() -> None:
    assert _text(Market(7, Feed.LIVE), 5) != _text(Market(8, Feed.LIVE), 5)


def test_live_prices_move_and_stay_within_the_daily_limit() -> None:
    market = Market(7, Feed.LIVE)
    seen = [market.frame(tick).prices for tick in range(0, 5000, 50)]
    for symbol in SYMBOLS:
        prices = [prices[symbol] for prices in seen]
        assert len(set(prices)) > 5
        assert max(prices) / min(prices) < 1.07**2
    assert all(abs(float(row["change_pct"])) <= 7 for row in market.frame(4950).tables["quotes"])


def test_volume_never_shrinks() -> None:
    market = Market(7, Feed.LIVE)
    volumes = [int(market.frame(tick).by_symbol["ALB"]["volume"]) for tick in range(200)]
    assert volumes == sorted(volumes)


def test_a_frozen_market_never_moves() -> None:
    market = Market(7, Feed.FROZEN)
    assert _text(market, 0) == _text(market, 999)


def test_an_empty_market_has_the_keys_and_nothing_in_them() -> None:
    parts = json.loads("{" + _text(Market(7, Feed.EMPTY), 3) + "}")
    assert parts == {"quotes": [], "indices": [], "foreign": [], "derivatives": [], "prices": {}}


def test_what_foreigners_bought_and_sold_adds_up() -> None:
    body = json.loads(Market(7, Feed.LIVE).frame(9).foreign_json)
    assert body["total"]["net"] == sum(row["net"] for row in body["foreign"])
    assert all(row["net"] == row["bought"] - row["sold"] for row in body["foreign"])


def test_bids_are_below_and_asks_above_the_last_price() -> None:
    depth = Market(7, Feed.LIVE).depth("QRZ", 77)
    last, bids, asks = depth["last"], depth["bids"], depth["asks"]
    assert isinstance(bids, list)
    assert isinstance(asks, list)
    assert isinstance(last, float)
    assert [price for price, _ in bids] == sorted((price for price, _ in bids), reverse=True)
    assert bids[0][0] < last < asks[0][0] < asks[4][0]


@pytest.mark.parametrize("channels", [("prices",), ("quotes", "prices"), ()])
def test_only_the_channels_asked_for_are_encoded(channels: tuple[str, ...]) -> None:
    parts = json.loads("{" + Market(7, Feed.LIVE).frame(1).channels_json(channels) + "}")
    assert tuple(parts) == channels
