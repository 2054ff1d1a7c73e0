"""What the models of the federation can do beyond text, as their servers tell; asked only where a request needs it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from benchmarks.inference.base import InferenceError
from benchmarks.inference.demands import AbleClient
from benchmarks.models import Deployment, InferenceServer
from router.abilities import Able, Unable
from router.asking_abilities import able_deployments, unable_among
from router.gateway.kept import Kept
from router.gateway.working import Workers

logger = logging.getLogger(__name__)

_KEPT_S = 60.0
_MOST_DEPLOYMENTS = 1024
_PATIENCE_S = 5.0  # for all servers together; of one that is silent nothing is known


class Abilities:
    """What each deployment can, kept for a minute."""

    def __init__(self, workers: Workers, client: Callable[[InferenceServer], Awaitable[object]]) -> None:
        self._workers = workers
        self._client = client
        self._told: Kept[tuple[int, str], Able] = Kept(lifetime_s=_KEPT_S, most=_MOST_DEPLOYMENTS)

    async def unable(self, needed: Mapping[str, str]) -> Unable:
        """Return which active deployments cannot do what is needed."""
        if not needed:
            return Unable()
        deployments = await self._workers.query(able_deployments)
        told = await asyncio.gather(*(self._of(one) for one in deployments))
        return unable_among(deployments, {one.pk: able for one, able in zip(deployments, told, strict=True)}, needed)

    async def _of(self, deployment: Deployment) -> Able:
        key = (deployment.pk, deployment.server.base_url)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await self._told.get(key, lambda: self._ask(deployment))
        except (TimeoutError, InferenceError) as error:
            logger.info("deployment %s does not tell what it can: %r", deployment.pk, error)
            return {}

    async def _ask(self, deployment: Deployment) -> Able:
        client = await self._client(deployment.server)
        if not isinstance(client, AbleClient):
            return {}
        name = deployment.language_model.name
        return await self._workers.ask(lambda: client.abilities(name))
