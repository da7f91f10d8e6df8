"""Moved to ``replayer.failures``."""

from __future__ import annotations

from replayer.failures import *
