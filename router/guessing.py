"""Wrong API keys by the address that they come from: whoever sends many is told to wait, and right keys go on.

Keys have 256 random bits, so that nothing can be guessed; what is spared is the database, and the log of a program
that goes on with a key that was revoked. Each process counts for itself, in bounded memory, and asks nobody.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv6Address, ip_address

from django.conf import settings

from router.addresses import client_address
from router.wires.fields import WireError

WINDOW_S = 60.0
MOST_ADDRESSES = 4096  # the one that began longest ago is forgotten first; about 3 MB where all of them are at it
_MOST_REMEMBERED = 16  # wrong keys of an address, the latest
_NETWORK_BITS = 64  # of an IPv6 address, of which one client has all the rest


class TooManyWrongKeys(WireError):
    """An address has sent more wrong keys than it may within a minute; it is told when the minute is over."""

    is_retryable = False

    def __init__(self, wait_s: float) -> None:
        self.retry_after_s = max(1, math.ceil(wait_s))
        super().__init__(
            f"The API key is unknown or was revoked, like many others from this address. Wrong keys are looked at "
            f"again in {self.retry_after_s} s; right ones are answered meanwhile.",
            status=429,
            kind="rate_limit_error",
            code="too_many_wrong_keys",
        )
        self.headers = {"x-should-retry": "false"}


@dataclass
class _Window:
    until_s: float
    count: int = 0
    wrong: OrderedDict[int, None] = field(default_factory=OrderedDict)  # hashes of secrets, of this process


class Guesses:
    """How many wrong keys came from each address in its minute; any thread may ask."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, most_addresses: int = MOST_ADDRESSES) -> None:
        self._clock = clock
        self._most = most_addresses
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._windows.clear()

    def refuse_again(self, address: Callable[[], str | None], secret: str, *, most: int) -> None:
        """Refuse a key that has been wrong in this minute already, without looking it up, where the limit is reached.

        Raises:
            TooManyWrongKeys: so it is.
        """
        if not self._windows:
            return  # as nearly always: a right key costs this look
        now = self._clock()
        with self._lock:
            window = self._windows.get(network_of(address()))
            if window is not None and now < window.until_s and window.count >= most and hash(secret) in window.wrong:
                raise TooManyWrongKeys(window.until_s - now)

    def add(self, address: str | None, secret: str, *, most: int) -> None:
        """Count a wrong key.

        Raises:
            TooManyWrongKeys: its address has sent `most` in this minute before.
        """
        now, network = self._clock(), network_of(address)
        with self._lock:
            window = self._windows.get(network)
            if window is None or now >= window.until_s:
                window = self._begin(network, now)
            window.wrong[hash(secret)] = None
            if len(window.wrong) > _MOST_REMEMBERED:
                window.wrong.popitem(last=False)
            if window.count >= most:
                raise TooManyWrongKeys(window.until_s - now)
            window.count += 1

    def _begin(self, network: str, now: float) -> _Window:
        """Begin a minute, and forget those that are over, and the oldest where there are too many."""
        self._windows.pop(network, None)
        while self._windows:
            oldest = next(iter(self._windows))
            if now < self._windows[oldest].until_s and len(self._windows) < self._most:
                break
            del self._windows[oldest]
        window = self._windows[network] = _Window(now + WINDOW_S)
        return window


GUESSES = Guesses()


def network_of(address: str | None) -> str:
    """Return what counts together: an IPv4 address, the first 64 bits of an IPv6 one, all of which nothing is known."""
    if address is None or ":" not in address:
        return address or ""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Address(int(found) >> _NETWORK_BITS << _NETWORK_BITS))


@contextmanager
def wrong_keys_limited(
    secret: str, *, remote: str | None, forwarded: str, guesses: Guesses = GUESSES
) -> Iterator[None]:
    """Count a key that opens nothing within; a request without any is not counted.

    `remote` is the other end of the connection, `forwarded` the header X-Forwarded-For.

    Raises:
        TooManyWrongKeys: in the place of the refusal, where many came from that address.
    """
    most = settings.WRONG_KEYS_PER_MINUTE
    if not (secret and most):
        yield
        return
    address = partial(client_address, remote, forwarded, settings.TRUSTED_PROXIES)
    guesses.refuse_again(address, secret, most=most)
    try:
        yield
    except WireError as error:
        if error.code == "invalid_api_key":
            guesses.add(address(), secret, most=most)
        raise
