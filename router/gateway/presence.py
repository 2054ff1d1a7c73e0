"""A web process says that it is there, and closes the rows of those that are not any more."""

import asyncio
import logging
import os
import socket
from datetime import datetime, timedelta

from django.db import DatabaseError, connection
from django.utils import timezone

from router.abandoning import abandon_lost
from router.gateway.working import Workers
from router.key_denials import store_denials
from router.models import WebProcess

logger = logging.getLogger(__name__)

BEAT_S = 10.0
SILENT = timedelta(seconds=35)  # so long a process may be stopped or cut off from the database and still be there
_OVER_THE_LONGEST = timedelta(minutes=10)  # an answer of a page also decides, waits in a queue, and is kept


class Presence:
    """One row for this process, as long as it answers."""

    def __init__(self, workers: Workers, *, longest_s: float) -> None:
        self._workers = workers
        self._longest = timedelta(seconds=longest_s) + _OVER_THE_LONGEST
        self._beating: asyncio.Task[None] | None = None
        self.process: WebProcess | None = None

    def begin(self) -> None:
        """Say now and again that the process is there."""
        self._beating = asyncio.ensure_future(self._beat_on())

    async def end(self) -> None:
        """Take the row back; whatever this process answered has ended."""
        if self._beating is None:
            return
        self._beating.cancel()
        await asyncio.wait({self._beating})
        try:
            await self._workers.query(self.leave)
        except DatabaseError:
            logger.warning("%s could not say that it ends; others will find out", self.process)

    async def _beat_on(self) -> None:
        while True:
            beat = asyncio.ensure_future(self._workers.query(self.beat))
            try:
                await asyncio.shield(beat)
            except asyncio.CancelledError:
                await asyncio.gather(beat, return_exceptions=True)  # its thread would go on alone, and make a row
                raise
            except Exception:  # the outer edge of this task: the database may be back at the next beat
                logger.exception("this process could not say that it is there")
            await asyncio.sleep(BEAT_S)

    def leave(self) -> None:
        """Store what the process refused, and take its row back."""
        store_denials(now=timezone.now())
        process, self.process = self.process, None
        if process is not None:
            process.delete()

    def beat(self) -> None:
        """Say that the process is there, mark what others have left behind, and store what was refused."""
        now = _shared_now()
        known = self.process
        if known is None or not WebProcess.objects.filter(pk=known.pk).update(seen_at=now):
            self.process = WebProcess.objects.create(
                host=socket.gethostname()[:255], number=os.getpid(), started_at=now, seen_at=now
            )
        lost_count = abandon_lost(now=now, silent=SILENT, longest=self._longest)
        if lost_count:
            logger.warning("%d requests were left behind by a process that went away", lost_count)
        store_denials(now=now)


def _shared_now() -> datetime:
    """Return the time of the database: a process whose own clock is wrong takes none of the others for gone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
