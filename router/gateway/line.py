"""The event loop's own line to the database, over which it stores the rows of requests that have ended.

A thread takes turns with the loop at each step of its work, and under load each waits for the other, which costs more
than the work itself. Nothing depends on the line: what it cannot do, or has not done when it breaks, a thread does, and
what is stored twice is replaced by itself.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from django.db import connection

from router.gateway.putting import note_keys, params_of, statement
from router.gateway.rows import Record, rows_of
from router.gateway.working import Workers

logger = logging.getLogger(__name__)

_LARGEST = 32  # of so many the loop makes the message in a few milliseconds; more are a thread's
_REST_S = 1.0
_CONNECT_S = 5

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


def is_kept() -> bool:
    """Tell whether this process keeps connections; a pooler of somebody else may give each statement another one."""
    return bool(connection.settings_dict["OPTIONS"].get("pool"))


class DatabaseLine:
    """One connection, made beside when it is first wanted and again after it broke."""

    def __init__(self, workers: Workers, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._workers = workers
        self._monotonic = monotonic
        self._connection: Connection | None = None
        self._opening: asyncio.Task[None] | None = None
        self._rests_until = -math.inf

    async def put(self, records: Sequence[Record]) -> bool:
        """Store records as `store_records` does; False where a thread has to: because of these records, or the line."""
        if len(records) > _LARGEST or any(one.settling is not None for one in records):
            return False
        if self._connection is None or self._connection.closed:
            if self._opening is None and self._monotonic() >= self._rests_until:
                self._opening = asyncio.ensure_future(self.open())
            return False
        rows = rows_of(records)
        try:
            with self._workers.knowing_of_outage():
                cursor = await self._connection.execute(statement(), params_of(*rows))
            note_keys(*rows, await cursor.fetchall())
        except psycopg.Error as error:
            logger.info("a thread stores what the line could not: %s", error)
            return False
        return True

    async def open(self) -> None:
        """Make the connection; after a failure nobody tries again for a second."""
        try:
            self._connection = await psycopg.AsyncConnection.connect(
                **_address(), autocommit=True, prepare_threshold=0, connect_timeout=_CONNECT_S
            )
        except (psycopg.Error, OSError) as error:
            self._rests_until = self._monotonic() + _REST_S
            logger.warning("the event loop has no line to the database: %s", error)
        finally:
            self._opening = None

    async def close(self) -> None:
        """Close the connection."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
        if self._connection is not None:
            await self._connection.close()


def _address() -> Mapping[str, Any]:  # Any: of whatever types the options are
    """Return where the database is, without what Django has its own connections do."""
    of_django = {"context", "cursor_factory", "prepare_threshold"}
    return {name: value for name, value in connection.get_connection_params().items() if name not in of_django}
