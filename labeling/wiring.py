"""Put the graders together from the settings; only interfaces call this."""

from collections.abc import Mapping
from functools import lru_cache

from django.conf import settings

from labeling.grading import Grader, all_graders
from labeling.sandbox import Sandbox, choose_sandbox


def graders() -> Mapping[str, Grader]:
    """Return every grader, with this machine's sandbox and this installation's databases."""
    return all_graders(find_sandbox=sandbox, databases_dir=settings.VAR_DIR / "databases" / "petsql")


def sandbox() -> Sandbox:
    """Return the sandbox of this machine, found once.

    Raises:
        NoSandbox: there is none that may be used.
    """
    return _found_sandbox(settings.ALLOW_WEAK_SANDBOX)


@lru_cache  # remembers a sandbox; that there was none is not remembered, because an admin may install one
def _found_sandbox(allow_weak: bool) -> Sandbox:
    return choose_sandbox(allow_weak=allow_weak)
