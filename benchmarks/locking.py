"""A machine measures one thing at a time: an advisory lock in Postgres, one per machine."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

_NAMESPACE = 0x6772656E  # first key of the pair, so that other users of advisory locks do not meet ours


class MachineBusy(RuntimeError):
    """Something else measures on the machine right now."""


@contextmanager
def machine_lock(machine_id: int) -> Iterator[None]:
    """Hold a machine for one measurement; the lock goes with the database connection of a killed process.

    Raises:
        MachineBusy: another process holds it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_NAMESPACE, machine_id])
        row = cursor.fetchone()
    if not row or not row[0]:
        raise MachineBusy("Another worker measures on this machine; stop it, or wait until it is done.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_NAMESPACE, machine_id])
