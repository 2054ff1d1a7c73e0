"""Django's middleware and a page's view, one after another in one thread.

Django's own chain for ASGI stays on the event loop, and each middleware that is not written for it goes to the page's
thread and back for what it does before the view, and again for what it does after it: some twenty times a page, each
time waiting for its turn beside every stream.
"""

from typing import Any

from asgiref.sync import AsyncToSync, sync_to_async
from django.core.handlers.asgi import ASGIHandler


class OneHop(ASGIHandler):
    """Django, which goes to a page's thread once; what needs the event loop stays on it, with what is outside."""

    _middleware_chain: Any  # Any: whatever takes a request, or `AsyncToSync` of what is awaited

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002  Django asks for an asynchronous chain
        """Put the chain together from the view outwards, as for WSGI, up to what needs the event loop."""
        super().load_middleware(is_async=False)
        chain = self._middleware_chain
        # Django has wrapped a chain that ends on the event loop, for callers that are not there; the loop calls it here
        self._middleware_chain = chain.awaitable if isinstance(chain, AsyncToSync) else sync_to_async(chain)
