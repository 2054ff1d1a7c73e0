"""A time budget that every read of an HTTP answer obeys.

httpx limits each single read; an answer that trickles would never end. Here the limit of a read is what is
left of the budget, and it changes at the first token. This sits in the network layer, because from outside
only a second thread could end a read that is already blocked.
"""

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from benchmarks.inference.interruption import Interruption
from benchmarks.reach import AddressForbidden, GuardedBackend
from benchmarks.units import nanoseconds_to_seconds

_SocketOptions = Iterable[httpcore.SOCKET_OPTION]


class TimeBudget:
    """How long one request may wait: until its first token, and in all; both in seconds from its making.

    `interruption` can end the wait earlier, from another thread.
    """

    def __init__(
        self,
        *,
        first_token_s: float,
        total_s: float,
        clock_ns: Callable[[], int],
        interruption: Interruption | None = None,
    ) -> None:
        self.interruption = interruption
        self.first_token_s = first_token_s
        self.total_s = total_s
        self._clock_ns = clock_ns
        self._started_ns = clock_ns()
        self.time_to_first_token_ns: int | None = None
        self.byte_count = 0  # over the wire, both ways
        self.forbidden_address = ""  # why the connection was not made, where no server may be there

    def note_token(self) -> None:
        """Note that a piece of text arrived; the first one ends the wait for the first token."""
        if self.time_to_first_token_ns is None:
            self.time_to_first_token_ns = self.elapsed_ns()

    def restart(self) -> None:
        """Begin anew, for work of unknown length that tells how far it is."""
        self._started_ns = self._clock_ns()

    def elapsed_ns(self) -> int:
        """Give the time since the budget began, in nanoseconds."""
        return self._clock_ns() - self._started_ns

    @property
    def waits_for_first_token(self) -> bool:
        """Say whether the limit that counts now is that of the first token."""
        return self.time_to_first_token_ns is None and self.first_token_s < self.total_s

    def remaining_s(self) -> float:
        """Give what is left until the limit that counts now, in seconds; negative when it has passed."""
        budget_s = self.first_token_s if self.waits_for_first_token else self.total_s
        return budget_s - nanoseconds_to_seconds(self.elapsed_ns())


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long the requests of one client may wait, in seconds, and the clock that tells.

    `connect_s` bounds the making of a connection and the answer about the server's health, `first_token_s` the
    wait for the first token (it holds the loading of the model) and for answers about models, `total_s` a whole
    answer, load or embedding. `interruption` ends all of them earlier, from another thread.
    """

    connect_s: float = 5.0
    first_token_s: float = 120.0
    total_s: float = 600.0
    clock_ns: Callable[[], int] = time.monotonic_ns
    interruption: Interruption | None = None

    def of_health(self) -> TimeBudget:
        """Begin the budget of a question whether the server is well."""
        return self._whole(self.connect_s)

    def of_question(self) -> TimeBudget:
        """Begin the budget of a question about models."""
        return self._whole(self.first_token_s)

    def of_work(self) -> TimeBudget:
        """Begin the budget of work that has no first token: a load or an embedding."""
        return self._whole(self.total_s)

    def of_answer(self) -> TimeBudget:
        """Begin the budget of a generation."""
        return self._budget(self.first_token_s, self.total_s)

    def to_connect(self, budget: TimeBudget) -> httpx.Timeout:
        """Give the timeout for making a connection; the budget bounds everything after it."""
        return httpx.Timeout(None, connect=min(self.connect_s, budget.total_s))

    def _whole(self, total_s: float) -> TimeBudget:
        return self._budget(total_s, total_s)

    def _budget(self, first_token_s: float, total_s: float) -> TimeBudget:
        return TimeBudget(
            first_token_s=first_token_s, total_s=total_s, clock_ns=self.clock_ns, interruption=self.interruption
        )


class BudgetedTransport(httpx.BaseTransport):
    """An httpx transport whose reads and writes all end with the budget, as timeouts of httpx."""

    def __init__(self, budget: TimeBudget) -> None:
        self._pool = httpcore.ConnectionPool(network_backend=_BudgetedBackend(budget))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and give the answer with its body still unread."""
        if not isinstance(request.stream, httpx.SyncByteStream):
            raise TypeError("BudgetedTransport sends from blocking code only")
        with _httpx_errors():
            answer = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close the connection; a server that is still generating stops then."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with _httpx_errors():
            yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class _BudgetedBackend(httpcore.NetworkBackend):
    def __init__(self, budget: TimeBudget) -> None:
        self._budget = budget
        self._sockets = GuardedBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: _SocketOptions | None = None,
    ) -> httpcore.NetworkStream:
        if self._budget.interruption is not None and self._budget.interruption.is_set:
            raise httpcore.ConnectError("the request was interrupted")
        try:
            stream = self._sockets.connect_tcp(host, port, timeout, local_address, socket_options)
        except AddressForbidden as error:
            self._budget.forbidden_address = str(error)
            raise httpcore.ConnectError(str(error)) from error
        return _BudgetedStream(stream, self._budget)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: _SocketOptions | None = None
    ) -> httpcore.NetworkStream:
        return _BudgetedStream(self._sockets.connect_unix_socket(path, timeout, socket_options), self._budget)


class _BudgetedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, budget: TimeBudget) -> None:
        self._stream = stream
        self._budget = budget
        if budget.interruption is not None:
            budget.interruption.watch(stream.get_extra_info("socket"))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002  # the budget replaces it
        received = self._stream.read(max_bytes, self._time_left(httpcore.ReadTimeout))
        self._budget.byte_count += len(received)
        return received

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002  # the budget replaces it
        self._stream.write(buffer, self._time_left(httpcore.WriteTimeout))
        self._budget.byte_count += len(buffer)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _BudgetedStream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._budget)

    def get_extra_info(self, info: str) -> Any:  # Any: httpcore's own signature, each key has its own type
        return self._stream.get_extra_info(info)

    def _time_left(self, error: type[httpcore.TimeoutException]) -> float:
        remaining_s = self._budget.remaining_s()
        if remaining_s <= 0:
            raise error("the time budget is used up")
        return remaining_s


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Raise httpcore's errors as those of httpx, whose classes bear the same names."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.UnsupportedProtocol,
    ) as error:
        same_name: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
        raise same_name(str(error)) from error
