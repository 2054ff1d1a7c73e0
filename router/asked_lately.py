"""What servers tell, asked seldom and never waited for long, in threads of its own."""

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from benchmarks.inference.base import InferenceError
from router.lately import require_time

logger = logging.getLogger(__name__)

_MOST_AT_ONCE = 8

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Told(Generic[Answer]):
    answer: Answer | None
    at_s: float


class AskedLately(Generic[Item, Key, Answer]):
    """What was told of each item, kept for `kept_s` seconds in this process; safe to use from several threads.

    One of which something is known is never waited for: the old word counts until the new one is there. `ask` may
    raise `InferenceError`; then nothing is known. `about` says in the log what was asked.
    """

    def __init__(
        self,
        ask: Callable[[Item], Answer | None],
        *,
        key: Callable[[Item], Key],
        about: str,
        kept_s: float,
        patience_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask_it, self._key, self._about = ask, key, about
        self._kept_s, self._patience_s, self._clock_s = kept_s, patience_s, clock_s
        self._told: dict[Key, _Told[Answer]] = {}
        self._asked: dict[Key, Future[None]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="asking")

    def of(self, items: Iterable[Item]) -> dict[Key, Answer | None]:
        """Return what is known of each item by its key; None where nothing was told in time."""
        wanted = {self._key(item): item for item in items}
        now = self._clock_s()
        with self._lock:
            old = [key for key in wanted if key not in self._told or now - self._told[key].at_s > self._kept_s]
            for key in old:
                if key not in self._asked:
                    self._asked[key] = self._pool.submit(self._ask, key, wanted[key])
            awaited = [self._asked[key] for key in old if key not in self._told and key in self._asked]
        if awaited:
            require_time(self._about)
            wait(awaited, timeout=self._patience_s)
        return {key: told.answer if (told := self._told.get(key)) else None for key in wanted}

    def _ask(self, key: Key, item: Item) -> None:
        answer: Answer | None = None
        try:
            answer = self._ask_it(item)
        except InferenceError as error:
            logger.info("%s does not tell %s: %s", key, self._about, error)
        except Exception:  # an outer edge: a bug with one server must not stop a decision
            logger.exception("%s cannot be asked %s", key, self._about)
        finally:
            with self._lock:
                self._told[key] = _Told(answer, self._clock_s())
                self._asked.pop(key, None)
