"""The rows of requests, written in batches: requests that end together share one transaction.

A request that goes on for a while is written before its end too, with all others of that age, so that a process that
is killed leaves a trace of it.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from router.gateway.line import DatabaseLine
from router.gateway.rows import Record, store_records
from router.gateway.working import Workers
from router.models import WebProcess

__all__ = ["Record", "Recorder", "store_records"]

logger = logging.getLogger(__name__)

_LARGEST_BATCH = 200
_TOLD_AT_ONCE = 10
LOOK_S = 0.5  # a request under way is written once it is that old at least, and twice that at most


@dataclass
class _Waiting:
    """One record to store, and who waits for it; `original` is the record that a copy was made of."""

    record: Record
    written: "asyncio.Future[None]"
    original: Record | None = None

    @property
    def is_outdated(self) -> bool:
        """Tell whether the whole record is on its way, so that this copy would only hinder it."""
        return self.original is not None and self.original.has_ended


@dataclass
class _UnderWay:
    """One request that has not ended, how much of it was stored, and the copy that is being stored."""

    record: Record
    looks: int = 0
    stored_count: int = 0
    writing: "asyncio.Future[None] | None" = None

    @property
    def is_due(self) -> bool:
        """Tell whether it is old enough, and has rows that are not stored."""
        is_writing = self.writing is not None and not self.writing.done()
        return self.looks > 1 and self.stored_count < self.record.row_count and not is_writing


class Recorder:
    """Stores records: one batch at a time, and what comes meanwhile is the next batch."""

    def __init__(
        self,
        workers: Workers,
        store: Callable[[Sequence[Record]], list[Exception | None]] | None = None,
        process: Callable[[], WebProcess | None] = lambda: None,
        line: DatabaseLine | None = None,
    ) -> None:
        self._workers = workers
        self._store = store or store_records
        self._line = line
        self._process = process
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None
        self._under_way: dict[int, _UnderWay] = {}  # by the identity of the record
        self._looking: asyncio.Task[None] | None = None

    def begin(self, record: Record) -> None:
        """Keep an eye on a request that begins: where it takes its time, its rows are stored as they stand."""
        self._under_way[id(record)] = _UnderWay(record)
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look())

    def write(self, record: Record) -> "asyncio.Future[None]":
        """Return what is done once a record that has ended is committed; it is, even where who waits for it leaves.

        Where no batch is being stored this one is sent in the next turn of the event loop. What is awaited raises:
            DatabaseError: it cannot be stored.
        """
        record.has_ended = True
        record.request.process = None
        self._under_way.pop(id(record), None)
        return asyncio.shield(self._enqueue(record))

    async def drain(self) -> None:
        """Wait until everything is stored, and close the line."""
        if self._looking is not None:
            self._looking.cancel()
        while self._writing is not None:
            await asyncio.shield(self._writing)
        if self._line is not None:
            await self._line.close()

    def _enqueue(self, record: Record, original: Record | None = None) -> "asyncio.Future[None]":
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(record, written, original))
        if self._writing is None:
            self._writing = asyncio.ensure_future(self._write_all())
        return written

    async def _look(self) -> None:
        """Store the rows of what is under way that are not stored yet, until nothing is."""
        try:
            while self._under_way:
                await asyncio.sleep(LOOK_S)
                self._store_as_they_stand()
        finally:
            self._looking = None

    def _store_as_they_stand(self) -> None:
        for one in self._under_way.values():
            one.looks += 1
            if one.is_due:
                copied = one.record.as_it_stands()
                copied.request.process = self._process()
                one.stored_count = copied.row_count
                one.writing = self._enqueue(copied, one.record)

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_LARGEST_BATCH], self._waiting[_LARGEST_BATCH:]
                await self._write([one for one in batch if not one.is_outdated])
        finally:
            self._writing = None

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        if not batch:
            return
        records = [one.record for one in batch]
        outcomes: Sequence[Exception | None]
        try:
            outcomes = await self._stored(records)
        except Exception as error:  # noqa: BLE001  each of those who wait gets it
            outcomes = [error] * len(batch)
        for place, (one, outcome) in enumerate(zip(batch, outcomes, strict=True), start=1):
            if place % _TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)  # each of those who are told has its answer to end
            if outcome is None:
                one.written.set_result(None)
            else:
                logger.error("a request could not be recorded: %s", outcome)
                one.written.set_exception(outcome)
                one.written.exception()  # who waited may have left

    async def _stored(self, records: Sequence[Record]) -> Sequence[Exception | None]:
        """Store records, over the line of the event loop where that goes and in a thread else; return their errors."""
        if self._line is not None and await self._line.put(records):
            return [None] * len(records)
        return await self._workers.query(lambda: self._store(records), is_patient=True)
