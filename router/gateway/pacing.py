"""Let requests begin a few at a time, so that hundreds that come at once do not keep everybody else waiting."""

import asyncio
from collections import deque

_AT_ONCE = 4  # some milliseconds of work, which is how long others then wait for their turn


class Pacing:
    """Lets `at_once` requests begin in each turn of one event loop, in the order in which they came.

    Without it the loop does the same step of all of them before it looks at anything else.
    """

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._at_once = at_once
        self._left = at_once
        self._is_turning = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def begin(self) -> None:
        """Return once it is the request's turn."""
        loop = asyncio.get_running_loop()
        if not self._is_turning:
            self._is_turning = True
            loop.call_soon(self._turn, loop)
        if self._left and not self._waiting:
            self._left -= 1
            return
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        is_idle = self._left == self._at_once and not self._waiting
        self._left = self._at_once
        while self._waiting and self._left:
            turn = self._waiting.popleft()
            if not turn.done():  # else its client has left
                turn.set_result(None)
                self._left -= 1
        self._is_turning = not is_idle
        if self._is_turning:
            loop.call_soon(self._turn, loop)
