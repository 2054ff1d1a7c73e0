"""The ASGI application that uvicorn serves."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
application = get_asgi_application()


def _pool_connections() -> None:
    """Let this process, unlike commands and the worker, share its database connections among requests."""
    from django.conf import settings
    from django.db import connections

    from greenllm.pooling import pooled

    database = connections.settings["default"]
    database.update(pooled(database, most=settings.DATABASE_POOL_SIZE))


_pool_connections()
