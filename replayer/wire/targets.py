"""Moved to ``replayer.targets``."""

from __future__ import annotations

from replayer.targets import *
