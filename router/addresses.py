"""Where a request came from, behind the proxies that this installation trusts. Pure."""

from collections.abc import Collection
from ipaddress import ip_address


def client_address(remote: str | None, forwarded: str, trusted: Collection[str]) -> str | None:
    """Return the address of whoever asked; None where nobody knows it.

    `remote` is the other end of the connection, `forwarded` the header X-Forwarded-For, to which each proxy adds at the
    end whom it heard. What a proxy says counts where it is trusted; what stands further left may be anybody's.
    """
    chain = [one.strip() for one in forwarded.split(",") if one.strip()]
    found = remote or None
    while found in trusted and chain:
        told = chain.pop()
        if not _is_address(told):
            break
        found = told
    return found


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
