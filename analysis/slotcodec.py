"""Second-slots as msgpack-able lists, and back: what crosses the pipe from a worker and what lies in a run file. Pure.

The body of a slot, fields by position; only ever appended to::

    [worker, second, measures, lag, loop, counts, gauges, cpu_ns, steps, broadcasts]
    measure: [name, labels, planned, ok, latency, service, failed, mismatched, errors, mismatches, latency_sum_us,
              latency_max_us, service_sum_us, service_max_us, bytes_in, eligible, checked, warnings, items, due_milli]
    step:    [user, session, step, name, labels, intended_ns, actual_ns, end_ns, outcome, status, detail, request,
              slots, recorded]
    broadcast: [route, message, digest, first_ns, late_us]

``labels`` and ``slots`` are flat lists key, value, key, value. Histograms and counts are maps as they are: unpack with
``strict_map_key=False``.
"""

from __future__ import annotations

from typing import Any

from analysis.slots import Broadcast, Measure, SecondSlot, SeriesKey, StepRecord

_MEASURE_FIELDS = 20
_STEP_FIELDS = 14
_PLAIN_STEP_FIELDS = 11
"""The evidence of a failure stands behind them."""


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
        _steps_to_rows(slot.steps),
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
            {(row[0], _pairs(row[1])): Measure(*row[2:_MEASURE_FIELDS]) for row in measures},
            lag,
            loop,
            counts,
            gauges,
            cpu_ns,
            _steps_from_rows(steps),
            [Broadcast(*row[: len(Broadcast._fields)]) for row in (body[9] if len(body) > 9 else ())],
        )
    except (TypeError, IndexError, KeyError) as exc:
        raise ValueError(f"not a second-slot: {exc}") from exc


def _measure_to_row(key: SeriesKey, measure: Measure) -> list[Any]:
    return [
        key[0],
        [text for label in key[1] for text in label],
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


def _steps_to_rows(steps: list[StepRecord]) -> list[list[Any]]:
    """The labels of a series are one list, however many steps it has."""
    labels = {series: [text for label in series[1] for text in label] for series in {step.series for step in steps}}
    return [
        [
            step.user,
            step.session,
            step.step,
            step.series[0],
            labels[step.series],
            step.intended_ns,
            step.actual_ns,
            step.end_ns,
            step.outcome,
            step.status,
            step.detail,
            step.request,
            [text for slot in step.slots for text in slot] if step.slots else (),
            step.recorded,
        ]
        for step in steps
    ]


def _steps_from_rows(rows: Any) -> list[StepRecord]:
    known: dict[tuple[str, ...], SeriesKey] = {}
    return [_step_from_row(row, known) for row in rows]


def _step_from_row(row: Any, known: dict[tuple[str, ...], SeriesKey]) -> StepRecord:
    """``known`` holds the series so far by name and labels."""
    key = (row[3], *row[4])
    series = known.get(key)
    if series is None:
        series = known[key] = (row[3], _pairs(row[4]))
    record = StepRecord(row[0], row[1], row[2], series, *row[5:_PLAIN_STEP_FIELDS])
    if len(row) >= _STEP_FIELDS and (row[_PLAIN_STEP_FIELDS] or row[_PLAIN_STEP_FIELDS + 1] or row[_STEP_FIELDS - 1]):
        record.request, slots, record.recorded = row[_PLAIN_STEP_FIELDS:_STEP_FIELDS]
        record.slots = _pairs(slots)
    return record


def _pairs(flat: list[str]) -> tuple[tuple[str, str], ...]:
    return tuple(zip(flat[::2], flat[1::2], strict=True))
