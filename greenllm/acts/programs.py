"""What commands at a shell and jobs of a worker change, beside what admins do by a page.

Rows of the watched tables are told by the triggers. That something ran at all is told with the first row that it
writes, into whichever table, in the same transaction; when it has ended, how many rows of each table it wrote.
"""

import logging
import os
import pwd
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from greenllm.acts.telling import Execute, Teller, written_by
from greenllm.models import AdminAct

logger = logging.getLogger(__name__)

# A line for each run of these would tell nothing. What they do to watched tables is told all the same.
RUNS_NOT_TOLD = {
    "benchmarks.jobs.measure_response": "a study has thousands of them, and is told itself",
    "work": "it is what runs the jobs, which are told",
}
_IS_THERE = "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('greenllm_adminact') AND attname = 'program'"
_WORDS = {"INSERT": "added", "UPDATE": "changed", "DELETE": "deleted"}
_OWN = AdminAct._meta.db_table


@dataclass
class _Tally:
    """How many rows of which table were written, and how; and whether it stands there that the program ran."""

    rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    is_noted: bool = False


class _ProgramTeller(Teller):
    """Tells what a program does on this thread's connection, and counts the rows that it writes."""

    def __init__(self, *, place: AdminAct.Place, program: str, os_user: str = "") -> None:
        super().__init__({"place": place, "program": program, "os_user": os_user})
        self._facts = {"place": place, "program": program, "os_user": os_user}
        self._is_run_told = program not in RUNS_NOT_TOLD
        self._told_on: object | None = None
        self._is_noting = False
        self._kept, self._open = _Tally(), _Tally()  # what is committed, and what the open transaction has written

    def begin(self) -> None:
        """Begin, or go on after somebody else told what they did on this connection."""
        self._told_on = None
        super().begin()

    def __call__(self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        written = None if self._is_noting else written_by(sql)
        used = context["connection"]
        if written is None or written[1] == _OWN:
            return execute(sql, params, many, context)
        self.tell(used)
        if not self._is_run_told:
            return execute(sql, params, many, context)
        if self._kept.is_noted or used.in_atomic_block:
            return self._counted(written, execute, sql, params, many, context)
        with transaction.atomic(using=used.alias):  # so that the row is not there without its line
            return self._counted(written, execute, sql, params, many, context)

    def _counted(self, written: tuple[str, str], execute: Execute, *statement: Any) -> Any:
        result = execute(*statement)
        context = statement[-1]
        if context["cursor"].rowcount > 0:
            tally = self._tally(context["connection"])
            tally.rows[written[1], _WORDS[written[0]]] += context["cursor"].rowcount
            self.note_run(context["connection"])
        return result

    def _tally(self, used: Any) -> _Tally:
        """Return where to count: what a transaction wrote counts once it is committed."""
        if not used.in_atomic_block:
            return self._kept
        if not self._is_open(used):
            self._open = _Tally()
            transaction.on_commit(self._keep, using=used.alias)
        return self._open

    def _is_open(self, used: Any) -> bool:
        """Tell whether the transaction in which was counted goes on: a rollback forgets what waits for its end."""
        return any(called == self._keep for _, called, _ in used.run_on_commit)

    def _keep(self) -> None:
        self._kept.rows.update(self._open.rows)
        self._kept.is_noted |= self._open.is_noted
        self._open = _Tally()

    def tell(self, used: Any) -> None:
        """Tell it once for each connection, where no rollback can take it back."""
        if used.connection is not self._told_on:
            super().tell(used)
            self._told_on = None if used.in_atomic_block else used.connection

    def note_run(self, used: Any) -> None:
        """Write down that it ran, unless that stands there, or will with the transaction that is open."""
        tally = self._tally(used)
        if self._kept.is_noted or tally.is_noted or used.connection.execute(_IS_THERE).fetchone() is None:
            return  # where the table is not there, it is its migrations that run
        self._note(AdminAct.Kind.RAN, {})
        tally.is_noted = True

    def _note(self, kind: AdminAct.Kind, after: dict[str, str]) -> None:
        self._is_noting = True
        try:
            AdminAct.objects.create(happened_at=timezone.now(), kind=kind, after=after, **self._facts)
        finally:
            self._is_noting = False

    def note_end(self, failure: str) -> None:
        """Write down what it wrote, and the kind of its failure; whatever its error says is nobody's business here."""
        if self._is_open(connection):  # of whoever called the command within a transaction of their own
            self._keep()
        if not self._kept.is_noted:
            return
        told: dict[str, str] = {"failure": failure} if failure else {}
        for table in sorted({table for table, _ in self._kept.rows}):
            words = [f"{n} {how}" for (of, how), n in sorted(self._kept.rows.items()) if of == table]
            told[table] = ", ".join(words)
        try:
            self._note(AdminAct.Kind.ENDED, told)
        except (DatabaseError, InterfaceError) as error:  # `demo` and `up` stop Postgres themselves
            logger.debug("that %s ended cannot be written down: %s", self._facts["program"], error)


@contextmanager
def acts_noted(*, place: AdminAct.Place, program: str, os_user: str = "") -> Iterator[None]:
    """Have what is written within, by this thread, noted as done by a program."""
    outer = [one for one in connection.execute_wrappers if isinstance(one, _ProgramTeller)]
    for one in outer:  # the worker's own, while it has a job
        one.end()
    teller = _ProgramTeller(place=place, program=program, os_user=os_user)
    teller.begin()
    failure = ""
    try:
        yield
    except BaseException as error:
        failure = type(error).__name__
        raise
    finally:
        try:
            teller.note_end(failure)
        finally:
            teller.end()
            for one in outer:
                one.begin()


def note_run(program: str) -> None:
    """Note that a command ran which writes past Django's connection."""
    running = next((one for one in connection.execute_wrappers if isinstance(one, _ProgramTeller)), None)
    if running is not None:
        running.note_run(connection)
        return
    with acts_noted(place=AdminAct.Place.SHELL, program=program, os_user=os_user()):
        note_run(program)


@contextmanager
def noting_job(name: str) -> Iterator[None]:
    """Have what a job changes noted; the worker runs each job within (`AROUND_JOBS`)."""
    with acts_noted(place=AdminAct.Place.WORKER, program=name):
        yield


def os_user() -> str:
    """Return who is at the shell, as the system knows; whoever came by sudo is told too, as sudo says."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    before = os.environ.get("SUDO_USER", "")
    return f"{name} (sudo by {before})"[:150] if before and before != name else name[:150]
