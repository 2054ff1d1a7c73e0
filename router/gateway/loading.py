"""Requests of Ollama's clients that ask nothing: they want a model in memory."""

from benchmarks.federating import find_deployment
from benchmarks.inference.base import Generation, InferenceError
from benchmarks.inference.interruption import Interruption
from router import wiring
from router.answering import is_auto
from router.gateway.house import House
from router.gateway.taking_over import is_of_server
from router.wire import ChatRequest
from router.wires.fields import WireError
from router.wires.ollama import LOADED


async def load(house: House, asked: ChatRequest) -> Generation:
    """Bring a named model into memory; for `auto` nobody knows yet which one it will be. No row tells of it.

    Raises:
        WireError: it shall be unloaded.
        UnknownModel, RetiredModel, InferenceError, ServerNotAvailable: it cannot be loaded.
    """
    if asked.is_unloading:
        raise WireError(
            "'keep_alive' of 0 would unload a model that others use; the servers unload it by themselves.",
            status=403,
            code="unsupported_parameter",
            param="keep_alive",
        )
    waited_ns = None if is_auto(asked.model) else await _load_named(house, asked)
    return Generation("", None, None, None, waited_ns, waited_ns, None, None, None, LOADED)


async def _load_named(house: House, asked: ChatRequest) -> int | None:
    deployment = await house.workers.query(lambda: find_deployment(name=asked.model))
    desk = house.desk(deployment.server)

    def ask(interruption: Interruption) -> int | None:
        client = wiring.connect_server(deployment.server, interruption=interruption)
        return client.load(deployment.language_model.name, asked.parameters).duration_ns

    async with desk.place():
        try:
            waited_ns = await house.workers.interruptible(ask)
        except InferenceError as error:
            desk.note(has_failed=is_of_server(error))
            raise
        desk.note(has_failed=False)
        return waited_ns
