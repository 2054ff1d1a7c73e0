"""Which network addresses a server that a person named may have, looked at when it is named and at every connection.

An address that is public is fine. One of this machine or of a private network is only where the installation says so:
otherwise whoever may name a server could have this process ask what only this process can reach. Names are resolved
here and the connection goes to the very addresses that were looked at, so that a name which points elsewhere a moment
later (DNS rebinding) gains nothing; neither does a redirect, which makes a connection of its own.

Source of the kinds: the special-purpose address registries of IANA (RFC 6890), as `ipaddress` has them.
"""

import ipaddress
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpcore
import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
PRIVATE: tuple[Network, ...] = (
    ipaddress.ip_network("10.0.0.0/8"),
    ipaddress.ip_network("172.16.0.0/12"),
    ipaddress.ip_network("192.168.0.0/16"),
    ipaddress.ip_network("fc00::/7"),
)
SETTING = "GREENLLM_SERVER_NETWORKS"
# where clouds tell a machine its keys; some lie in networks that are private otherwise
_METADATA = {ipaddress.ip_address(one) for one in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}


class AddressForbidden(httpcore.ConnectError, OSError):
    """A host has an address where no server may be; the message names it and what would allow it."""


@dataclass(frozen=True)
class Reach:
    """The networks where servers may be besides public addresses, and the hosts and ports that need no look.

    `trusted` are those that the operator set in the environment.
    """

    networks: tuple[Network, ...] = LOOPBACK
    trusted: frozenset[tuple[str, int]] = frozenset()

    def addresses(self, host: str, port: int) -> list[str]:
        """Resolve a host; give its addresses in the order of the resolver.

        Raises:
            AddressForbidden: one of them is where no server may be.
            OSError: there is no such host.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        self.require(host, port, addresses)
        return addresses

    def require(self, host: str, port: int, addresses: Iterable[str]) -> None:
        """Raise `AddressForbidden` where a host has an address that may not be reached."""
        if (host.lower(), port) in self.trusted:
            return
        for raw in addresses:
            address = ipaddress.ip_address(raw)
            if not self._is_allowed(address):
                where = f"{host} is" if host.strip("[]") == raw else f"{host} is at {raw},"
                raise AddressForbidden(
                    f"{where} {_kind_of(_inner(address))}, where no server may be. Give another address, or allow its "
                    f"network with {SETTING} (docs/abuse.md)."
                )

    def _is_allowed(self, address: Address) -> bool:
        address = _inner(address)
        within = [network for network in self.networks if address in network]
        if address in _METADATA:
            return any(network.num_addresses == 1 for network in within)
        return bool(within) or (address.is_global and not address.is_multicast)

    def problem_with(self, url: str) -> str:
        """Say why a server may not be named by an address; empty where it may, or where its host is not known now."""
        try:
            self.addresses(*_place_of(url))
        except AddressForbidden as error:
            return str(error)
        except (OSError, ValueError):  # the reader of the address, or the first question, tells of that
            return ""
        return ""


def _inner(address: Address) -> Address:
    """Return the address that is meant: IPv6 can carry one of IPv4 in four ways."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    carried = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    return carried or address


def _kind_of(address: Address) -> str:
    if address in _METADATA:
        return "where clouds tell a machine its keys"
    if address.is_loopback:
        return "on this machine itself"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast or address.is_unspecified or address.is_reserved:
        return "no address of one host"
    return "in a private network"


_reach = [Reach()]


def in_force() -> Reach:
    """Return what holds in this process."""
    return _reach[-1]


def use(reach: Reach) -> None:
    """Let it hold in this process from now on; whoever reads the settings says so once."""
    _reach[:] = [reach]


@contextmanager
def using(reach: Reach) -> Iterator[None]:
    """Let it hold for the block, in every thread."""
    _reach.append(reach)
    try:
        yield
    finally:
        _reach.remove(reach)


def reach_of(networks: Sequence[Network], trusted_urls: Iterable[str]) -> Reach:
    """Return what holds with these networks, and with servers that the operator set."""
    return Reach(tuple(networks), frozenset(_place_of(url) for url in trusted_urls))


def _place_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 0)


def networks_named(words: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks of a setting: `none`, `loopback`, `private`, networks as 10.1.0.0/16, single addresses.

    Raises:
        ValueError: a word is none of these; it is named.
    """
    named: dict[str, tuple[Network, ...]] = {"none": (), "loopback": LOOPBACK, "private": PRIVATE}
    found: list[Network] = []
    for word in words:
        try:
            found.extend(named[word.lower()] if word.lower() in named else [ipaddress.ip_network(word)])
        except ValueError as error:
            raise ValueError(f"{word!r} is no network: {error}") from error
    return tuple(found)


class GuardedBackend(httpcore.SyncBackend):
    """Makes connections of blocking code, after a look at where they go."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of a host that takes the connection."""
        try:
            addresses = in_force().addresses(host, port)
        except (socket.gaierror, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from error
        for address in addresses[:-1]:
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return super().connect_tcp(addresses[-1], port, timeout, local_address, socket_options)


class _GuardedTransport(httpx.HTTPTransport):
    def __init__(self) -> None:
        super().__init__()
        self._pool._network_backend = GuardedBackend()  # httpx has no other way to it; a test holds it to that


def open_client(*, timeout: httpx.Timeout, follow_redirects: bool) -> httpx.Client:
    """Return an HTTP client whose every connection, those of redirects too, goes where a server may be.

    Where the environment names a proxy, the proxy makes the connections and looks where they go.
    """
    transport = None if getproxies() else _GuardedTransport()
    return httpx.Client(transport=transport, timeout=timeout, follow_redirects=follow_redirects, max_redirects=5)
