"""Put the rows of several requests into the database with one message, whose rows are JSON.

Each further message is one more turn that every request of a batch waits for, and to bind each value on its own costs
the process more than the rest of the writing.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from math import isfinite
from typing import Any

from django.db import connection, models

from router.models import GatewayRequest, RoutingDecision, UpstreamAttempt

_REQUESTS = """
INSERT INTO {table} ({columns})
SELECT {values}
FROM json_populate_recordset(NULL::{table}, %s::json) AS given
ON CONFLICT (public_id) DO UPDATE SET {updates}
RETURNING id, public_id
"""
# a row of a request tells the place of that in the batch: its key is known to the database alone
_OF_REQUESTS = """
INSERT INTO {table} (request_id, {columns})
SELECT request.id, {values}
FROM json_populate_recordset(NULL::{table}, %s::json) AS given
JOIN unnest(%s::text[]) WITH ORDINALITY AS batch (public_id, place) ON batch.place = given.request_id
JOIN router_gatewayrequest AS request ON request.public_id = batch.public_id
ON CONFLICT ({unique}) DO UPDATE SET {updates}
RETURNING id, request_id, {number}
"""

Placed = tuple[int, RoutingDecision | UpstreamAttempt]


def put_rows(requests: Sequence[GatewayRequest], decisions: Sequence[Placed], attempts: Sequence[Placed]) -> None:
    """Insert rows, or replace those that are there, and note their keys; where no transaction is open, all or none.

    Requests are known by their public ids. A decision or an attempt comes with the place of its request, from 0.

    Raises:
        DatabaseError: they cannot be stored.
    """
    ids = [request.public_id for request in requests]
    statements: list[str] = [_statement(GatewayRequest)]
    params: list[Any] = [  # Any: texts, and lists of them
        _as_json([_values(row) for row in requests])
    ]
    owned = [rows for rows in (decisions, attempts) if rows]
    for rows in owned:
        statements.append(_statement(type(rows[0][1])))
        params += [_as_json([{**_values(row), "request_id": place + 1} for place, row in rows]), ids]
    with connection.cursor() as cursor:
        cursor.execute(";".join(statements), params)  # of one message Postgres makes one transaction
        keys = {public_id: key for key, public_id in cursor.fetchall()}
        for request in requests:
            _note_key(request, keys[request.public_id])
        for rows in owned:
            cursor.nextset()
            told = {(request_id, number): key for key, request_id, number in cursor.fetchall()}
            for place, row in rows:
                row.request = requests[place]
                _note_key(row, told[row.request_id, getattr(row, "number", 1)])


@lru_cache
def _columns(model: type[models.Model]) -> tuple[str, ...]:
    """Return the columns that a row brings itself."""
    fields = model._meta.concrete_fields
    return tuple(one.attname for one in fields if not one.primary_key and one.attname != "request_id")


@lru_cache
def _statement(model: type[models.Model]) -> str:
    columns, unique = _columns(model), ["request_id", *(["number"] if model is UpstreamAttempt else [])]
    kept = ["public_id"] if model is GatewayRequest else unique
    return (_REQUESTS if model is GatewayRequest else _OF_REQUESTS).format(
        table=model._meta.db_table,
        columns=", ".join(columns),
        values=", ".join(f"given.{column}" for column in columns),
        updates=", ".join(f"{column} = EXCLUDED.{column}" for column in columns if column not in kept),
        unique=", ".join(unique),
        number="number" if model is UpstreamAttempt else "1",
    )


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
    row._state.adding, row._state.db = False, connection.alias
