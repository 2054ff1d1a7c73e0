"""A clock for one thing that takes a while: it tells the wall clock's time of its beginning, and goes on steadily.

The wall clock may be set meanwhile; what began and ended by one steady clock lasted what it lasted.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta


class SteadyClock:
    """Tells the time since `began_at` by a clock that nobody sets.

    Args:
        began_at: the wall clock's time now.
        monotonic: seconds.
    """

    def __init__(self, began_at: datetime, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.began_at = began_at
        self._monotonic = monotonic
        self._began_s = monotonic()

    def now(self) -> datetime:
        """Return the time."""
        return self.began_at + timedelta(seconds=self._monotonic() - self._began_s)
