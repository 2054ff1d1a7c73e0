"""Tell of a request that has ended: it is counted always, and traced where somebody asked for that."""

import logging
from collections.abc import Callable

from router.counting import count_request
from router.ended import Ended

logger = logging.getLogger(__name__)

Observer = Callable[[Ended], None]
_observers: list[Observer] = [count_request]


def tell_also(observer: Observer) -> Callable[[], None]:
    """Tell another observer of every request from now on; return what ends that."""
    _observers.append(observer)
    return lambda: _observers.remove(observer)


def observe(ended: Ended) -> None:
    """Tell every observer; what one of them cannot do disturbs nobody."""
    for observer in tuple(_observers):
        try:
            observer(ended)
        except Exception:  # the outer edge of observing: an answer does not fail because it was not counted
            logger.exception("%s could not be counted or traced", ended.request.public_id)
