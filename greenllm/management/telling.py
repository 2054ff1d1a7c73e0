"""Commands of the whole application; whatever the services say is told in one sentence."""

from typing import ClassVar

from greenllm.embedded.errors import EmbeddedError
from router.management.telling import RouterCommand


class StackCommand(RouterCommand):
    """A command that starts or stops services; it may run before there is a database."""

    told: ClassVar[tuple[type[Exception], ...]] = (*RouterCommand.told, EmbeddedError)
    requires_system_checks = []
