"""What one check looked at and what it found broken."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import connection, transaction

_TOLD = 10  # of what is broken; the rest is counted


@contextmanager
def one_moment() -> Iterator[None]:
    """Have the queries of the block see one moment, so that what others write between two of them looks like no fault.

    Inside a transaction that goes on already its isolation counts.
    """
    is_own = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if is_own:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


@dataclass
class Tally:
    """Counts what is looked at, and keeps the first few sentences of what is broken."""

    looked_at_count: int = 0
    broken_count: int = 0
    told: list[str] = field(default_factory=list)

    def look(self, count: int = 1) -> None:
        """Note that something was looked at."""
        self.looked_at_count += count

    def broken(self, sentence: str) -> None:
        """Note something that is broken."""
        self.broken_count += 1
        if len(self.told) < _TOLD:
            self.told.append(sentence)

    def sentences(self, query: str, *, of: str) -> None:
        """Note each row of a query, one sentence, as broken; `of` is the table whose rows were looked at."""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {of}")  # noqa: S608 - a name of our own
            self.look(int(cursor.fetchone()[0]))
            cursor.execute(query)
            while rows := cursor.fetchmany(1000):
                for (sentence,) in rows:
                    self.broken(sentence)
