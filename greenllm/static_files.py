"""Static files, served on the event loop before the middleware of pages, and as safely as those."""

from csp.middleware import CSPMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.middleware.security import SecurityMiddleware
from servestatic.middleware import GetResponseCallable, ServeStaticMiddleware
from servestatic.responders import Redirect, StaticFile


class StaticFiles(ServeStaticMiddleware):  # type: ignore[misc]  # servestatic is not read by mypy
    """Serves static files with the security headers of pages, by HTTPS alone where that is wanted.

    Both are left to the middleware of pages, which waits for nothing and so needs no thread.
    """

    def __init__(self, get_response: GetResponseCallable) -> None:
        super().__init__(get_response)
        self._security, self._policy = SecurityMiddleware(get_response), CSPMiddleware(get_response)

    async def aserve(self, static_file: StaticFile | Redirect, request: HttpRequest) -> HttpResponseBase:
        """Return the file, or where it is by HTTPS."""
        by_https = self._security.process_request(request)
        if by_https is not None:
            return by_https
        self._policy.process_request(request)
        response = self._policy.process_response(request, await super().aserve(static_file, request))
        return self._security.process_response(request, response)
