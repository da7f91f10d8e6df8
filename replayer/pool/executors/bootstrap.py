"""The first function that runs in a spawned worker: finds the worker's main by name and calls it.

Kept apart so that the parent need not import what only workers use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocess.connection import Connection


def enter(worker_main: str, connection: Connection) -> None:
    """Call ``module:function`` with the worker's end of the socket pair."""
    module, _, function = worker_main.partition(":")
    getattr(importlib.import_module(module), function)(connection)
