"""GET /metrics: what web processes counted and what waits now, for Prometheus."""

import hmac
import logging
import sys
from collections.abc import Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from rq import Queue

from benchmarks.allocating import malloc_used_bytes
from benchmarks.queueing import impatient_connection
from router.api.doors import is_from_here
from router.api.endpoint import secret_of
from router.metrics import scraped

logger = logging.getLogger(__name__)

_REFUSED = (
    "Metrics are told to this machine, or with the token of the setting GREENLLM_METRICS_TOKEN, sent as "
    "'Authorization: Bearer TOKEN'.\n"
)


class Jobs(Collector):
    """Tells how many jobs each queue holds; nothing while Valkey is away."""

    def collect(self) -> Iterator[Metric]:
        """Count them."""
        family = GaugeMetricFamily(
            "greenllm_jobs", "Jobs of the workers that wait, run or have failed.", labels=("queue", "state")
        )
        try:
            with impatient_connection() as connection:
                for queue in Queue.all(connection=connection):
                    family.add_metric([queue.name, "waiting"], queue.count)
                    family.add_metric([queue.name, "running"], queue.started_job_registry.get_job_count(cleanup=False))
                    family.add_metric([queue.name, "failed"], queue.failed_job_registry.get_job_count(cleanup=False))
        except RedisError as error:
            logger.warning("the queues cannot be counted: %s", type(error).__name__)
            return
        yield family


class Memory(Collector):
    """Tells what the process that answers has in use of its memory, beside what Python and malloc hold free."""

    def collect(self) -> Iterator[Metric]:
        """Count it."""
        yield GaugeMetricFamily(
            "greenllm_python_blocks", "Blocks that Python has given out to objects.", sys.getallocatedblocks()
        )
        used = malloc_used_bytes()
        if used is not None:
            yield GaugeMetricFamily("greenllm_malloc_used_bytes", "What malloc has given out.", used)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    if not may_scrape(request):
        return HttpResponse(_REFUSED, status=403, content_type="text/plain; charset=utf-8")
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(
        encode(scraped(folder=settings.METRICS_DIR, others=[Jobs(), Memory()])), content_type=content_type
    )


def may_scrape(request: HttpRequest) -> bool:
    """Tell whether a caller may read the metrics: one on this machine, or one with the token."""
    if is_from_here(request.META.get("REMOTE_ADDR"), request.headers):
        return True
    given = secret_of(request.headers.get("Authorization", ""))
    token = settings.METRICS_TOKEN
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())
