"""Every executor keeps the contract."""

from __future__ import annotations

import pytest

from replayer.pool.executors.executor import Executor
from replayer.pool.executors.local import LocalExecutor
from tests.replayer.executor_contract import ExecutorContract

pytestmark = pytest.mark.process


class TestLocal(ExecutorContract):
    """Workers as processes of this machine."""

    def make(self, worker_main: str) -> Executor:
        return LocalExecutor(worker_main)
