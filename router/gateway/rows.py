"""The rows of requests in the database: one batch, one transaction, whether they are there already or not."""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from django.db import DatabaseError, connection, transaction

from benchmarks.models import Measurement
from router.gateway.putting import Placed, put_rows
from router.metering import note_measurement
from router.models import GatewayRequest, RoutingDecision, UpstreamAttempt
from router.reckoning import Settling, settle, settle_measured


@dataclass
class Record:
    """All rows of one request, and what its key's budget is told at the end; not stored yet, or as it stood."""

    request: GatewayRequest
    decision: RoutingDecision | None = None
    attempts: list[UpstreamAttempt] = field(default_factory=list)
    settling: Settling | None = None
    has_ended: bool = False

    @property
    def row_count(self) -> int:
        """Return how many rows it has by now."""
        return 1 + (self.decision is not None) + len(self.attempts)

    def as_it_stands(self) -> "Record":
        """Return a copy that may be stored while the request goes on; it settles nothing."""
        return Record(
            copy.copy(self.request),
            None if self.decision is None else copy.copy(self.decision),
            [copy.copy(one) for one in self.attempts],
        )


def store_measurement(record: Record, measurement: Measurement) -> None:
    """Note in the stored rows what the first attempt was measured to cost, and tell the budget of the key."""
    attempt = record.attempts[0]
    with transaction.atomic():
        note_measurement(attempt=attempt, measurement=measurement)
        attempt.measurement = measurement
        if record.settling is not None:
            settle_measured(request=record.request, attempt=attempt, settling=record.settling)


def store_records(records: Sequence[Record]) -> list[Exception | None]:
    """Store records in one transaction; where that fails, each in its own. Return each one's error, or None.

    What was stored of one before is replaced.
    """
    try:
        _store_together(records)
    except DatabaseError as error:
        if len(records) == 1:
            return [error]
        return [_store_alone(record) for record in records]
    return [None] * len(records)


def _store_alone(record: Record) -> Exception | None:
    try:
        _store_together([record])
    except DatabaseError as error:
        return error
    return None


def _store_together(records: Sequence[Record]) -> None:
    settling = [(one.request, one.attempts, one.settling) for one in records if one.settling is not None]
    is_more = bool(settling) or connection.in_atomic_block  # else the one message is a transaction by itself
    with transaction.atomic() if is_more else nullcontext():
        put_rows(*rows_of(records))
        settle(settling)


def rows_of(records: Sequence[Record]) -> tuple[list[GatewayRequest], list[Placed], list[Placed]]:
    """Return the requests, decisions and attempts of records, as `put_rows` takes them."""
    return (
        [one.request for one in records],
        [(place, one.decision) for place, one in enumerate(records) if one.decision is not None],
        [(place, attempt) for place, one in enumerate(records) for attempt in one.attempts],
    )
