"""What the live router knows of an index that is too large for the memory.

Verdicts and SCI of all known prompts lie in files beside the vectors (`router.known_table`), of which a decision looks
at the neighbours' rows; kept in the process are sums over them. They are made beside the decisions, and serve the next
start. Of later changes the prompts are looked up and read anew before the next decision. Everything is made anew, at
most a tenth of the time, when a rule or the federation changed, much changed, or an hour passed with changes.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from django.db import connection, connections

from benchmarks.models import Deployment
from router.draft_folders import draft_folder
from router.index import IndexStoreError, VectorStore
from router.knowledge import Knowledge, keeper_of, stamp_of
from router.known_table import KnownTable
from router.large_knowledge import Kept, LargeKnowledge, StillReading, knowledge_of
from router.lately import lately
from router.models import PromptIndex
from router.policy import QUALITIES_IN_ORDER
from router.summing import category_ids_of, changed_since, fill, refresh
from router.vectors import LOOKED_AT

logger = logging.getLogger(__name__)

_SPREAD = """
SELECT prompt_id FROM (
    SELECT prompt_id, row_number() OVER (ORDER BY prompt_id) AS place FROM router_indexedprompt WHERE index_id = %s
) AS entry WHERE place %% %s = 0 ORDER BY 1 LIMIT %s
"""
_REST = 9.0  # times what reading everything took
_OFTEN_S = 3600.0  # after so long everything is read anew, once something changed
_MOST_CHANGES = 5000  # prompts read anew before a decision


class LargeKeeper:
    """Keeps the table of the current index in this process; safe to use from several threads.

    Args:
        store: the vectors.
        start: begins work beside the decisions.
        clock: seconds.
    """

    def __init__(
        self,
        *,
        store: VectorStore,
        start: Callable[[Callable[[], None]], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._start, self._clock = store, start or _in_a_thread, clock
        self._kept: Kept | None = None
        self._known: LargeKnowledge | None = None
        self._making, self._changing = threading.Lock(), threading.Lock()

    def current(self, index: PromptIndex, *, is_patient: bool = False) -> LargeKnowledge:
        """Return what is known now, but for what only reading everything anew tells.

        Args:
            index: which is too large for the memory.
            is_patient: wait where nothing is made yet; for a command, which has no later.

        Raises:
            StillReading: it is being read for the first time.
            NoCandidate: no deployment is active.
        """
        stamp = lately(("knowledge", index.pk), lambda: stamp_of(index))
        with self._changing:
            if self._kept is None or self._kept.stamp[0] != index.pk:
                self._kept = self._from_files(index)
            kept = self._kept
        if kept is None and is_patient:
            with self._making:
                kept = self._make(index, stamp)
        if kept is None:
            self._make_beside(index, stamp)
            raise StillReading(
                f"What is known of the {index.prompt_count} prompts of the index is still being read; try again in "
                f"some minutes, or choose the policy nearest."
            )
        with self._changing:
            if kept.stamp != stamp and not self._follow(kept, stamp):
                self._make_beside(index, stamp)
            known = self._known
            if known is None or known.stamp != (id(kept), kept.changes, stamp[-1]):
                known = self._known = knowledge_of(kept, stamp[-1])
        return known

    def _follow(self, kept: Kept, stamp: tuple[Any, ...]) -> bool:
        """Read anew what changed; False where more than that is to be read."""
        if kept.stamp[:4] + kept.stamp[5:6] != stamp[:4] + stamp[5:6]:
            changed = changed_since(kept.stamp, limit=_MOST_CHANGES)
            if len(changed) >= _MOST_CHANGES:
                return False
            rows = np.sort(kept.table.rows_of(changed))
            rows = rows[rows >= 0]
            if len(rows):
                kept.sums.add(kept.table.summed(len(kept.category_ids), rows), sign=-1)
                refresh(kept.table, rows, _columns(kept.deployment_ids))
                kept.sums.add(kept.table.summed(len(kept.category_ids), rows))
            kept.stamp = (*stamp[:4], kept.stamp[4], stamp[5], kept.stamp[6])
            kept.changes += 1
            if self._clock() >= kept.ready_s + _OFTEN_S:
                return False
        return kept.stamp == stamp  # else a rule or the federation changed

    def _make(self, index: PromptIndex, stamp: tuple[Any, ...]) -> Kept:
        began = self._clock()
        before = self._kept
        is_same = before is not None and before.stamp[0] == index.pk
        novelty = (
            before.novelty
            if before is not None and is_same
            else self._store.usual_distance(index.collection_name, _spread(index))
        )
        deployments = tuple(Deployment.objects.active().filter(pk__in=stamp[-1]).select_related("language_model"))
        category_ids = category_ids_of(index)
        target = self._folder(index)
        with draft_folder(target.parent) as draft:
            table = KnownTable.make(
                draft / "table", prompts=index.prompt_count, deployments=len(deployments),
                qualities=len(QUALITIES_IN_ORDER),
            )  # fmt: skip
            fill(table, index, deployments, category_ids)
            facts = {
                "built_at": str(index.built_at),
                "stamp": [one.isoformat() if isinstance(one, datetime) else one for one in stamp],
                "deployment_ids": [one.pk for one in deployments],
                "category_ids": category_ids,
                "novelty": novelty,
            }
            table.finish(draft / "table", target, facts)
        kept = self._from_files(index)
        if kept is None:
            raise IndexStoreError(f"{target} cannot be read right after it was written.")
        kept.ready_s = self._clock()
        kept.spent_s = kept.ready_s - began
        self._kept = kept
        return kept

    def _make_beside(self, index: PromptIndex, stamp: tuple[Any, ...]) -> None:
        kept = self._kept
        if kept is not None and self._clock() < kept.ready_s + _REST * kept.spent_s:
            return
        if not self._making.acquire(blocking=False):
            return  # it is being made already

        def make() -> None:
            try:
                self._make(index, stamp)
            except Exception:  # a thread's outer edge; routing goes on by what it has
                logger.exception("what is known of index %s could not be read", index.pk)
            finally:
                self._making.release()

        self._start(make)

    def _from_files(self, index: PromptIndex) -> Kept | None:
        """Return what an earlier start, or another process, has made; what changed since is followed like the rest."""
        try:
            table, facts = KnownTable.open(self._folder(index))
            if facts["built_at"] != str(index.built_at):
                return None  # of an index that had this name in an earlier database
            *changing, active = facts["stamp"]
            stamp = (*(datetime.fromisoformat(one) if isinstance(one, str) else one for one in changing), tuple(active))
            ids, category_ids = tuple(facts["deployment_ids"]), tuple(facts["category_ids"])
        except (OSError, ValueError, KeyError, EOFError):
            return None  # none, or damaged
        sums = table.summed(len(category_ids))
        return Kept(stamp, table, ids, category_ids, sums, facts["novelty"], 0.0, self._clock())

    def _folder(self, index: PromptIndex) -> Path:
        return self._store.known_dir(index.collection_name)


def _spread(index: PromptIndex) -> list[int]:
    """Return some prompts of the index, evenly spread over them."""
    step = max(1, index.prompt_count // LOOKED_AT)
    with connection.cursor() as cursor:
        cursor.execute(_SPREAD, [index.pk, step, LOOKED_AT])
        return [row[0] for row in cursor.fetchall()]


def _columns(deployment_ids: Sequence[int]) -> list[Deployment]:
    """Return the deployments of the table's columns, in their order."""
    found = Deployment.objects.in_bulk(deployment_ids)
    return [found[key] for key in deployment_ids]


def _in_a_thread(work: Callable[[], None]) -> None:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()  # those of this thread

    threading.Thread(target=run, name="sums", daemon=True).start()


_keepers: WeakKeyDictionary[VectorStore, LargeKeeper] = WeakKeyDictionary()


def large_keeper_of(store: VectorStore) -> LargeKeeper:
    """Return the one keeper of a store's large index in this process."""
    return _keepers.setdefault(store, LargeKeeper(store=store))


def known_of(index: PromptIndex, store: VectorStore, *, is_patient: bool = False) -> Knowledge:
    """Return what is known of an index of any size.

    Raises:
        StillReading: it is large, and is being read for the first time.
        IndexStoreError: the vectors cannot be read.
    """
    if store.is_held(index.prompt_count):
        return keeper_of(store).current(index)
    return large_keeper_of(store).current(index, is_patient=is_patient)
