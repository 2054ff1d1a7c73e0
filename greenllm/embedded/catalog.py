"""The data services by name."""

from collections.abc import Iterable

from greenllm.embedded.addresses import EmbeddedLayout
from greenllm.embedded.chroma import chroma_service
from greenllm.embedded.errors import EmbeddedError
from greenllm.embedded.llm import llm_service
from greenllm.embedded.postgres import postgres_service
from greenllm.embedded.service import Service
from greenllm.embedded.valkey import valkey_service

_MAKERS = {
    "postgres": postgres_service,
    "valkey": valkey_service,
    "chroma": chroma_service,
    "llm": llm_service,
}
SERVICE_NAMES = tuple(_MAKERS)


class UnknownServiceError(EmbeddedError):
    """There is no embedded service of that name."""


def embedded_services(layout: EmbeddedLayout, names: Iterable[str] = SERVICE_NAMES) -> tuple[Service, ...]:
    """Describe the named services of an installation.

    Raises:
        UnknownServiceError: a name is none of `SERVICE_NAMES`.
        EmbeddedError: the wheel of a service is not installed.
    """
    services = []
    for name in names:
        if name not in _MAKERS:
            raise UnknownServiceError(f"There is no service {name!r}. Known are: {', '.join(SERVICE_NAMES)}.")
        services.append(_MAKERS[name](layout))
    return tuple(services)
