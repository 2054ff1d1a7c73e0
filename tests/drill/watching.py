"""What can be seen from outside while a fault lasts: health, the banner of an admin's page, and whether all goes on."""

import html
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from tests.drill.loads import Journal

_INTERVAL_S = 0.3
_BANNER_EVERY = 4
_BANNER = re.compile(r"<li><strong>([^<]+)</strong>")


@dataclass
class Seen:
    """What was told since a fault began; `well_at` is since when everything has been well (monotonic s)."""

    parts: dict[str, str] = field(default_factory=dict)
    banner: set[str] = field(default_factory=set)
    well_at: float | None = None


class Watcher(threading.Thread):
    """Asks /health all the time, and an admin's page now and then."""

    def __init__(self, address: str, *, admin_session: str) -> None:
        super().__init__(daemon=True)
        self._address, self._session = address, admin_session
        self.ending = threading.Event()
        self._lock = threading.Lock()
        self._seen = Seen()
        self.latest: dict[str, str] = {}

    def begin(self) -> None:
        """Forget what was seen: a fault begins now."""
        with self._lock:
            self._seen = Seen()

    def seen(self) -> Seen:
        """Return what was seen since then."""
        with self._lock:
            return Seen(dict(self._seen.parts), set(self._seen.banner), self._seen.well_at)

    def run(self) -> None:
        """Look until told to end."""
        number = 0
        with httpx.Client(base_url=self._address, timeout=5, trust_env=False) as client:
            client.cookies.set("sessionid", self._session)
            while not self.ending.wait(_INTERVAL_S):
                number += 1
                self._ask_health(client)
                if number % _BANNER_EVERY == 0:
                    self._ask_page(client)

    def _ask_health(self, client: httpx.Client) -> None:
        try:
            parts = client.get("/health").json()["parts"]
        except (httpx.TransportError, ValueError, KeyError) as error:
            parts = {"web": type(error).__name__}
        away = {name: state for name, state in parts.items() if state not in {"ok", "idle"}}
        with self._lock:
            self.latest = parts
            self._seen.parts.update(away)
            if away:
                self._seen.well_at = None
            elif self._seen.well_at is None:
                self._seen.well_at = time.monotonic()

    def _ask_page(self, client: httpx.Client) -> None:
        try:
            page = client.get("/account/")
        except httpx.TransportError:
            return
        told = {html.unescape(one).split(":")[0].lower() for one in _BANNER.findall(page.text)}
        if page.status_code == 503:
            told = {"503 page"}
        with self._lock:
            self._seen.banner |= told


@dataclass
class Progress:
    """Whether every judge, chats and the study go on; `finished_count` asks Postgres, None while it is away."""

    journal: Journal
    finished_count: Callable[[], int | None]
    judge_ids: Sequence[int]
    missing: list[str] = field(default_factory=list)
    _count: int = -1
    _grown_at: float = 0.0

    def recovered_at(self, watcher: Watcher, since: float, *, timeout_s: float) -> float | None:
        """Wait until after `since` each judge saved a vote, a chat was answered, a response measured, all parts well.

        Returns when the last of these was so for the first time (monotonic s), None where that took longer.
        """
        self._look()
        first: dict[str, float] = {}
        names = [*(f"judge {judge_id}" for judge_id in self.judge_ids), "chat", "study"]
        while time.monotonic() < since + timeout_s:
            votes = self.journal.votes[-200:]
            for judge_id in self.judge_ids:
                self._note(first, f"judge {judge_id}", [at for at, (by, *_) in votes if by == judge_id], since)
            self._note(first, "chat", [at for at, _ in self.journal.answers[-200:]], since)
            self._look()
            self._note(first, "study", [self._grown_at], since)
            well_at = watcher.seen().well_at
            if len(first) == len(names) and well_at is not None:
                return max(*first.values(), well_at, since)
            time.sleep(0.1)
        self.missing = [name for name in names if name not in first] or [str(watcher.latest)]
        return None

    def _look(self) -> None:
        count = self.finished_count()
        if count is not None and count != self._count:
            self._grown_at = time.monotonic() if self._count >= 0 else 0.0
            self._count = count

    @staticmethod
    def _note(first: dict[str, float], name: str, moments: list[float], since: float) -> None:
        after = [at for at in moments if at >= since]
        if after and name not in first:
            first[name] = min(after)
