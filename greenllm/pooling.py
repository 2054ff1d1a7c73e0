"""Database connections of a web process: kept between requests, and shared by all of them."""

from collections.abc import Mapping
from typing import Any

# Seconds that a request waits for a connection before it fails: fifty people who open the queue in one second are
# served in turn.
PATIENCE_S = 20.0
# After so many seconds without Postgres the pool stops trying until somebody asks again, so that it finds a restarted
# one at once instead of at the end of a long pause.
_RECONNECT_S = 5.0
_FEWEST = 2


def pooled(database: Mapping[str, Any], *, most: int) -> dict[str, Any]:
    """Return Django's settings of a database so that at most `most` connections are shared; 0 leaves them as they are.

    A connection that is made for one request costs it 15 ms and more, because its server process knows no table yet.
    Django cannot keep one for each thread here, since under ASGI each request has a thread of its own. Each connection
    is looked at before it is handed out, which finds what a restart of Postgres has ended.
    """
    if most == 0:
        return dict(database)
    pool = {
        "min_size": min(_FEWEST, most), "max_size": most, "timeout": PATIENCE_S, "reconnect_timeout": _RECONNECT_S,
    }  # fmt: skip
    return {**database, "CONN_HEALTH_CHECKS": True, "OPTIONS": {**database.get("OPTIONS", {}), "pool": pool}}
