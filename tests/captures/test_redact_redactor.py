"""The redactor: what becomes of events, one by one and as a whole."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captures.records import Event, EventType, Exchange
from captures.redact.inputs import Input, column_of, identities_csv, inputs_in, placeholder
from captures.redact.known import Known
from captures.redact.policy import Policy
from captures.redact.policy_file import load_policy
from captures.redact.redactor import Redactor
from captures.sessions import load_capture, load_sessions
from tests.captures.recording import Tape

KEY = bytes(range(32))
TOKEN = "q8ZkP2nV5xYw3RtAq8ZkP2nV"
LOGIN = {"user": "demo042", "password": "paper-lantern-42", "remember": True, "pin": 4711}


def recorded(path: Path) -> list[Exchange]:
    """All exchanges of a capture."""
    return [exchange for session in load_capture(path).sessions for exchange in session.exchanges]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test records."""
    return tmp_path / "a.rush"


def test_what_is_typed_becomes_inputs_wherever_it_comes_again(path: Path) -> None:
    with Tape(path) as tape:
        tape.exchange(json.dumps(LOGIN).encode(), "application/json", "", is_request=True)
        tape.exchange(b'{"account": {"user": "demo042"}}', "application/json", "", is_request=False)
        tape.ask("/people/demo042/orders?hint=paper-lantern-42")
    login, account, orders = recorded(path)
    assert json.loads(login.request_body.data) == {
        "user": "{{input.user}}",
        "password": "{{input.password}}",
        "remember": True,
        "pin": "{{input.pin|number}}",
    }
    assert json.loads(account.response_body.data) == {"account": {"user": "{{input.user}}"}}
    assert orders.target == "/people/%7B%7Binput.user%7D%7D/orders?hint=%7B%7Binput.password%7D%7D"
    assert Path(f"{path}.identities.csv").read_text() == "user,password,pin\n"


def test_a_password_in_a_variable_of_graphql_is_told_by_its_argument(path: Path) -> None:
    query = "mutation L($u: String!, $p: String!) { login(user: $u, password: $p) { token } }"
    with Tape(path) as tape:
        sent = {"query": query, "variables": {"u": "demo042", "p": "paper-lantern-42"}}
        tape.exchange(json.dumps(sent).encode(), "application/json", "", is_request=True)
    (login,) = recorded(path)
    assert json.loads(login.request_body.data)["variables"]["p"] == "{{input.password}}"
    assert b"paper-lantern" not in path.read_bytes()


@pytest.mark.parametrize("scheme", ["Bearer", "token", "ApiKey", "DPoP", "AWS4-HMAC-SHA256"])
@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        # A page's script, minified script, a configuration, and one as text in it.
        ("text/html", '<script>go({Authorization: "SCHEME " + login.token})</script>'),
        ("application/javascript", 'a.headers.Authorization="SCHEME "+b;'),
        ("application/json", '{"authorization": "SCHEME ", "apiKey": "SCHEME"}'),
        ("text/plain", "authorization=SCHEME\nAuthorization: SCHEME \nsecret: 'SCHEME '"),
    ],
)
def test_the_name_of_a_scheme_is_no_secret_and_stays_before_tokens(
    path: Path, media_type: str, body: str, scheme: str
) -> None:
    text = body.replace("SCHEME", scheme).encode()
    with Tape(path) as tape:
        tape.exchange(text, media_type, "", is_request=False)
        tape.ask("/orders", authorization=f"{scheme} {TOKEN}")
    page, orders = recorded(path)
    assert page.response_body.data == text
    (sent,) = (value for name, value in orders.request_headers if name.lower() == b"authorization")
    assert sent.startswith(f"{scheme} ".encode()) and TOKEN.encode() not in sent


def test_a_value_is_the_same_wherever_it_stands_under_whatever_name_it_came_first(path: Path) -> None:
    random = Random(3)
    values = [base64.urlsafe_b64encode(random.randbytes(12)).decode() for _ in range(60)]
    with Tape(path) as tape:
        for value in values:
            tape.exchange(json.dumps({"receipt": value}).encode(), "application/json", "", is_request=False)
        for value in values:
            tape.message(json.dumps(["collect", {"key": value}]).encode(), sender=1)
    *answers, socket = recorded(path)
    assert socket.socket is not None
    sent = [json.loads(message.data)[1]["key"] for message in socket.socket.messages]
    assert [json.loads(answer.response_body.data)["receipt"] for answer in answers] == sent
    # A few are mere letters, which nobody can tell from a name.
    assert len(set(sent) & set(values)) <= 3


def test_a_form_and_basic_authorization_become_inputs_in_their_coding(path: Path) -> None:
    with Tape(path) as tape:
        form = b"user%5Bname%5D=bob&user%5Bpassword%5D=hun%2Bter2!&commit=Log+in"
        tape.exchange(form, "application/x-www-form-urlencoded", "", is_request=True)
        tape.ask("/", authorization="Basic Ym9iOmh1bnRlcjIyIQ==")
    login, page = recorded(path)
    assert login.request_body.data == (
        b"user%5Bname%5D=%7B%7Binput.user_name%7D%7D&user%5Bpassword%5D=%7B%7Binput.user_password%7D%7D&commit=Log+in"
    )
    assert dict(page.request_headers)[b"authorization"] == b"Basic {{input.authorization|base64}}"


@pytest.mark.parametrize(
    ("target", "redacted"),
    [
        ("/l?next=%2Fb%3Fpassword%3Dpaper-42", "/l?next=%2Fb%3Fpassword%3D%7B%7Binput.password%7D%7D"),
        (
            "/l?next=%2Fb%3Fn%3D%252Fc%253Fpassword%253Dpaper-42",
            "/l?next=%2Fb%3Fn%3D%252Fc%253Fpassword%253D%7B%7Binput.password%7D%7D",
        ),
        (
            "/l?v=%7B%22password%22%3A%22paper-42%22%7D",
            "/l?v=%7B%22password%22%3A%22%7B%7Binput.password%7D%7D%22%7D",
        ),
    ],
)
def test_an_input_inside_of_a_field_is_coded_once(path: Path, target: str, redacted: str) -> None:
    with Tape(path) as tape:
        tape.ask(target)
    (exchange,) = recorded(path)
    assert exchange.target == redacted


def test_producers_and_consumers_stay_equal(path: Path) -> None:
    with Tape(path) as tape:
        tape.exchange(json.dumps({"access_token": TOKEN}).encode(), "application/json", "br-not", is_request=False,
                      is_encoded=False)  # fmt: skip
        tape.ask("/a", authorization=f"Bearer {TOKEN}")
        tape.ask(f"/ws?token={TOKEN}")
        tape.message(json.dumps({"auth": {"token": TOKEN}}).encode(), sender=1)
        tape.ask("/b", **{"set-cookie": f"sid={TOKEN}; Path=/"})
        tape.ask("/c", cookie=f"a=b; sid={TOKEN}")
    exchanges = recorded(path)
    made = json.loads(exchanges[0].response_body.data)["access_token"].encode()
    assert made != TOKEN.encode() and len(made) == len(TOKEN)
    assert dict(exchanges[1].request_headers)[b"authorization"] == b"Bearer " + made
    assert exchanges[2].target == f"/ws?token={made.decode()}"
    (socket,) = [exchange.socket for exchange in exchanges if exchange.socket]
    assert json.loads(socket.messages[0].data)["auth"]["token"].encode() == made
    assert dict(exchanges[4].response_headers)[b"set-cookie"] == b"sid=" + made + b"; Path=/"
    assert dict(exchanges[5].request_headers)[b"cookie"] == b"a=b; sid=" + made


def test_an_encoded_body_is_stored_decoded_and_keeps_its_size(path: Path) -> None:
    text = json.dumps({"items": [1, 2, 3] * 100, "access_token": TOKEN}).encode()
    with Tape(path) as tape:
        tape.exchange(gzip.compress(text), "application/json", "gzip", is_request=False, n_pieces=4)
    (exchange,) = recorded(path)
    body = exchange.response_body
    assert json.loads(body.data)["items"] == [1, 2, 3] * 100
    assert body.size_bytes == len(gzip.compress(text)) and body.encoding == "gzip" and not body.is_cut
    assert b"content-encoding" not in dict(exchange.response_headers)
    assert len(exchange.chunks) == 4


def test_a_body_that_cannot_be_decoded_is_left_out_and_told(path: Path) -> None:
    with Tape(path) as tape:
        tape.exchange(b"this is no gzip, token=" + TOKEN.encode(), "application/json", "gzip", is_request=False)
        tape.exchange(gzip.compress(b"0" * (70 << 20)), "text/plain", "gzip", is_request=False)
    assert [exchange.response_body.data for exchange in recorded(path)] == [b"", b""]
    assert [note.name for note in load_capture(path).notes].count("body_not_kept") == 2


def test_the_hash_of_a_changed_body_tells_nothing_and_of_others_stays(path: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.rush"
    for out, redaction in ((path, (True, "", "")), (plain, (False, "", ""))):
        with Tape(out, redaction=redaction) as tape:
            tape.exchange(b'{"password": "x1"}', "application/json", "", is_request=True)
            tape.exchange(b'{"quote": "12.5"}', "application/json", "", is_request=False)
    (ours, quote), (theirs, other) = recorded(path), recorded(plain)
    assert ours.request_body.hash != theirs.request_body.hash and len(ours.request_body.hash) == 16
    assert quote.response_body == other.response_body


def test_an_event_stream_goes_on_line_by_line(path: Path) -> None:
    lines = b"".join(b'data: {"n": %d, "token": "%s%d"}\n\n' % (n, TOKEN.encode(), n) for n in range(3))
    with Tape(path) as tape:
        tape.exchange(lines, "text/event-stream", "", is_request=False, n_pieces=5)
    (exchange,) = recorded(path)
    assert [json.loads(line[6:])["n"] for line in exchange.response_body.data.splitlines() if line] == [0, 1, 2]
    assert TOKEN.encode() not in exchange.response_body.data
    assert len(exchange.chunks) >= 3
    assert sum(size for _, size in exchange.chunks) == len(lines) == exchange.response_body.size_bytes


def test_a_cut_body_does_not_end_with_half_a_secret(path: Path) -> None:
    text = b'{"x": "' + b"y" * (1 << 20)
    with Tape(path) as tape:
        tape.exchange(json.dumps({"token": TOKEN}).encode(), "application/json", "", is_request=False)
        cut = text[: (1 << 20) - 20] + b'", "t": "' + TOKEN.encode()
        tape.exchange(cut, "application/json", "", is_request=False)
    body = recorded(path)[1].response_body
    assert body.is_cut and TOKEN[:8].encode() not in body.data


def test_a_body_whose_end_never_came_is_still_redacted(path: Path) -> None:
    redactor = Redactor(Policy(), KEY)
    with Tape(path, redaction=(False, "", "")) as tape:
        tape.exchange(json.dumps({"token": TOKEN}).encode(), "application/json", "", is_request=False)
    half = [event for event in _events(path) if event.type is not EventType.RESPONSE_END]
    told = [new for event in half for new in redactor.redact(event)] + list(redactor.finish())
    (exchange,) = load_sessions(told)[0].exchanges
    assert exchange.response_body.data and TOKEN.encode() not in exchange.response_body.data


def test_a_secret_that_was_known_too_late_is_taken_out_of_the_file_again(path: Path) -> None:
    with Tape(path) as tape:
        tape.exchange(f"<p>{TOKEN}</p>".encode(), "text/html", "", is_request=False)
        tape.ask("/a", authorization=f"Bearer {TOKEN}")
        assert tape.sink._redactor is not None and tape.sink._redactor.n_late
    first, second = recorded(path)
    made = first.response_body.data.decode()[3:-4]
    assert made != TOKEN
    assert dict(second.request_headers)[b"authorization"].decode() == f"Bearer {made}"
    assert TOKEN.encode() not in path.read_bytes()
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_late_secret_that_stood_beside_a_known_one_is_found_too(path: Path) -> None:
    known, late = TOKEN, TOKEN[::-1]
    with Tape(path) as tape:
        tape.ask("/a", authorization=f"Bearer {known}")
        tape.exchange(f"<p>{known} and {late}</p>".encode(), "text/html", "", is_request=False)
        tape.ask("/a", authorization=f"Bearer {late}")
    _, page, _ = recorded(path)
    assert page.response_body.data.startswith(b"<p>") and late.encode() not in page.response_body.data


def test_where_not_every_word_could_be_noted_a_find_may_be_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("captures.redact.known._MAX_SEEN", 3)
    known = Known()
    known.learn(b"first-secret-1a2b", b"first-standin-9z8y")
    assert known.n_late == 0
    known.pass_on(b"w0rd1 w0rd2 w0rd3 w0rd4 w0rd5")
    known.learn(b"second-secret-3c4d", b"second-standin-7x6w")
    assert known.n_late > 0


def test_names_that_only_sound_secret_are_left_alone(path: Path) -> None:
    body = {
        "token_type": "Bearer",
        "session": "regular",
        "code": 200,
        "state": "open",
        "key": "BTC-USD",
        "expires_in": 300,
        "password_policy": "at least 8",
        "csrf_enabled": True,
        "id": "0123456789abcdef",
        "url": "https://shop.example/static/app.3f2a1bc9d8e7f6a5.js",
        "price": 4111.11,
        "when": "2024-01-02T03:04:05.678Z",
        "nonce": 1700000000123,
    }
    with Tape(path) as tape:
        tape.exchange(json.dumps(body).encode(), "application/json", "", is_request=False)
        tape.ask("/static/app.3f2a1bc9d8e7f6a5.js?v=12", cookie="theme=dark; lang=en-US; consent=1700000000")
    first, second = recorded(path)
    assert json.loads(first.response_body.data) == body
    assert second.target == "/static/app.3f2a1bc9d8e7f6a5.js?v=12"
    assert dict(second.request_headers)[b"cookie"] == b"theme=dark; lang=en-US; consent=1700000000"
    assert not Path(f"{path}.identities.csv").exists()


def test_the_users_policy_is_followed(path: Path, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text(
        '[add]\nkeys=["loyalty"]\nvalues=["ACME-\\\\d+"]\ncredentials=["door"]\n'
        '[keep]\nkeys=["session_id"]\n[drop]\nheaders=["x-debug"]\n'
    )
    with Tape(path, redaction=(True, str(policy), "")) as tape:
        body = {"loyalty": "gold-card", "note": "see ACME-4711", "door": "open sesame", "session_id": "s3ss10nvalue"}
        tape.exchange(json.dumps(body).encode(), "application/json", "", is_request=True)
        tape.ask("/", **{"x-debug": "who", "x-kept": "yes"})
    first, second = recorded(path)
    found = json.loads(first.request_body.data)
    assert found["loyalty"] != "gold-card" and "ACME-4711" not in found["note"]
    assert found["door"] == "{{input.door}}" and found["session_id"] == "s3ss10nvalue"
    assert b"x-debug" not in dict(second.request_headers) and dict(second.request_headers)[b"x-kept"] == b"yes"


def test_a_key_file_links_captures(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        out = tmp_path / f"{name}.rush"
        with Tape(out, redaction=(True, "", str(tmp_path / "key"))) as tape:
            tape.ask(f"/x?token={TOKEN}")
        made.append((recorded(out)[0].target, load_capture(out).header["redaction"]))
    assert made[0] == made[1]


def test_without_redaction_everything_is_written_and_the_header_says_so(path: Path) -> None:
    with Tape(path, redaction=(False, "", "")) as tape:
        tape.ask(f"/x?token={TOKEN}")
    assert recorded(path)[0].target == f"/x?token={TOKEN}"
    assert load_capture(path).header["redaction"] is None


def test_the_url_in_the_header_of_the_file_is_redacted() -> None:
    url = f"https://bob:hunter2x@shop.example/start?invite_token={TOKEN}"
    told = str(Redactor(Policy(), KEY).facts({"url": url})["url"])
    assert TOKEN not in told and "hunter2x" not in told and told.startswith("https://bob:") and "@shop.example" in told


values = st.one_of(
    st.text(max_size=20), st.integers(-5, 10**16), st.booleans(), st.none(), st.just(TOKEN), st.uuids().map(str)
)
documents = st.recursive(
    values,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["token", "id", "password", "user", "email", "a", "pin", "data"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(document=documents.filter(lambda found: isinstance(found, dict | list)))
def test_redaction_keeps_structure_and_a_second_one_changes_nothing(document: object) -> None:
    text = json.dumps(document).encode()
    once = _redacted(text, Redactor(Policy(), KEY))
    assert _shape(json.loads(once)) == _shape(document)
    assert _redacted(once, Redactor(Policy(), KEY[::-1], trusts_marks=True)) == once


def _redacted(text: bytes, redactor: Redactor) -> bytes:
    head: dict[str, object] = {"method": "POST", "target": "/", "headers": ((b"content-type", b"application/json"),)}
    events = [
        _event(EventType.REQUEST_HEAD, head),
        _event(EventType.REQUEST_BODY, {"data": text}),
        _event(EventType.REQUEST_END, {"size_bytes": len(text), "hash": b""}),
    ]
    told = [new for event in events for new in redactor.redact(event)]
    assert not [event for event in told if event.type is EventType.NOTE]
    return b"".join(bytes(event.fields["data"]) for event in told if event.type is EventType.REQUEST_BODY)  # type: ignore[call-overload]


def _event(event_type: EventType, fields: dict[str, object]) -> Event:
    return Event(type=event_type, seq=0, t_ns=0, connection=1, exchange=1, fields=fields)


def _shape(node: object) -> object:
    """Keys and kinds; a typed number becomes text, and says so."""
    match node:
        case dict():
            return {key: _shape(item) for key, item in node.items()}
        case list():
            return [_shape(item) for item in node]
        case str() if node.endswith("|number}}"):
            return int
    return type(node)


def test_placeholders_are_found_in_values() -> None:
    value = b"Basic " + placeholder("authorization", "base64") + b" and " + placeholder("user")
    assert list(inputs_in(value)) == [
        Input("authorization", "base64", 6, 6 + len(b"{{input.authorization|base64}}")),
        Input("user", "", 41, 41 + len(b"{{input.user}}")),
    ]
    assert [column_of(key) for key in ("user[password]", "newPassword", "2fa-Code", "비밀번호")] == [
        "user_password",
        "new_password",
        "input_2fa_code",
        "input_e3f57848",
    ]
    assert identities_csv(["user", "password"]) == "user,password\n"


def _events(path: Path) -> Iterator[Event]:
    from captures.format.reader import open_capture

    with open_capture(path) as reader:
        yield from reader.events()


def test_a_fault_of_ours_costs_an_event_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor = Redactor(load_policy(None), KEY)
    monkeypatch.setattr(redactor._structure, "url", lambda _: 1 // 0)
    head: dict[str, object] = {"method": "GET", "target": f"/?token={TOKEN}", "headers": ()}
    (told,) = redactor.redact(_event(EventType.REQUEST_HEAD, head))
    assert told.type is EventType.NOTE and told.fields["name"] == "not_redacted"
    assert TOKEN not in repr(told)


HOSTILE = {
    "half tokens": b"eyJ" * 60_000,
    "pairs of pairs": b"token=token=" * 15_000,
    "dull pairs": b"aa=aa=" * 30_000 + b"&token=1",
    "no form": b"a=b&" * 40_000 + b"<",
    "an address": b"a" * 180_000 + b"@b",
    "open tags": b"<a" * 90_000 + b"</token>",
    "password inputs": b"<input " * 25_000,
    "digits": b"4" * 180_000,
    "capitals": b"DE89" * 45_000,
    "deep": b'{"token":' * 9_000,
    "base64": b"QUJD" * 45_000 + b"/" + b"QUJD/" * 9_000,
    "quotes": b'token:"' * 25_000,
    "percents": b"%41" * 60_000,
    "backslashes": b'"' + b"\\" * 180_000 + b'"kD83jKs9dkLs02mdkQ2lsX7p"',
    "names and values": b"'token','" * 22_000,
    "queries in queries": b"a=/?" * 45_000,
    "documents in fields": b"a=%7B%22a%22%3A" * 12_000,
    "one long drawn run": b"kD83jKs9dkLs02mdkQ2lsX7p" * 8_000,
    "not utf-8": b"\xff\xfe token=" + b"\x80" * 1000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_cost_no_more_than_seconds_and_nothing_else(path: Path, name: str) -> None:
    with Tape(path) as tape:
        for content_type in ("text/html", "application/json", "application/x-www-form-urlencoded"):
            tape.exchange(HOSTILE[name], content_type, "", is_request=False, n_pieces=3)
    assert len(recorded(path)) == 3
    assert not [note for note in load_capture(path).notes if note.name == "not_redacted"]


@pytest.mark.parametrize(
    ("offered", "keeps"),
    [
        (b"v1.kernel.websocket.jupyter.org", b"v1.kernel.websocket.jupyter.org"),
        (b"graphql-transport-ws, base64.binary.k8s.io", b"graphql-transport-ws, base64.binary.k8s.io"),
        # The token is one label of a name that stays.
        (b"v1.token.websocket.jupyter.org." + TOKEN.encode(), b"v1.token.websocket.jupyter.org."),
    ],
)
def test_names_of_subprotocols_stay_and_tokens_among_them_do_not(offered: bytes, keeps: bytes) -> None:
    event = _event(EventType.SOCKET_OPEN, {"extensions": b"", "subprotocol": offered})
    (told,) = Redactor(Policy(), KEY).redact(event)
    found = told.fields["subprotocol"]
    assert isinstance(found, bytes) and found.startswith(keeps) and TOKEN.encode() not in found
