"""Add models of a server to the federation: list what it offers, then take what was ticked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from benchmarks.describing import OtherWeights
from benchmarks.federating import (
    ModelNotOffered,
    OtherKind,
    RouterIsNoModel,
    add_model,
    ensure_machine,
    identify_server,
)
from benchmarks.inference.base import InferenceClient, InferenceError
from benchmarks.models import Deployment, InferenceServer, Machine
from benchmarks.offering import NothingOffered

TOLD = (InferenceError, ModelNotOffered, NothingOffered, OtherKind, OtherWeights, RouterIsNoModel)


@dataclass(frozen=True)
class Added:
    """What became of the ticked models: those that are in the federation now, and why others are not."""

    deployments: tuple[Deployment, ...]
    problems: tuple[str, ...]


def server_to_ask(
    *, known: InferenceServer | None, address: str, kind: str, machine: Machine | None, machine_name: str
) -> InferenceServer:
    """Return the known server, or an unsaved one at an address; without a machine it is on the one of that name.

    Raises:
        OtherKind: the address is known as that of another kind of server.
    """
    if known is not None:
        return known
    machine = machine or Machine.objects.filter(name=machine_name).first() or Machine(name=machine_name)
    return identify_server(base_url=address, machine=machine, kind=kind)


def add_models(*, names: Sequence[str], server: InferenceServer, client: InferenceClient, now: datetime) -> Added:
    """Add models as candidates; one that fails stops no other."""
    if server.machine_id is None:
        server.machine = ensure_machine(name=server.machine.name)
    deployments, problems = [], []
    for name in names:
        try:
            deployments.append(add_model(name=name, server=server, client=client, now=now))
        except TOLD as error:
            problems.append(f"{name}: {error}")
    return Added(tuple(deployments), tuple(problems))
