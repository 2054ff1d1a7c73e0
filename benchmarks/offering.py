"""What a server offers to the federation: its models, and those it can fetch."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.inference.base import InferenceClient, ModelDescription, PullingClient, PullProgress
from benchmarks.models import Deployment, InferenceServer


class NothingOffered(LookupError):
    """A server lists no model at all."""

    def __init__(self, address: str) -> None:
        super().__init__(f"The server at {address} lists no models. Pull, create or load one there first.")


class CannotPull(ValueError):
    """The server is of a kind that does not fetch models."""


@dataclass(frozen=True)
class Offer:
    """One model of a server, and its state in the federation; empty where it is not in it."""

    description: ModelDescription
    state: str


def list_offers(*, server: InferenceServer, client: InferenceClient) -> list[Offer]:
    """Return what a server offers, by name; the server need not be saved.

    Raises:
        NothingOffered: it lists no models.
        InferenceError: it cannot be asked.
    """
    descriptions = client.list_models()
    if not descriptions:
        raise NothingOffered(server.base_url)
    deployments = Deployment.objects.filter(server_id=server.pk).select_related("language_model")
    states = {
        (deployment.language_model.name, deployment.language_model.digest): deployment.get_state_display()
        for deployment in deployments
    }
    return [Offer(one, states.get((one.name, one.digest), "")) for one in descriptions]


def pull_model(*, name: str, client: InferenceClient) -> Iterator[PullProgress]:
    """Have a server fetch a model, and tell how far it is.

    Raises:
        CannotPull: the server does not fetch models.
        InferenceError: it cannot be asked, or cannot fetch this one.
    """
    if not isinstance(client, PullingClient):
        raise CannotPull(f"Only an Ollama server pulls models. Load '{name}' where the server runs, then add it.")
    return client.pull(name)
