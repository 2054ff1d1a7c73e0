"""The router as the target of a study: who it is, what it needs before the start mark, and what its answers cost."""

from dataclasses import replace
from datetime import datetime

from benchmarks.boundary import BoundedEnergy
from benchmarks.federating import add_described_model, describe_model
from benchmarks.inference.base import ROUTING, Generation, GenerationRequest, InferenceClient, LoadResult
from benchmarks.models import Deployment, InferenceServer, Machine, Response
from benchmarks.routed_boundary import Hop, is_loopback, with_router

ROUTER_MODEL = "auto"


class NoRouter(LookupError):
    """What answers at the address is no GreenLLM router."""


def ensure_router(
    *, server: InferenceServer, client: InferenceClient, now: datetime, network_kwh_per_gb: float | None = None
) -> Deployment:
    """Return the router at an address as a deployment that studies may ask and nothing is routed to.

    A figure of the network is kept with the server; without one, what the server has stays.

    Raises:
        NoRouter: something else answers there.
        ModelNotOffered, InferenceError: it has no model `auto`, or cannot be asked.
    """
    description = describe_model(name=ROUTER_MODEL, client=client)
    if ROUTING not in description.capabilities:
        raise NoRouter(
            f"What answers at {server.base_url} is no GreenLLM router, but has a model {ROUTER_MODEL!r} of its own; "
            f"measure that with --model."
        )
    deployment = add_described_model(description=description, server=server, now=now)
    if network_kwh_per_gb is not None:
        server.network_kwh_per_gb = network_kwh_per_gb
        server.save(update_fields=["network_kwh_per_gb"])
    return deployment


def make_ready(*, server: InferenceServer, client: InferenceClient, request: GenerationRequest) -> LoadResult | None:
    """Have what will answer a request in memory, which is not part of the answer; return how long a model took.

    A router is asked the same for one token, which tells whom it chooses. The load of that model then also puts
    other words where its server may keep what it read, so that the answer itself reads the whole prompt.
    """
    if not server.is_router:
        return client.load(request.model, request.parameters)
    rehearsal = client.generate(replace(request, parameters=replace(request.parameters, num_predict=1)))
    if rehearsal.answered_by:
        client.load(rehearsal.answered_by, request.parameters)
    return None


def take_routing(response: Response, generation: Generation) -> None:
    """Keep which model the router chose, and the id of its request, without saving."""
    if response.deployment.server.is_router:
        response.answered_by = (generation.answered_by or "")[:200]
        response.gateway_request_public_id = (generation.gateway_request_id or "")[:40]


def bounded_for(
    response: Response, *, machine: Machine, generation: Generation, bounded: BoundedEnergy
) -> BoundedEnergy:
    """Return the energy that the meters of a machine saw as that of a response, in the boundary of its target."""
    server = response.deployment.server
    if not server.is_router:
        return bounded
    hop = Hop(is_loopback(server.base_url), generation.wire_byte_count, server.network_kwh_per_gb)
    return with_router(bounded, hop=hop, unseen=_unseen(machine, generation.answered_by or ""))


def _unseen(machine: Machine, model: str) -> str:
    """Say which machine may have answered unseen; a model that this installation does not know tells nothing."""
    places = Deployment.objects.active().filter(language_model__name=model)
    elsewhere = places.exclude(server__machine=machine).order_by("server__machine__name")
    names = list(elsewhere.values_list("server__machine__name", flat=True).distinct())
    if not names:
        return ""
    return f"The router chose {model}, which runs on {', '.join(names)}: the meters of {machine} do not see that."
