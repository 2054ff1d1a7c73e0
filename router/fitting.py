"""The regression of what is known, fitted in this process beside the decisions.

Fitting takes some seconds for 10,000 prompts. So it runs in a thread; until it is ready, the neighbours alone estimate,
and after a change the fit made before it. A fit is made anew at most a tenth of the time, however often labels come.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connections

from benchmarks.models import Prompt
from router.estimate import Estimator
from router.index import VectorStore
from router.indexing import text_of
from router.knowledge import Knowledge
from router.models import PromptIndex
from router.regression import RegressionEstimator

logger = logging.getLogger(__name__)

_REST = 9.0  # times what the latest fit took
_FITTING = "The regression is being fitted; until then the neighbours alone estimate."
_FAILED = "The regression could not be fitted, so the neighbours alone estimate; the log tells why."
_OLDER = "The regression is of a moment before the latest labels; it is being fitted anew."


@dataclass(frozen=True)
class _Fit:
    stamp: tuple[Any, ...]
    estimator: RegressionEstimator
    spent_s: float
    ready_s: float

    def is_of(self, knowledge: Knowledge) -> bool:
        """Tell whether its prompts and models are those of today, whatever was judged since."""
        return (self.stamp[0], self.stamp[-1]) == (knowledge.stamp[0], knowledge.stamp[-1])


class FitKeeper:
    """Keeps the regression of the current knowledge in this process; safe to use from several threads.

    Args:
        start: begins work beside the decisions.
        clock: seconds.
    """

    def __init__(
        self,
        *,
        start: Callable[[Callable[[], None]], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start, self._clock = start or _in_a_thread, clock
        self._fit: _Fit | None = None
        self._failed: tuple[Any, ...] | None = None  # the stamp of what could not be fitted
        self._lock = threading.Lock()

    def current(self, knowledge: Knowledge, index: PromptIndex, *, is_patient: bool = False) -> tuple[Estimator, str]:
        """Return what estimates now, and a sentence where that is not the regression of just what is known.

        Args:
            knowledge: what is known.
            index: whose prompts these are.
            is_patient: fit before returning; for a command, which has no later.

        Raises:
            NoCandidate: no deployment is active, so that nothing is known.
        """
        neighbours = knowledge.estimator()
        if is_patient:
            with self._lock:
                if self._fit is None or self._fit.stamp != knowledge.stamp:
                    self._refit(knowledge, index)
        fit = self._fit
        if fit is not None and fit.stamp == knowledge.stamp:
            return fit.estimator, ""
        if self._failed == knowledge.stamp:
            return neighbours, _FAILED
        self._fit_beside(knowledge, index)
        return (fit.estimator, _OLDER) if fit is not None and fit.is_of(knowledge) else (neighbours, _FITTING)

    def _refit(self, knowledge: Knowledge, index: PromptIndex) -> None:
        began = self._clock()
        prompts = Prompt.objects.only("text", "item_text").in_bulk([int(key) for key in knowledge.prompt_ids])
        texts = [text_of(prompts[int(key)], index.embedded_text) for key in knowledge.prompt_ids]
        estimator = RegressionEstimator(knowledge.estimator().known, texts)
        ready = self._clock()
        self._fit = _Fit(knowledge.stamp, estimator, ready - began, ready)

    def _fit_beside(self, knowledge: Knowledge, index: PromptIndex) -> None:
        fit = self._fit
        if fit is not None and fit.is_of(knowledge) and self._clock() < fit.ready_s + _REST * fit.spent_s:
            return
        if not self._lock.acquire(blocking=False):
            return  # it is being fitted already

        def refit() -> None:
            try:
                self._refit(knowledge, index)
            except Exception:  # a thread's outer edge; routing goes on by neighbours
                self._failed = knowledge.stamp
                logger.exception("the regression of index %s could not be fitted", index.pk)
            finally:
                self._lock.release()

        self._start(refit)


def _in_a_thread(work: Callable[[], None]) -> None:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()  # those of this thread

    threading.Thread(target=run, name="regression", daemon=True).start()


_keepers: WeakKeyDictionary[VectorStore, FitKeeper] = WeakKeyDictionary()


def fits_of(store: VectorStore) -> FitKeeper:
    """Return the one keeper of the fits of a store's index in this process."""
    return _keepers.setdefault(store, FitKeeper())
