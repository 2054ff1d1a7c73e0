"""Count requests and tokens of keys in Valkey, one call for each request, so that every web process counts together.

Where Valkey is away nothing is counted and every request passes: a limit that fails shut would stop all clients for the
sake of a few. The log says so, and Valkey is left alone for a moment so that no request waits for it twice.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from router.rates import SCRIPT, Taken, Want, arguments, bucket_of, taken
from router.terms import Terms

logger = logging.getLogger(__name__)

_PATIENCE_S = 0.5
_REST_S = 5.0
_CONNECTIONS = 32
_FAILURES = (RedisError, OSError, TimeoutError)


class _Trouble:
    """Remembers that the store failed, and logs it once for each time that it is left alone."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._rests_until = 0.0

    def is_resting(self) -> bool:
        return self._monotonic() < self._rests_until

    def note(self, error: Exception) -> None:
        if not self.is_resting():
            logger.warning(
                "requests and tokens of keys are not counted for %g s, so that every request passes: %s: %s",
                _REST_S, type(error).__name__, error,
            )  # fmt: skip
        self._rests_until = self._monotonic() + _REST_S


class Limiter:
    """Counts for one event loop."""

    def __init__(self, url: str) -> None:
        self._trouble = _Trouble()
        # Any: the stubs do not know that the one class is what the other one's connections are kept in
        pool: Any = redis.asyncio.BlockingConnectionPool.from_url(
            url, max_connections=_CONNECTIONS, timeout=_PATIENCE_S, **_options(redis.asyncio.retry.Retry)
        )
        self._client = redis.asyncio.Redis(connection_pool=pool)
        self._script = self._client.register_script(SCRIPT)
        self._settling: set[asyncio.Task[Taken | None]] = set()

    async def take(self, terms: Terms, want: Want) -> Taken | None:
        """Take what a request wants; None where nothing could be counted.

        Raises:
            RateLimited: the key has none left.
        """
        found = await self._call(terms, want, is_refusable=True)
        if found is not None and not found.is_open:
            raise found.refusal()
        return found

    def settle(self, found: Taken | None, used_tokens: int) -> None:
        """Set right how many tokens a request took, once it has ended; nobody waits for it."""
        if found is None or found.terms.tokens_per_minute is None or used_tokens == found.want.tokens:
            return
        want = Want(0, used_tokens - found.want.tokens)
        task = asyncio.ensure_future(self._call(found.terms, want, is_refusable=False))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def close(self) -> None:
        """Finish what is being counted and close the connections."""
        await asyncio.gather(*self._settling)
        await self._client.aclose(close_connection_pool=True)

    async def _call(self, terms: Terms, want: Want, *, is_refusable: bool) -> Taken | None:
        if self._trouble.is_resting():
            return None
        try:
            told = await self._script([bucket_of(terms)], arguments(terms, want, is_refusable=is_refusable))
        except _FAILURES as error:
            self._trouble.note(error)
            return None
        return taken(terms, want, told)


class BlockingLimiter:
    """The same for views that block; one serves every thread."""

    def __init__(self, url: str) -> None:
        self._trouble = _Trouble()
        self._client = redis.Redis.from_url(url, **_options(Retry))
        self._script = self._client.register_script(SCRIPT)

    def take(self, terms: Terms, want: Want) -> Taken | None:
        """Take what a request wants; None where nothing could be counted.

        Raises:
            RateLimited: the key has none left.
        """
        found = self._call(terms, want, is_refusable=True)
        if found is not None and not found.is_open:
            raise found.refusal()
        return found

    def settle(self, found: Taken | None, used_tokens: int) -> None:
        """Set right how many tokens a request took."""
        if found is not None and found.terms.tokens_per_minute is not None and used_tokens != found.want.tokens:
            self._call(found.terms, Want(0, used_tokens - found.want.tokens), is_refusable=False)

    def look(self, terms: Terms) -> Taken | None:
        """Return how the buckets of a key stand, and take nothing."""
        return self._call(terms, Want(0, 0), is_refusable=False)

    def _call(self, terms: Terms, want: Want, *, is_refusable: bool) -> Taken | None:
        if self._trouble.is_resting():
            return None
        try:
            told: Any = self._script([bucket_of(terms)], arguments(terms, want, is_refusable=is_refusable))
        except _FAILURES as error:
            self._trouble.note(error)
            return None
        return taken(terms, want, told)


_blocking: dict[str, BlockingLimiter] = {}
_making = threading.Lock()


def blocking_limiter(url: str) -> BlockingLimiter:
    """Return the one that this process has for a store."""
    with _making:
        return _blocking.setdefault(url, BlockingLimiter(url))


def _options(retry: Callable[..., Any]) -> dict[str, Any]:
    return {
        "socket_timeout": _PATIENCE_S,
        "socket_connect_timeout": _PATIENCE_S,
        "retry": retry(NoBackoff(), 0),  # its own way of trying again would wait for seconds
    }
