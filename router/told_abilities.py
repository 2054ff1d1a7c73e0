"""What models can beyond text, for lists of models: as their servers tell, kept for a minute."""

import time
from collections.abc import Callable, Iterable, Mapping

from benchmarks.inference.base import InferenceClient
from benchmarks.inference.demands import AbleClient
from benchmarks.models import Deployment, InferenceServer
from router.abilities import Able
from router.asked_lately import AskedLately

KEPT_S = 60.0
PATIENCE_S = 1.0  # for all together of whom nothing is known; what comes later stands in the next list

_Key = tuple[int, str]


class ToldAbilities:
    """What each deployment can, in this process; a server that is away or silent holds a list up once a minute."""

    def __init__(
        self,
        *,
        connect: Callable[[InferenceServer], InferenceClient],
        clock_s: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._connect = connect
        self._kept: AskedLately[Deployment, _Key, Able] = AskedLately(
            self._ask, key=_key, about="what the model can", kept_s=KEPT_S, patience_s=patience_s, clock_s=clock_s
        )

    def of(self, deployments: Iterable[Deployment]) -> Mapping[int, Able]:
        """Return what each deployment can by its key; nothing of one that is not known. No query."""
        asked = list(deployments)
        told = self._kept.of(asked)
        return {one.pk: told[_key(one)] or {} for one in asked}

    def _ask(self, deployment: Deployment) -> Able | None:
        client = self._connect(deployment.server)
        return client.abilities(deployment.language_model.name) if isinstance(client, AbleClient) else None


def _key(deployment: Deployment) -> _Key:
    return deployment.pk, deployment.server.base_url
