"""Uvicorn's HTTP protocol (its `--http`), but a process that ends reads once more from connections without a request.

Uvicorn closes them at once. A client whose request is on its way, or waits in the socket for a busy loop, gets a reset
then: nobody refused it, and nobody answered it. A connection that was just accepted always has such a client.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_LOOKS = 2
_LOOK_S = 0.25  # the loop reads what has come between two looks, however busy it is


class LingeringProtocol(HttpToolsProtocol):
    """A connection whose requests are answered for another half a second once its process is to end."""

    _is_ending = False

    def shutdown(self) -> None:
        """Close the connection after the answer that is under way; without one, half a second later."""
        self._is_ending = True
        if self._is_answering():
            super().shutdown()
        else:
            self._linger(_LOOKS)

    def on_headers_complete(self) -> None:
        """Begin the answer; it is the last one, and says so, where the process is to end."""
        super().on_headers_complete()
        if self._is_ending:
            self.cycle.keep_alive = False

    def _linger(self, looks: int) -> None:
        if self._is_answering() or self.transport.is_closing():
            return  # closes by itself
        if looks:
            self.loop.call_later(_LOOK_S, self._linger, looks - 1)
        else:
            super().shutdown()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete
