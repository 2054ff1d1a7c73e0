"""Put the rows of several requests into the database with one statement, whose rows are JSON.

Each further message is one more turn that every request of a batch waits for, and to bind each value on its own costs
the process more than the rest of the writing. The statement is always the same, so that a kept connection has Postgres
plan it once: planning took Postgres longer than storing the rows of a request.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from math import isfinite
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, models

from router.models import GatewayRequest, RoutingDecision, UpstreamAttempt

_STATEMENT = """
WITH requests AS (
    INSERT INTO {table} ({columns})
    SELECT {values}
    FROM json_populate_recordset(NULL::{table}, %s::json) AS given
    ON CONFLICT (public_id) DO UPDATE SET {updates}
    RETURNING id, public_id
), batch AS (
    SELECT requests.id, one.place
    FROM unnest(%s::text[]) WITH ORDINALITY AS one (public_id, place)
    JOIN requests ON requests.public_id = one.public_id
), decisions AS ({decisions}), attempts AS ({attempts})
SELECT batch.place, 'request' AS what, 1 AS number, batch.id FROM batch
UNION ALL SELECT batch.place, 'decision', 1, decisions.id FROM decisions JOIN batch ON batch.id = decisions.request_id
UNION ALL SELECT batch.place, 'attempt', number, attempts.id FROM attempts JOIN batch ON batch.id = attempts.request_id
"""
# a row of a request tells the place of that in the batch: its key is known to the database alone
_OF_REQUESTS = """
    INSERT INTO {table} (request_id, {columns})
    SELECT batch.id, {values}
    FROM json_populate_recordset(NULL::{table}, %s::json) AS given
    JOIN batch ON batch.place = given.request_id
    ON CONFLICT ({unique}) DO UPDATE SET {updates}
    RETURNING id, {unique}
"""

Placed = tuple[int, RoutingDecision | UpstreamAttempt]


def put_rows(requests: Sequence[GatewayRequest], decisions: Sequence[Placed], attempts: Sequence[Placed]) -> None:
    """Insert rows, or replace those that are there, and note their keys; where no transaction is open, all or none.

    Requests are known by their public ids. A decision or an attempt comes with the place of its request, from 0.

    Raises:
        DatabaseError: they cannot be stored.
    """
    note_keys(requests, decisions, attempts, _put(params_of(requests, decisions, attempts)))


def params_of(requests: Sequence[GatewayRequest], decisions: Sequence[Placed], attempts: Sequence[Placed]) -> list[Any]:
    """Return the values that go with `statement`."""
    return [
        _as_json([_values(row) for row in requests]),
        [request.public_id for request in requests],
        *(
            _as_json([{**_values(row), "request_id": place + 1} for place, row in rows])
            for rows in (decisions, attempts)
        ),
    ]


def note_keys(
    requests: Sequence[GatewayRequest],
    decisions: Sequence[Placed],
    attempts: Sequence[Placed],
    found: Iterable[tuple[int, str, int, int]],
) -> None:
    """Note in stored rows the keys that `statement` has told."""
    keys = {(place, what, number): key for place, what, number, key in found}
    for place, request in enumerate(requests, start=1):
        _note_key(request, keys[place, "request", 1])
    for what, rows in (("decision", decisions), ("attempt", attempts)):
        for place, row in rows:
            # The key alone. A request that Django hands its decision would hold it in turn, and a ring of hundreds of
            # objects is only gone with a collection of all.
            row.request_id = requests[place].pk
            _note_key(row, keys[place + 1, what, getattr(row, "number", 1)])


def _put(params: Sequence[Any]) -> list[tuple[int, str, int, int]]:
    """Return the keys that rows have got: the place of the request, what it is, its number there, and its key."""
    wrapper: Any = connection  # Any: the stubs know only what all databases have
    wrapper.ensure_connection()
    postgres = wrapper.connection
    # Django's own cursor writes the values into the statement, so that each is another one
    with wrapper._prepare_cursor(psycopg.Cursor(postgres)) as cursor:
        # without a pool of ours there may be another one between, which gives each statement another connection
        postgres.prepare_threshold = None if wrapper.pool is None else 0
        try:
            cursor.execute(statement(), params)
        finally:
            postgres.prepare_threshold = None  # psycopg would note every statement of Django
        found: list[tuple[int, str, int, int]] = cursor.fetchall()
        return found


@lru_cache
def _columns(model: type[models.Model]) -> tuple[str, ...]:
    """Return the columns that a row brings itself."""
    fields = model._meta.concrete_fields
    return tuple(one.attname for one in fields if not one.primary_key and one.attname != "request_id")


@lru_cache
def statement() -> str:
    """Return what puts rows of requests, always in the same words; it tells the keys of all of them."""
    return _STATEMENT.format(
        **_parts(GatewayRequest, "public_id"),
        decisions=_OF_REQUESTS.format(**_parts(RoutingDecision, "request_id")),
        attempts=_OF_REQUESTS.format(**_parts(UpstreamAttempt, "request_id", "number")),
    )


def _parts(model: type[models.Model], *unique: str) -> dict[str, str]:
    """Return the parts of a statement that put rows of a table, told apart by the unique columns."""
    columns = _columns(model)
    return {
        "table": model._meta.db_table,
        "columns": ", ".join(columns),
        "values": ", ".join(f"given.{column}" for column in columns),
        "updates": ", ".join(f"{column} = EXCLUDED.{column}" for column in columns if column not in unique),
        "unique": ", ".join(unique),
    }


def _values(row: models.Model) -> dict[str, Any]:  # Any: of whatever types the columns are
    found = row.__dict__
    return {column: found[column] for column in _columns(type(row))}


def _as_json(rows: list[dict[str, Any]]) -> str:
    try:
        return json.dumps(rows, default=datetime.isoformat, allow_nan=False)
    except ValueError:  # Postgres reads as a text what JSON has no number for
        named = [{column: _named(value) for column, value in row.items()} for row in rows]
        return json.dumps(named, default=datetime.isoformat)


def _named(value: object) -> object:
    return str(value) if isinstance(value, float) and not isfinite(value) else value


def _note_key(row: models.Model, key: int) -> None:
    row.pk = key
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS
