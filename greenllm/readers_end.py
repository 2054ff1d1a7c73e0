"""Commands whose output goes to another program, such as `head`, that may have enough before they end."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def ending_with_reader() -> Iterator[None]:
    """Run a command and write out what it printed; where nobody reads any more, end as a shell's programs do.

    A pipe to something else that broke is that command's own affair.

    Raises:
        SystemExit: whoever read the output has closed it; the status is a shell's for that.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        closed = [stream for stream in (sys.stdout, sys.stderr) if _is_closed(stream)]
        if not closed:
            raise
        for stream in closed:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # Python flushes it again as it ends
        raise SystemExit(128 + signal.SIGPIPE) from None


def _is_closed(stream: TextIO) -> bool:
    """Tell whether the other end of a pipe is gone."""
    poll = select.poll()
    poll.register(stream.fileno(), select.POLLOUT)
    return any(event & select.POLLERR for _, event in poll.poll(0))
