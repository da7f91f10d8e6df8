"""Step records in the forms in which earlier versions stored them: rows, and columns of them. Pure; read only.

Rows stood in a ``TOTAL`` frame of a run file, columns in a ``STORED`` one; both hold ``steplog`` bytes since::

    row:     [user, session, step, name, labels, intended_ns, actual_ns, end_ns, outcome, status, detail, request,
              slots, recorded], the last three only since failures have evidence
    columns: [[name, labels] …, n, user, session, step, series, intended_ns, actual − intended, end − intended, outcome,
              status, detail, request, slots, recorded], a column whose values are all the same holding it once
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from analysis.steplog import StepRecord, pairs

_STEP_FIELDS = 14
_PLAIN_STEP_FIELDS = 11
"""The evidence of a failure stands behind them."""


def is_rows(body: Any) -> bool:
    """Tell whether the steps of a slot's body are rows."""
    return bool(body) and isinstance(body[0][0], int)


def is_columns(stored: Any) -> bool:
    """Tell whether the steps of a stored slot are columns."""
    return len(stored) > 1 and isinstance(stored[1], int)


def steps_from_rows(rows: Any) -> Iterator[StepRecord]:
    """Yield the records of rows."""
    for row in rows:
        record = StepRecord(row[0], row[1], row[2], (row[3], pairs(row[4])), *row[5:_PLAIN_STEP_FIELDS])
        if len(row) >= _STEP_FIELDS:
            record.request, slots, record.recorded = row[_PLAIN_STEP_FIELDS:_STEP_FIELDS]
            record.slots = pairs(slots)
        yield record


def steps_from_columns(stored: Any) -> Iterator[StepRecord]:
    """Yield the records of columns."""
    table, n, *columns = stored
    series = [(name, pairs(labels)) for name, labels in table]
    rows = zip(*(column if len(column) == n else column * n for column in columns), strict=True)
    for row in rows:
        at_ns, lag_ns, took_ns = row[4:7]
        record = StepRecord(row[0], row[1], row[2], series[row[3]], at_ns, at_ns + lag_ns, at_ns + took_ns, row[7])
        record.status, record.detail, record.request, slots, record.recorded = row[8:]
        record.slots = pairs(slots)
        yield record
