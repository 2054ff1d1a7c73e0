"""Delete answers that the endpoint keeps to give them again."""

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from router.cached_answers import purge_cache
from router.management.telling import RouterCommand
from router.models import ApiKey


class Command(RouterCommand):
    help = "Delete the answers of the cache: all of them, those of one key, or those whose time is over."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--key", metavar="PREFIX", help="Only those of the key that begins so.")
        parser.add_argument("--expired", action="store_true", help="Only those whose time is over.")

    def handle(self, *args: Any, **options: Any) -> None:
        api_key_ids = None
        if prefix := options["key"]:
            api_key_ids = list(ApiKey.objects.filter(prefix=prefix).values_list("pk", flat=True))
            if not api_key_ids:
                raise CommandError(f"No key begins with {prefix!r}; the page of your account lists the beginnings.")
        count = purge_cache(api_key_ids=api_key_ids, expired_at=timezone.now() if options["expired"] else None)
        self.stdout.write(f"Deleted {count} answer{'' if count == 1 else 's'} of the cache.")
