"""The rules file: written, edited, read back, and refused where it speaks of nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from captures.errors import ConfigError
from captures.sessions import Capture, load_capture
from replayer.plan.cli import plan as plan_command
from replayer.plan.codec import plan_to_bytes
from replayer.plan.compile import compile_explained, compile_plan
from replayer.plan.records import Plan, RouteKind, SlotKind, StepKind
from replayer.plan.rules import Rules, rules_from, slot_id
from replayer.plan.rules_out import rules_text
from tests.commands import ROOT
from tests.fakes_captures import Tape, capture_of
from tests.fakes_plans import Player

GOLDEN = ROOT / "captures" / "golden" / "demo" / "market.rush"
TOKEN = "Zx81kQpTeyW0mBv7_JrXa-99sLwQ"
HASH = "5e884898da28047151d0e56f8dc62927"


def _shop() -> Capture:
    tape = Tape()
    tape.post("/login", send_json={"user": "ann"}, answer_json={"token": TOKEN, "other": TOKEN})
    tape.get("/api/quotes/FPT", sent=[("Authorization", f"Bearer {TOKEN}")], answer_json={"last": 1})
    tape.get("/api/quotes/FPT", sent=[("Authorization", f"Bearer {TOKEN}")], answer_json={"last": 1})
    tape.post("/api/orders", send_json={"ref": "abcd-0001", "symbol": "FPT"}, status=201, answer_json={"id": HASH})
    tape.get(f"/api/orders/{HASH}", answer_json={"state": "new"})
    messages: list[tuple[float, str, Any]] = [
        (20, ">", {"op": "buy", "n": 1}),
        (30, "<", {"op": "news"}),
        (40, "<", {"op": "bought"}),
    ]
    tape.socket("/ws", messages, close_ms=900)
    return capture_of(tape)


def _ruled(text: str, capture: Capture | None = None) -> Plan:
    return compile_plan(capture or _shop(), rules=rules_from(text, "rules.toml"))


def _routes(plan: Plan) -> list[str]:
    return [route.name for route in plan.routes]


@pytest.mark.parametrize("source", ["golden", "made"])
def test_a_rules_file_read_back_unchanged_gives_the_same_plan_byte_for_byte(source: str) -> None:
    capture = load_capture(GOLDEN) if source == "golden" else _shop()
    compiled = compile_explained(capture, with_places=True)
    text = rules_text(compiled, capture="market.rush", name="rules.toml")
    assert plan_to_bytes(_ruled(text, capture)) == plan_to_bytes(compiled.plan)
    assert text == rules_text(compile_explained(capture, with_places=True), capture="market.rush", name="rules.toml")


def test_the_same_capture_and_rules_give_the_same_bytes() -> None:
    text = '[[route]]\nname = "GET /api/quotes/FPT"\ntemplate = "/api/quotes/{symbol}"\n'
    assert plan_to_bytes(_ruled(text)) == plan_to_bytes(_ruled(text))


def test_a_template_makes_one_route_of_many_paths_and_names_it() -> None:
    plan = _ruled('[[route]]\nname = "GET /api/quotes/FPT"\ntemplate = "/api/quotes/{symbol}"\nkind = "document"\n')
    assert "GET /api/quotes/{symbol}" in _routes(plan)
    assert plan.routes[_routes(plan).index("GET /api/quotes/{symbol}")].kind is RouteKind.DOCUMENT


def test_a_route_is_played_once_or_never() -> None:
    once = _ruled('[[route]]\nname = "GET /api/quotes/FPT"\nplay = "once"\n')
    never = _ruled('[[route]]\nname = "GET /api/quotes/FPT"\nplay = "skip"\n')
    counts = [
        [once.routes[s.route].name for s in p.scripts[0].steps].count("GET /api/quotes/FPT") for p in (once, never)
    ]
    assert counts == [1, 0]
    for plan in (once, never):
        assert all(step.index == n for n, step in enumerate(plan.scripts[0].steps))


def test_a_step_whose_value_others_need_cannot_be_skipped() -> None:
    with pytest.raises(ConfigError, match=r"line 1: POST /api/orders \(step 3\) brings order_id"):
        _ruled('[[route]]\nname = "POST /api/orders"\nplay = "skip"\n')


def test_a_rule_says_what_writes() -> None:
    plan = _ruled('[[route]]\nname = "POST /api/orders"\nwrites = false\n')
    assert not [s for s in plan.scripts[0].steps if s.is_unsafe and plan.routes[s.route].name == "POST /api/orders"]


def test_a_place_stays_literal_is_minted_or_comes_from_the_identities() -> None:
    at = "POST /api/orders | json /ref"
    plans = [
        _ruled(f'[[slot]]\nat = "{at}"\nuse = "{use}"\n') for use in ("mint:alnum:9", "input:reference", "literal")
    ]
    kinds = [{slot.kind for slot in plan.scripts[0].slots} for plan in plans]
    assert SlotKind.GENERATED in kinds[0] and SlotKind.INPUT in kinds[1]
    assert kinds[2] == {SlotKind.EXTRACTED}
    by_id = _ruled(f'[[slot]]\nid = "{slot_id(at)}"\nuse = "input:reference"\n')
    assert by_id == plans[1], "the id names the same place"


def test_a_place_is_bound_to_the_producer_that_a_person_chose() -> None:
    at = "GET /api/quotes/FPT | header authorization"
    plan = _ruled(f'[[slot]]\nat = "{at}"\nfrom = "POST /login | json /other"\nuse = "extract"\n')
    (extractor,) = plan.scripts[0].steps[0].extractors
    assert extractor.path == ("other",)


def test_a_value_that_the_score_left_alone_is_extracted_where_a_person_says_so() -> None:
    tape = Tape()
    tape.get("/next", answer_json={"page": "two"})
    tape.get("/list?page=two", answer_json={})
    text = '[[slot]]\nat = "GET /list | query page"\nuse = "extract"\n'
    script = _ruled(text, capture_of(tape)).scripts[0]
    player = Player(script)
    player.answer(script.steps[0], document={"page": "live"})
    assert player.target(script.steps[1]) == b"/list?page=live"


def test_a_cookie_from_before_the_recording_becomes_a_column() -> None:
    tape = Tape()
    for path in ("/", "/me"):
        tape.get(path, sent=[("Cookie", f"sid={HASH}; theme=dark")], answer_json={"ok": True})
    rules = "".join(f'[[slot]]\nat = "GET {path} | cookie sid"\nuse = "input:sid"\n' for path in ("/", "/me"))
    script = _ruled(rules, capture_of(tape)).scripts[0]
    assert [cookie.name for cookie in script.cookies] == [b"theme"]
    assert [slot.detail for slot in script.slots if slot.kind is SlotKind.INPUT] == ["sid"]
    player = Player(script)
    player.fill([slot.kind for slot in script.slots].index(SlotKind.INPUT), b"own")
    assert player.header(script.steps[1], "cookie") == b"jar=1; sid=own"


def test_a_pairing_is_made_and_unmade() -> None:
    base = '[[pairing]]\nroute = "WS /ws"\nsend = "buy"\n'
    made = _ruled(f'{base}reply = "bought"\n').scripts[0]
    (send,) = [step for step in made.steps if step.kind is StepKind.SEND]
    pairing = made.steps[send.reply].pairing
    assert pairing is not None and pairing.rule == "a rule"
    tape = Tape()
    tape.socket("/ws", [(20, ">", {"op": "buy", "id": 7}), (30, "<", {"op": "bought", "id": 7})], close_ms=900)
    unmade = _ruled(base, capture_of(tape)).scripts[0]
    assert not [step for step in unmade.steps if step.kind is StepKind.RECEIVE]


def test_a_requirement_stands_in_the_plan() -> None:
    plan = _ruled('[[require]]\nroute = "GET /api/quotes/FPT"\nrequired = ["last"]\nmin_items = { rows = 2 }\n')
    quotes = [step for step in plan.scripts[0].steps if plan.routes[step.route].name == "GET /api/quotes/FPT"]
    assert all(len(step.expectation.demands) == 2 for step in quotes)


# Rules · what the error says.
WRONG = [
    (
        'version = 1\n\n[[route]]\nname = "GET /api/quote/FPT"\n',
        r"line 3: there is no route GET /api/quote/FPT: did you mean GET /api/quotes/FPT",
    ),
    (
        '[[slot]]\nat = "POST /api/orders | json /reff"\n',
        r"line 1: nothing is sent at .*did you mean POST /api/orders \| json /ref\?",
    ),
    ('[[pairing]]\nroute = "WS /wss"\nsend = "x"\n', r"line 1: there is no socket WS /wss: did you mean WS /ws\?"),
    (
        '[[pairing]]\nroute = "WS /ws"\nsend = "buyy"\n',
        r"line 1: on WS /ws the client sent no buyy: did you mean buy\?",
    ),
    ('[[route]]\nname = "GET /x"\nplay = "twice"\n', r"line 1: play = 'twice': one of always, once, skip"),
    ('[[route]]\nname = "GET /x"\ncolour = "red"\n', r"line 1: \[\[route\]\] has no colour"),
    ('[[slot]]\nat = "x | y"\nuse = "mint:snow"\n', r"line 1: use = 'mint:snow'"),
    ('[[slot]]\nuse = "literal"\n', r"line 1: \[\[slot\]\] names no place"),
    ("[[rout]]\n", r"there is no rout in a rules file"),
    ("version = 9\n", r"version 9 is not 1"),
    ("[[route\n", r"is not TOML"),
    ('[[slot]]\nat = "POST /api/orders | json /ref"\nuse = "extract"\n', r"line 1: nothing showed the value of"),
    (
        '[[slot]]\nat = "GET /api/quotes/FPT | header authorization"\nfrom = "GET / | json /x"\n',
        r"line 1: GET / \| json /x did not show the value",
    ),
    (
        'version = 1\n[[require]]\nroute = "GET /nowhere"\n',
        r"line 2: \[\[require\]\] names the route GET /nowhere, which the plan does not have: it has ",
    ),
    ('[[require]]\nroute = "GET /x"\n\n[[require]]\nmax_bytes = 1\n', r"line 4: \[\[require\]\] names no route"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_wrong_rule_is_refused_with_its_line_and_the_way_out(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _ruled(text)


def test_no_rules_are_rules_too() -> None:
    assert rules_from("", "rules.toml").routes == ()
    assert compile_plan(_shop(), rules=rules_from("version = 1\n", "r")) == compile_plan(_shop(), rules=Rules())


def _run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(plan_command, [str(each) for each in arguments], catch_exceptions=True)
    error = str(result.exception) if isinstance(result.exception, ConfigError) else ""
    return (2 if error else result.exit_code), result.output + error


def test_the_command_writes_rules_and_identities_and_never_over_what_is_there(tmp_path: Path) -> None:
    rules, users = tmp_path / "rules.toml", tmp_path / "users.csv"
    assert _run(GOLDEN, "--rules-out", rules, "--identities-template", users)[0] == 0
    assert users.read_text() == "password,user\n"
    code, text = _run(GOLDEN, "--rules", rules, "--json")
    assert code == 0 and '"plan_sha256"' in text
    assert _run(GOLDEN, "--rules-out", rules) == (2, f"{rules} is there already: name another file, or remove it first")
    assert _run(GOLDEN, "--rules", tmp_path / "none.toml")[0] == 2


def test_read_only_drops_writes_and_what_needs_them_but_keeps_the_login() -> None:
    code, text = _run(GOLDEN, "--read-only", "--json")
    assert code == 0
    assert '"POST /api/login"' in text and '"what": "POST /api/orders"' not in text
    assert '"what": "GET /api/orders/{id}"' not in text, "there is no order to ask for"


def test_strict_refuses_what_nothing_brings(tmp_path: Path) -> None:
    assert _run(GOLDEN, "--strict", "--json")[0] == 0
    tape = Tape()
    tape.get("/me", sent=[("Authorization", f"Bearer {TOKEN}")])
    from replayer.plan.unbound import unbound_places

    assert unbound_places(compile_explained(capture_of(tape))) == ["GET /me | header authorization"]
