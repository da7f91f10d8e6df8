"""Secrets in any text: after names, by their looks, because they are known, inside base64. Pure.

This is the net under everything: what the walkers of documents do not take apart is still searched here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from captures.leaves import Coding, unescape, unplus
from captures.redact.censor import Censor, Edit, edited
from captures.redact.detect import Hit, hits
from captures.redact.pieces import WHOLE_BYTES, pieces
from captures.redact.policy import Class, Need
from captures.redact.pseudonyms import Form
from captures.redact.writing import written

MAX_BASE64_BYTES = 64 * 1024
MAX_REMEMBERED_BYTES = 256
"""Runs that hold nothing are remembered up to this length: names come again, long values do not."""

KEY = re.compile(rb"(?<![\w.\-])([A-Za-z_][\w.\-]{1,63}+)(?:\\*[\"'\]])*+\s{0,3}[:=]")
_QUOTED_KEY = re.compile(rb"\"([A-Za-z_][\w.\-]{1,63})\"\s{0,3}:")
_VALUE = re.compile(
    rb"\s{0,3}(?:\\*\"(?P<double>(?:[^\"\\\r\n<>]|\\/){3,8192})|'(?P<single>[^'\\\r\n<>]{3,8192})"
    rb"|`(?P<tick>[^`\\\r\n<>$]{3,8192})"
    rb"|(?P<bare>[A-Za-z0-9_\-+/=.~%!$*]{3,8192}+))"
)
_ELEMENT = re.compile(
    rb"<(?:[\w.-]+:)?(?P<key>[A-Za-z_][\w.-]{1,63})(?:\s[^<>]{0,512})?>(?P<value>[^<>\s][^<>]{2,4095})</"
)
_CODED_PAIR = re.compile(
    rb"(?P<quote>&quot;|&#34;|%22)(?P<key>[A-Za-z_][\w.\-]{1,63})\\*(?P=quote)\s{0,3}(?::|%3[Aa])(?:\s|%20|\+){0,3}\\*(?P=quote)"
    rb"(?P<value>(?:[^&%\"'<>\r\n\\]|(?!(?P=quote))[&%]|\\/){3,8192}+)\\*(?P=quote)"
)
# XML-RPC and property lists: ``<name>token</name><value><string>…``, ``<key>token</key><string>…``.
_NAMED_ELEMENT = re.compile(
    rb"<(?:name|key)>(?P<key>[A-Za-z_][\w.-]{1,63})</(?:name|key)>\s{0,64}(?:<value>\s{0,64})?<string>"
    rb"(?P<value>[^<>\s][^<>]{2,4095})</string>"
)
_ELEMENT_NAME = re.compile(rb"</(?:[\w.-]+:)?([A-Za-z_][\w.-]{1,63})>")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
_TOKEN_AROUND = (re.compile(rb"[A-Za-z0-9_.-]*"), re.compile(rb"[A-Za-z0-9_+/=.~@%-]*"))
_BACK = 512


class Prose:
    """Searches texts."""

    def __init__(self, censor: Censor) -> None:
        self._censor = censor
        self._no_base64: set[bytes] = set()

    def redacted(self, text: bytes, *, is_dull: bool = False, is_final: bool = True, depth: int = 0) -> bytes:
        """Return a text without its secrets.

        Args:
            is_dull: no name in it says anything.
            is_final: it goes to the disk as it is returned.
        """
        if depth == 0 and len(text) > WHOLE_BYTES:
            return b"".join([self.redacted(piece, is_dull=is_dull, is_final=is_final) for piece in pieces(text)])
        text = self._pairs(text, is_dull=is_dull)
        text = edited(text, self._known(text))
        text = edited(text, self._by_looks(text))
        if depth == 0:
            text = edited(text, self._in_base64(text))
        if depth == 0 and is_final:
            self._censor.known.pass_on(text)
        return text

    def binary(self, data: bytes) -> bytes:
        """Return bytes that are no text without known values and tokens; the length stays."""
        if len(data) > WHOLE_BYTES:
            return b"".join(map(self.binary, pieces(data)))
        edits = [*self._known(data), *self._by_looks(data)]
        if not self._censor.is_dull(_QUOTED_KEY.findall(data)):
            edits += self._pair_edits(data, _QUOTED_KEY)
        of = self._censor.pseudonyms.of
        same = [(a, b, new if len(new) == b - a else of(data[a:b], Form.BYTES)) for a, b, new in edits]
        data = edited(data, same)
        self._censor.known.pass_on(data)
        return data

    # After a name.

    def _pairs(self, text: bytes, *, is_dull: bool) -> bytes:
        if not is_dull and not self._censor.is_dull(KEY.findall(text)):
            text = edited(text, self._pair_edits(text))
        if b"&quot;" in text or b"%22" in text or b"&#34;" in text:
            text = edited(text, self._coded_pair_edits(text))
        if b"</" in text and (b"<string>" in text or not self._censor.is_dull(_ELEMENT_NAME.findall(text))):
            text = edited(text, self._element_edits(text))
        return text

    def _pair_edits(self, text: bytes, keys: re.Pattern[bytes] = KEY) -> Iterator[Edit]:
        end = 0
        for name in keys.finditer(text):
            key = name[1].decode()
            # The value of a dull name may hold a pair itself: ``next=/cb?code=…``.
            if name.start() < end or self._censor.policy.of_key(key).klass is Class.KEEP:
                continue
            if value := _VALUE.match(text, name.end()):
                kind = value.lastgroup or "bare"
                end = value.end()
                yield from self._pair_edit(key, value[kind], value.start(kind), is_bare=kind == "bare")

    def _pair_edit(self, key: str, raw: bytes, start: int, *, is_bare: bool) -> Iterator[Edit]:
        plain = unquote_to_bytes(raw) if b"%" in raw else raw
        if self._censor.policy.of_key(key).need is Need.CODE:
            need = Need.CODE
        elif not is_bare and self._is_asked_for(key):
            need = Need.TYPED
        else:
            need = Need.TOKEN if is_bare and not self._is_typed(key, plain) else Need.NO_WORD
        new = self._censor.named(key, plain, f"text {key}", at_least=need)
        if new is not None:
            yield start, start + len(raw), written(new, Coding.PERCENT if plain != raw else Coding.RAW, raw)

    def _coded_pair_edits(self, text: bytes) -> Iterator[Edit]:
        """JSON in an attribute or a URL: ``data-page="{&quot;token&quot;:&quot;…``, ``%22token%22%3A%22…``."""
        for match in _CODED_PAIR.finditer(text):
            raw, coding = match["value"], Coding.FORM if match["quote"] == b"%22" else Coding.HTML
            plain = unplus(raw) if coding is Coding.FORM else unescape(raw)
            key = match["key"].decode()
            need = Need.TYPED if self._is_asked_for(key) else Need.NO_WORD
            new = self._censor.named(key, plain, f"text {key}", at_least=need)
            if new is not None:
                yield *match.span("value"), written(new, coding, raw)

    def _is_asked_for(self, key: str) -> bool:
        """What a browser sends under the name of a password is one even as a word; pages label fields so."""
        return self._censor.is_sent and self._censor.policy.of_key(key).need is Need.TYPED

    def _is_typed(self, key: str, value: bytes) -> bool:
        """A password has no shape; in running text it is taken for one where it is no name in a program."""
        is_secret = self._censor.policy.of_key(key).need in (Need.ANY, Need.TYPED, Need.NO_WORD)
        return is_secret and len(value) >= 6 and any(byte in b"0123456789" for byte in value) and value[:1] != b"."

    def _element_edits(self, text: bytes) -> Iterator[Edit]:
        for match in (*_ELEMENT.finditer(text), *_NAMED_ELEMENT.finditer(text)):
            key = match["key"].decode()
            need = Need.TYPED if self._is_asked_for(key) else Need.NO_WORD
            new = self._censor.named(key, match["value"].strip(), f"element {key}", at_least=need)
            if new is not None:
                yield match.start("value"), match.end("value"), written(new, Coding.HTML, match["value"])

    # Wherever.

    def _known(self, text: bytes) -> Iterator[Edit]:
        for start, end, new in self._censor.known.places(text):
            if not self._is_inside_own(text, start, end):
                self._censor.note(text[start:end], Class.SECRET, "known value")
                yield start, end, new

    def _by_looks(self, text: bytes) -> Iterator[Edit]:
        for hit in (*hits(text), *self._by_users_patterns(text)):
            raw = text[hit.start : hit.end]
            plain = unquote_to_bytes(raw) if b"%" in raw else raw
            if self._is_inside_own(text, hit.start, hit.end):
                continue
            new = self._censor.replaced(plain, hit.klass, f"text, looks like {hit.name}", form=hit.form)
            if new is not None:
                yield hit.start, hit.end, written(new, Coding.PERCENT if plain != raw else Coding.RAW, raw)

    def _by_users_patterns(self, text: bytes) -> Iterator[Hit]:
        for pattern in self._censor.policy.values:
            for match in pattern.finditer(text):
                if match.group():
                    yield Hit(*match.span(), Class.SECRET, Form.TOKEN, "a pattern of the policy")

    def _is_inside_own(self, text: bytes, start: int, end: int) -> bool:
        """Tell whether a find is a part of a stand-in, which may look like anything."""
        if self._censor.is_settled(text[start:end]):
            return True
        before = text[max(0, start - _BACK) : start]
        for token in _TOKEN_AROUND:
            left = token.match(before[::-1])
            right = token.match(text, end)
            first, last = start - (left.end() if left else 0), right.end() if right else end
            around = text[first:last]
            if (first, last) != (start, end) and self._censor.is_settled(around):
                return True
            if b"%" in around and self._censor.is_settled(unquote_to_bytes(around)):
                return True
        return text[max(0, start - 8) : start].endswith(b"{{input.")

    # Inside base64.

    def _in_base64(self, text: bytes) -> Iterator[Edit]:
        for match in _BASE64.finditer(text):
            run = match.group()
            if run in self._no_base64 or len(run) > MAX_BASE64_BYTES:
                continue
            yield from self._base64_edits(run, match.start())

    def _base64_edits(self, run: bytes, start: int) -> Iterator[Edit]:
        plain = decoded_base64(run)
        if plain is None:
            if len(self._no_base64) > 50_000:
                self._no_base64.clear()
            if len(run) <= MAX_REMEMBERED_BYTES:
                self._no_base64.add(run)
            at = start
            for piece in run.split(b"/") if b"/" in run else ():
                if len(piece) >= 16:
                    yield from self._base64_edits(piece, at)
                at += len(piece) + 1
            return
        new = self.redacted(plain, depth=1)
        if new != plain and not self._censor.is_settled(run):
            encode = base64.urlsafe_b64encode if b"-" in run or b"_" in run else base64.b64encode
            coded = encode(new)
            yield start, start + len(run), coded if run.endswith(b"=") else coded.rstrip(b"=")


def decoded_base64(run: bytes) -> bytes | None:
    """Return the text in a run of base64 letters, None where it holds none."""
    bare = run.rstrip(b"=")
    if len(bare) % 4 == 1:
        return None
    try:
        plain = base64.b64decode(bare.translate(_TO_STANDARD) + b"=" * (-len(bare) % 4), validate=True)
        text = plain.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return plain if text.translate(_SPACES).isprintable() else None


_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_SPACES = dict.fromkeys(map(ord, "\r\n\t"), " ")
