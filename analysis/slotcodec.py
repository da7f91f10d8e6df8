"""Second-slots as msgpack-able lists, and back: what crosses the pipe from a worker and what lies in a run file. Pure.

The body of a slot, fields by position; only ever appended to::

    [worker, second, measures, lag, loop, counts, gauges, cpu_ns, steps, broadcasts]
    measure: [name, labels, planned, ok, latency, service, failed, mismatched, errors, mismatches, latency_sum_us,
              latency_max_us, service_sum_us, service_max_us, bytes_in, eligible, checked, warnings, items, due_milli]
    steps:   as of ``steplog``
    broadcast: [route, message, digest, first_ns, late_us]

``labels`` are a flat list key, value, key, value. Histograms and counts are maps as they are: unpack with
``strict_map_key=False``.
"""

from __future__ import annotations

from typing import Any

from analysis.earliersteps import is_rows, steps_from_rows
from analysis.slots import Broadcast, Measure, SecondSlot, SeriesKey
from analysis.steplog import StepLog, flat, log_from_body, log_to_body, pairs

_MEASURE_FIELDS = 20


def slot_to_body(slot: SecondSlot) -> list[Any]:
    """Return a slot as a list that msgpack can hold; it shares the slot's dicts, so pack it before the slot changes."""
    return [
        slot.worker,
        slot.second,
        [_measure_to_row(key, measure) for key, measure in slot.measures.items()],
        slot.lag,
        slot.loop,
        slot.counts,
        slot.gauges,
        slot.cpu_ns,
        log_to_body(slot.steps),
        [list(broadcast) for broadcast in slot.broadcasts],
    ]


def slot_from_body(body: Any) -> SecondSlot:
    """Return the slot of a body; it shares the body's dicts.

    Raises:
        ValueError: the body is not a slot.
    """
    try:
        worker, second, measures, lag, loop, counts, gauges, cpu_ns, steps = body[:9]
        return SecondSlot(
            worker,
            second,
            {(row[0], pairs(row[1])): Measure(*row[2:_MEASURE_FIELDS]) for row in measures},
            lag,
            loop,
            counts,
            gauges,
            cpu_ns,
            _steps_from(steps),
            [Broadcast(*row[: len(Broadcast._fields)]) for row in (body[9] if len(body) > 9 else ())],
        )
    except (TypeError, IndexError, KeyError) as exc:
        raise ValueError(f"not a second-slot: {exc}") from exc


def _measure_to_row(key: SeriesKey, measure: Measure) -> list[Any]:
    return [
        key[0],
        flat(key[1]),
        measure.planned,
        measure.ok,
        measure.latency,
        measure.service,
        measure.failed,
        measure.mismatched,
        measure.errors,
        measure.mismatches,
        measure.latency_sum_us,
        measure.latency_max_us,
        measure.service_sum_us,
        measure.service_max_us,
        measure.bytes_in,
        measure.eligible,
        measure.checked,
        measure.warnings,
        measure.items,
        measure.due_milli,
    ]


def _steps_from(body: Any) -> StepLog:
    return StepLog(steps_from_rows(body)) if is_rows(body) else log_from_body(body)
