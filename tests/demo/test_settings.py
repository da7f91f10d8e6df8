"""Settings are read from the environment, with units, and refuse what they cannot read."""

from __future__ import annotations

import pytest

from demo.target.faults import Faults
from demo.target.settings import Feed, Settings, SettingsError, duration_ns_of, settings_from, share_of


def test_an_empty_environment_gives_the_defaults() -> None:
    assert settings_from({}) == Settings()
    assert Settings().asks_for_login
    assert Settings().rate_limit_per_s is not None


def test_every_variable_is_read() -> None:
    environ = {
        "DEMO_SEED": "11",
        "DEMO_FEED": "frozen",
        "DEMO_TICK": "50ms",
        "DEMO_AUTH": "off",
        "DEMO_TOKEN_TTL": "20s",
        "DEMO_RATE_LIMIT": "2.5/s",
        "DEMO_DEFLATE": "on",
        "DEMO_API": "2",
        "DEMO_LATENCY": "300ms",
        "DEMO_STALL": "2s@1.5s",
        "DEMO_ERROR_RATE": "10%",
        "DEMO_REFUSE_UPGRADES": "1",
    }
    faults = Faults(
        latency_ns=300_000_000,
        stall_ns=2_000_000_000,
        stall_after_ns=1_500_000_000,
        error_rate=0.1,
        refuses_upgrades=True,
    )
    assert settings_from(environ) == Settings(
        seed=11,
        feed=Feed.FROZEN,
        tick_ns=50_000_000,
        asks_for_login=False,
        token_ttl_ns=20_000_000_000,
        rate_limit_per_s=2.5,
        offers_deflate=True,
        api_version=2,
        faults=faults,
    )


def test_the_rate_limit_can_be_switched_off() -> None:
    assert settings_from({"DEMO_RATE_LIMIT": "off"}).rate_limit_per_s is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DEMO_SEED", "seven"),
        ("DEMO_FEED", "broken"),
        ("DEMO_TICK", "200"),  # no unit
        ("DEMO_TICK", "1ms"),  # a busy loop
        ("DEMO_AUTH", "maybe"),
        ("DEMO_TOKEN_TTL", "0"),
        ("DEMO_TOKEN_TTL", "9000h"),
        ("DEMO_RATE_LIMIT", "100"),
        ("DEMO_RATE_LIMIT", "0/s"),
        ("DEMO_LATENCY", "-1s"),
        ("DEMO_STALL", "@2s"),
        ("DEMO_ERROR_RATE", "1.5"),
        ("DEMO_ERROR_RATE", "nan"),
        ("DEMO_REFUSE_UPGRADES", "2"),
        ("DEMO_API", "3"),
    ],
)
def test_what_cannot_be_read_is_refused_with_one_sentence(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from({name: text})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "ns"), [("0", 0), ("1.5s", 1_500_000_000), ("2m", 120_000_000_000), ("1h", 3600 * 10**9)]
)
def test_durations_have_units(text: str, ns: int) -> None:
    assert duration_ns_of(text) == ns


def test_shares_are_numbers_or_percentages() -> None:
    assert share_of("0.25") == share_of("25%") == 0.25
