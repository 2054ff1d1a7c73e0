"""Print who may open which address, and with which method."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand
from django.urls import get_resolver

from greenllm.access import table_lines


class Command(BaseCommand):
    """Print the table of doors, which the tests hold every address against."""

    help = "Print who may open which address with which method: a table in Markdown."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the table."""
        for line in table_lines(addresses()):
            self.stdout.write(line)


def addresses() -> list[tuple[str, str]]:
    """Return every route of the URL configuration with its address, in order; the admin site's tables as one."""
    found = {address: name for name, address in _leaves(get_resolver(), (), "/") if not name.startswith("admin:")}
    told = [(name, address) for address, name in found.items()]
    return [*sorted(told, key=lambda one: one[1]), ("admin:index", "/admin/"), ("admin:tables", "/admin/…")]


def _leaves(resolver: Any, namespaces: tuple[str, ...], before: str) -> Iterator[tuple[str, str]]:
    for one in resolver.url_patterns:
        address = before + str(one.pattern).replace("^.*$", "…").replace("^", "")
        if hasattr(one, "url_patterns"):
            yield from _leaves(one, (*namespaces, one.namespace) if one.namespace else namespaces, address)
        else:
            yield ":".join([*namespaces, one.name or ""]), address
