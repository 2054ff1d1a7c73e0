"""The ASGI application that uvicorn serves: the gateway, and Django behind it."""

import gc
import os
import sys
from collections.abc import Callable
from functools import partial

import django

from benchmarks.allocating import Reserve, keep_memory_together, leave_out_of_collections
from greenllm.ended_requests import Pages

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
_is_ours = keep_memory_together()  # before there are threads
# A choice multiplies one vector by the known ones. Where a model keeps the other cores busy, several threads wait for
# each other: 6 to 16 ms at p95 instead of 1.2 to 2.3. Set before numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
django.setup(set_prefix=False)
_django = Pages()


def _pool_connections() -> None:
    """Let this process, unlike commands and the worker, share its database connections among requests."""
    from django.conf import settings
    from django.db import connections

    from greenllm.pooling import pooled

    database = connections.settings["default"]
    database.update(pooled(database, most=settings.DATABASE_POOL_SIZE))


_pool_connections()

from greenllm.ended_answers import without_late_leave  # noqa: E402  Django is set up by now
from greenllm.page_threads import PageThreads  # noqa: E402  likewise
from router.gateway.application import Application  # noqa: E402  likewise


def _trace() -> Callable[[], None] | None:
    """Tell of requests as OpenTelemetry's spans where a setting wants it; return what sends the last ones."""
    from django.conf import settings

    if not settings.OTEL:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    from router.observing import tell_also
    from router.tracing import Tracer

    tracer = Tracer(OTLPSpanExporter(), service_name=settings.OTEL_SERVICE_NAME)
    tell_also(tracer.tell)
    return tracer.close


# what an hour of busy moments came to, taken once the first requests have filled what is kept for all of them
_reserve = Reserve(python_bytes=3_000_000, malloc_bytes=4_000_000 if _is_ours else 0)
_RESERVED_AFTER_S, _LOOKED_AT_EVERY_S = 90, 30

application = Application(
    PageThreads(without_late_leave(_django)),
    at_start=partial(_reserve.keep_on, first_after_s=_RESERVED_AFTER_S, every_s=_LOOKED_AT_EVERY_S),
    at_end=_trace(),
)


# A busy event loop lets a thread that wants to go on do so after this time. Python's own 5 ms, at each of a page's
# queries, made pages slow beside hundreds of streams.
_LET_GO_AFTER_S = 0.001
sys.setswitchinterval(_LET_GO_AFTER_S)

# Open streams hold many objects for a while, few of them in cycles: a collection of the young is of no use before there
# are many. What was in use at one of the middle generation and is in a cycle later waits for a full one, which looks at
# little here and follows each of the middle, of every third of the young.
_COLLECTED_AFTER = (10_000, 2, 0)


def _be_ready_for_figures() -> None:
    """Do what the first page with figures would wait for: read the code that keeps them, import statistics."""
    import scipy.stats  # noqa: F401  with all of numpy, half a second and more

    from labeling.keeping import know_code

    know_code()


def _collect_little() -> None:
    """Take what lives as long as the process out of garbage collection: a full one paused every answer for 127 ms."""
    from django.urls import reverse

    reverse("admin:index")  # imports every page, and looks at all addresses as the first link of a page would
    leave_out_of_collections()
    gc.set_threshold(*_COLLECTED_AFTER)


_be_ready_for_figures()
_collect_little()
