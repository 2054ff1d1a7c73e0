"""Choose the strongest sandbox that this machine has, and none rather than a weak one nobody asked for."""

from labeling.sandbox.base import NoSandbox, Sandbox, SandboxError
from labeling.sandbox.bubblewrap import find_bubblewrap
from labeling.sandbox.rlimits import RlimitSandbox


def choose_sandbox(*, allow_weak: bool) -> Sandbox:
    """Return bubblewrap where it works, else resource limits alone where that is allowed.

    Raises:
        NoSandbox: bubblewrap does not work here, and the weak one is not allowed.
    """
    try:
        return find_bubblewrap()
    except SandboxError as error:
        if allow_weak:
            return RlimitSandbox()
        raise NoSandbox(
            f"no sandbox ({error}). Install bubblewrap and allow user namespaces, or set "
            f"GREENLLM_ALLOW_WEAK_SANDBOX=yes to run generated code with resource limits alone."
        ) from error
