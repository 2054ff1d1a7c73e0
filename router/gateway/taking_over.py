"""Which deployment takes over from one that failed before its first piece left."""

import logging
from collections.abc import Sequence

from benchmarks.inference.base import (
    AccessRefused,
    FirstTokenTimedOut,
    InferenceError,
    ModelMissing,
    RefusedForNow,
    ServerForbidden,
    ServerUnreachable,
)
from benchmarks.models import Deployment
from router.answering import Decided
from router.gateway.deciding import Decider
from router.gateway.servers import ServerNotAvailable
from router.models import UpstreamAttempt

logger = logging.getLogger(__name__)

_SERVER_ERRORS = (ServerForbidden, ServerUnreachable, FirstTokenTimedOut, RefusedForNow)
# another server may do better; of a model that is missing, another model too
_OF_THE_SERVER = (*_SERVER_ERRORS, AccessRefused, ServerNotAvailable)


def is_of_server(error: Exception) -> bool:
    """Tell whether a failure says that the server is in trouble, and not the question."""
    return isinstance(error, _SERVER_ERRORS)


async def other_deployment(
    decider: Decider,
    decided: Decided,
    attempts: Sequence[UpstreamAttempt],
    error: InferenceError | ServerNotAvailable,
) -> Deployment | None:
    """Return the deployment that takes over from the one that answers, or None where none can."""
    if not isinstance(error, (*_OF_THE_SERVER, ModelMissing)):
        return None
    failed = [one.deployment for one in attempts if one.outcome == UpstreamAttempt.Outcome.FAILED]
    servers = set() if isinstance(error, ModelMissing) else {one.server_id for one in failed}
    if isinstance(error, _OF_THE_SERVER):
        servers.add(decided.deployment.server_id)
    deployments = {one.deployment.pk for one in attempts} | {decided.deployment.pk}
    others = await decider.others(decided, but=deployments, but_servers=servers)
    if others:
        logger.warning("%s: %s takes over (%s)", decided.request, others[0], type(error).__name__)
    return others[0] if others else None
