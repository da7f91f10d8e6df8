"""An assignment survives its way over the pipe."""

from __future__ import annotations

import msgpack

from captures.units import NS_PER_S
from replayer.load.populations import PopulationLoad
from replayer.load.schedule import LoadOptions
from replayer.load.shapes import Burst
from replayer.pool.assignment import Assignment, assignment_from_body, assignment_to_body
from replayer.reach import ProxySpec, Reach, TlsSettings
from replayer.targets import TargetSpec
from replayer.user.ending import AtEnd
from replayer.user.pacing import Deadlines, Pacing


def test_an_assignment_is_the_same_after_msgpack() -> None:
    assignment = Assignment(
        worker=1,
        n_workers=3,
        plan=b"\x00plan",
        targets=(TargetSpec(scheme="https", host="staging.example", port=8443, addresses=("10.0.0.7", "::1")),),
        load=LoadOptions(users=7, speed=2.5, max_gap_ns=NS_PER_S, shape=Burst(at_ns=5), seed=2**63),
        per_run_key=bytes(16),
        pacing=Pacing.TIMELINE,
        deadlines=Deadlines(connect_ns=1),
        headers=((b"X-Api-Key", b"\xff"),),
        reach=Reach(
            tls=TlsSettings(ca_file="ca.pem", key_password="geheim", resumes=False),
            proxies=(ProxySpec(host="proxy", port=3128, addresses=("127.0.0.1",), authorization=b"Basic eA=="),),
            sources=("127.0.0.2",),
        ),
        identities=({"user": "ada"},),
        populations=(PopulationLoad(name="rest", n_scripts=2, load=LoadOptions(users=7), at_end=AtEnd.HOLD),),
    )
    carried = msgpack.unpackb(msgpack.packb(assignment_to_body(assignment)), strict_map_key=False)
    assert assignment_from_body(carried) == assignment


def test_the_authority_leaves_out_a_default_port_and_brackets_ipv6() -> None:
    table = [
        (("http", "a.example", 80), "http://a.example"),
        (("https", "a.example", 443), "https://a.example"),
        (("http", "a.example", 443), "http://a.example:443"),
        (("http", "::1", 8000), "http://[::1]:8000"),
    ]
    for (scheme, host, port), origin in table:
        assert TargetSpec(scheme=scheme, host=host, port=port, addresses=()).origin == origin


def test_without_populations_there_is_one_of_the_whole_plan() -> None:
    load = LoadOptions(users=4)
    assignment = Assignment(worker=0, n_workers=1, plan=b"", targets=(), load=load, per_run_key=b"", pacing=Pacing.ASAP)
    (only,) = assignment.crowd(3)
    assert (only.name, only.n_scripts, only.load, only.pacing) == ("", 3, load, Pacing.ASAP)
