"""Tell Postgres who acts, before it is told what: its triggers then write both down, in the transaction of the act."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from django.db import DatabaseError, connection
from psycopg.sql import Composable

_TELL = "SELECT set_config('greenllm.actor', %s, false)"
# what a statement writes; of one that begins WITH, the first part that writes; not that it locks
_WRITES = re.compile(
    r"^\s*(?:WITH\b.*?(?<!FOR )(?<!KEY )\b)?(INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?\"?(\w+)",
    re.DOTALL | re.IGNORECASE,
)
Execute = Callable[[str, Any, bool, dict[str, Any]], Any]  # Any: as Django's wrappers of statements have them


def written_by(sql: str | Composable) -> tuple[str, str] | None:
    """Return how a statement writes (INSERT, UPDATE or DELETE) and into which table; None where it writes nothing."""
    found = _WRITES.match(sql if isinstance(sql, str) else sql.as_string())
    return None if found is None else (found[1].split()[0].upper(), found[2])


class Teller:
    """Tells who acts before each statement that writes: a connection may be a new one, and a rollback forgets it."""

    def __init__(self, actor: Mapping[str, object]) -> None:
        self._actor = json.dumps(actor)
        self.has_told = False

    def __call__(self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if written_by(sql) is not None:
            self.tell(context["connection"])
        return execute(sql, params, many, context)

    def tell(self, used: Any) -> None:
        """Tell it on a connection of Django's."""
        with used.wrap_database_errors:
            used.connection.execute(_TELL, [self._actor])
        self.has_told = True

    def begin(self) -> None:
        """Begin, for what this thread writes."""
        connection.execute_wrappers.append(self)

    def end(self) -> None:
        """Tell no more: the connection may serve somebody else now."""
        connection.execute_wrappers.remove(self)
        if self.has_told and connection.connection is not None:
            _tell_nobody()


def _tell_nobody() -> None:
    """End what was told on this connection; one that cannot be told is closed."""
    try:
        with connection.wrap_database_errors:
            connection.connection.execute(_TELL, [""])
    except DatabaseError:
        connection.close()
