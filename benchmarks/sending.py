"""Files on their way to a browser, piece by piece, whatever their size."""

from collections.abc import AsyncIterator
from typing import IO

from asgiref.sync import sync_to_async
from django.http import HttpResponse, StreamingHttpResponse

_BLOCK = 256 * 1024


def send_file(file: IO[bytes], *, name: str, content_type: str) -> StreamingHttpResponse:
    """Return a file as a download; it is written up to where it stands, and closed when it has been sent."""
    size = file.tell()
    file.seek(0)
    response = StreamingHttpResponse(_blocks(file), content_type=content_type)
    response["Content-Length"] = str(size)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def announce_file(*, name: str = "", content_type: str = "application/octet-stream") -> HttpResponse:
    """Answer `HEAD` for a download without making it: its type and its name, where they are known before; no size."""
    response = HttpResponse(content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"' if name else "attachment"
    return response


async def _blocks(file: IO[bytes]) -> AsyncIterator[bytes]:
    """Give a file in blocks without holding up the server, which would read a plain iterator whole."""
    try:
        while block := await sync_to_async(file.read, thread_sensitive=False)(_BLOCK):
            yield block
    finally:
        file.close()
