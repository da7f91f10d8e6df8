"""Which credentials of a session may expire, and which recorded requests bring fresh ones. Pure.

A credential is a value of the server's that goes into a place where programs show who they are. Where the recording
shows one of the same name brought a second time, by a request that carried what the first answer had shown, that
request is the refresh. The other way is the login: what brought the credential first, after the requests whose values
that needed. A session that is known by a cookie alone logs in again too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from captures.records import Exchange
from replayer.plan.evidence import SlotEvidence
from replayer.plan.records import Chain, Codec, Extractor, Refresh, Slot, SlotKind, Source, Step, StepKind
from replayer.plan.requests import decoded_response
from replayer.plan.scoring import plain_key

_NAMES = re.compile(r".*(?:authorization|token|ticket|session|sessionid|auth|jwt|apikey|xsrf|csrf)|sid|bearer")
_REFRESH_PATH = re.compile(r"refresh|renew|token", re.IGNORECASE)
_LOGIN_PATH = re.compile(r"log-?in|sign-?in|auth|session|token", re.IGNORECASE)


def is_credential_place(place: str) -> bool:
    """Tell whether a place is one where programs show who they are: ``header authorization``, ``query ticket``."""
    kind, _, rest = place.partition(" ")
    if kind == "subprotocol":
        return True
    return kind in ("header", "cookie", "query", "json", "field") and bool(
        _NAMES.fullmatch(plain_key(rest.rpartition("/")[2]))
    )


class Refreshing:
    """One session's credentials.

    Args:
        steps, slots: of the script, the steps with all their extractors.
        evidence: of its slots.
        exchanges: by step, of REQUEST steps.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        slots: Sequence[Slot],
        evidence: Sequence[SlotEvidence],
        exchanges: dict[int, Exchange],
    ) -> None:
        self._steps = steps
        self._slots = slots
        self._evidence = {each.slot: each for each in evidence if each.producer >= 0}
        self._exchanges = exchanges
        self._uses: dict[int, set[int]] = {}
        for each in self._evidence.values():
            for consumer in each.consumers:
                self._uses.setdefault(consumer.step, set()).add(each.slot)
        self.extractors: dict[int, tuple[Extractor, ...]] = {}

    def refreshes(self) -> Iterator[Refresh]:
        """Yield the credentials in order of their first slot; fills ``extractors``: by step, what it reads besides."""
        for group in self._groups():
            chains = tuple(self._chains(group))
            steps = self._carriers(group, chains)
            if chains and steps:
                yield Refresh(slots=tuple(group), steps=steps, chains=chains)
        login = self._cookie_login()
        if login is not None:
            yield login

    # Tokens.

    def _groups(self) -> Iterable[list[int]]:
        """Return the slots that hold one credential, at several times."""
        groups: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        for slot, each in sorted(self._evidence.items(), key=lambda item: (item[1].producer, item[0])):
            places = sorted({consumer.place for consumer in each.consumers if is_credential_place(consumer.place)})
            is_answer = self._steps[each.producer].kind is StepKind.REQUEST
            if places and is_answer and not self._steps[each.producer].kept_open:
                groups.setdefault((self._shown_name(each), tuple(places[:1])), []).append(slot)
        return groups.values()

    def _shown_name(self, evidence: SlotEvidence) -> str:
        return plain_key(evidence.place.rpartition(" ")[2].rpartition("/")[2])

    def _chains(self, group: Sequence[int]) -> Iterator[Chain]:
        first = self._evidence[group[0]].producer
        for slot in group[1:]:
            step = self._evidence[slot].producer
            if step != first and self._is_refresh(step, first):
                yield Chain(steps=(step,), copies=tuple((slot, other) for other in group if other != slot))
                self._rotate(step)
                break
        login = self._closure(first)
        if login:
            yield Chain(steps=login, copies=tuple((group[0], other) for other in group[1:]))

    def _is_refresh(self, step: int, first: int) -> bool:
        """Tell whether a request carries what an earlier answer had shown, or says that it refreshes."""
        carried = {self._evidence[slot].producer for slot in self._uses.get(step, ())}
        is_told = _REFRESH_PATH.search(self._exchanges[step].path) is not None if step in self._exchanges else False
        return first in carried or is_told

    def _rotate(self, step: int) -> None:
        """Have a refresh read the next refresh token too, where its answer holds one under the same name."""
        document = _document(self._exchanges[step])
        taken = {extractor.path for extractor in self._steps[step].extractors}
        found = []
        for slot in sorted(self._uses.get(step, ())):
            name = self._evidence[slot].place.rpartition("/")[2]
            path = _path_to(document, name)
            if path and path not in taken and is_credential_place(f"json /{name}"):
                found.append(Extractor(slot=slot, source=Source.JSON, path=path, codec=Codec.RAW))
        if found:
            self.extractors[step] = tuple(found)

    def _closure(self, step: int) -> tuple[int, ...]:
        """Return a request after those whose values it needs; nothing where one of them is no request."""
        found: set[int] = set()
        due = [step]
        while due:
            number = due.pop()
            if number in found:
                continue
            if self._steps[number].kind is not StepKind.REQUEST or self._steps[number].kept_open:
                return ()
            found.add(number)
            due += [self._evidence[slot].producer for slot in self._uses.get(number, ())]
        return tuple(sorted(found))

    def _carriers(self, group: Sequence[int], chains: Sequence[Chain]) -> tuple[int, ...]:
        own = {step for chain in chains for step in chain.steps}
        carriers = {consumer.step for slot in group for consumer in self._evidence[slot].consumers}
        kinds = (StepKind.REQUEST, StepKind.CONNECT)
        return tuple(sorted(step for step in carriers - own if 0 <= step and self._steps[step].kind in kinds))

    # Cookies.

    def _cookie_login(self) -> Refresh | None:
        """Return the login whose cookies the later requests carry: a write with a password, or one that says so."""
        login = next((step.index for step in self._steps if self._is_login(step)), -1)
        if login < 0:
            return None
        jar = {number for number, slot in enumerate(self._slots) if slot.kind is SlotKind.COOKIE_HEADER}
        chain = self._closure(login)
        carriers = tuple(
            step.index for step in self._steps[login + 1 :] if _sends(step, jar) and step.index not in chain
        )
        return Refresh(slots=(), steps=carriers, chains=(Chain(steps=chain),)) if chain and carriers else None

    def _is_login(self, step: Step) -> bool:
        request = step.request
        if step.kind is not StepKind.REQUEST or request is None or not (step.sets_cookies and step.is_unsafe):
            return False
        inputs = {number for number, slot in enumerate(self._slots) if self._is_input(slot)}
        has_input = any(part in inputs for part in request.body if isinstance(part, int))
        return has_input or _LOGIN_PATH.search(self._exchanges[step.index].path) is not None

    def _is_input(self, slot: Slot) -> bool:
        if slot.kind is SlotKind.DERIVED:
            return self._slots[int(slot.detail.partition(":")[0])].kind is SlotKind.INPUT
        return slot.kind is SlotKind.INPUT


def _sends(step: Step, slots: set[int]) -> bool:
    request = step.request
    return request is not None and any(part in slots for _, value in request.headers for part in value)


def _document(exchange: Exchange) -> Any:
    try:
        return json.loads(decoded_response(exchange))
    except (ValueError, RecursionError):
        return None


def _path_to(document: Any, name: str) -> tuple[str | int, ...]:
    """Return the path of a key at the top of a document or one level below, () where there is none."""
    if not isinstance(document, dict):
        return ()
    if isinstance(document.get(name), str):
        return (name,)
    inner = (key for key, value in document.items() if isinstance(value, dict) and isinstance(value.get(name), str))
    return next(((key, name) for key in inner), ())
