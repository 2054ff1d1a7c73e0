"""Figures kept in the database: of the state of the answers that they were made in, by the code that made them.

They outlive web processes, and each of these uses what another one worked out. So do the columns of numbers that a
process reads of answers and labels (`labeling.renewing`). Only figures come here: no prompt, no answer, and no name of
a person, so that nothing must be looked for here when somebody is forgotten.
"""

import sys
from collections.abc import Callable, Hashable
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from django.apps import apps
from django.conf import settings
from django.db import connection

from benchmarks.binary_reading import binary_cursor
from labeling.figure_text import from_text, to_text

Value = TypeVar("Value")

MOST_FIGURES = 200  # those made last
MOST_CHARACTERS = 1_000_000  # of one figure; a larger one is worked out by each process
MOST_COLUMNS = 20  # those kept last: sets of columns, such as a study's answers
MOST_BYTES = 50_000_000  # of one set; of more, each process reads the rows
_READ = "SELECT value FROM labeling_keptfigure WHERE name = %(name)s AND state = %(state)s"
# nobody waits for a figure to be kept: who comes second leaves it to the first
_WRITE = """
WITH mine AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext('{table}')) AS is_free),
old AS (
    DELETE FROM {table} WHERE name IN (
        SELECT name FROM {table}, mine WHERE is_free AND name <> %(name)s ORDER BY made_at DESC OFFSET %(others)s
    )
)
INSERT INTO {table} (name, {of}, value)
SELECT %(name)s, %({of})s, %(value)s FROM mine WHERE is_free
ON CONFLICT (name) DO UPDATE SET ({of}, value, made_at) = ROW (excluded.{of}, excluded.value, excluded.made_at)
"""
_WRITE_FIGURE = _WRITE.format(table="labeling_keptfigure", of="state")
_WRITE_COLUMNS = _WRITE.format(table="labeling_keptcolumns", of="seen")


def kept_in_database(
    key: Hashable, state: tuple[Any, ...], make: Callable[[], Value], *, kind: Any
) -> Value:  # Any: see `from_text`
    """Return the value of a key in a state as the database keeps it, else what `make` returns, which it then keeps.

    `kind` is the type of the value. One query where it is kept, else two. Raises what `make` raises.
    """
    found = read_figure(key, state, kind=kind)
    if found is not None:
        value: Value = found[0]
        return value
    value = make()
    keep_figure(key, state, value)
    return value


def read_figure(key: Hashable, state: tuple[Any, ...], *, kind: Any) -> tuple[Any] | None:  # Any: as `kind` says
    """Return the value of a key in a state alone, None where the database does not keep it. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_READ, {"name": name_of(key), "state": repr(state)})
        found = cursor.fetchone()
    return None if found is None else (from_text(found[0], kind),)


def keep_figure(key: Hashable, state: tuple[Any, ...], value: object) -> None:
    """Keep the value of a key in a state, unless it is too large. One query."""
    text = to_text(value)
    if len(text) <= MOST_CHARACTERS:
        kept = {"name": name_of(key), "state": repr(state), "value": text}
        with connection.cursor() as cursor:
            cursor.execute(_WRITE_FIGURE, {**kept, "others": MOST_FIGURES - 1})


def keep_columns(*, name: str, seen: str, value: bytes) -> None:
    """Keep columns by the name of their key, with what answers were like before they were read.

    Where they are too many, or somebody else just keeps some, they are left. One query.
    """
    if len(value) <= MOST_BYTES:
        with binary_cursor() as cursor:
            cursor.execute(_WRITE_COLUMNS, {"name": name, "seen": seen, "value": value, "others": MOST_COLUMNS - 1})


def name_of(key: Hashable) -> str:
    """Return what a key is called in the database: a digest of it and of all code."""
    return sha256(f"{_code_digest()} {key!r}".encode()).hexdigest()


def know_code() -> None:
    """Read what stands for all code, before a page needs it."""
    _code_digest()


@cache
def _code_digest() -> str:
    """Return what stands for all code that figures are made by: other code may make another figure of the same rows."""
    digest = sha256(f"{sys.version} {version('numpy')} {version('scipy')}".encode())
    base = Path(settings.BASE_DIR)
    for app in sorted(apps.get_app_configs(), key=lambda one: one.name):
        if Path(app.path).is_relative_to(base) and "site-packages" not in app.path:
            for path in sorted(Path(app.path).rglob("*.py")):
                digest.update(f"{path.relative_to(base)} {sha256(path.read_bytes()).hexdigest()}".encode())
    return digest.hexdigest()
