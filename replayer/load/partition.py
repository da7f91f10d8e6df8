"""Which worker plays which user: user mod workers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from replayer.load.schedule import Arrival


def share_of(arrivals: Iterable[Arrival], *, worker: int, n_workers: int) -> Iterator[Arrival]:
    """Keep the arrivals of one worker, in their order; the shares of all workers together are the schedule."""
    return (arrival for arrival in arrivals if arrival.user % n_workers == worker)


def users_per_script(*, users: int, n_scripts: int) -> list[int]:
    """Return how many users play each script: user i plays script i mod ``n_scripts``."""
    return [len(range(script, users, n_scripts)) for script in range(n_scripts)]
