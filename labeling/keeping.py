"""Figures kept in the database: of the state of the answers that they were made in, by the code that made them.

They outlive web processes, and each of these uses what another one worked out. Only figures come here: no prompt, no
answer, and no name of a person, so that nothing must be looked for here when somebody is forgotten.
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

from labeling.figure_text import from_text, to_text

Value = TypeVar("Value")

MOST_FIGURES = 200  # those made last
MOST_CHARACTERS = 1_000_000  # of one figure; a larger one is worked out by each process
_READ = "SELECT value FROM labeling_keptfigure WHERE name = %(name)s AND state = %(state)s"
# nobody waits for a figure to be kept: who comes second leaves it to the first
_WRITE = """
WITH mine AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext('labeling_keptfigure')) AS is_free),
old AS (
    DELETE FROM labeling_keptfigure WHERE name IN (
        SELECT name FROM labeling_keptfigure, mine WHERE is_free AND name <> %(name)s
        ORDER BY made_at DESC OFFSET %(others)s
    )
)
INSERT INTO labeling_keptfigure (name, state, value)
SELECT %(name)s, %(state)s, %(value)s FROM mine WHERE is_free
ON CONFLICT (name) DO UPDATE SET (state, value, made_at) = ROW (excluded.state, excluded.value, excluded.made_at)
"""


def kept_in_database(
    key: Hashable, state: tuple[Any, ...], make: Callable[[], Value], *, kind: Any
) -> Value:  # Any: see `from_text`
    """Return the value of a key in a state as the database keeps it, else what `make` returns, which it then keeps.

    `kind` is the type of the value. One query where it is kept, else two. Raises what `make` raises.
    """
    values = {"name": _name(key), "state": repr(state)}
    with connection.cursor() as cursor:
        cursor.execute(_READ, values)
        found = cursor.fetchone()
    if found is not None:
        value: Value = from_text(found[0], kind)
        return value
    value = make()
    text = to_text(value)
    if len(text) <= MOST_CHARACTERS:
        with connection.cursor() as cursor:
            cursor.execute(_WRITE, {**values, "value": text, "others": MOST_FIGURES - 1})
    return value


def _name(key: Hashable) -> str:
    return sha256(f"{_code_digest()} {key!r}".encode()).hexdigest()


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
