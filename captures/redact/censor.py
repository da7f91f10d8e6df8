"""Decides value by value: what becomes a stand-in, what an input column, what stays; counts and remembers. Pure.

Knows names and values, not where they come from: ``structure``, ``prose`` and ``headers`` find them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from captures.redact.detect import form_of, is_random, meets
from captures.redact.inputs import column_of, is_placeholder, placeholder
from captures.redact.known import Known
from captures.redact.policy import Class, Need, Policy
from captures.redact.pseudonyms import Form, Pseudonyms, is_stand_in

Edit = tuple[int, int, bytes]
"""Start and end of a span, and what is put there."""

# Too common to be looked for in every text: they stay where a name gives them away.
_COMMON = re.compile(rb"[A-Za-z]{1,19}|[A-Za-z]+(?:[_.-][A-Za-z]+){1,2}|\d{1,7}|1[0-9]{9}|1[0-9]{12}")


class Finding(NamedTuple):
    """One value that is secret, or was.

    Attributes:
        place: the exchange or socket, and the side.
        where: the field in it.
        value: the plain value; never to be shown whole.
    """

    place: str
    where: str
    klass: Class
    value: bytes


class Censor:
    """What is known while one capture is redacted.

    Args:
        trusts_marks: leave values that carry a stand-in's mark: for files, which may have been redacted before.
        watch: told of every value that is replaced.

    Attributes:
        counts: replaced values by class.
        columns: input columns in order of appearance.
        place: of what is being looked at, for ``watch``.
        is_sent: whether the client sent it: only then a credential is an input.
    """

    def __init__(
        self,
        policy: Policy,
        pseudonyms: Pseudonyms,
        *,
        trusts_marks: bool = False,
        watch: Callable[[Finding], None] | None = None,
    ) -> None:
        self.policy = policy
        self.known = Known()
        self.counts: Counter[str] = Counter()
        self.columns: dict[str, None] = {}
        self.place = ""
        self.is_sent = False
        self.pseudonyms = pseudonyms
        self._trusts_marks = trusts_marks
        self._watch = watch
        self._dull: set[str | bytes] = set()

    def named(self, key: str, value: bytes, where: str, *, at_least: Need | None = None) -> bytes | None:
        """Return the replacement of a value that stands under a name, None where it stays.

        Args:
            at_least: what else the value must look like.
        """
        rule = self.policy.of_key(key)
        if rule.klass is Class.KEEP or not meets(value, rule.need):
            return None
        if at_least is not None and not meets(value, at_least):
            return None
        return self.replaced(value, rule.klass, where, key=key)

    def replaced(
        self, value: bytes, klass: Class, where: str, *, key: str = "", form: Form | None = None, is_loose: bool = False
    ) -> bytes | None:
        """Return the replacement of a value that is secret; None where it is a stand-in already.

        Args:
            key: names the input column of a credential.
            is_loose: only its looks speak against it.
        """
        if self.is_settled(value):
            return None
        new = self.known.replacement(value)
        is_typed = klass is Class.CRED and self.is_sent and key and not value.isdigit()
        if new is None or (is_typed and not is_placeholder(new)):
            new = self._new(value, klass, key, form)
            if len(value) >= 6 and (_COMMON.fullmatch(value) is None or is_random(value)):
                self.known.learn(value, new, is_loose=is_loose)
                for claim, stand_in in self.pseudonyms.claims_of(value, new):
                    self.known.learn(claim, stand_in, is_loose=is_loose)
        self.note(value, klass, where)
        return new

    def is_settled(self, value: bytes) -> bool:
        """Tell whether a value is what this or, where marks are trusted, an earlier redaction put there."""
        return self.pseudonyms.is_own(value) or (self._trusts_marks and is_stand_in(value))

    def note(self, value: bytes, klass: Class, where: str) -> None:
        """Count a replaced value."""
        self.counts[klass.value] += 1
        if self._watch is not None:
            self._watch(Finding(self.place, where, klass, value))

    def is_dull(self, keys: Iterable[bytes]) -> bool:
        """Tell whether none of these names says anything about its values."""
        keys = set(keys)
        if self._dull.issuperset(keys):
            return True
        new = keys - self._dull
        telling = {key for key in new if self.policy.of_key(key.decode("utf-8", "replace")).klass is not Class.KEEP}
        self._dull |= new - telling
        if len(self._dull) > 100_000:
            self._dull.clear()
        return not telling

    def _new(self, value: bytes, klass: Class, key: str, form: Form | None) -> bytes:
        if klass is Class.CRED and self.is_sent and key:
            column = column_of(key)
            self.columns.setdefault(column)
            return placeholder(column)
        return self.pseudonyms.of(value, form or form_of(value))


def edited(text: bytes, edits: Iterable[Edit]) -> bytes:
    """Put edits into a text; where two overlap, the one that begins first, or else is longer, is taken."""
    parts: list[bytes] = []
    at = 0
    for start, end, new in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
        if start >= at:
            parts += (text[at:start], new)
            at = end
    return b"".join((*parts, text[at:])) if parts else text
