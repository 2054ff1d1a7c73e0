"""The database of a web process: as Django's own, but its pool lets no page wait for a Postgres that is away."""

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as _DatabaseWrapper

from greenllm.pooling import WatchedPool

_Wrapper: Any = _DatabaseWrapper  # Any: the stubs do not know its pool


class DatabaseWrapper(_Wrapper):  # type: ignore[misc]  # as said
    """One connection, taken from the watched pool."""

    @property
    def pool(self) -> WatchedPool | None:
        """Return the pool of this process, made at the first question; None where there shall be none."""
        pool = super().pool
        return None if pool is None else WatchedPool(pool)
