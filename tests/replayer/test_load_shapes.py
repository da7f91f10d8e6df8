"""The grammar of load shapes."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captures.errors import ConfigError
from captures.units import NS_PER_MS, NS_PER_S, parse_duration_ns
from replayer.load.shapes import (
    Align,
    Body,
    Burst,
    Ramp,
    Rate,
    RateStage,
    RateStages,
    Recorded,
    Shape,
    Stage,
    Stages,
    duration_text,
    parse_shape,
    shape_from_body,
    shape_to_body,
)

SHAPES = [
    ("recorded", Recorded()),
    ("ramp:30s", Ramp(duration_ns=30 * NS_PER_S)),
    ("ramp:0", Ramp(duration_ns=0)),
    ("burst", Burst(at_ns=0)),
    ("burst:500ms", Burst(at_ns=500 * NS_PER_MS)),
    ("align", Align(at_ns=None)),
    ("align:5s", Align(at_ns=5 * NS_PER_S)),
    ("rate:50/s", Rate(per_s=50.0)),
    ("rate:90/m", Rate(per_s=1.5)),
    (" rate:0.5/s ", Rate(per_s=0.5)),
    ("rate:100/h", Rate(per_s=100 / 3600)),
    ("stages:30s@8,0s@3", Stages(stages=(Stage(duration_ns=30 * NS_PER_S, users=8), Stage(duration_ns=0, users=3)))),
    ("stages:2s@90/m", RateStages(stages=(RateStage(duration_ns=2 * NS_PER_S, per_s=1.5),))),
]


@pytest.mark.parametrize(("text", "shape"), SHAPES)
def test_a_shape_is_read_as_written(text: str, shape: Shape) -> None:
    assert parse_shape(text) == shape


@pytest.mark.parametrize("shape", [shape for _, shape in SHAPES])
def test_a_shape_is_written_as_it_could_have_been_typed(shape: Shape) -> None:
    assert parse_shape(str(shape)) == shape


@given(duration_ns=st.integers(0, 10**15))
def test_a_duration_is_written_exactly(duration_ns: int) -> None:
    assert parse_duration_ns(duration_text(duration_ns)) == duration_ns


@pytest.mark.parametrize("shape", [shape for _, shape in SHAPES])
def test_a_shape_survives_the_way_to_a_worker(shape: Shape) -> None:
    assert shape_from_body(msgpack.unpackb(msgpack.packb(shape_to_body(shape)))) == shape


@pytest.mark.parametrize("body", [[], ["recorded", 1], ["ramp", None], ["rate", "x"], ["stages", 1]])
def test_a_body_that_is_no_shape_is_refused(body: Body) -> None:
    with pytest.raises(ValueError, match="not a load shape"):
        shape_from_body(body)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("brust", "the shapes are recorded, ramp"),  # a typo is answered with the list
        ("steps:30s@800", "the shapes are recorded, ramp"),  # not known is not ignored
        ("stages", "needs its stages"),
        ("stages:30s", "does not say how many users"),
        ("stages:800@30s", "is not a duration"),
        ("stages:30s@many", "is no number of users"),
        ("stages:30s@8.5", "is no number of users"),
        ("stages:30s@10,30s@5/s", "mix users and rates"),
        ("stages:30s@0", "never have a user"),
        ("stages:0s@10", "last no time"),
        ("stages:30s@10000001", "a stage has 0 to"),
        ("", "unknown load shape"),
        ("ramp", "needs a duration"),
        ("ramp:", "ends at its colon"),
        ("ramp:30", "not a duration"),  # a bare number has no unit
        ("recorded:5s", "takes no argument"),
        ("burst:now", "not a duration"),
        ("rate:0/s", "rate above zero"),
        ("rate:50", "rate above zero"),
        ("rate:-1/s", "rate above zero"),
    ],
)
def test_a_wrong_shape_is_answered_with_what_to_write(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse_shape(text)
