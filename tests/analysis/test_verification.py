from __future__ import annotations

from analysis.slots import SeriesKey
from analysis.verification import Tally, tallies_of, worst_of
from tests.analysis.runs import ASSET, MESSAGE, QUOTES, REPLY, measured

SSE: SeriesKey = ("sse.stream", (("route", "GET /events"),))


def test_each_kind_of_answer_has_its_own_share() -> None:
    measures = {
        QUOTES: measured(*[1.0] * 90, errors={"reset": 5}, mismatches={"status": 6, "empty": 4}),
        ASSET: measured(*[1.0] * 100),
        MESSAGE: measured(*[0.0] * 998, mismatches={"size": 2}),
    }
    assert tallies_of(measures, {"verify_checked": 50}) == (
        Tally(what="http answers", wrong=6, of=200),
        Tally(what="ws.message answers", wrong=2, of=1000),
        Tally(what="parsed documents", wrong=4, of=50),
    )


def test_series_without_a_check_dilute_nothing_but_their_mismatches_count() -> None:
    measures = {REPLY: measured(*[1.0] * 50), SSE: measured(1.0, mismatches={"content_type": 1})}
    assert tallies_of(measures, {}) == (Tally(what="sse.stream answers", wrong=1, of=2),)


def test_a_document_that_was_wrong_was_also_checked() -> None:
    (_, parsed) = tallies_of({QUOTES: measured(mismatches={"json": 3})}, {})
    assert (parsed.wrong, parsed.of) == (3, 3)


def test_the_worst_share_counts_and_of_equal_ones_the_best_known() -> None:
    small, large, bad = Tally(what="s", wrong=0, of=5), Tally(what="l", wrong=0, of=50), Tally(what="b", wrong=1, of=5)
    assert worst_of([small, large]) is large
    assert worst_of([large, bad, small]) is bad
    assert worst_of([]) is None
    assert tallies_of({}, {}) == ()
