"""A worker says every few seconds that it lives, whatever it does, for those who cannot look for its process.

RQ's own sign of life is given between jobs, and lasts as long as a job may take. This one is a key of Valkey that goes
by itself, by the clock of the server, once nobody renews it.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

BEAT_S = 10.0
SILENT_S = 35  # three beats may be lost


def has_beaten(name: str, connection: Redis) -> bool:
    """Tell whether a worker has given a sign of life within `SILENT_S`."""
    return bool(connection.exists(_key(name)))


def beat(name: str, connection: Redis) -> None:
    """Give one."""
    connection.set(_key(name), 1, ex=SILENT_S)


@contextmanager
def beating(name: str, connection: Redis, *, every_s: float = BEAT_S) -> Iterator[None]:
    """Give signs of life from a thread of its own while what is within runs; its end is told at once.

    A process that is stopped or killed, or whose host is away, gives none.
    """
    is_over = threading.Event()
    thread = threading.Thread(target=_beat_on, args=(name, connection, every_s, is_over), name="beating", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        try:
            connection.delete(_key(name))
        except RedisError:
            logger.info("the queue is away: that %s ends is known in %d s", name, SILENT_S)


def _beat_on(name: str, connection: Redis, every_s: float, is_over: threading.Event) -> None:
    while True:
        try:
            beat(name, connection)
        except RedisError:
            logger.info("%s cannot say that it lives: the queue is away", name)
        if is_over.wait(every_s):
            return


def _key(name: str) -> str:
    return f"greenllm:beat:{name}"
