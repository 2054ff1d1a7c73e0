"""What one answer was measured to cost, as it comes to its rows: before they are stored where it is ready by then."""

import asyncio

from django.db import DatabaseError

from benchmarks.models import Deployment, Measurement
from router.counting import count_measured
from router.gateway.metering import PATIENCE_S, LiveMeter, Ticket, logger
from router.gateway.rows import Record, store_measurement
from router.gateway.working import Workers


class MeasuredAnswer:
    """The measuring of one answer; where its caller asked for it (`is_wanted`), the answer waits for the figure."""

    def __init__(self, meter: LiveMeter, workers: Workers, *, is_wanted: bool) -> None:
        self._meter = meter
        self._workers = workers
        self._is_wanted = is_wanted
        self._has_begun = False
        self._ticket: Ticket | None = None

    async def begin(self) -> None:
        """Note that the request has come; a caller who wants it measured waits for the meters."""
        self._has_begun = True
        self._meter.begin()
        if self._is_wanted:
            await self._meter.wait_until_ready()

    def start(self, deployment: Deployment, public_id: str) -> None:
        """Measure from now on, where the meters are ready and nothing else goes on."""
        self._ticket = self._meter.take(deployment, public_id)

    def stop(self, *, is_whole: bool) -> None:
        """Measure until now; stopping again changes nothing."""
        if self._ticket is not None:
            self._meter.stop(self._ticket, is_whole=is_whole)

    async def note_in(self, record: Record) -> None:
        """Note the measurement in the rows before they are stored, where it is ready or the caller waits for it."""
        if self._has_begun:
            self._has_begun = False
            self._meter.end()
        if self._ticket is None:
            return
        if self._is_wanted:
            await asyncio.wait({self._ticket.found}, timeout=PATIENCE_S)
        if self._ticket.found.done():
            record.attempts[0].measurement = self._ticket.found.result()
            count_measured(record.request, record.attempts[0])

    def note_later(self, record: Record) -> None:
        """Note the measurement in the stored rows once it is there, where it was not before."""
        if self._ticket is None or record.attempts[0].measurement is not None:
            return
        noting = asyncio.ensure_future(self._note(self._ticket, record))
        self._meter.noting.add(noting)
        noting.add_done_callback(self._meter.noting.discard)

    async def _note(self, ticket: Ticket, record: Record) -> None:
        measurement: Measurement | None = await ticket.found
        if measurement is None:
            return
        try:
            await self._workers.query(lambda: store_measurement(record, measurement))
        except DatabaseError:
            logger.exception("the measurement of %s could not be noted", ticket.public_id)
            return
        count_measured(record.request, record.attempts[0])
