"""Sandboxes: run a Python program that nobody trusts, away from everything of this machine."""

from labeling.sandbox.base import Killed, NoSandbox, Sandbox, SandboxError, SandboxResult
from labeling.sandbox.choosing import choose_sandbox

__all__ = ["Killed", "NoSandbox", "Sandbox", "SandboxError", "SandboxResult", "choose_sandbox"]
