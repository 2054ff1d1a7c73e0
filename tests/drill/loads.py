"""What goes on during the drill: people who judge and programs that chat; each keeps a journal of its own."""

import random
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from html import unescape

import httpx

_TICKET = re.compile(r'data-answer="(\d+)".*?name="ticket" value="([^"]+)"', re.DOTALL)
_TOLD = re.compile(r"data-told[^>]*>([^<]*)<")
_COMPLETION = re.compile(r'"id": ?"chatcmpl-(\w+)"')
_VERDICTS = ("correct", "incorrect")
_VOTE_PAUSE_S = 0.5
_CHAT_PAUSE_S = 0.3
_RETRY_PAUSE_S = 0.4
_TIMEOUT_S = 40.0


@dataclass
class Journal:
    """What the loads were promised. Moments are monotonic seconds."""

    votes: list[tuple[float, tuple[int, int, str]]] = field(default_factory=list)
    answers: list[tuple[float, str]] = field(default_factory=list)
    troubles: list[tuple[float, str]] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)

    def trouble(self, what: str) -> None:
        """Note what was told in place of an answer."""
        self.troubles.append((time.monotonic(), what))

    def troubles_since(self, moment: float) -> Counter[str]:
        """Return what was told since a moment, and how often."""
        return Counter(what for at, what in list(self.troubles) if at >= moment)

    def unforeseen(self) -> Counter[str]:
        """Return the answers 500, which no fault excuses: what is away is told by 502, 503 or 504."""
        return Counter(what for _, what in self.troubles if what.split()[1:2] == ["500"])


class Load(threading.Thread):
    """One client that goes on until it is told to end; then it finishes what it has begun."""

    timeout_s = _TIMEOUT_S

    def __init__(self, address: str, journal: Journal) -> None:
        super().__init__(daemon=True)
        self.address, self.journal = address, journal
        self.ending = threading.Event()

    def run(self) -> None:
        """Do one thing after the other."""
        with httpx.Client(base_url=self.address, timeout=self.timeout_s, trust_env=False) as client:
            self.prepare(client)
            while not self.ending.is_set():
                self.step(client)

    def prepare(self, client: httpx.Client) -> None:
        """Get ready."""

    def step(self, client: httpx.Client) -> None:
        """Do one thing."""
        raise AssertionError("a load says what it does")


class Judge(Load):
    """Judges answers, and sends a vote again until the server has said what became of it."""

    def __init__(self, address: str, journal: Journal, *, person_id: int, session: str, seed: int) -> None:
        super().__init__(address, journal)
        self._person_id, self._session, self._chance = person_id, session, random.Random(seed)
        self._held: list[tuple[int, str]] = []

    def prepare(self, client: httpx.Client) -> None:
        client.cookies.set("sessionid", self._session)

    def step(self, client: httpx.Client) -> None:
        if not self._held:
            self._open(client)
            return
        response_id, ticket = self._held[0]
        verdict = self._chance.choice(_VERDICTS)
        while (text := self._sent(client, ticket, verdict)) is None:  # also while ending: a vote is never left open
            time.sleep(_RETRY_PAUSE_S)
        found = _TOLD.search(text)
        said = unescape(found[1]).strip() if found else "nothing"
        if said.startswith("Saved"):
            self.journal.votes.append((time.monotonic(), (self._person_id, response_id, verdict)))
        else:
            self.journal.told[said[:60]] += 1
        self._held = [(int(key), one) for key, one in _TICKET.findall(text)]
        time.sleep(_VOTE_PAUSE_S)

    def _open(self, client: httpx.Client) -> None:
        try:
            page = client.get("/label/")
        except httpx.TransportError as error:
            self.journal.trouble(f"page {type(error).__name__}")
            time.sleep(_RETRY_PAUSE_S)
            return
        if page.status_code != 200:
            self.journal.trouble(f"page {page.status_code}")
            time.sleep(_RETRY_PAUSE_S)
            return
        self._held = [(int(key), one) for key, one in _TICKET.findall(page.text)]
        if not self._held:
            time.sleep(_RETRY_PAUSE_S)

    def _sent(self, client: httpx.Client, ticket: str, verdict: str) -> str | None:
        form = {"ticket": ticket, "verdict": verdict, "elapsed_ms": "900", "active_ms": "900"}
        headers = {"HX-Request": "true", "X-CSRFToken": client.cookies.get("csrftoken") or ""}
        try:
            answer = client.post("/label/vote/", data=form, headers=headers)
        except httpx.TransportError as error:
            self.journal.trouble(f"vote {type(error).__name__}")
            return None
        if answer.status_code != 200:
            self.journal.trouble(f"vote {answer.status_code}")
            return None
        return answer.text


class Chat(Load):
    """Streams one answer after the other; what came whole, with its last event, counts as answered."""

    def __init__(self, address: str, journal: Journal, *, key: str, models: tuple[str, ...], name: str) -> None:
        super().__init__(address, journal)
        self._key, self._models, self._name = key, models, name
        self._number = 0

    def step(self, client: httpx.Client) -> None:
        self._number += 1
        body = {
            "model": self._models[self._number % len(self._models)],
            "stream": True,
            "messages": [{"role": "user", "content": f"Question {self._number} of {self._name}: what is 2 + 3?"}],
        }
        try:
            with client.stream(
                "POST", "/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {self._key}"}
            ) as answer:
                text = "".join(answer.iter_text())
        except httpx.TransportError as error:
            self._failed(type(error).__name__)
            return
        if answer.status_code == 200 and text.rstrip().endswith("data: [DONE]") and '"error"' not in text:
            found = _COMPLETION.search(text)  # a stream that begins late tells it in no header
            if found is None:
                raise AssertionError(f"an answer without an id: {text[:200]}")
            self.journal.answers.append((time.monotonic(), f"req_{found[1]}"))
            time.sleep(_CHAT_PAUSE_S)
            return
        code = re.search(r'"code": ?"(\w+)"', text)
        self._failed(f"{answer.status_code}{' ' + code[1] if code else ' cut short'}")

    def _failed(self, what: str) -> None:
        self.journal.trouble(f"API {what}")
        time.sleep(_RETRY_PAUSE_S)


class HastyChat(Chat):
    """Gives an answer up that has no piece for 5 s, and asks again: it sees how new requests fare while others wait."""

    timeout_s = 5.0
